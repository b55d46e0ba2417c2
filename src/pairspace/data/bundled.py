"""The samples that come with the package: 6,000 Debian package descriptions, and 150 emoji.

Descriptions: md5, package, source, group, then short_xx and long_xx for en, de, fr, it (null where untranslated).
Emoji: id, image (WebP, 64 x 64), group, subgroup, label_en, tags_en, labels (names by language). Made by
`recipes/build_sample.py`; licences are in `sample/LICENSE.md`.
"""

from __future__ import annotations

from pathlib import Path

from pairspace.errors import DataError

__all__ = ["sample_path"]

SAMPLES = ("packages", "emoji")


def sample_path(name: str = "packages") -> Path:
    """Where a sample lies: `read_pairs(sample_path(), {"title": "short_en", "body": "long_en"}, group="group")`.

    Args:
        name: "packages" or "emoji".

    Raises:
        DataError: there is no such sample, or the package was installed without it.
    """
    if name not in SAMPLES:
        raise DataError(f"no sample {name!r}: there are {' and '.join(SAMPLES)}")
    path = Path(__file__).parent / "sample" / f"{name}.parquet"
    if not path.is_file():
        raise DataError(f"{path}: the sample is missing; install pairspace again")
    return path
