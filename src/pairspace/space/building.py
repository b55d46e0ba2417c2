"""From names to sides: encoders loaded, each as often as it is needed, and a projector for every one of them.

    --encoder minilm                     one encoder for all sides
    --encoder title=minilm --encoder body=static
    --encoder minilm+static              joined: both encode an item, and their vectors are added in the space

A lexical projector is made without terms here; they come with a lexicon, or with the training texts (`words.py`).

Frozen encoders of one name, prompt and length are one object. What trains is its own on every side, unless the encoder
is shared; what starts from nothing always trains.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pairspace.encoders import Encoder, load_encoder, resolve_layers
from pairspace.encoders.protocol import Trainable
from pairspace.encoders.static import StaticEncoder
from pairspace.errors import SpaceError
from pairspace.projectors import Projector, create_projector, start_at_identity
from pairspace.projectors.lexical import HEADS
from pairspace.space.side import Branch, Side, is_sparse

__all__ = ["Plan", "build_sides", "from_nothing", "model_of", "own_encoder", "start_where_related"]


SPARSE = ("lexical", "terms")  # kinds of projectors
_PICTURES = ("image", "picture", "photo", "photograph", "icon", "drawing")  # sides that are called so hold pictures


@dataclass(frozen=True)
class Plan:
    """What `Space.create` was asked for; every field one value for all sides, or a mapping with one a side."""

    encoder: Any
    projector: Any = None
    layers: Any = None
    prompt: Any = None
    max_length: Any = None
    precision: str | None = None
    dimension: int | None = None
    shared_encoder: bool = False
    shared_projector: bool = False
    head: str | None = None
    echo: bool | None = None
    device: str | None = None
    trust_remote_code: bool = False
    modality: Any = None
    views: int | None = None
    frame: str | None = None


def per_side(sides: Sequence[str], value: Any, what: str) -> dict[str, Any]:
    """One value for all sides, or a mapping of one for each.

    Raises:
        SpaceError: the mapping misses a side or names one that is not there.
    """
    if not isinstance(value, Mapping):
        return dict.fromkeys(sides, value)
    if set(value) != set(sides):
        raise SpaceError(f"{what} is given for {', '.join(value)}, but the sides are {', '.join(sides)}")
    return {side: value[side] for side in sides}


def build_sides(sides: Sequence[str], plan: Plan) -> dict[str, Side]:
    """Load the encoders and make the projectors.

    Raises:
        EncoderError: an encoder is unknown or unsafe to load.
        SpaceError: a setting does not fit the sides.
    """
    kinds = per_side(sides, plan.projector, "projector")
    if plan.head is not None and plan.head not in HEADS:
        raise SpaceError(f"head '{plan.head}': choose one of {', '.join(HEADS)}")
    layers = per_side(sides, plan.layers, "layers")
    encoders = _encoders(sides, plan, identity=set(kinds.values()) == {"identity"})
    built: dict[str, list[tuple[Any, str, tuple[str, ...]]]] = {}
    for side in sides:
        built[side] = []
        for encoder in encoders[side]:
            kind = kinds[side] or ("identity" if _new(encoder) else "linear")
            kind = "terms" if is_sparse(encoder) else kind
            wanted = "last" if kind == "identity" or _new(encoder) else layers[side] or "spread"
            built[side].append((encoder, kind, resolve_layers(encoder, wanted)))
    dimension = plan.dimension or min(_room(encoders[side]) for side in sides)
    return _with_projectors(built, dimension, plan, chosen=kinds)


def _room(encoders: Sequence[Any]) -> int:
    """Dimensions that suit a side: those of its encoder; of joined ones the most that one of them has."""
    return max(int(encoder.dimensions["last"]) for encoder in encoders)


def _with_projectors(
    built: Mapping[str, list[tuple[Any, str, tuple[str, ...]]]],
    dimension: int,
    plan: Plan,
    chosen: Mapping[str, str | None],
) -> dict[str, Side]:
    if len({kind in SPARSE for parts in built.values() for _, kind, _ in parts}) > 1:
        raise SpaceError("a space is sparse on all sides or on none: give all of them projector='lexical'")
    made: dict[str, Side] = {}
    shapes: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what a projector starts with is the same in every run
        for side, parts in built.items():
            branches, shapes[side] = [], []
            for encoder, kind, taken in parts:
                blocks = tuple(encoder.dimensions[layer] for layer in taken)
                if kind == "identity" and blocks[-1] != dimension and chosen[side] is None:
                    kind = "linear"  # a new encoder of another width than the space
                shapes[side].append((kind, blocks))
                size = 0 if kind in SPARSE else dimension
                own = {"head": plan.head} if kind == "lexical" and plan.head else {}
                module: Projector = create_projector(kind, blocks=blocks, dimension=size, **own)
                origin = None if _new(encoder) else encoder
                branches.append(Branch(encoder, taken, module, module, trains=_new(encoder), origin=origin))
            made[side] = Side(tuple(branches))
    _want_echo(plan, made, {kind for found in shapes.values() for kind, _ in found})
    if plan.shared_projector:
        first, *others = made
        if any(shapes[side] != shapes[first] for side in others):
            raise SpaceError("a shared projector needs sides whose features have the same layers and dimensions")
        for side in others:
            for one, branch in zip(made[first].branches, made[side].branches, strict=True):
                branch.projector = branch.start = one.projector
    return made


def _want_echo(plan: Plan, made: Mapping[str, Side], kinds: Collection[str]) -> None:
    """Say of the sides of a sparse space whether own words count.

    Raises:
        SpaceError: settings of words that do nothing here.
    """
    sparse = any(part.sparse for part in made.values())
    texts = all(part.encoder.modality == "text" for part in made.values())
    if not sparse and (plan.head is not None or plan.echo is not None):
        raise SpaceError("head and echo are of sparse spaces, and this one is dense: use projector='lexical'")
    if plan.head is not None and "lexical" not in kinds:
        raise SpaceError("head is of lexical projectors, and these encoders give weights of terms themselves")
    if plan.echo and not texts:
        raise SpaceError("echo is of texts, and a side of this space holds none")
    for part in made.values():
        part.wants_echo = plan.echo is not False and texts and part.sparse


def _encoders(sides: Sequence[str], plan: Plan, *, identity: bool) -> dict[str, list[Any]]:
    names = per_side(sides, plan.encoder, "encoder")
    prompts = per_side(sides, plan.prompt, "prompt")
    lengths = per_side(sides, plan.max_length, "max_length")
    kinds = modalities(sides, plan.modality)
    if not isinstance(plan.prompt, Mapping):  # what is said of all sides is said of texts
        prompts = {side: None if kinds[side] == "image" else prompts[side] for side in sides}
    if not isinstance(plan.max_length, Mapping):
        lengths = {side: None if kinds[side] == "image" else lengths[side] for side in sides}
    precision = plan.precision or ("fp32" if identity else None)  # the yardstick equals what other tools compute
    if plan.shared_encoder and len({(str(names[s]), prompts[s], lengths[s]) for s in sides}) > 1:
        raise SpaceError("a shared encoder is one for all sides: give one name, one prompt and one max_length")
    loaded: dict[Any, Encoder] = {}
    found: dict[str, list[Any]] = {}
    for side in sides:
        if plan.shared_encoder and found:
            found[side] = found[sides[0]]
            continue
        parts = [names[side]] if not isinstance(names[side], str) else _split(names[side])
        found[side] = []
        for name in parts:
            settings: dict[str, Any] = {"prompt": prompts[side], "max_length": lengths[side], "device": plan.device}
            settings |= {"precision": precision, "trust_remote_code": plan.trust_remote_code}
            settings |= {"modality": kinds[side], "views": plan.views, "frame": plan.frame}
            key = (name, prompts[side], lengths[side], kinds[side])
            encoder: Any = name if not isinstance(name, str) else loaded.get(key) or load_encoder(name, **settings)
            if not isinstance(name, str) and _new(name) and found.keys() - {side}:
                encoder = copy.deepcopy(name)  # each side begins its own
            if isinstance(name, str) and not _new(encoder):
                loaded[key] = encoder
            found[side].append(encoder)
        width = _width(found[side], plan)
        found[side] = [
            _of_width(one, name, width) if isinstance(name, str) and _new(one) else one
            for one, name in zip(found[side], parts, strict=True)
        ]
        if len({encoder.modality for encoder in found[side]}) > 1:
            raise SpaceError(
                f"{names[side]}: encoders that are joined read the same items, but these read different ones"
            )
        reads = found[side][0].modality
        if isinstance(plan.modality, Mapping) and reads in ("image", "text") and reads != kinds[side]:
            raise SpaceError(f"side '{side}' holds {kinds[side]}s, but {found[side][0].name} reads {reads}s")
    return found


def modalities(sides: Sequence[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """What each side holds, "image" or "text": as given, else as its name says.

    Args:
        sides: their names.
        given: side -> "image" or "text".

    Raises:
        SpaceError: a modality that is neither, or of a side that is not there.
    """
    if given is None:
        return {side: "image" if side.lower().rstrip("s") in _PICTURES else "text" for side in sides}
    found = {side: str(kind) for side, kind in per_side(sides, given, "modality").items()}
    if wrong := [kind for kind in found.values() if kind not in ("image", "text")]:
        raise SpaceError(f"modality {wrong[0]!r}: a side holds image or text")
    return found


def _split(name: str) -> list[str]:
    """`minilm+static` to its parts; a path may hold a plus of its own."""
    parts = [name] if Path(name).expanduser().exists() else [part.strip() for part in name.split("+")]
    if not all(parts):
        raise SpaceError(f"'{name}': write encoders that are joined as minilm+static")
    return parts


def _of_width(encoder: Any, name: str, width: int | None) -> Any:
    """A bag of words that is as wide as the space, unless its name says how wide."""
    if width is None or not isinstance(encoder, StaticEncoder) or ":" in name:
        return encoder
    own: dict[str, Any] = {"prompt": encoder.prompt, "max_length": encoder.max_length, "device": str(encoder.device)}
    return StaticEncoder(encoder.name, width=width, **own)


def _width(parts: Sequence[Any], plan: Plan) -> int | None:
    """Dimensions for a new bag of words: the space's if given; beside other encoders room for it and for them."""
    if plan.dimension is not None or len(parts) < 2:
        return plan.dimension
    others = [encoder.dimensions["last"] for encoder in parts if not _new(encoder)]
    return 2 * min(others) if others else None


