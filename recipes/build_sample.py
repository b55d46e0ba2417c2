"""Build the samples that come with the package, of Debian package descriptions and of emoji.

    PAIRSPACE_DATA=/path/to/data python recipes/build_sample.py

reads `debian_descriptions/train.parquet` under that folder and writes `src/pairspace/data/sample/packages.parquet`; and
where it is there, `emoji/emoji.parquet`, for `emoji.parquet` beside it.

Whole groups only (near-duplicate packages stay together). A third of the rows comes from groups translated into German,
a third from groups translated into French, so that cross-lingual examples have material (Italian is common enough by
itself); the rest from any group, for variety of English. Groups with a long description beyond 1,500 characters are
passed over: they cost most of the bytes, and the encoder reads only their beginning. Of emoji, a random choice from the
groups that show things; their pictures become WebP. The same input gives the same files.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from pairspace.data import atomic_file, read_table

COLUMNS = ["md5", "package", "source", "group"] + [
    f"{length}_{language}" for language in ("en", "de", "fr", "it") for length in ("short", "long")
]
ROWS = {"de": 2000, "fr": 2000, "en": 2000}
LONGEST, LARGEST_GROUP, SEED = 1500, 12, 0
EMOJI = 150
GROUPS = ("Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects")  # they show things
LANGUAGES = ("de", "en", "es", "fr", "it", "ja", "ru", "zh")
TARGET = Path(__file__).parent.parent / "src/pairspace/data/sample/packages.parquet"


def choose(table: pa.Table) -> np.ndarray:
    """Row numbers (int64, ascending) of the sample within the full set."""
    groups = np.unique(table["group"].to_numpy(), return_inverse=True)[1]
    sizes = np.bincount(groups)
    too_long = pc.greater(pc.utf8_length(table["long_en"]), LONGEST).to_numpy()
    fits = (np.bincount(groups, too_long) == 0) & (sizes <= LARGEST_GROUP)
    order = np.random.default_rng(SEED).permutation(len(sizes))
    taken = np.zeros(len(sizes), dtype=bool)
    for language, rows in ROWS.items():
        translated = np.bincount(groups, pc.is_valid(table[f"long_{language}"]).to_numpy())
        pool = fits & ~taken & (translated * 2 >= sizes)  # at least half of the group's rows
        for group in order[pool[order]]:
            if sizes[group] <= rows:
                taken[group] = True
                rows -= sizes[group]
    return np.flatnonzero(taken[groups])


def as_webp(content: bytes) -> bytes:
    """A picture as lossy WebP with its transparency."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        picture.convert("RGBA").save(stream, "WEBP", quality=80, alpha_quality=60, method=6)
    return stream.getvalue()


def build_emoji(source: Path, target: Path) -> int:
    """Choose and write; how many there are."""
    columns = ["id", "image", "group", "subgroup", "label_en", "tags_en", "labels"]
    rows = [row for row in read_table(source, columns).to_pylist() if row["group"] in GROUPS]
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:EMOJI])
    taken = [rows[n] | {"image": as_webp(rows[n]["image"])} for n in chosen]
    for row in taken:
        row["labels"] = [(language, label) for language, label in row["labels"] if language in LANGUAGES]
    schema = pa.schema(
        [(name, pa.string()) for name in ("id", "group", "subgroup", "label_en")]
        + [("image", pa.binary()), ("tags_en", pa.list_(pa.string())), ("labels", pa.map_(pa.string(), pa.string()))]
    )
    with atomic_file(target) as temporary:
        pq.write_table(pa.Table.from_pylist(taken, schema).select(columns), temporary, compression="zstd")
    return len(taken)


def main() -> None:
    """Read, choose, write, and say what was made."""
    if "PAIRSPACE_DATA" not in os.environ:
        sys.exit("set PAIRSPACE_DATA to the folder that holds debian_descriptions/train.parquet")
    table = read_table(Path(os.environ["PAIRSPACE_DATA"]) / "debian_descriptions/train.parquet", COLUMNS)
    rows = choose(table)
    sample = table.take(pa.array(rows))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(TARGET) as temporary:
        pq.write_table(sample, temporary, compression="zstd", compression_level=19)
    print(f"{TARGET}: {len(sample)} rows, {TARGET.stat().st_size:,} bytes")
    for column in COLUMNS:
        print(f"  {column:10} {len(sample) - sample[column].null_count:5} values")
    print(f"  {len(pc.unique(sample['group'])):5} groups, {len(pc.unique(sample['source'])):5} source packages")
    emoji = Path(os.environ["PAIRSPACE_DATA"]) / "emoji/emoji.parquet"
    if emoji.is_file():
        target = TARGET.parent / "emoji.parquet"
        print(f"{target}: {build_emoji(emoji, target)} rows, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
