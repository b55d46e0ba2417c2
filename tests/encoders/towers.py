"""Tiny models of pictures, and of pictures and texts, with random weights."""

import io
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["a", "photo", "of", "red", "green", "blue", "square", "dark", "bright"]
VISION = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
VISION |= {"image_size": 32, "patch_size": 8}


def make_tokenizer(folder: Path, length: int, *, starts: bool) -> None:
    vocabulary = ["<pad>", "<unk>", "<s>", *WORDS, "</s>"]
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    end = len(vocabulary) - 1
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if starts else "$A </s>", special_tokens=[("<s>", 2), ("</s>", end)]
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>", "model_max_length": length}
    tf.PreTrainedTokenizerFast(tokenizer_object=fast, **names).save_pretrained(folder)


def make_clip(folder: Path) -> Path:
    torch.manual_seed(0)
    text = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    text |= {"vocab_size": 13, "max_position_embeddings": 10, "eos_token_id": 12, "projection_dim": 16}
    config = tf.CLIPConfig(text_config=text, vision_config=VISION | {"projection_dim": 16}, projection_dim=16)
    tf.CLIPModel(config).save_pretrained(folder)
    make_tokenizer(folder, 10, starts=True)
    tf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def make_siglip(folder: Path) -> Path:
    torch.manual_seed(0)
    text = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    text |= {"vocab_size": 13, "max_position_embeddings": 10, "projection_size": 32}
    tf.SiglipModel(tf.SiglipConfig(text_config=text, vision_config=VISION)).save_pretrained(folder)
    make_tokenizer(folder, 10, starts=False)
    tf.SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def make_vit(folder: Path, kind: str = "ViT") -> Path:
    torch.manual_seed(0)
    settings = VISION | ({"mlp_ratio": 2} if kind == "Dinov2" else {})
    model = getattr(tf, f"{kind}Model")(getattr(tf, f"{kind}Config")(**settings))
    model.save_pretrained(folder)
    tf.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def colours(count: int, size: tuple[int, int] = (40, 36)) -> list[bytes]:
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        stream = io.BytesIO()
        Image.fromarray(chance.integers(0, 256, (*size, 3), np.uint8)).save(stream, "PNG")
        found.append(stream.getvalue())
    return found
