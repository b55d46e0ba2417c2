from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives import Batch, DistillKl, InfoNce, MarginMse, Matryoshka, Structure, Temperature


class _Given(nn.Module):
    """A model of sentence-transformers' kind that has the vectors already."""

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}

    def get_embedding_dimension(self):
        return 8


def test_equals_that_of_sentence_transformers(unit, agree):
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

    a, b, c = (unit(9, 8, seed) for seed in range(3))
    model = _Given()
    theirs = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=10.0), [8, 4, 2], [1.0, 0.5, 0.25])(
        [{"vectors": one} for one in (a, b, c)], None
    )
    temperature = Temperature(learnable=False)
    temperature.log_scale.data = torch.tensor(10.0, dtype=torch.float64).log()
    objective = Matryoshka(InfoNce(temperature, symmetric=False), [2, 4, 8], weights=[0.25, 0.5, 1.0])
    ours = objective(Batch(*(normalize(one, dim=1) for one in (a, b)), negatives=normalize(c, dim=1)))
    agree(ours, theirs, a, b, c)


def test_works_over_objectives_that_need_more_than_vectors(unit):
    a, b, negatives, features = unit(6, 8, 0), unit(6, 8, 1), unit(6, 8, 2), unit(6, 5, 3).detach()
    own = torch.arange(6)[:, None]
    batch = Batch(
        a,
        b,
        negatives=negatives,
        own=own,
        scores=torch.ones(6, 2),
        teacher=(features, features),
        features=(features,) * 2,
    )
    short = [normalize(one[:, :3], dim=1) for one in (a, b, negatives)]
    cut = Batch(
        *short[:2], negatives=short[2], own=own, scores=batch.scores, teacher=batch.teacher, features=batch.features
    )
    for objective in (MarginMse(), DistillKl(Temperature(), teacher_temperature=0.1), Structure()):
        both = Matryoshka(objective, [3, 8], weights=[2.0, 1.0])
        assert both.needs == objective.needs
        assert both(batch).item() == pytest.approx(2 * objective(cut).item() + objective(batch).item())


def test_a_size_larger_than_the_vectors_is_named_with_their_dimension(unit):
    with pytest.raises(ShapeError, match="size 16 exceeds the dimension of the vectors, 8"):
        Matryoshka(InfoNce(Temperature()), [4, 16])(Batch(unit(3, 8, 0), unit(3, 8, 1)))


@pytest.mark.parametrize(("sizes", "weights"), [([], None), ([0, 4], None), ([4, 4], None), ([4, 8], [1.0])])
def test_sizes_and_weights_that_make_no_sense_are_refused(sizes, weights):
    with pytest.raises(TrainingError, match="Matryoshka needs"):
        Matryoshka(InfoNce(Temperature()), sizes, weights=weights)
