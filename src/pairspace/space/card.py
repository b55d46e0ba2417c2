"""The model card: what a space is, how it was made, how to use it, in the README.md that is saved with it.

It answers what somebody who finds the folder would ask: which encoders, which of them trained and how, on which pairs,
with which objective, and what that changed on pairs held out. The front matter is what model hubs read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pairspace.encoders.parts import TRAINED
from pairspace.space.sentence import is_stock
from pairspace.training import TrainingOptions

if TYPE_CHECKING:
    from pairspace.space.model import Space
    from pairspace.space.side import Branch

__all__ = ["model_card"]

_OBJECTIVES = {
    "infonce": "Symmetric InfoNCE",
    "sigmoid": "Sigmoid pair loss (SigLIP)",
    "margin": "Additive margin softmax (LaBSE)",
    "distill": "Distillation by the KL divergence",
    "margin-mse": "MarginMSE",
}
_BUNDLED = {  # where the encoders that install as packages are on the hub
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "e5-multilingual": "intfloat/multilingual-e5-small",
}
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SCORES = {
    "validation_R@1": "R@1",
    "validation_MRR@10": "MRR@10",
    "alignment": "alignment (of pairs; lower is nearer)",
    "uniformity": "uniformity (of all; lower is more even)",
}


def model_card(space: Space, *, where: str = "this folder") -> str:
    """Markdown with the front matter that model hubs read.

    Args:
        space: what it is about.
        where: what the examples load: the folder, or its name on a hub.
    """
    parts = [_front_matter(space), f"# {space.name}", _summary(space), _sides(space), *_use(space, where)]
    parts += ["## Training", *_training(space)]
    if space.fusion_weight is not None:
        weight = space.fusion_weight
        parts.append(f"Beside BM25, z-scores are mixed {weight:.2f} (space) to {1 - weight:.2f} (BM25).")
    return "\n\n".join([*parts, f"Fingerprint: `{space.fingerprint}`", ""])


def _front_matter(space: Space) -> str:
    text = _reads_texts(space)
    lines = [
        "---",
        "library_name: pairspace",
        f"pipeline_tag: {'sentence-similarity' if text else 'feature-extraction'}",
    ]
    if found := dict.fromkeys(filter(None, map(_base_model, _branches(space)))):
        lines += ["base_model:", *(f"- {name}" for name in found)]
    tags = ["pairspace", *(["sentence-transformers"] if text else []), "contrastive", "retrieval"]
    return "\n".join([*lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _base_model(branch: Branch) -> str | None:
    """The hub's name of the model that an encoder is or began with, where it has one."""
    name = branch.encoder.name.removesuffix(TRAINED).removeprefix("static:")
    if name in _BUNDLED:
        return _BUNDLED[name]
    return name if _HUB_NAME.fullmatch(name) and not Path(name).exists() else None


def _summary(space: Space) -> str:
    sides = " and ".join(f"`{side}`" for side in space.sides)
    if space.sparse:
        known = space.part().lexicon
        size = f"{len(known):,} terms" if known is not None else "terms to be learnt"
        behind = ", and texts' own words in columns behind them" if space.part().wants_echo else ""
        return (
            f"A space of {size}{behind}, for the sides {sides}, made with pairspace. Vectors are sparse weights; "
            "compare them by dot product."
        )
    return (
        f"A space of {space.dimension} dimensions for the sides {sides}, made with pairspace. Vectors are unit "
        "vectors; compare them by cosine."
    )


def _sides(space: Space) -> str:
    lines = ["| side | role | encoder | trained | layers | projector | tokens read |", "| --- " * 7 + "|"]
    for side in space.sides:
        role = "query" if side == space.query_side else "document"
        for branch in space.part(side).branches:
            encoder = branch.encoder
            row = [side, role, encoder.name.removesuffix(TRAINED), _trained(space, branch), ", ".join(branch.layers)]
            lines.append("| " + " | ".join([*row, branch.projector.title, str(encoder.max_length or "all")]) + " |")
    return "\n".join(lines)


def _trained(space: Space, branch: Branch) -> str:
    """How the weights of an encoder were made."""
    options = space.record.get("options", {})
    if not branch.trains:
        return "no"
    if branch.encoder.from_nothing:
        return "from nothing"
    if "joined" in space.record:
        return "yes"
    if options.get("lora"):
        return f"low-rank adapters of rank {options['lora']}"
    blocks = options.get("train_blocks")
    return "whole" if not blocks else f"last {blocks} block{'s' if blocks > 1 else ''}"


