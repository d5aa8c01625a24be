"""The image as the last layer: stacking, sparse deviations, consistency with noiseless data."""

from dataclasses import dataclass, field

import pytest
import torch
from deepinv.physics import Denoising, Inpainting

from interlayer import Problem, auto, csgm, make_physics, solve
from interlayer.generators import ToyGenerator
from interlayer.methods import ESTIMATORS, Direct, Evidence, sparse_gen
from interlayer.methods.estimators import Sparse
from interlayer.problem import measure
from interlayer.solver.image_stage import ImageStage, Tick
from interlayer.solver.projections import project_onto_measurements
from interlayer.solver.stacking import stacking_weights

SIZE = (3, 16, 16)
G = ToyGenerator()


def moved(problem: Problem, drawn, like: torch.Tensor, holdout: float = 0.1) -> list[Tick]:
    """The ticks of the image stage from a generator's estimates."""
    split = problem.split(like, holdout, [0])
    return list(ImageStage(problem, split, ESTIMATORS).run(drawn))


def natural(seed: int) -> torch.Tensor:
    """A sample of the generator with a bright square that it cannot draw."""
    with torch.no_grad():
        x = G(G.sample([seed]))
    x[..., 4:9, 5:12] = 0.95
    return x


def psnr(x_hat: torch.Tensor, x: torch.Tensor) -> float:
    return -10 * (x_hat - x).square().mean().log10().item()


def test_stacking_beats_each_of_two_estimates_that_err_apart():
    rng = torch.Generator().manual_seed(0)
    y = torch.rand(2, 3, 8, 8, generator=rng)
    estimates = y + 0.1 * torch.randn(3, *y.shape, generator=rng)
    held = (torch.rand(2, 1, 8, 8, generator=rng) < 0.5).float()
    weights = stacking_weights(estimates, y, held)

    def error(x: torch.Tensor) -> torch.Tensor:
        return ((x - y).square() * held).flatten(1).sum(1)

    combined = (weights[..., None, None, None] * estimates).sum(0)
    assert torch.allclose(weights.sum(0), torch.ones(2))
    assert weights.min() >= 0
    assert (error(combined) < torch.stack([error(x) for x in estimates]).min(0).values).all()


def test_a_perfect_estimate_takes_all_the_weight():
    y = torch.rand(1, 5, generator=torch.Generator().manual_seed(1))
    weights = stacking_weights(torch.stack([y + 1, y, y - 3]), y, torch.ones(1, 5))
    assert weights.flatten()[1] == pytest.approx(1, abs=1e-4)


def test_stacking_complex_measurements_sees_both_parts():
    y = torch.zeros(1, 4, dtype=torch.complex64)
    weights = stacking_weights(torch.stack([y + 1j, y - 1j, y + 1]), y, torch.ones(1, 4))
    assert torch.allclose(weights.flatten(), torch.tensor([0.5, 0.5, 0.0]), atol=1e-3)


@pytest.mark.parametrize("task", ["inpaint:0.3", "superres:4", "circulant:0.2"])
def test_projection_is_consistent_idempotent_and_never_farther_from_the_truth(task):
    x = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(2))
    problem = measure(x, task, seed=0)
    physics, y, guess = problem.linear_physics, problem.y, torch.full_like(x, 0.5)
    one = project_onto_measurements(physics, y, guess, steps=1)
    projected = project_onto_measurements(physics, y, guess, steps=400)
    again = project_onto_measurements(physics, y, projected, steps=400)
    for nearer, farther in ((one, guess), (projected, one)):
        assert ((nearer - x).norm() <= (farther - x).norm() * (1 + 1e-5)).item()
    assert (physics.A(projected) - y).norm() < 1e-2 * (physics.A(guess) - y).norm()
    assert (again - projected).norm() < 1e-2 * (projected - guess).norm()


@pytest.mark.parametrize("task", ["inpaint:0.3", "superres:2", "circulant:0.3", "denoise:0.1"])
def test_the_image_stage_improves_on_the_generator(task):
    x = natural(3)
    physics = make_physics(task, SIZE)
    solution = solve(physics, physics(x), G, auto(70).within(G.num_layers))
    *_, generator, image = solution.stages
    assert image.layer == G.num_layers and image.stage is None
    assert psnr(image.x_hat, x) > psnr(generator.x_hat, x) + 0.2
    assert torch.equal(solution.x_hat, image.x_hat)


def test_all_pixels_known_give_the_image_itself():
    x = natural(4)
    physics = make_physics("inpaint:1", SIZE)
    assert psnr(solve(physics, physics(x), G, auto(14).within(G.num_layers)).x_hat, x) > 45


def test_a_batch_is_refined_as_its_images_alone():
    x = torch.cat([natural(5), natural(6)])
    physics = make_physics("circulant:0.3", SIZE)
    y = physics(x)
    both = solve(physics, y, G, auto(14).within(G.num_layers), seed=[1, 2]).x_hat
    second = solve(physics, y[1:], G, auto(14).within(G.num_layers), seed=[2]).x_hat
    assert torch.allclose(both[1:], second, atol=1e-4)


def test_sparse_gen_is_csgm_and_a_deviation():
    x = natural(7)
    physics = make_physics("circulant:0.5", SIZE)
    y = physics(x)
    latent, sparse = (solve(physics, y, G, method(40)) for method in (csgm, sparse_gen))
    assert torch.equal(sparse.stages[0].x_hat, latent.x_hat)
    assert psnr(sparse.x_hat, x) > psnr(latent.x_hat, x)


