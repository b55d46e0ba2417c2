"""A saved space as sentence-transformers reads it: its own module list over the same encoder folders.

    modules.json                       the modules in order: one chain for all sides, or a Router with one a side
    router_config.json                 the chains "query" and "document" (further sides under their own names)
    config_sentence_transformers.json  the sides' prompts
    modules/                           what the chains need beside the encoders: projectors, joined layers

A chain is the encoder's own modules where they lie (encoders/<n>), then a projector, then unit length. An identity or a
linear projector over the last layer takes stock modules only. Other layers need `sentence_module.JoinLayers`, the layer
"words" also `WordTransformer` in the place of the stock Transformer, and a residual projector `Projection`. A side
that joins encoders, or whose encoder has no chain of plain modules (it started from nothing, or has another layout), is
one `SpaceSide` over the encoders' folders; a bag of words that counts a repeated token once is no StaticEmbedding.
sentence-transformers 6 loads these four only with `trust_remote_code=True`.
Nothing of sentence-transformers is imported here: the files are plain JSON and safetensors.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

from pairspace.encoders.layout import Layout, read_layout
from pairspace.encoders.protocol import SAVED, WORDS

if TYPE_CHECKING:
    from pairspace.space.model import Space
    from pairspace.space.side import Branch, Side

__all__ = ["is_stock", "write_sentence_layout"]

_STOCK = "sentence_transformers.models."  # the old names, which every version from 5.0 on resolves
_OURS = "pairspace.space.sentence_module."
_NORMALIZE = "modules/normalize"
_PROMPT_FILES = {
    "config_sentence_transformers.json",
    "README.md",
    SAVED,
}  # what may differ between two copies of one model


def is_stock(part: Side) -> bool:
    """True if sentence-transformers' own modules are enough for a side."""
    first = part.branches[0]
    layout = getattr(first.encoder, "layout", None)
    plain = len(part.branches) == 1 and layout is not None and layout.native
    return plain and _layers(first) == ("last",) and first.projector.kind in ("identity", "linear")


def write_sentence_layout(space: Space, folder: Path, *, encoders: Mapping[str, Sequence[str]]) -> None:
    """Add to a space's folder what `SentenceTransformer(folder)` needs; nothing if a side's items are no texts.

    Args:
        space: the space that is being saved; of a sparse one nothing is written.
        folder: where its encoders already lie.
        encoders: side -> folders of its encoders, relative to `folder`.
    """
    if space.sparse or any(space.part(side).encoder.modality != "text" for side in space.sides):
        return
    layouts = {path: _layout(folder / path) for paths in encoders.values() for path in paths}
    roles = _roles(space)
    plain = {side: paths[0] for side, paths in encoders.items() if len(paths) == 1 and layouts[paths[0]] is not None}
    for side, path in plain.items():
        _set_transformer(folder, layouts[path], space.part(side).branches[0])
    same = _distinct(folder, list(dict.fromkeys(plain.values())))
    files = _Files(folder)
    chains = {}
    for role, side in roles.items():
        part = space.part(side)
        whole = side not in plain
        chains[role] = files.whole(part, encoders[side]) if whole else files.chain(part.branches[0], same[plain[side]])
    _json(folder / _NORMALIZE / "config.json", {})
    final = (_NORMALIZE, files.types[_NORMALIZE])
    first, *others = chains.values()
    if all(chain == first for chain in others):
        modules = [(path, files.types[path]) for path in first] + [final]
    else:
        used = dict.fromkeys(path for chain in chains.values() for path in chain)
        router = {
            "types": {path: files.types[path] for path in used},
            "structure": chains,
            "parameters": {"default_route": "query", "allow_empty_key": True},
        }
        _json(folder / "router_config.json", router)
        modules = [("", _STOCK + "Router"), final]
    listed = [{"idx": n, "name": str(n), "path": path, "type": kind} for n, (path, kind) in enumerate(modules)]
    _json(folder / "modules.json", listed)
    prompts = {role: space.part(side).encoder.prompt if side in plain else "" for role, side in roles.items()}
    settings = {
        "model_type": "SentenceTransformer",
        "prompts": prompts,
        "default_prompt_name": "query" if prompts["query"] else None,  # encode() means the query side, as Space.encode
        "similarity_fn_name": "cosine",
    }
    _json(folder / "config_sentence_transformers.json", settings)


