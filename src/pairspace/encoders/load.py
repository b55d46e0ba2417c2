"""From a name or path to an encoder: the one place that knows which families there are.

"minilm" comes with the package, "e5-multilingual" and "efficientnet-lite0" (for pictures) with extras. "static" and
"transformer" start from nothing, with a width if wished ("static:512"); a bag may also start from a transformer's own
token embeddings ("static:minilm"). "splade:folder" takes a masked language model as an encoder to words. A folder is
read for what it says of itself; a name with a slash is fetched from the Hugging Face hub (safetensors, tokenizer and
settings only); a `.npy` or Parquet file holds features already made; an `.onnx` file a
model of pictures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pairspace.encoders.efficientnet import EfficientNetEncoder
from pairspace.encoders.given import GivenEncoder, read_given
from pairspace.encoders.layout import PICKLES, read_layout, refuse_pickles
from pairspace.encoders.nothing import FromNothing
from pairspace.encoders.onnx import OnnxImageEncoder
from pairspace.encoders.packages import PACKAGED, packaged
from pairspace.encoders.protocol import SAVED, Encoder
from pairspace.encoders.sentence import SentenceEncoder
from pairspace.encoders.small import SmallTransformerEncoder
from pairspace.encoders.splade import SpladeEncoder
from pairspace.encoders.static import StaticEncoder
from pairspace.encoders.transformer import TransformerEncoder
from pairspace.encoders.vision import VisionEncoder, has_text, has_vision, model_config
from pairspace.encoders.vision_text import VisionTextEncoder, tower_layout
from pairspace.errors import EncoderError

__all__ = ["is_here", "is_hub_name", "load_encoder"]

_FROM_NOTHING: dict[str, type[StaticEncoder] | type[SmallTransformerEncoder]] = {
    "static": StaticEncoder,
    "transformer": SmallTransformerEncoder,
}
_FETCH = ("*.json", "*.txt", "*.model", "*.safetensors")
_HELP = (
    "known names: minilm, e5-multilingual, efficientnet-lite0 (pictures), and from nothing static and transformer (a "
    "width: static:512); or a folder in the layout of sentence-transformers or transformers (./my-model), a hub name "
    "(organisation/model), a .npy or .parquet file of features, or an .onnx file"
)


def load_encoder(
    name_or_path: str | Path,
    *,
    prompt: str | None = None,
    max_length: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    trust_remote_code: bool = False,
    views: int | None = None,
    frame: str | None = None,
    modality: str | None = None,
) -> Encoder:
    """Make an encoder.

    Args:
        name_or_path: see the module docstring.
        prompt: put before every text; None takes the model's own default (mostly none).
        max_length: tokens kept of a text; None takes the model's own.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes a GPU where there is one.
        precision: "auto" (bf16 where the hardware has it and the vectors agree with fp32), "fp32" (torch, the
            reference) or "bf16".
        trust_remote_code: run Python code that comes with the model; never done otherwise.
        views: of image encoders, how many augmented views training draws from beside each picture; see
            `augmentation.py`.
        frame: of image encoders, how a picture becomes square: "own" (as the model was trained: mostly a crop),
            "stretch" or "pad", which keep all of it.
        modality: of a model with two towers the one that is meant, "image" or "text"; others have but one.

    Raises:
        EncoderError: unknown name, incomplete folder, weights in a pickle, or options that do not fit.
    """
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if path.suffix == ".onnx" and path.is_file():
        _refuse_text_options(name, prompt, max_length)
        return OnnxImageEncoder(path.name, path, views=views or 0, frame=frame or "own")
    if path.is_file():
        return _from_file(path)
    kind, _, detail = name.partition(":")
    splade = kind == SpladeEncoder.family and bool(detail) and isinstance(name_or_path, str)
    if splade:
        name, path = detail, Path(detail).expanduser()
    if kind in _FROM_NOTHING and isinstance(name_or_path, str):
        return _from_nothing(kind, detail, prompt=prompt, max_length=max_length, device=device)
    folder = packaged(name) if name in PACKAGED else path if path.is_dir() else _fetch(name, trust_remote_code)
    saved = _saved(folder)
    if saved.get("family") == "given":
        return GivenEncoder.restore(saved)
    if (family := saved.get("family")) in (StaticEncoder.family, SmallTransformerEncoder.family):
        return _restore(folder, family, saved, prompt=prompt, max_length=max_length, device=device)
    if saved.get("family") == OnnxImageEncoder.family:
        return OnnxImageEncoder(
            saved.get("name", name), folder / str(saved.get("file")), **_of_pictures(saved, views, frame)
        )
    pictures = _reads_pictures(name, folder, saved, modality)
    if pictures:
        picture: dict[str, Any] = {"device": device, "precision": precision or saved.get("precision", "auto")}
        picture |= _of_pictures(saved, views, frame)
        _refuse_text_options(name, prompt, max_length)
        if pictures == EfficientNetEncoder.family:
            return EfficientNetEncoder(saved.get("name", name), folder, **picture)
        return VisionEncoder(saved.get("name", name), folder, trust_remote_code=trust_remote_code, **picture)
    towers = has_text(model_config(folder))
    layout = tower_layout(folder) if towers else read_layout(folder)
    name = saved.get("name", name)
    prompt = saved.get("prompt") if prompt is None else prompt
    max_length = saved.get("max_length") if max_length is None else max_length
    precision = precision or saved.get("precision", "auto")
    if splade or saved.get("family") == SpladeEncoder.family:
        own: dict[str, Any] = {"prompt": prompt, "max_length": max_length, "device": device}
        return SpladeEncoder(name, folder, layout, trust_remote_code=trust_remote_code, **own)
    if towers or (layout.native and _is_plain_text_model(layout.transformer)):
        return (VisionTextEncoder if towers else TransformerEncoder)(
            name,
            folder,
            layout,
            prompt=prompt,
            max_length=max_length,
            device=device,
            precision=precision,
            trust_remote_code=trust_remote_code,
        )
    return SentenceEncoder(
        name, folder, layout, prompt=prompt, max_length=max_length, device=device, trust_remote_code=trust_remote_code
    )


def _from_nothing(kind: str, detail: str, **options: Any) -> FromNothing:
    """An encoder without vocabulary: "static", with a width, or like another encoder."""
    name = f"{kind}:{detail}" if detail else kind
    if detail.isdecimal():
        return _FROM_NOTHING[kind](name, width=int(detail), **options)
    if not detail:
        return _FROM_NOTHING[kind](name, **options)
    if kind != "static":
        raise EncoderError(f"{name}: {detail!r} is no width; use {kind}:256")
    like = load_encoder(detail, device="cpu", precision="fp32")
    if not isinstance(like, TransformerEncoder):
        raise EncoderError(
            f"{name}: {like.name} has no token embeddings to start from; use a transformer, or static:384"
        )
    return StaticEncoder(name, like=like, **options)


def _restore(folder: Path, family: str, saved: dict[str, Any], **options: Any) -> FromNothing:
    kind = StaticEncoder if family == StaticEncoder.family else SmallTransformerEncoder
    given = {key: value for key, value in options.items() if value is not None}
    try:
        encoder = kind(**({key: saved[key] for key in saved if key not in ("format", "family")} | given))
    except TypeError as error:
        raise EncoderError(f"{folder / SAVED}: not the settings of a {family} encoder ({error})") from None
    encoder.restore(folder)
    return encoder


def _from_file(path: Path) -> Encoder:
    if path.suffix in (".npy", ".parquet"):
        return read_given(path)
    if path.suffix in PICKLES:
        raise EncoderError(
            f"{path}: a pickle can run any code when opened, so it is not read. Save vectors with numpy.save as .npy, "
            "or a model as safetensors: model.save_pretrained(folder)"
        )
    raise EncoderError(f"{path}: a file of this kind is no encoder; {_HELP}")


def _saved(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / SAVED).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise EncoderError(f"{folder / SAVED}: not valid JSON ({error})") from None
    return dict(found)


def _reads_pictures(name: str, folder: Path, saved: dict[str, Any], modality: str | None) -> str:
    """The family of image encoders that a folder is of; "" for encoders of texts.

    Raises:
        EncoderError: the folder has two towers and none was chosen, or not the one that was.
    """
    families = {"image": VisionEncoder.family, "text": VisionTextEncoder.family}
    if modality is not None and modality not in families:
        raise EncoderError(f"modality {modality!r}: choose image or text")
    config, family = model_config(folder), saved.get("family")
    if family == EfficientNetEncoder.family or str(config.get("model_type")).startswith(EfficientNetEncoder.family):
        found = EfficientNetEncoder.family
    elif has_text(config):
        if modality is None and family not in families.values():
            raise EncoderError(
                f"{name} has a tower for pictures and one for texts: say which one with modality='image' or 'text', or "
                "name the sides with theirs: Space.create({'image': 'image', 'caption': 'text'}, ...)"
            )
        chosen = family if modality is None else families[modality]
        return VisionEncoder.family if chosen == VisionEncoder.family else ""
    else:
        found = VisionEncoder.family if has_vision(config) else ""
    return found


def _of_pictures(saved: dict[str, Any], views: int | None, frame: str | None) -> dict[str, Any]:
    return {
        "views": saved.get("views", 0) if views is None else views,
        "frame": saved.get("frame", "own") if frame is None else frame,
    }


def _refuse_text_options(name: str, prompt: str | None, max_length: int | None) -> None:
    if prompt or max_length is not None:
        raise EncoderError(f"{name} reads pictures: a prompt or a max_length is of texts; give them to a side of texts")


def _is_plain_text_model(folder: Path) -> bool:
    """Whether the transformer has one stack of layers with a width, as text encoders and decoders do."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        raise EncoderError(
            f"{folder / 'config.json'}: the file is missing, so the model folder is incomplete"
        ) from None
    except ValueError as error:
        raise EncoderError(f"{folder / 'config.json'}: not valid JSON ({error})") from None
    nested = "text_config" in config or "vision_config" in config
    return not nested and not config.get("is_encoder_decoder", False)


def is_here(name: str) -> bool:
    """Whether a name is of a model that comes along, or of a folder of this machine; a hub name is not looked up."""
    return name in PACKAGED or Path(name.removeprefix(f"{SpladeEncoder.family}:")).is_dir()


def is_hub_name(name: str) -> bool:
    """Whether a name has the form organisation/model, as model hubs use."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/")


def _fetch(name: str, code: bool) -> Path:
    if not is_hub_name(name):
        raise EncoderError(f"unknown encoder {name!r}: no such folder or file; {_HELP}")
    from huggingface_hub import snapshot_download

    patterns = [*_FETCH, "*.py"] if code else list(_FETCH)
    try:
        folder = Path(snapshot_download(name, allow_patterns=patterns, ignore_patterns=["onnx/*", "openvino/*"]))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise EncoderError(
            f"unknown encoder {name!r}: no such folder, and the hub gave nothing ({reason}); {_HELP}"
        ) from None
    refuse_pickles(folder)
    if not any(folder.rglob("*.safetensors")):
        raise EncoderError(f"{name}: the hub has no safetensors for it; weights in pickles are not read")
    return folder
