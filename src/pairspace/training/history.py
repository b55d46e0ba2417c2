"""What happened while training: one record an epoch, as JSONL and as a picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pairspace.data.files import atomic_file

__all__ = ["History"]


@dataclass
class History:
    """The records of a run; epoch 0 is the state before training.

    Attributes:
        records: dicts with `epoch`, `loss` (nats), `temperature`, `learning_rate`, `seconds`, and, where there is a
            validation split, `validation_R@1` and `validation_MRR@10`.
        best_epoch: the epoch whose weights were kept.
        notes: what was noticed, in plain words.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    notes: list[str] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        """One value of every record that has it."""
        return [r[name] for r in self.records if r.get(name) is not None]

    def save(self, path: str | Path) -> None:
        """Write the records as JSONL, a line an epoch."""
        with atomic_file(Path(path)) as temporary:
            temporary.write_text("".join(json.dumps(r) + "\n" for r in self.records), encoding="utf-8")

    def plot(self, path: str | Path) -> None:
        """Draw loss and validation R@1 over the epochs as a PNG."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 3.2), layout="constrained")
        loss, score = figure.subplots(1, 2)
        trained = [r for r in self.records if r.get("loss") is not None]
        loss.plot([r["epoch"] for r in trained], [r["loss"] for r in trained], color="#3366aa", marker=".")
        loss.set(title="training loss (nats)", xlabel="epoch")
        scored = [r for r in self.records if "validation_R@1" in r]
        score.plot([r["epoch"] for r in scored], [r["validation_R@1"] for r in scored], color="#aa5533", marker=".")
        score.axvline(self.best_epoch, color="#999999", linestyle=":", label="weights kept")
        score.set(title="validation R@1", xlabel="epoch")
        score.legend(frameon=False)
        for axis in (loss, score):
            axis.spines[["top", "right"]].set_visible(False)
        with atomic_file(Path(path)) as temporary:
            FigureCanvasAgg(figure).print_png(str(temporary))
