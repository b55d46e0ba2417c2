"""The model card: what a space is, how it was made, how to use it, in the README.md that is saved with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["model_card"]

_OBJECTIVES = {
    "infonce": "Symmetric InfoNCE",
    "sigmoid": "Sigmoid pair loss",
    "margin": "Additive margin softmax",
    "distill": "Distillation",
    "margin-mse": "MarginMSE",
}


def model_card(space: Space) -> str:
    """Markdown with the front matter that model hubs read."""
    lines = ["---", "library_name: pairspace", "pipeline_tag: sentence-similarity", "tags:"]
    lines += [
        "- pairspace",
        "- sentence-transformers",
        "- contrastive",
        "- retrieval",
        "---",
        "",
        f"# {space.name}",
        "",
    ]
    lines += [
        f"A space of {space.dimension} dimensions for the sides {' and '.join(f'`{s}`' for s in space.sides)}, "
        "made with pairspace. Vectors are unit vectors; compare them by cosine.",
        "",
        "| side | role | encoder | layers | projector | tokens read |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for side in space.sides:
        part = space.part(side)
        role = "query" if side == space.query_side else "document"
        for branch in part.branches:
            name = (
                f"{branch.encoder.name}{', trained' if branch.trains and 'trained' not in branch.encoder.name else ''}"
            )
            row = [side, role, name, ", ".join(branch.layers), branch.projector.kind, branch.encoder.max_length or "-"]
            lines.append("| " + " | ".join(map(str, row)) + " |")
    lines += ["", "## Use", "", "```python", "import pairspace as ps", ""]
    lines += ['space = ps.Space.from_pretrained("this folder")', 'queries = space.encode_query(["..."])']
    lines += ['documents = space.encode_document(["..."])', "space.similarity(queries, documents)", "```", ""]
    parts = [space.part(side) for side in space.sides]
    if all(part.encoder.modality == "text" for part in parts):
        stock = all(part.stock for part in parts)
        trust = "" if stock else ", trust_remote_code=True"
        lines += [f'sentence-transformers loads the same folder: `SentenceTransformer("this folder"{trust})`', ""]
    lines += ["## Training", ""]
    record = space.record
    if not space.trained:
        lines.append("Nothing was trained: the vectors are the encoder's own.")
    elif record:
        options = ", ".join(f"{name} {value}" for name, value in record["options"].items())
        name = _OBJECTIVES[record["options"]["objective"]]
        lines.append(f"{name} on {record['pairs']:,} pairs ({record['source']}); {options}.")
        before, after = record["before"].get("validation_R@1"), record["after"].get("validation_R@1")
        if before is not None and after is not None:
            lines += [
                "",
                f"R@1 on {record['validation_pairs']:,} held-out pairs: {before:.3f} before, {after:.3f} after.",
            ]
    if space.fusion_weight is not None:
        weight = space.fusion_weight
        lines += ["", f"Beside BM25, z-scores are mixed {weight:.2f} (space) to {1 - weight:.2f} (BM25)."]
    lines += ["", f"Fingerprint: `{space.fingerprint}`", ""]
    return "\n".join(lines)
