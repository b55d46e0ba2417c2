"""The model card: front matter that a hub can read, and the facts of the training beside each other."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from pairspace.data import Pairs
from pairspace.space import Space
from pairspace.space.card import model_card

TITLES = ["a red fox", "small boats", "the sea", "bread", "a fox on a boat", "red bread", "a small sea", "the boats"]
BODIES = [
    "the fox is red and small " * 8,
    "a sea of boats",
    "sea",
    "bread and a boat",
    "fox boat",
    "bread",
    "sea",
    "boat",
]


def pairs(times: int = 6) -> Pairs:
    columns = [[f"{text} {' a' * n}" for n in range(times) for text in texts] for texts in (TITLES, BODIES)]
    return Pairs.from_columns(dict(zip(("title", "body"), columns, strict=True)))


def create(encoder, **options) -> Space:
    return Space.create(("title", "body"), encoder=encoder, device="cpu", cache=False, name="packages", **options)


def fitted(encoder, *, create_options=None, **settings) -> Space:
    space = create(encoder, **(create_options or {}))
    space.fit(pairs(), **({"epochs": 1, "batch_size": 8, "validation": 0.25, "progress": False} | settings))
    return space


def front_matter(card: str) -> dict:
    return yaml.safe_load(re.fullmatch(r"---\n(.*?)\n---\n.*", card, re.DOTALL)[1])


def table(card: str, first: str) -> list[list[str]]:
    """The rows of the table whose head begins so, the head included."""
    lines = card[card.index(f"| {first}") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| ---")]


def test_front_matter_is_what_a_hub_reads(mean):
    assert front_matter(model_card(create(mean, layers="last"))) == {
        "library_name": "pairspace",
        "pipeline_tag": "sentence-similarity",
        "tags": ["pairspace", "sentence-transformers", "contrastive", "retrieval"],
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("minilm", "minilm"), ["sentence-transformers/all-MiniLM-L6-v2"]),
        (("people/model (trained)", "minilm"), ["people/model", "sentence-transformers/all-MiniLM-L6-v2"]),
        (("static:people/model", "./my/model"), ["people/model"]),
        (("static", "transformer:64"), None),
    ],
)
def test_the_base_model_is_named_where_it_is_known(names, expected, mean):
    space = create({"title": mean, "body": mean}, prompt={"title": "a ", "body": ""}, layers="last")
    for side, name in zip(space.sides, names, strict=True):
        space.part(side).encoder.name = name
    assert front_matter(model_card(space)).get("base_model") == expected


def test_a_relative_folder_is_no_name_on_a_hub(bert, tmp_path, monkeypatch):
    bert(tmp_path / "models/bert", modes=["mean_tokens"])
    monkeypatch.chdir(tmp_path)
    assert "base_model" not in front_matter(model_card(create("models/bert", layers="last")))


def test_data_objective_and_what_they_changed(mean):
    space = fitted(mean, batch_size=16, objective="sigmoid", matryoshka=(8, 16), seed=3)
    card, record = model_card(space), space.record
    assert f"- Data: {record['pairs']} pairs of memory; {record['validation_pairs']} more were held out." in card
    assert f"Longer than the encoders read: {record['truncated']['body']:.1%} of `body`." in card
    assert record["truncated"]["body"] > 0
    (objective,) = re.findall(r"- Objective: (.*)", card)
    assert objective == (
        "Sigmoid pair loss (SigLIP), with epochs 1, batch_size 16, seed 3, matryoshka [8, 16]; else the defaults."
    )
    assert "- Trained: the projectors of `title` and `body`." in card
    assert "The first 8, 16 values of a vector are vectors too" in card
    head, *rows = table(card, "on ")
    assert head == [f"on {record['validation_pairs']} held-out pairs", "before", "after"]
    assert [row[0].split(" ")[0] for row in rows] == ["R@1", "MRR@10", "alignment", "uniformity"]
    for row, key in zip(rows, ["validation_R@1", "validation_MRR@10", "alignment", "uniformity"], strict=True):
        assert row[1:] == [f"{record[when][key]:.3f}" for when in ("before", "after")]


def test_which_weights_were_kept(mean):
    space = fitted(mean)
    space.record["best_epoch"] = 3
    assert "- Kept: the weights after epoch 3." in model_card(space)
    space.record["best_epoch"] = 0
    assert "- Kept: the state before training, because no epoch was better" in model_card(space)
    space.record["validation_pairs"] = 0
    assert "- Kept" not in model_card(space)


def test_paths_of_the_machine_stay_private(mean, tmp_path):
    space = fitted(mean)
    space.record["source"] = f"{tmp_path}/a.parquet, {tmp_path}/b.parquet"
    card = model_card(space)
    assert "pairs of a.parquet, b.parquet;" in card and str(tmp_path) not in card.replace(mean, "")


@pytest.mark.parametrize(
    ("settings", "column", "what"),
    [
        ({}, "no", "the projectors of `title` and `body`"),
        ({"train_encoders": ("title",)}, "whole", "the projectors of `title` and `body` and the encoders of `title`"),
        ({"train_encoders": ("title",), "train_blocks": 2}, "last 2 blocks", "the encoders of `title`"),
        ({"train_encoders": ("title",), "lora": 4}, "low-rank adapters of rank 4", "the encoders of `title`"),
    ],
)
def test_which_weights_changed_and_how(settings, column, what, mean):
    if "lora" in settings:
        pytest.importorskip("peft")
    card = model_card(fitted(mean, create_options={"layers": "last"}, **settings))
    rows = {row[0]: row for row in table(card, "side")}
    assert rows["title"][3] == column and rows["body"][3] == "no"
    assert rows["title"][1:3] == ["query", mean] and rows["title"][4:] == ["last", "linear", "24"]
    assert what in re.findall(r"- Trained: (.*)", card)[0]


def test_the_settings_named_are_those_that_such_a_run_would_not_have_had(mean):
    frozen, trained = fitted(mean, epochs=3), fitted(mean, epochs=3, train_encoders=("title",))
    assert "with epochs 3, batch_size 8; else" in model_card(frozen)
    assert "with batch_size 8; else" in model_card(trained)  # 3 epochs are the default where an encoder trains


def test_joined_sides_have_a_row_an_encoder(mean):
    card = model_card(fitted(f"{mean}+static", create_options={"layers": "last", "max_length": None}))
    rows = table(card, "side")[1:]
    assert [(row[0], row[3], row[6]) for row in rows] == [
        ("title", "no", "24"),
        ("title", "from nothing", "all"),
        ("body", "no", "24"),
        ("body", "from nothing", "all"),
    ]


def test_a_space_that_was_not_trained_says_so(mean):
    card = model_card(create(mean, projector="identity"))
    assert "Nothing was trained" in card and "held-out" not in card


def test_the_examples_run(mean, tmp_path, no_network):
    """What the card tells people to type gives the vectors of the space, in both libraries."""
    pytest.importorskip("sentence_transformers")
    space = fitted(mean)
    space.save_pretrained(tmp_path / "space")
    card = model_card(space, where=str(tmp_path / "space"))
    examples = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(examples) == 2 and "trust_remote_code=True" in examples[1]
    for code in examples:
        found: dict = {}
        exec(code, found)
        for name, side in (("queries", "title"), ("documents", "body")):
            np.testing.assert_allclose(found[name], space.encode(["..."], side=side, cache=False), atol=1e-3)


def test_stock_modules_need_no_trust(mean):
    card = model_card(create(mean, layers="last"))
    assert "trust_remote_code" not in card and "with its own modules" in card


def test_features_of_a_file_are_given_as_arrays_and_to_pairspace_alone(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(8, 4, dtype=np.float32))
    space = create(str(tmp_path / "a.npy"))
    card = model_card(space)
    assert front_matter(card)["pipeline_tag"] == "feature-extraction"
    assert "sentence_transformers" not in card and "encode_query(features" in card
