"""Build the sample that comes with the package from the full set of Debian package descriptions.

    PAIRSPACE_DATA=/path/to/data python recipes/build_sample.py

reads `debian_descriptions/train.parquet` under that folder and writes `src/pairspace/data/sample/packages.parquet`.
Whole groups only (near-duplicate packages stay together). A third of the rows comes from groups translated into German,
a third from groups translated into French, so that cross-lingual examples have material (Italian is common enough by
itself); the rest from any group, for variety of English. Groups with a long description beyond 1,500 characters are
passed over: they cost most of the bytes, and the encoder reads only their beginning. The same input
gives the same file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairspace.data import atomic_file, read_table

COLUMNS = ["md5", "package", "source", "group"] + [
    f"{length}_{language}" for language in ("en", "de", "fr", "it") for length in ("short", "long")
]
ROWS = {"de": 2000, "fr": 2000, "en": 2000}
LONGEST, LARGEST_GROUP, SEED = 1500, 12, 0
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


if __name__ == "__main__":
    main()
