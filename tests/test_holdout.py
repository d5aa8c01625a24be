import pytest
import torch

from interlayer import make_physics
from interlayer.problem.holdout import Best, split_measurements

SIZE = (3, 16, 16)


def split(task, fraction=0.1, seeds=(0, 1)):
    physics = make_physics(task, SIZE)
    x = torch.rand(len(seeds), *SIZE)
    return split_measurements(physics, physics(x), x, fraction, seeds)


def test_every_informative_entry_is_fitted_or_held_out_never_both():
    parts = split("inpaint:0.5")
    mask = make_physics("inpaint:0.5", SIZE)(torch.ones(2, *SIZE))
    assert torch.equal((parts.fit + parts.held).expand(2, 3, 16, 16), mask)
    assert (parts.fit * parts.held).sum() == 0
    assert parts.held[0].sum() == round(0.1 * 128)


def test_vectors_are_split_by_entry():
    parts = split("circulant:0.5")
    assert parts.held.shape == (2, 384) and (parts.held.sum(1) == 38).all()


def test_the_split_depends_on_the_seed_of_the_image_alone():
    both, alone = split("circulant:0.5", seeds=(3, 4)), split("circulant:0.5", seeds=(4,))
    assert torch.equal(both.held[1:], alone.held)
    assert not torch.equal(both.held[0], both.held[1])


def test_nothing_is_held_out_at_zero_and_something_otherwise():
    assert split("circulant:0.5", fraction=0).held.sum() == 0
    few = split("inpaint:0.01", fraction=0.01)
    assert (few.held.flatten(1).sum(1) == 1).all() and (few.fit.flatten(1).sum(1) == 2).all()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_fractions_out_of_range_are_refused(fraction):
    with pytest.raises(ValueError, match="held-out fraction"):
        split("circulant:0.5", fraction=fraction)


def test_best_keeps_the_row_of_the_least_score():
    best = Best()
    scores = torch.tensor([[3.0, 1.0], [1.0, 2.0], [2.0, torch.nan]])
    for step, score in enumerate(scores):
        best.offer(score, x=torch.full((2, 1), float(step)))
    assert torch.equal(best["x"], torch.tensor([[1.0], [0.0]]))


def test_an_image_settles_after_as_many_offers_as_its_patience_and_keeps_its_best():
    best, taken = Best(patience=2), []
    for step, score in enumerate([[3.0, 3.0], [2.0, 4.0], [2.5, 5.0], [1.0, 1.0], [3.0, 0.0]]):
        best.offer(torch.tensor(score), step=torch.full((2,), step))
        taken.append(best.settled)
    assert best["step"].tolist() == [3, 0] and best.score.tolist() == [1.0, 3.0]
    assert taken == [False] * 5
    best.offer(torch.tensor([2.0, 0.0]), step=torch.full((2,), 5))
    assert best.settled and best["step"].tolist() == [3, 0]
