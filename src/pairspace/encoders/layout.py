"""What a model folder says about itself: which transformer, which pooling, which heads, which prompts.

The layout of sentence-transformers is read (`modules.json` and one folder a module) and run natively when it is
Transformer + Pooling (+ Dense | Normalize)*; a plain transformers folder counts as mean pooling without heads. Any
other module makes `native` False, and the SentenceTransformer class itself runs the model. Weights come from
safetensors only: a pickle can run any code when it is opened, so a folder that has nothing else is refused before
anything is loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from pairspace.encoders.module import DenseHead, TextModule, UnitLength
from pairspace.encoders.pooling import MODES
from pairspace.encoders.protocol import SAVED
from pairspace.encoders.quiet import quiet
from pairspace.errors import EncoderError

__all__ = ["PICKLES", "Layout", "read_layout", "refuse_pickles"]

_LEGACY = {  # in the order in which sentence-transformers joins them
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass
class Layout:
    """A model folder, read.

    Attributes:
        root: the folder itself.
        transformer: the folder of the transformers model.
        modes: pooling modes.
        include_prompt: whether the prompt's tokens take part in pooling.
        heads: folders of Dense modules, or None for a Normalize module, in order.
        max_length: tokens, where the folder says so.
        lower: lower-case the texts first.
        prompts: name -> prompt; `default_prompt` is the one used when none is asked for.
        native: whether this package can run it itself.
        module_folders: the folder of every module.
    """

    root: Path
    transformer: Path
    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    heads: list[Path | None] = field(default_factory=list)
    max_length: int | None = None
    lower: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    native: bool = True
    module_folders: list[Path] = field(default_factory=list)

    def output_dimension(self, pooled: int) -> int:
        """The dimension after the heads of a vector that has `pooled` before them."""
        for folder in self.heads:
            pooled = pooled if folder is None else int(_json(folder / "config.json")["out_features"])
        return pooled

    def files(self) -> dict[str, Path]:
        """The files of the heads, by what they are for; Normalize has a role and no file, so it stands in the names."""
        found = {}
        for place, folder in enumerate(self.heads):
            for path in () if folder is None else sorted([folder / "config.json", *folder.glob("*.safetensors")]):
                found[f"head {place} of {len(self.heads)}: {path.name}"] = path
        return found

    def all_files(self, *, code: bool = False) -> list[Path]:
        """What a copy of the model needs, of the transformer, the settings and the heads."""
        kinds = {".json", ".txt", ".model", ".safetensors"} | ({".py"} if code else set())
        folders = {self.root, self.transformer, *self.module_folders}
        found = {path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix in kinds}
        return sorted(path for path in found if path.is_file() and path.name != SAVED)

    def build_heads(self) -> list[nn.Module]:
        """The modules after the pooling, with their weights."""
        return [UnitLength() if folder is None else _dense(folder) for folder in self.heads]

    def write_weights(self, module: TextModule, folder: Path) -> None:
        """Put a module's weights in the place of those in a copy of this model.

        Args:
            module: of this layout.
            folder: the copy, with the files where they lie here.
        """
        from safetensors.torch import save_file

        target = folder / self.transformer.relative_to(self.root)
        for old in (*target.glob("*.safetensors"), *target.glob("*.safetensors.index.json")):
            old.unlink()
        transformer: Any = module.transformer
        with quiet():
            transformer.save_pretrained(target)
        for head, place in zip(module.heads, self.heads, strict=True):
            if place is not None:
                weights = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
                save_file(weights, folder / place.relative_to(self.root) / "model.safetensors")


def read_layout(folder: Path) -> Layout:
    """Read a folder of sentence-transformers or plain transformers.

    Raises:
        EncoderError: neither `modules.json` nor `config.json` is there, a file is broken, or weights are pickles only.
    """
    if not (folder / "modules.json").is_file():
        if not (folder / "config.json").is_file():
            raise EncoderError(f"{folder}: no modules.json and no config.json, so this is no model folder")
        refuse_pickles(folder)
        return Layout(folder, folder)
    layout = Layout(folder, folder)
    settings = _json(folder / "config_sentence_transformers.json", missing={})
    layout.prompts = {name: text or "" for name, text in (settings.get("prompts") or {}).items()}
    layout.default_prompt = layout.prompts.get(settings.get("default_prompt_name") or "", "")
    modules = [(_kind(str(entry["type"])), folder / entry["path"]) for entry in _json(folder / "modules.json")]
    kinds = [kind for kind, _ in modules]
    layout.module_folders = [path for _, path in modules]
    layout.native = kinds[:2] == ["Transformer", "Pooling"] and set(kinds[2:]) <= {"Dense", "Normalize"}
    for kind, path in modules:
        if kind == "Transformer":
            layout.transformer = path
            own = _json(path / "sentence_bert_config.json", missing={})
            layout.max_length, layout.lower = own.get("max_seq_length"), bool(own.get("do_lower_case", False))
            layout.native &= own.get("transformer_task", "feature-extraction") == "feature-extraction"
        elif kind == "Pooling":
            _read_pooling(layout, path)
        elif kind in ("Dense", "Normalize"):
            layout.heads.append(path if kind == "Dense" else None)
            layout.native &= kind == "Normalize" or _plain_dense(path)
        refuse_pickles(path)
    return layout


def refuse_pickles(folder: Path) -> None:
    """Refuse a folder whose only weights are pickles.

    Raises:
        EncoderError: there is a pickle, and no safetensors file beside it.
    """
    if any(folder.glob("*.safetensors")):
        return
    for path in sorted(folder.glob("*")):
        if path.suffix in PICKLES:
            raise EncoderError(
                f"{path}: weights in a pickle can run any code when opened, so they are not read. Convert them once, "
                "if you trust the file: AutoModel.from_pretrained(folder).save_pretrained(folder)"
            )


def _read_pooling(layout: Layout, folder: Path) -> None:
    config = _json(folder / "config.json")
    modes = config.get("pooling_mode") or [mode for key, mode in _LEGACY.items() if config.get(key)] or ["mean"]
    layout.modes = (modes,) if isinstance(modes, str) else tuple(modes)
    layout.include_prompt = bool(config.get("include_prompt", True))
    layout.native &= set(layout.modes) <= set(MODES)


def _kind(path: str) -> str:
    """A class of sentence-transformers by its last name (they move between versions), any other by its whole path."""
    return path.rsplit(".", 1)[-1] if path.startswith("sentence_transformers.") else path


def _plain_dense(folder: Path) -> bool:
    config = _json(folder / "config.json")
    names = {
        config.get("module_input_name") or "sentence_embedding",
        config.get("module_output_name") or "sentence_embedding",
    }
    return names == {"sentence_embedding"} and _activation(config) is not None


def _activation(config: dict[str, Any]) -> nn.Module | None:
    name = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    kind = getattr(nn, str(name).rsplit(".", 1)[-1], None) if str(name).startswith("torch.nn.") else None
    return kind() if isinstance(kind, type) and issubclass(kind, nn.Module) else None


def _dense(folder: Path) -> nn.Module:
    from safetensors.torch import load_file

    config = _json(folder / "config.json")
    head = DenseHead(
        config["in_features"],
        config["out_features"],
        bias=config.get("bias", True),
        activation=_activation(config) or nn.Tanh(),
        residual=config.get("use_residual", False),
    )
    try:
        head.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError) as error:
        raise EncoderError(
            f"{folder}: the Dense module cannot be loaded ({' '.join(str(error).split())[:300]})"
        ) from error
    return head


def _json(path: Path, missing: Any = None) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if missing is not None:
            return missing
        raise EncoderError(f"{path}: the file is missing, so the model folder is incomplete") from None
    except ValueError as error:
        raise EncoderError(f"{path}: not valid JSON ({error})") from None