def test_without_held_out_measurements_the_estimate_is_only_made_consistent():
    x = natural(8)
    problem = measure(x, "inpaint:0.5", seed=0)
    (tick,) = moved(problem, [torch.full_like(x, 0.5)], x, holdout=0.0)
    x_hat, known = tick.x, problem.known
    assert tick.label == "projection" and known is not None
    assert torch.allclose(x_hat[known], x[known])
    assert (x_hat[~known] == 0.5).all()


@pytest.mark.parametrize(
    ("task", "fits"),
    [
        ("inpaint:0.5", True),
        ("denoise-poisson:0.1", True),
        ("superres:2+denoise:0.1", True),
        ("denoise-bernoulli:0.2", False),
        ("circulant:0.5+quantize:1", False),
        ("phase:0.5", False),
        ("gaussian:9", True),
    ],
)
def test_only_linear_measurements_with_unbiased_noise_are_refined(task, fits):
    assert measure(natural(0), task, seed=0).least_squares == fits


def test_slow_measurements_are_predicted_by_an_average_of_estimates():
    x = natural(0)
    problem = measure(x, "gaussian:60", seed=0)
    rng = torch.Generator().manual_seed(0)
    estimates = [(x + 0.1 * torch.randn(x.shape, generator=rng)).clamp(0, 1) for _ in range(2)]
    *_, tick = moved(problem, estimates, x)
    assert tick.label == "average"
    assert psnr(tick.x, x) > max(psnr(estimate, x) for estimate in estimates)


def test_physics_of_deepinv_itself_can_be_refined():
    holes = Inpainting(SIZE, mask=0.5)  # pyright: ignore[reportArgumentType]
    for physics in (Denoising(), holes):
        assert Problem(physics, physics(natural(0))).least_squares


def test_colours_that_no_measurement_sees_are_the_generators():
    x = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(9))
    problem = measure(x, "colorize", seed=0)
    physics, y = problem.linear_physics, problem.y
    estimate = 0.1 + 0.8 * x
    *_, tick = moved(problem, [estimate], x)
    x_hat = tick.x
    change = x_hat - estimate
    weights = physics.A_adjoint(torch.ones_like(y))
    unseen = change - weights * physics.A(change) / weights.square().sum(1, keepdim=True)
    assert (physics.A(x_hat) - y).norm() < 0.1 * (physics.A(estimate) - y).norm()
    assert unseen.norm() < 0.1 * change.norm()


def test_a_hole_is_the_generators_though_interpolation_is_better_around_it():
    ramp = torch.linspace(0.2, 0.7, 32).expand(1, 3, 32, 32)
    blob = torch.zeros_like(ramp)
    blob[..., 14:18, 14:18] = 0.2  # drawn by the generator, in the hole
    problem = measure(ramp, "box:0.2", seed=0)
    *_, tick = moved(problem, [ramp + 0.1 + blob], ramp)
    torch.testing.assert_close(tick.x, ramp + blob, atol=0.01, rtol=0)


def test_work_is_done_in_rising_shares_and_all_of_it_in_the_end():
    for task in ("inpaint:0.3", "denoise:0.1", "circulant:0.3", "gaussian:60", "colorize"):
        x = natural(1)
        problem = measure(x, task, seed=0)
        stage = ImageStage(problem, problem.split(x, 0.1, [0]), ESTIMATORS)
        done = [tick.done for tick in stage.run([torch.full_like(x, 0.5)])]
        assert done == sorted(done)
        assert done[-1] == stage.work


@dataclass(frozen=True)
class Oracle(Direct):
    """An estimator that knows the truth, to see that what is best is found."""

    name: str = "oracle"
    x: torch.Tensor = field(default_factory=lambda: torch.zeros(1), compare=False)

    def estimate(self, evidence, weight):
        return self.x


def test_an_estimator_that_is_right_takes_over_wherever_it_joins():
    x = natural(2)
    physics = make_physics("circulant:0.3+denoise:0.01", SIZE)
    plain, joined = (
        solve(physics, physics(x), G, auto(14, estimators).within(G.num_layers)).x_hat
        for estimators in (ESTIMATORS, (*ESTIMATORS, Oracle(x=x)))
    )
    assert psnr(joined, x) > psnr(plain, x) + 10


@pytest.mark.parametrize("prior", ["tv", "wavelet"])
def test_estimates_on_a_coarse_grid_have_the_fine_detail_of_the_generator(prior):
    drawn = 0.5 + 0.1 * torch.sin(torch.arange(256.0) * 2) * torch.ones(1, 3, 256, 256)
    problem = measure(drawn.flip(-1), "circulant:0.01", seed=0)
    evidence = Evidence(problem, problem.split(drawn, 0.1, [0]), (drawn,))
    assert evidence.detail is not None and evidence.grid.enlarge is not None
    assert evidence.detail.std() > 0.9 * drawn.std()
    enlarging = evidence.grid.enlarge.rows.matrix
    onto = enlarging @ torch.linalg.pinv(enlarging)
    *_, last = Sparse(prior).from_fitted(evidence)
    smooth = last.x - evidence.detail
    near = (onto @ smooth @ onto.mT - smooth).abs() < 1e-4
    assert near.float().mean() > 0.98  # all but what was clipped to [0, 1]


def test_with_many_measurements_the_grid_is_the_image_and_all_detail_is_measured():
    x = torch.full((1, 3, 256, 256), 0.5)
    problem = measure(x, "circulant:0.3", seed=0)
    evidence = Evidence(problem, problem.split(x, 0.1, [0]), (x,))
    assert evidence.grid.factor == 1 and evidence.detail is None