class _Files:
    """Writes the modules beside the encoders, each once.

    Attributes:
        types: module folder -> its class.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.types = {_NORMALIZE: _STOCK + "Normalize"}
        self._projectors: dict[int, str] = {}
        self._joins: dict[tuple[str, tuple[str, ...]], str] = {}
        self._wholes: dict[Any, str] = {}

    def chain(self, part: Branch, encoder: str) -> list[str]:
        """The module folders of one side, in order, up to the unit length that all sides share."""
        modules = self._encoder(part, encoder)
        layers, identity = _layers(part), part.projector.kind == "identity"
        if WORDS in layers:
            self.types[modules[0]] = _OURS + "WordTransformer"
        if layers != ("last",):
            modules.append(self._join(modules[1], encoder, layers))
        elif not identity:
            modules.append(_NORMALIZE)
        return modules if identity else [*modules, self._projector(part.projector)]

    def whole(self, part: Side, encoders: Sequence[str]) -> list[str]:
        """The one module of a side that has no chain; it reads the encoders where they lie."""
        key = tuple((where, b.layers, id(b.projector)) for where, b in zip(encoders, part.branches, strict=True))
        if key not in self._wholes:
            path = self._wholes[key] = f"modules/side_{len(self._wholes)}"
            self.types[path] = _OURS + "SpaceSide"
            branches: list[dict[str, Any]] = []
            weights: dict[str, Any] = {}
            for number, (where, branch) in enumerate(zip(encoders, part.branches, strict=True)):
                settings = branch.projector.settings()
                branches.append({"encoder": f"../../{where}", "layers": list(branch.layers), "projector": settings})
                weights |= {f"{number}.{name}": value for name, value in _weights(branch.projector).items()}
            _json(self.folder / path / "config.json", {"branches": branches})
            save_file(weights, self.folder / path / "model.safetensors")
        return [self._wholes[key]]

    def _encoder(self, part: Branch, encoder: str) -> list[str]:
        listed = self.folder / encoder / "modules.json"
        if listed.is_file():
            entries = [(entry["path"], entry["type"]) for entry in json.loads(listed.read_text("utf-8"))]
            modules = [((Path(encoder) / path).as_posix(), kind.rsplit(".", 1)[-1]) for path, kind in entries]
        else:  # a plain transformers folder: mean pooling
            pooling = f"modules/pooling_{Path(encoder).name}"
            config = {"word_embedding_dimension": part.encoder.dimensions["last"], "pooling_mode_mean_tokens": True}
            _json(self.folder / pooling / "config.json", config)
            modules = [(encoder, "Transformer"), (pooling, "Pooling")]
        self.types = {
            path: _STOCK + kind for path, kind in modules
        } | self.types  # another side may have asked for words
        return [path for path, _ in modules]

    def _join(self, pooling: str, encoder: str, layers: Sequence[str]) -> str:
        key = encoder, tuple(layers)
        if key not in self._joins:
            path = self._joins[key] = f"modules/layers_{len(self._joins)}"
            self.types[path] = _OURS + "JoinLayers"
            _json(self.folder / path / "config.json", {"layers": list(layers)})
            (self.folder / path / "pooling").mkdir()
            shutil.copyfile(self.folder / pooling / "config.json", self.folder / path / "pooling" / "config.json")
        return self._joins[key]

    def _projector(self, projector: Any) -> str:
        if id(projector) not in self._projectors:
            path = self._projectors[id(projector)] = f"modules/projector_{len(self._projectors)}"
            weights, settings = _weights(projector), projector.settings()
            if projector.kind == "linear":
                self.types[path] = _STOCK + "Dense"
                settings = {
                    "in_features": sum(projector.blocks),
                    "out_features": projector.dimension,
                    "bias": True,
                    "activation_function": "torch.nn.modules.linear.Identity",
                }
            else:
                self.types[path] = _OURS + "Projection"
                weights = {f"projector.{name}": value for name, value in weights.items()}
            _json(self.folder / path / "config.json", settings)
            save_file(weights, self.folder / path / "model.safetensors")
        return self._projectors[id(projector)]


def _weights(projector: Any) -> dict[str, Any]:
    return {name: value.detach().cpu().contiguous() for name, value in projector.state_dict().items()}


def _layers(part: Branch) -> tuple[str, ...]:
    """The layers that a side's vectors are made of: an identity projector takes the last of those it is given."""
    return part.layers[-1:] if part.projector.kind == "identity" else part.layers


def _roles(space: Space) -> dict[str, str]:
    """Role -> side: query and document, and further sides by their own names where a module may be called so."""
    roles = {"query": space.query_side, "document": space.document_side}
    for side in space.sides:
        if side not in roles.values() and side not in roles and "." not in side:
            roles[side] = side
    return roles


def _layout(folder: Path) -> Layout | None:
    """The layout of a saved encoder; None where sentence-transformers' plain modules do not cover it."""
    if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
        return None
    layout = read_layout(folder)
    return layout if layout.native else None


def _set_transformer(folder: Path, layout: Layout | None, part: Branch) -> None:
    """Say beside a transformer how many tokens it reads, and that inner layers are wanted."""
    assert layout is not None
    path = layout.transformer / "sentence_bert_config.json"
    settings: dict[str, Any] = (
        json.loads(path.read_text("utf-8")) if path.is_file() else {"do_lower_case": layout.lower}
    )
    if part.encoder.max_length is not None:
        settings["max_seq_length"] = part.encoder.max_length
    if any(layer.isdigit() for layer in _layers(part)):
        key = "config_kwargs" if "config_kwargs" in settings else "config_args"  # new and old name of one thing
        settings[key] = settings.get(key, {}) | {"output_hidden_states": True}
    _json(path, settings)


def _distinct(folder: Path, paths: Sequence[str]) -> dict[str, str]:
    """Encoder folder -> the first one that holds the same model, so that sides differing in prompt alone share it."""
    return {path: next(other for other in paths if _equal(folder / other, folder / path)) for path in paths}


def _equal(one: Path, two: Path) -> bool:
    if one == two:
        return True
    left, right = (
        {p.relative_to(root) for p in root.rglob("*") if p.is_file() and p.name not in _PROMPT_FILES}
        for root in (one, two)
    )
    return left == right and all(filecmp.cmp(one / name, two / name, shallow=False) for name in left)


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # never through a link to the file that an encoder came from
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
