"""What happened while training: one record an epoch, as JSONL and as a picture.

The picture has a panel for each thing that the records tell: a falling loss alone says little, because it also falls
when the temperature does. Alignment (how near true pairs are) and uniformity (how evenly all items are spread) are the
two things that a contrastive loss trades off (Wang & Isola 2020, arXiv 2005.10242); lower is better for both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pairspace.data.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["History"]

_PANELS = (  # title, and the records' columns drawn there; a second one has its own scale at the right
    ("training loss (nats)", ("loss",)),
    ("validation R@1", ("validation_R@1",)),
    ("alignment and uniformity", ("alignment", "uniformity")),
    ("temperature", ("temperature",)),
    ("bias", ("bias",)),
)
_COLOURS = ("#3366aa", "#aa5533")


@dataclass
class History:
    """The records of a run; epoch 0 is the state before training.

    Attributes:
        records: dicts with `epoch`, `loss` (nats), `temperature` (and `bias`, where the objective has one),
            `learning_rate` (and `encoder_learning_rate`), `seconds`, and, where there is a validation split,
            `validation_R@1`, `validation_MRR@10`, `alignment` and `uniformity`.
        best_epoch: the epoch whose weights were kept.
        notes: what was noticed, in plain words.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    notes: list[str] = field(default_factory=list)

    def then(self, second: History) -> History:
        """This history and that of what followed; the second one's state before training is this one's last."""
        if not self.records:
            return second
        done = self.records[-1]["epoch"]
        rest = [record | {"epoch": record["epoch"] + done} for record in second.records[1:]]
        best = second.best_epoch + done if second.best_epoch else self.best_epoch
        return History(self.records + rest, best, list(dict.fromkeys(self.notes + second.notes)))

    def column(self, name: str) -> list[Any]:
        """One value of every record that has it."""
        return [r[name] for r in self.records if r.get(name) is not None]

    def save(self, path: str | Path) -> None:
        """Write the records as JSONL, a line an epoch."""
        with atomic_file(Path(path)) as temporary:
            temporary.write_text("".join(json.dumps(r) + "\n" for r in self.records), encoding="utf-8")

    def plot(self, path: str | Path) -> None:
        """Draw the run as a PNG; see `figure`."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        with atomic_file(Path(path)) as temporary:
            FigureCanvasAgg(self.figure()).print_png(str(temporary))

    def figure(self) -> Figure:
        """Loss, validation R@1, alignment and uniformity, temperature and bias over the epochs: what there is."""
        from matplotlib.figure import Figure

        panels = [(title, names) for title, names in _PANELS if any(self.column(name) for name in names)] or [
            _PANELS[0]
        ]
        lines = 1 if len(panels) < 4 else 2
        across = -(-len(panels) // lines)
        figure = Figure(figsize=(3.5 * across, 3.2 * lines), layout="constrained")
        axes = figure.subplots(lines, across, squeeze=False).ravel()
        for axis, (title, names) in zip(axes, panels, strict=False):
            self._panel(axis, title, names)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        return figure

    def _panel(self, axis: Axes, title: str, names: tuple[str, ...]) -> None:
        axis.set(title=title, xlabel="epoch")
        axis.axvline(self.best_epoch, color="#999999", linestyle=":")
        axis.spines[["top", "right"]].set_visible(False)
        for name, colour, one in zip(
            names, _COLOURS, (axis, axis.twinx()) if len(names) > 1 else (axis,), strict=False
        ):
            there = [r for r in self.records if r.get(name) is not None]
            one.plot([r["epoch"] for r in there], [r[name] for r in there], color=colour, marker=".")
            if len(names) > 1:
                one.set_ylabel(name, color=colour)
                one.spines["top"].set_visible(False)
        if title == _PANELS[1][0]:
            axis.lines[0].set_label("weights kept")
            axis.legend(frameon=False)
