# pyright: reportArgumentType=false, reportCallIssue=false
"""Every operator of deepinv runs, or is refused in one sentence; none is forgotten."""

import pytest
import torch
from deepinv.physics import (
    Denoising,
    GaussianNoise,
    Inpainting,
    LinearPhysics,
    Physics,
    PoissonNoise,
    StackedLinearPhysics,
)

from interlayer import InputError, Problem, ilo, solve
from interlayer.generators import ToyGenerator, draw_truths

from .every_operator import EXAMPLES, PACKAGES, operator_names, outcome

G = ToyGenerator()
REFUSED = {"Haze": "does not take 16x16 images"}


def test_no_operator_of_deepinv_is_forgotten():
    assert operator_names() == {*EXAMPLES, *PACKAGES}
    assert len(EXAMPLES) - len(REFUSED) >= 0.9 * len(operator_names())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_operator_of_deepinv_runs_or_is_refused_in_one_sentence(name):
    found = outcome(name)
    if name in REFUSED:
        assert not found.psnr and REFUSED[name] in found.notes[0]
        return
    margin = 0 if name == "SinglePhotonLidar" else 3  # there is no adjoint, but a grey image
    for method, psnr in found.psnr.items():
        assert psnr > found.adjoint + margin, (method, found)
    assert len(found.psnr) == 2


def test_parts_of_a_stack_count_by_their_own_noise():
    quiet, loud = Denoising(GaussianNoise(0.01)), Denoising(GaussianNoise(0.5))
    stack = StackedLinearPhysics([quiet, loud])
    x = draw_truths(G, [0])
    torch.manual_seed(0)
    problem = Problem(stack, stack(x))
    weight, grey = torch.ones_like(problem.y), torch.full_like(x, 0.5)
    found = problem.natural_fidelity(problem.physics.A(grey), problem.y, weight, grey)
    errors = [(grey - part).square() for part in problem.physics.parts(problem.y)]
    expected = (errors[0] / 0.01**2 + errors[1] / 0.5**2).mean() / 2
    torch.testing.assert_close(found, expected[None])
    pair = StackedLinearPhysics([Denoising(GaussianNoise(0.1)), Denoising(GaussianNoise(0.1))])
    assert Problem(pair, pair(x)).noise.sigma == pytest.approx(0.1)
    mixed = StackedLinearPhysics([Denoising(), Denoising(PoissonNoise(0.1))])
    assert Problem(mixed, mixed(x)).noise.source == "unknown"


def test_an_adjoint_that_is_wrong_is_found_out_and_replaced():
    x = draw_truths(G, [0])
    for adjoint, sentence in ((None, "is missing"), (lambda y, **_: y, r"gives \(3, 16, 8\)")):
        physics = LinearPhysics(A=lambda x, **_: x[..., ::2], A_adjoint=adjoint)
        with pytest.warns(UserWarning, match=f"A_adjoint of the operator {sentence}"):
            x_hat = solve(physics, physics.A(x), G, "auto").x_hat
        assert (x_hat[..., ::2] - x[..., ::2]).abs().max() < 1e-4  # which the projection needs
    physics = LinearPhysics(A=lambda x, **_: 2 * x, A_adjoint=lambda y, **_: y)
    with pytest.warns(UserWarning, match="is not its transpose"):
        solve(physics, physics.A(x), G, ilo(8, layers=(0, 2)))


def test_a_function_of_images_is_an_operator():
    x = draw_truths(G, [0])
    x_hat = solve(lambda x: x[..., ::2] ** 2, x[..., ::2] ** 2, G, "auto").x_hat
    assert (x_hat - x).square().mean() < 1e-4


def test_masks_of_their_own_for_the_images_of_a_batch():
    x = draw_truths(G, [0, 1])
    masks = (torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    physics = Inpainting((3, 16, 16), mask=masks.expand(-1, 3, -1, -1))
    both = solve(physics, physics.A(x), G, ilo(40, layers=(0, 2)), seed=[0, 1])
    for i in range(2):
        own = Inpainting((3, 16, 16), mask=masks[i].expand(3, -1, -1))
        alone = solve(own, own.A(x[i : i + 1]), G, ilo(40, layers=(0, 2)), seed=i)
        torch.testing.assert_close(both.x_hat[i : i + 1], alone.x_hat, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("physics", "y", "sentence"),
    [
        ("blur", torch.zeros(1, 3, 16, 16), "the operator is a str; give a deepinv Physics"),
        (Physics, torch.zeros(1, 3, 16, 16), "give a deepinv Physics"),
        (Denoising(), "photo.png", "the measurements are a str"),
        (Denoising(), torch.zeros(5), r"of shape \(5,\)"),
        (Denoising(), 255 * torch.rand(1, 3, 16, 16), r"like those of an image in \[0, 255\]"),
        (Denoising(), torch.rand(1, 3, 16, 8), "have shape"),
    ],
)
def test_mistakes_are_told_in_one_sentence(physics, y, sentence):
    with pytest.raises(InputError, match=sentence):
        solve(physics, y, G, "ilo")


def test_a_method_that_is_none_is_refused():
    with pytest.raises(InputError, match="the method is a int; give a Method"):
        solve(Denoising(), torch.rand(1, 3, 16, 16), G, 5)  # pyright: ignore[reportArgumentType]
