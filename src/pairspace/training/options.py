"""How to train: every knob with its default, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pairspace.errors import TrainingError
from pairspace.objectives.sparsity import REGULARISERS

__all__ = ["OBJECTIVES", "TrainingOptions"]

OBJECTIVES = ("infonce", "sigmoid", "margin", "distill", "margin-mse")
EXPANSIONS = ("free", "texts", "words")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class TrainingOptions:
    """The settings of one training run; the defaults are the measured ones of docs/log.md.

    Attributes:
        epochs: passes over the pairs.
        batch_size: pairs a step; all others of the batch are each pair's negatives.
        learning_rate: AdamW's highest for projectors, after the warm-up and before the cosine.
        weight_decay: AdamW's, on matrices only.
        warmup: share of all steps in which the rate rises linearly.
        temperature: its start; CLIP's is 0.07.
        learn_temperature: False keeps the start.
        temperature_rate: what the projectors' rate is multiplied by for the temperature, and a bias of the objective.
        patience: epochs without a better validation score after which training stops; None never stops early.
        seed: of the order of the pairs, of new weights and of dropout; equal seeds give equal weights on a CPU.
        objective: "infonce", "sigmoid", "margin", "distill" (needs a teacher or scores) or "margin-mse" (needs scores).
        margin: of the objective "margin", in cosine.
        debias: pairs whose frozen features have a higher cosine than this are not each other's negatives; None for all.
        teacher_temperature: of the softmax over a teacher's answers; None for .05 on cosines and 1 on scores.
        score_scale: what given scores are divided by in "margin-mse", so that their margins fit those of cosines.
        teacher_weight: beside another objective, how much of it is distillation from the teacher.
        teacher_within: learn the teacher's similarities within either side too, not only those of queries to documents.
        matryoshka: sizes at which the cut vectors are trained too, such as (64, 128, 256).
        structure: weight of the regulariser that keeps the frozen features' neighbourhoods (STRUCTURE).
        mix: alpha of FuseMix's Beta distribution, which mixes pairs of features; 0 for none. It halves the batch.
        group_batches: batches of near topics, whose negatives are harder.
        mixing: of several data sets, each has a share of the batches that grows with its size to the power 1 / mixing.
        encoder_learning_rate: for encoders that train; None takes what suits each kind.
        train_blocks: of a pretrained encoder train the last so many blocks only.
        lora: train low-rank adapters of this rank instead of a pretrained encoder's own weights.
        projector_epochs: epochs on the projectors alone before the encoders join.
        chunk_size: pairs of which an encoder in training is in memory at once; the result is that of the whole batch.
        regulariser: of a sparse space: "l1" or "flops".
        sparsity: its weights, of the query side and the document side.
        terms: of lexical projectors, how many terms an item of either side keeps beside its own words; () leaves it to
            the regulariser.
        expansion: "free", or controlled in training: "texts" masks all but own words of one side of whole
            batches, "words" single words.
        expansion_rate: probability that a batch (or word) is masked; None lets it fall from 1 to 0.
        precision: of encoders in training: "fp32", "bf16" (autocast), or "auto": bf16 on GPUs that have it.
    """

    epochs: int = 12
    batch_size: int = 2048
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    temperature: float = 0.05
    learn_temperature: bool = True
    temperature_rate: float = 1.0
    patience: int | None = 5
    seed: int = 0
    objective: str = "infonce"
    margin: float = 0.3
    debias: float | None = None
    teacher_temperature: float | None = None
    score_scale: float = 1.0
    teacher_weight: float = 0.5
    teacher_within: bool = False
    matryoshka: tuple[int, ...] = ()
    structure: float = 0.0
    mix: float = 0.0
    group_batches: bool = False
    mixing: float = 1.0
    encoder_learning_rate: float | None = None
    train_blocks: int | None = None
    lora: int | None = None
    projector_epochs: int = 0
    chunk_size: int = 64
    regulariser: str = "l1"
    sparsity: tuple[float, ...] = (1e-3, 1e-3)
    terms: tuple[int, ...] = ()
    expansion: str = "free"
    expansion_rate: float | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("matryoshka", "sparsity", "terms"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, low in (("epochs", 1), ("batch_size", 2), ("projector_epochs", 0), ("chunk_size", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise TrainingError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("patience", "train_blocks", "lora"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainingError(f"{name} must be at least 1, or None, got {value}")
        for name in ("weight_decay", "temperature_rate", "margin", "structure", "mix"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise TrainingError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("learning_rate", "encoder_learning_rate", "teacher_temperature", "score_scale"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise TrainingError(f"{name} must be above 0, got {value}")
        self._check_ranges()

    def _check_ranges(self) -> None:
        if not 0 <= self.warmup < 1:
            raise TrainingError(f"warmup is a share of all steps, from 0 up to but not 1, got {self.warmup}")
        if not 0.01 <= self.temperature <= 1:
            raise TrainingError(f"temperature must lie between 0.01 and 1, got {self.temperature}")
        if not 0 <= self.teacher_weight <= 1:
            raise TrainingError(f"teacher_weight is a share between 0 and 1, got {self.teacher_weight}")
        if self.debias is not None and not -1 < self.debias <= 1:
            raise TrainingError(f"debias is a cosine, got {self.debias}")
        if not self.mixing >= 1:
            raise TrainingError(f"mixing must be at least 1 (in proportion to size), got {self.mixing}")
        for name, known in (
            ("objective", OBJECTIVES),
            ("precision", PRECISIONS),
            ("regulariser", tuple(REGULARISERS)),
            ("expansion", EXPANSIONS),
        ):
            if getattr(self, name) not in known:
                raise TrainingError(f"{name} '{getattr(self, name)}' is unknown: choose one of {', '.join(known)}")
        if self.expansion_rate is not None and not 0 <= self.expansion_rate <= 1:
            raise TrainingError(f"expansion_rate is a probability, got {self.expansion_rate}")
        if len(self.sparsity) != 2 or len(self.terms) not in (0, 2):
            raise TrainingError("sparsity and terms are two numbers each, of the query side and of the document side")
        if any(wanted < 1 or wanted != int(wanted) for wanted in self.terms):
            raise TrainingError(f"terms are whole numbers, and an item needs at least 1: {self.terms}")
        object.__setattr__(self, "terms", tuple(map(int, self.terms)))
        self._check_together()

    def _check_together(self) -> None:
        if self.train_blocks is not None and self.lora is not None:
            raise TrainingError("train_blocks and lora are two ways to train an encoder: give one of them")
        if self.debias is not None and self.objective in ("distill", "margin-mse"):
            raise TrainingError(
                f"debias says which pairs are no negatives of each other; {self.objective} asks a teacher instead"
            )
        if self.mix and self.batch_size < 4:
            raise TrainingError(f"mixing halves a batch, so batch_size must be at least 4, got {self.batch_size}")

    def check_trained(self, *, encoders: bool, pretrained: bool) -> None:
        """See that settings of encoders in training are given only where there are some.

        Args:
            encoders: an encoder trains.
            pretrained: one that came with weights does.

        Raises:
            TrainingError: they would have no effect.
        """
        for names, what, there in (
            (("train_blocks", "lora"), "pretrained encoders", pretrained),
            (("projector_epochs", "encoder_learning_rate"), "encoders", encoders),
        ):
            if given := [name for name in names if getattr(self, name) and not there]:
                raise TrainingError(
                    f"{given[0]} is of {what} that train, and none does: name their sides (train_encoders=, "
                    "--train-encoder)"
                )

    @classmethod
    def for_encoders(cls, **settings: object) -> TrainingOptions:
        """Options whose defaults suit a pretrained encoder in training: few epochs, smaller batches."""
        return cls(**({"epochs": 3, "batch_size": 256, "patience": None} | settings))  # type: ignore[arg-type]

    @classmethod
    def for_words(cls, *, taught: bool = False, **settings: object) -> TrainingOptions:
        """Options whose defaults suit sparse spaces of unit vectors.

        Args:
            taught: by a teacher, over frozen features: its similarities alone, of mixtures too, since it knows the
                right answer for any of them.
            **settings: fields.
        """
        own: dict[str, object] = {"terms": (100, 100)}
        if settings.get("regulariser", "flops") == "flops":
            own |= {"regulariser": "flops", "sparsity": (1.0, 1.0)}
        own |= {"batch_size": 1024, "epochs": 8, "learning_rate": 2e-3, "temperature_rate": 5.0, "patience": None}
        if taught:
            own |= {"objective": "distill", "teacher_temperature": 0.03, "teacher_within": True}
            if settings.get("objective", "distill") == "distill":
                own |= {"mix": 0.5, "batch_size": 2048, "epochs": 16}
        found: dict[str, Any] = own | settings
        if "mix" not in settings and found["batch_size"] < 4:
            found["mix"] = 0.0
        return cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """All settings by name."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
