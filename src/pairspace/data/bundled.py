"""The sample that comes with the package: 6,000 Debian package descriptions, short and long.

Columns: md5, package, source, group, then short_xx and long_xx for en, de, fr, it (null where untranslated). Made by
`recipes/build_sample.py`; licences are in `sample/LICENSE.md`.
"""

from __future__ import annotations

from pathlib import Path

from pairspace.errors import DataError

__all__ = ["sample_path"]


def sample_path() -> Path:
    """Where the sample lies: `read_pairs(sample_path(), {"title": "short_en", "body": "long_en"}, group="group")`.

    Raises:
        DataError: the package was installed without it.
    """
    path = Path(__file__).parent / "sample" / "packages.parquet"
    if not path.is_file():
        raise DataError(f"{path}: the sample is missing; install pairspace again")
    return path
