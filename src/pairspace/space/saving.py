"""A space as a folder, and back.

    config.json              sides, layers, projectors, settings, how it was trained; a checksum of every file
    projectors.safetensors   the projectors, and the state they started from
    encoders/<n>/            each distinct encoder once; a model with two towers once for both
    lexicon/                 the terms of a sparse space
    README.md                the model card
    modules.json, ...        the same model as sentence-transformers reads it

The folder is written under another name and renamed, so there is never half a space. Loading checks every file against
its checksum first; weights are safetensors only.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pairspace.data.files import atomic_folder
from pairspace.encoders import load_encoder
from pairspace.encoders.layout import PICKLES
from pairspace.encoders.lexicon import Lexicon
from pairspace.encoders.load import is_here
from pairspace.encoders.packages import PACKAGED
from pairspace.errors import PairspaceError, SpaceError
from pairspace.features import FeatureCache
from pairspace.projectors import Echo, Projector, create_projector
from pairspace.space.card import model_card
from pairspace.space.sentence import write_sentence_layout
from pairspace.space.side import Branch, Side

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["load_space", "save_space"]

CONFIG = "config.json"
LEXICON = "lexicon"
WEIGHTS = "projectors.safetensors"
FORMAT, OLDEST = 5, 4  # written, and still read
_TOWER = ("prompt", "max_length", "precision", "views", "frame", "modality")
_ORIGIN = ("name_or_path", "prompt", "max_length", "precision", "modality")


def save_space(space: Space, path: Path, *, portable: bool = False) -> None:
    """Write a space to a folder; an older space there is replaced, anything else is left alone and refused.

    Args:
        space: to be written.
        path: the folder.
        portable: for other machines: leave out where on this one encoders that were trained came from.

    Raises:
        StorageError: the disk is full, or the folder holds something that is no space.
    """
    _keep_origins(space, path)
    with atomic_folder(path, overwrite=True, marker=WEIGHTS) as folder:
        tensors: dict[str, Tensor] = {"temperature/log_scale": space.temperature.log_scale.detach().cpu().clone()}
        sides = _Sides(folder, tensors, portable)
        saved = {side: [sides.branch(branch) for branch in space.part(side).branches] for side in space.sides}
        words = {side: sides.words(side, space.part(side)) for side in space.sides} if space.sparse else None
        save_file(tensors, folder / WEIGHTS)
        (folder / "README.md").write_text(model_card(space), encoding="utf-8")
        where = {side: [branch["encoder"] for branch in one] for side, one in saved.items()}
        write_sentence_layout(space, folder, encoders=where)
        config = {
            "format": FORMAT,
            "library": "pairspace",
            "name": space.name,
            "fingerprint": space.fingerprint,
            "query_side": space.query_side,
            "dimension": space.dimension,
            "language": space.language,
            "fusion_weight": space.fusion_weight,
            "started": space.started,
            "trained": space.trained,
            "bias": space.bias,
            "learn_temperature": space.temperature.log_scale.requires_grad,
            "shared_encoder": space.shared_encoder,
            "sides": saved,
            "words": words,
            "same": sides.same,
            "record": space.record,
            "files": _checksums(folder),
        }
        (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class _Sides:
    """Writes what the branches hold, each encoder and each projector once."""

    def __init__(self, folder: Path, tensors: dict[str, Tensor], portable: bool) -> None:
        self.folder, self.tensors, self.portable = folder, tensors, portable
        self.encoders: dict[int, tuple[str, dict[str, Any] | None]] = {}
        self.projectors: dict[int, str] = {}
        self.same: dict[str, str] = {}  # tensors that equal one written before, such as the head that all sides share
        self._known: dict[bytes, str] = {}
        self._models: dict[Path, tuple[str, str]] = {}  # folder a model came from -> where it is now, the tower meant

    def branch(self, branch: Branch) -> dict[str, Any]:
        """Write a branch, and return what the configuration says of it."""
        if id(branch.encoder) not in self.encoders:
            self.encoders[id(branch.encoder)] = self._encoder(branch.encoder)
        where, tower = self.encoders[id(branch.encoder)]
        key = self.projectors.setdefault(id(branch.projector), str(len(self.projectors)))
        for state, module in (("trained", branch.projector), ("start", branch.start)):
            self._keep(f"{state}/{key}", module)
        came: Any = branch.origin
        return {
            "encoder": where,
            "tower": tower,
            "layers": list(branch.layers),
            "projector": branch.projector.settings(),
            "projector_key": key,
            "trains": branch.trains,
            "origin": None if came is None else "same" if came is branch.encoder else self._origin(came),
            "origin_fingerprint": None if came is None else came.fingerprint,
        }

    def _encoder(self, encoder: Any) -> tuple[str, dict[str, Any] | None]:
        """Where an encoder's files are, written if need be; and its settings where they are the other tower's files."""
        settings = encoder.settings()
        where = f"encoders/{len(self.encoders)}"
        if "modality" in settings:
            there, modality = self._models.setdefault(encoder.folder, (where, encoder.modality))
            if modality != encoder.modality:
                return there, {name: settings.get(name) for name in _TOWER}
        encoder.save(self.folder / where)
        return where, None

    def words(self, side: str, part: Side) -> dict[str, Any]:
        """Write what a side of a sparse space has beside its branches, and return what the configuration says of it."""
        if part.lexicon is not None and not (self.folder / LEXICON).exists():
            part.lexicon.save(self.folder / LEXICON)
        if part.echo is not None:
            self._keep(f"echo {side}", part.echo)
        return {"wants_echo": part.wants_echo, "lexicon": part.lexicon is not None, "echo": part.echo is not None}

    def _keep(self, prefix: str, module: torch.nn.Module) -> None:
        for name, value in module.state_dict().items():
            tensor = value.detach().cpu().contiguous().clone()
            digest = hashlib.sha256(f"{tensor.shape} {tensor.dtype}".encode() + tensor.numpy().tobytes()).digest()
            first = self._known.setdefault(digest, f"{prefix}/{name}")
            if first in self.tensors:
                self.same[f"{prefix}/{name}"] = first
            else:
                self.tensors[first] = tensor

    def _origin(self, encoder: Any) -> dict[str, Any] | None:
        """What makes the encoder again that a trained one came from."""
        settings: dict[str, Any] = {name: encoder.settings().get(name) for name in _ORIGIN}
        return None if self.portable and settings["name_or_path"] not in PACKAGED else settings


def _keep_origins(space: Space, path: Path) -> None:
    """Files that encoders before training are read from, and that are about to be replaced, move elsewhere first."""
    moved: dict[int, Any] = {}
    for side in space.sides:
        for branch in space.part(side).branches:
            came: Any = branch.origin
            apart = hasattr(came, "elsewhere") and came is not branch.encoder
            if apart and came.folder.resolve().is_relative_to(path.resolve()):
                if id(came) not in moved:
                    moved[id(came)] = came.elsewhere()
                branch.origin = moved[id(came)]


def load_space(
    kind: type[Space],
    path: str | Path,
    *,
    device: str | None,
    cache: FeatureCache | None,
    trust_remote_code: bool,
) -> Space:
    """Read a space from a folder; see `Space.from_pretrained`."""
    folder = Path(path)
    config = _config(folder)
    _check_files(folder, config)
    try:
        space = _put_together(kind, folder, config, device=device, cache=cache, trust_remote_code=trust_remote_code)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpaceError(f"{folder / CONFIG}: altered or incomplete ({type(error).__name__}: {error})") from error
    if space.fingerprint != config["fingerprint"]:
        raise SpaceError(
            f"{folder}: loaded with the fingerprint {space.fingerprint}, saved with {config['fingerprint']}: "
            "an encoder or a setting is not the one it was saved with"
        )
    return space


def _put_together(
    kind: type[Space],
    folder: Path,
    config: dict[str, Any],
    *,
    device: str | None,
    cache: FeatureCache | None,
    trust_remote_code: bool,
) -> Space:
    tensors = load_file(folder / WEIGHTS)
    tensors |= {name: tensors[first] for name, first in config.get("same", {}).items()}
    lexicon = Lexicon.load(folder / LEXICON) if (folder / LEXICON).is_dir() else None
    encoders: dict[tuple[str, str | None], Any] = {}
    modules: dict[str, tuple[Any, Any]] = {}
    parts: dict[str, Side] = {}
    for side, saved in config["sides"].items():
        branches = []
        for one in saved:
            key, tower = one["projector_key"], one.get("tower") or {}
            which = one["encoder"], tower.get("modality")
            if which not in encoders:
                own: dict[str, Any] = {name: tower.get(name) for name in _TOWER}
                own |= {"device": device, "trust_remote_code": trust_remote_code}
                encoders[which] = load_encoder(folder / one["encoder"], **own)
            if key not in modules:
                modules[key] = _projectors(one["projector"], key, tensors)
            branch = Branch(encoders[which], tuple(one["layers"]), *modules[key], trains=one["trains"])
            branch.origin = _origin(one, encoders[which], device, trust_remote_code)
            branches.append(branch)
        parts[side] = Side(tuple(branches))
        if config.get("words") is not None:
            _read_words(parts[side], side, config["words"][side], lexicon, tensors)
    space = kind(
        parts,
        query_side=config["query_side"],
        name=config["name"],
        language=config["language"],
        cache=cache,
        shared_encoder=config["shared_encoder"],
        device=device,
    )
    space.temperature.log_scale.data.copy_(tensors["temperature/log_scale"])
    space.temperature.log_scale.requires_grad_(config["learn_temperature"])
    space.fusion_weight, space.record, space.bias = config["fusion_weight"], config["record"], config["bias"]
    space.started, space.trained = config["started"], config["trained"]
    for part in parts.values():
        for branch in part.branches:
            branch.start.to(space.device)
    return space


def _projectors(settings: dict[str, Any], key: str, tensors: dict[str, Tensor]) -> tuple[Projector, Projector]:
    """A projector as trained and as it was before."""
    trained = create_projector(**settings)
    start = copy.deepcopy(trained)
    for state, module in (("trained", trained), ("start", start)):
        prefix = f"{state}/{key}/"
        _load_weights(module, {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
    return trained, start.eval()


def _read_words(
    part: Side, side: str, saved: dict[str, Any], lexicon: Lexicon | None, tensors: dict[str, Tensor]
) -> None:
    """Give a side of a sparse space its terms and the weights of own words."""
    part.wants_echo = saved["wants_echo"]
    part.lexicon = lexicon if saved["lexicon"] else None
    if saved["echo"] and part.lexicon is not None:
        part.echo, prefix = Echo(len(part.lexicon)), f"echo {side}/"
        _load_weights(part.echo, {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})


def _origin(saved: dict[str, Any], encoder: Any, device: str | None, trust_remote_code: bool) -> Any:
    """The encoder as it was before any training: the same one, or where it came from if that is still on this machine.

    What a file says is not to be trusted: nothing is fetched, and no code is run that the caller did not allow.
    """
    came = saved["origin"]
    if came is None or came == "same":
        return None if came is None else encoder
    settings: dict[str, Any] = {name: came.get(name) for name in _ORIGIN}
    if not is_here(str(settings["name_or_path"])):
        return None
    try:
        found = load_encoder(**settings, device=device, trust_remote_code=trust_remote_code)
    except PairspaceError:
        return None
    return found if found.fingerprint == saved["origin_fingerprint"] else None


def _load_weights(module: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:  # names or shapes that the settings do not foresee
        raise ValueError(f"the projectors' weights do not fit their settings: {error}") from error


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        what = "no such folder" if not folder.exists() else f"no {CONFIG} in it"
        raise SpaceError(f"{folder}: not a space ({what}); 'pairspace train' or Space.save_pretrained makes one")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpaceError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(config, dict) or config.get("library") != "pairspace":
        raise SpaceError(f"{folder}: holds some other model, not a pairspace space; name it as an encoder instead")
    if config.get("format", 0) > FORMAT:
        raise SpaceError(f"{folder}: written by a newer pairspace (format {config['format']}, this one reads {FORMAT})")
    if missing := [name for name in ("format", "fingerprint", "sides", "files") if name not in config]:
        raise SpaceError(f"{path}: altered or incomplete (there is no {', '.join(missing)})")
    if config["format"] < OLDEST:
        raise SpaceError(f"{folder}: written by an older pairspace (format {config['format']}); train it anew")
    return config


def _check_files(folder: Path, config: dict[str, Any]) -> None:
    for name, digest in config["files"].items():
        path = folder / name
        if not path.is_file():
            pickles = [p.name for p in path.parent.glob("*") if p.suffix in PICKLES] if path.parent.is_dir() else []
            hint = f"; {pickles[0]} is a pickle and is never read: weights are safetensors only" if pickles else ""
            raise SpaceError(f"{folder}: the file {name} is missing{hint}")
        if name != "README.md" and _digest(path) != digest:
            raise SpaceError(f"{folder}: the file {name} was altered or damaged after the space was saved")


def _checksums(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): _digest(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
