"""Small drawings with captions, a colour and a shape each, and a small network that looks at them."""

import csv
import json
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from pairspace.encoders.efficientnet import EfficientNetModule

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220), "black": (20, 20, 20)}
SHAPES = ("circle", "square", "cross")


def draw(colour: str, shape: str, place: int, side: int = 48) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    pen, ink = ImageDraw.Draw(image), COLOURS[colour]
    left, top, right, bottom = 6 + place % 5, 6 + place % 7, 34 + place % 5, 34 + place % 7
    if shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=ink)
    elif shape == "square":
        pen.rectangle((left, top, right, bottom), fill=ink)
    else:
        pen.line((left, top, right, bottom), fill=ink, width=7)
        pen.line((left, bottom, right, top), fill=ink, width=7)
    return image


def write_drawings(folder: Path, count: int = 24) -> Path:
    """`drawings/0.png` and on, and `pictures.csv` with their names and captions."""
    (folder / "drawings").mkdir()
    rows = []
    for number in range(count):
        colour, shape = list(COLOURS)[number % 4], SHAPES[number // 4 % 3]
        draw(colour, shape, number).save(folder / "drawings" / f"{number}.png")
        rows.append((f"{number}.png", f"a {colour} {shape}"))
    with (folder / "pictures.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "text"), *rows])
    return folder / "pictures.csv"


def make_network(folder: Path) -> Path:
    """An EfficientNet of random weights that sees 16 x 16 pixels."""
    folder.mkdir()
    config = {"model_type": "efficientnet-lite", "stem": 8, "stages": [[1, 8, 3, 1, 1], [2, 8, 3, 2, 1]]}
    config |= {"width": 16, "classes": 4}
    torch.manual_seed(0)
    save_file(EfficientNetModule(config).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    prepared = {"image_processor_type": "CLIPImageProcessor", "size": 16, "crop_size": 16}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    return folder
