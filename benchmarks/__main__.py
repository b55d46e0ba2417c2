"""All benchmarks, one after the other: `make bench`, with PAIRSPACE_DATA naming the folder of data sets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ALWAYS = ("topk", "training")
WITH_DATA = ("encoding", "search", "judged", "titles")


def main() -> None:
    names = ALWAYS
    if "PAIRSPACE_DATA" in os.environ:
        names += WITH_DATA
    else:
        print(f"without PAIRSPACE_DATA: {', '.join(ALWAYS)} only", flush=True)
    for name in names:
        print(f"\n== {name} ==", flush=True)
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)


if __name__ == "__main__":
    main()