def _new(encoder: Any) -> bool:
    """True for an encoder that has yet to be made from texts."""
    return from_nothing(encoder) and not encoder.ready


def from_nothing(encoder: Any) -> bool:
    """True for an encoder whose vocabulary is made from texts, also where that is done."""
    return bool(getattr(encoder, "from_nothing", False))


def own_encoder(encoder: Any, side: str) -> Trainable:
    """The same encoder as an object of its own, whose weights may change without changing any other side's.

    Raises:
        SpaceError: the encoder cannot be trained.
    """
    if not isinstance(encoder, Trainable):
        raise SpaceError(
            f"the encoder of side '{side}', {encoder.name}, cannot be trained: encoders of pictures, features that "
            "were made elsewhere, and models that sentence-transformers itself runs stay as they are"
        )
    if encoder.from_nothing:
        return copy.deepcopy(encoder)
    again: Any = load_encoder(**encoder.settings(), device=str(getattr(encoder, "device", "cpu")))
    again.name, again.home = encoder.name, getattr(encoder, "home", None)
    return again  # type: ignore[no-any-return]


def model_of(encoder: Encoder) -> str:
    """Equal for encoders that differ in prompt or length only: their model's folder, else their fingerprint."""
    return str(getattr(encoder, "folder", None) or encoder.fingerprint)


def start_where_related(parts: Mapping[str, Side]) -> bool:
    """Let projectors begin at the identity where that means something; False where the sides must be aligned first.

    It does where all sides use one encoder (their prompts may differ), where the user asked for the identity, and for
    encoders that start from nothing, which have nothing to align yet.
    """
    branches = [branch for side in parts.values() for branch in side.branches]
    if any(branch.projector.sparse for branch in branches):
        return False  # they begin with their terms
    for branch in branches:
        if _new(branch.encoder) and branch.blocks[-1] <= branch.projector.dimension:
            start_at_identity(branch.projector)
    old = [[branch for branch in side.branches if not _new(branch.encoder)] for side in parts.values()]
    every = [branch for side in old for branch in side]
    if all(branch.projector.kind == "identity" for branch in every):
        return True
    origins = [[(model_of(branch.encoder), branch.layers[-1]) for branch in side] for side in old if side]
    if all(one == origins[0] for one in origins) and all(b.blocks[-1] <= b.projector.dimension for b in every):
        for branch in every:
            start_at_identity(branch.projector)
        return True
    if len({id(branch.projector) for branch in every}) < len(every):
        raise SpaceError("a shared projector needs sides that use one encoder and the same last layer")
    return len(every) < 2
