import pytest
import torch

from interlayer.methods import Descent
from interlayer.solver.adam import BatchAdam


def test_equals_torch_adam_when_nothing_diverges():
    start = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    adam, reference = BatchAdam([ours]), torch.optim.Adam([theirs], lr=0.1)
    for _ in range(20):
        loss = (ours**4).sum(1)
        adam.step(loss.detach(), torch.autograd.grad(loss.sum(), [ours]), lr=0.1)
        reference.zero_grad()
        (theirs**4).sum().backward()
        reference.step()
    torch.testing.assert_close(ours, theirs)
    assert adam.undone.sum() == 0


def test_a_bad_step_is_undone_with_half_the_step_size_for_that_image_alone():
    x = torch.zeros(2, 3, requires_grad=True)
    adam = BatchAdam([x])
    gradient = torch.ones(2, 3)
    adam.step(torch.ones(2), [gradient], lr=0.1)
    adam.step(torch.ones(2), [gradient], lr=0.1)
    torch.testing.assert_close(x[0], torch.full((3,), -0.2))
    adam.step(torch.tensor([torch.nan, 1.0]), [gradient], lr=0.1)
    torch.testing.assert_close(x[0], torch.full((3,), -0.1))
    torch.testing.assert_close(x[1], torch.full((3,), -0.3))
    adam.step(torch.ones(2), [gradient], lr=0.1)
    torch.testing.assert_close(x[0], torch.full((3,), -0.15))
    assert adam.undone.tolist() == [1, 0]


def test_a_leap_of_the_loss_and_an_infinite_gradient_count_as_divergence():
    x = torch.zeros(3, 2, requires_grad=True)
    adam = BatchAdam([x])
    adam.step(torch.ones(3), [torch.ones(3, 2)], lr=0.1)
    gradient = torch.ones(3, 2)
    gradient[2, 0] = torch.inf
    adam.step(torch.tensor([1.0, 1000.0, 1.0]), [gradient], lr=0.1)
    assert adam.undone.tolist() == [0, 1, 1]
    assert x.isfinite().all()


def test_damping_moves_entries_that_hardly_matter_less():
    gradient = torch.tensor([[3.0, 0.03]])
    usual = gradient.square().mean().sqrt()
    for damping in (0.0, 2.0):
        x = torch.zeros(1, 2, requires_grad=True)
        BatchAdam([x], Descent(damping=damping)).step(torch.ones(1), [gradient], lr=0.1)
        torch.testing.assert_close(x, -0.1 * gradient / (gradient + damping * usual))


def test_each_image_is_damped_by_its_own_gradient():
    gradient = torch.tensor([[3.0, 0.03], [0.5, 0.4]])
    both = torch.zeros(2, 2, requires_grad=True)
    BatchAdam([both], Descent(damping=1)).step(torch.ones(2), [gradient], lr=0.1)
    for row in range(2):
        alone = torch.zeros(1, 2, requires_grad=True)
        BatchAdam([alone], Descent(damping=1)).step(torch.ones(1), [gradient[row, None]], lr=0.1)
        torch.testing.assert_close(alone[0], both[row])


@pytest.mark.parametrize(
    "settings", [dict(momentum=1.0), dict(momentum=-0.1), dict(warm_up=0), dict(damping=-1)]
)
def test_a_descent_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match="a descent needs"):
        Descent(**settings)