def _use(space: Space, where: str) -> list[str]:
    text = _reads_texts(space)
    items = '["..."]' if text else "features  # float32 (n, values a row)"
    own = ["import pairspace as ps", "", f'space = ps.Space.from_pretrained("{where}")']
    own += [f"queries = space.encode_query({items})", f"documents = space.encode_document({items})"]
    parts = ["## Use", _python(*own, "space.similarity(queries, documents)")]
    if not text:
        return parts
    stock = all(is_stock(space.part(side)) for side in space.sides)
    trust = "" if stock else ", trust_remote_code=True"
    needs = "with its own modules" if stock else "with pairspace installed, whose modules it asks to trust"
    theirs = ["from sentence_transformers import SentenceTransformer", ""]
    theirs += [f'model = SentenceTransformer("{where}"{trust})', 'queries = model.encode_query(["..."])']
    theirs += ['documents = model.encode_document(["..."])', "model.similarity(queries, documents)"]
    parts += [f"sentence-transformers loads the same files, {needs}:", _python(*theirs)]
    sizes = space.record.get("options", {}).get("matryoshka")
    if sizes:
        parts.append(f"The first {', '.join(map(str, sizes))} values of a vector are vectors too: cut, and normalise.")
    return parts


def _training(space: Space) -> list[str]:
    record = space.record
    if "joined" in record:
        return [f"Joined from spaces that were trained apart: {', '.join(record['joined'])}."]
    if "classes" in record:
        return [f"Nothing was trained: pictures are said in the names of {record['classes']:,} classes."]
    if not space.trained:
        return ["Nothing was trained: the vectors are the encoder's own."]
    if "solved" in record:
        how = ", ".join(f"{name} {value}" for name, value in record["solved"].items())
        return [
            f"Solved in closed form (canonical correlation) on {' and '.join(map(str, record['pairs']))} pairs: {how}."
        ]
    if not record:
        return ["Trained; how was not recorded."]
    options = record["options"]
    source = ", ".join(Path(name).name for name in record["source"].split(", "))  # not where it lay on that machine
    data = f"- Data: {record['pairs']:,} pairs of {source}; {record['validation_pairs']:,} more were held out."
    cut = [f"{share:.1%} of `{side}`" for side, share in record.get("truncated", {}).items() if share]
    if cut:
        data += f" Longer than the encoders read: {', '.join(cut)}."
    changed = _changed(space, options)
    objective = f"- Objective: {_OBJECTIVES[options['objective']]}, with " + (
        f"{', '.join(changed)}; else the defaults." if changed else "the default settings."
    )
    lines = [data, f"- Trained: {_what(space)}.", objective]
    if best := record["best_epoch"]:
        lines.append(f"- Kept: the weights after epoch {best}.")
    elif record["validation_pairs"]:
        lines.append("- Kept: the state before training, because no epoch was better on the held-out pairs.")
    return ["\n".join(lines), *_scores(record)]


def _what(space: Space) -> str:
    projects = [s for s in space.sides if any(list(b.projector.parameters()) for b in space.part(s).branches)]
    encodes = [s for s in space.sides if any(b.trains for b in space.part(s).branches)]
    found = [
        f"the {what} of {' and '.join(f'`{side}`' for side in sides)}"
        for what, sides in (("projectors", projects), ("encoders", encodes))
        if sides
    ]
    return " and ".join(found) or "nothing"


def _changed(space: Space, options: dict[str, Any]) -> list[str]:
    """The settings that a run without any would have had otherwise, the objective's name aside."""
    pretrained = any(branch.trains and not branch.encoder.from_nothing for branch in _branches(space))
    usual = (TrainingOptions.for_encoders() if pretrained else TrainingOptions()).to_dict() | {"objective": None}
    return [
        f"{name} {value}" for name, value in options.items() if name != "objective" and value != usual.get(name, value)
    ]


def _scores(record: dict[str, Any]) -> list[str]:
    before, after = record.get("before", {}), record.get("after", {})
    names = [name for name in _SCORES if name in before and name in after]
    if not names:
        return []
    lines = [f"| on {record['validation_pairs']:,} held-out pairs | before | after |", "| --- | ---: | ---: |"]
    lines += [f"| {_SCORES[name]} | {before[name]:.3f} | {after[name]:.3f} |" for name in names]
    note = (
        "Both directions' mean. These pairs also chose the weights that were kept, so on others expect a little less."
    )
    return ["\n".join(lines), note]


def _branches(space: Space) -> list[Branch]:
    return [branch for side in space.sides for branch in space.part(side).branches]


def _reads_texts(space: Space) -> bool:
    return all(space.part(side).encoder.modality == "text" for side in space.sides)


def _python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])
