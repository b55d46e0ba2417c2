"""All benchmarks, one after the other: `make bench`, with PAIRSPACE_DATA naming the folder of data sets."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ALWAYS = ("topk", "training", "mining")
WITH_DATA = (
    "encoding",
    "search",
    "judged",
    "titles",
    "hubs titles",
    "scoring",
    "languages",
    "translation debian --only 'one bag of words for both'",
    "translation multi30k --only 'one bag of words for both'",
    "minima --units 5000 --test 1000",
    "tagging",
    "joint",
)
WITH_E5 = ("translation tatoeba", "hubs tatoeba", "alignment", "picture_sets")  # pip install 'pairspace[multilingual]'
WITH_TOOLS = ("roundtrip",)  # translate-toolkit's po2tmx


def main() -> None:
    names = ALWAYS
    if "PAIRSPACE_DATA" in os.environ:
        names += WITH_DATA + WITH_E5
        if shutil.which("po2tmx"):
            names += WITH_TOOLS
        else:
            print(f"without po2tmx on the PATH: not {', '.join(WITH_TOOLS)}", flush=True)
    else:
        print(f"without PAIRSPACE_DATA: {', '.join(ALWAYS)} only", flush=True)
    for name in names:
        print(f"\n== {name} ==", flush=True)
        command = [sys.executable, "-m", *shlex.split(f"benchmarks.{name}")]
        subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)


if __name__ == "__main__":
    main()
