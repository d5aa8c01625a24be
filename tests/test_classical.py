from functools import partial
from itertools import pairwise

import pytest
import torch
from deepinv.physics import Denoising, GaussianNoise, Inpainting, UniformNoise
from deepinv.physics.noise import ZeroNoise
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.wavelets import inverse_wavelet_transform, wavelet_transform
from interlayer.methods.classical import (
    CLASSICAL,
    PRIORS,
    Classical,
    Grid,
    SparsePath,
    TotalVariation,
    Wavelets,
    bm3d,
    coarse_factor,
    dip,
    fill,
    interpolation,
    membrane,
    refined,
    tv,
    wavelet,
)
from interlayer.problem import Problem, estimate_noise, make_physics, measure
from interlayer.problem.facts import Noise

SIZE = (3, 32, 32)
FITTING = [
    ("interpolation", "inpaint:0.3"),
    ("bicubic", "superres:4"),
    ("tv", "circulant:0.5"),
    ("wavelet", "inpaint:0.5"),
    ("bm3d", "denoise:0.1"),
    ("dip", "superres-avg:2"),
]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def plane(height: int = 32, width: int = 32) -> Tensor:
    """An image whose colours are affine functions of the position."""
    down, right = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    return torch.stack([(down + right) / 2, down.expand(height, width), 1 - (down + right) / 2])[
        None
    ]


def picture(batch: int = 1) -> Tensor:
    """Discs on planes."""
    down, right = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    discs = [((down - 12) ** 2 + (right - 10 - 4 * k) ** 2 < 70).float() for k in range(batch)]
    return 0.6 * plane() + 0.3 * torch.stack(discs)[:, None]


def error(x_hat: Tensor, x: Tensor) -> float:
    return (x_hat - x).square().mean().item()


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_method_uses_what_the_weights_allow_and_each_image_alone(name: str, task: str) -> None:
    method, physics = quickly(name), make_physics(task, SIZE)
    y = physics(picture(2))
    weight = (random(2, 1, *y.shape[2:]) if y.ndim == 4 else random(*y.shape)) > 0.2
    x_hat = method(Problem(physics, y), weight.float())
    spoilt = method(Problem(physics, torch.where(weight, y, 7.0)), weight.float())
    alone = method(Problem(physics, y[1:]), weight[1:].float())
    assert x_hat.shape == (2, *SIZE) and 0 <= x_hat.min() and x_hat.max() <= 1
    assert torch.equal(spoilt, x_hat)
    assert (alone - x_hat[1:]).abs().max() < 1e-3


def quickly(name: str) -> Classical:
    return partial(dip, steps=5) if name == "dip" else CLASSICAL[name]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("interpolation", "circulant:0.1"),
        ("interpolation", "denoise:0.1"),
        ("bicubic", "inpaint:0.5"),
        ("tv", "phase:0.5"),
        ("wavelet", "jpeg:20"),
        ("dip", "phase:0.5"),
        ("bm3d", "superres:2"),
    ],
)
def test_a_method_that_does_not_fit_says_what_does(name: str, task: str) -> None:
    with pytest.raises(InputError, match="; use "):
        CLASSICAL[name](measure(picture(), task, seed=0), None)


def test_interpolation_is_exact_for_known_pixels_and_between_them_for_planes() -> None:
    x = plane()
    known = random(32, 32) < 0.1
    known[::31, ::31] = True  # the corners, so that all lies within the hull
    assert (fill(x.where(known, torch.nan), known) - x).abs().max() < 1e-5
    noisy = random(1, *SIZE)
    assert torch.equal(fill(noisy, known)[..., known], noisy[..., known])
    assert torch.equal(fill(noisy, torch.ones(1, 1, 1, 1).bool()), noisy)


def test_channels_may_be_known_at_different_places() -> None:
    known = random(1, *SIZE) < 0.3
    known[..., ::31, ::31] = True
    assert (fill(plane().where(known, torch.nan), known) - plane()).abs().max() < 1e-5


@pytest.mark.parametrize("known", [[(4, 5)], [(4, 5), (20, 5)], [(4, 5), (8, 5), (20, 5)]])
def test_beyond_the_hull_the_nearest_known_pixel_counts(known: list[tuple[int, int]]) -> None:
    mask = torch.zeros(32, 32).bool()
    mask[tuple(zip(*known, strict=True))] = True
    x = random(1, *SIZE)
    assert torch.equal(fill(x, mask)[..., 0, 0], x[..., 4, 5])


def test_nothing_known_is_refused() -> None:
    with pytest.raises(InputError, match="no pixel"):
        interpolation(measure(picture(), "inpaint:0.5", seed=0), torch.zeros(1, 1, 32, 32))


@pytest.mark.parametrize("task", ["superres:4", "superres-avg:4"])
def test_bicubic_enlarges_a_plane_to_itself_but_for_the_edges(task: str) -> None:
    x_hat = CLASSICAL["bicubic"](measure(plane(), task, seed=0), None)
    assert (x_hat - plane())[..., 10:-10, 10:-10].abs().max() < 1e-3


def test_wavelets_are_orthonormal_and_blind_to_cubics() -> None:
    x = random(2, 3, 48, 32)
    coefficients = wavelet_transform(x)
    assert (inverse_wavelet_transform(coefficients) - x).abs().max() < 1e-5
    assert coefficients.norm().item() == pytest.approx(x.norm().item(), rel=1e-5)
    cubic = (torch.linspace(-1, 1, 64) ** 3).expand(1, 1, 64, 64)
    details = wavelet_transform(cubic)[0, 0, :32, 32:]  # of the finest level, along the rows
    assert details[:, :-3].abs().max() < 1e-5 < details[:, -3:].abs().max()  # which wraps round


def total_variation(x: Tensor) -> Tensor:
    down = torch.diff(x, dim=-2, append=x[..., -1:, :])
    right = torch.diff(x, dim=-1, append=x[..., -1:])
    return (down.square() + right.square()).sum(1).sqrt().sum()


def test_the_proximal_operator_of_total_variation_minimises() -> None:
    v, prox = random(1, 3, 12, 10).double(), TotalVariation(steps=2000)
    x = prox(v, 0.2)

    def objective(u: Tensor) -> float:
        return ((u - v).square().sum() / 2 + 0.2 * total_variation(u)).item()

    for seed in range(20):
        nearby = x + 1e-3 * (random(1, 3, 12, 10, seed=seed).double() - 0.5)
        assert objective(nearby) > objective(x)
    assert (prox(v, 100.0) - v.mean((2, 3), keepdim=True)).abs().max() < 1e-4


def test_the_dual_of_total_variation_goes_on_where_it_stopped() -> None:
    v, often = random(1, *SIZE), TotalVariation(steps=2)
    exact = TotalVariation(steps=500)(v, 0.2)
    errors = [error(often(v, 0.2), exact) for _ in range(20)]
    assert errors[-1] < errors[0] / 100


def test_thresholded_wavelets_shrink_colours_together() -> None:
    v = random(1, *SIZE)
    turned = v[:, [1, 2, 0]]
    assert (Wavelets()(turned, 0.3) - Wavelets()(v, 0.3)[:, [1, 2, 0]]).abs().max() < 1e-6


@pytest.mark.parametrize("prior", PRIORS)
def test_an_estimate_that_fits_is_its_own_best_correction(prior: str) -> None:
    x = picture()
    path = SparsePath(measure(x, "circulant:0.3", seed=0), None, prior, centre=x)
    for _, x_hat in path.along([0.1, 0.01], x):
        assert (x_hat - x).abs().max() < 1e-5


@pytest.mark.parametrize("prior", PRIORS)
def test_a_smaller_lambda_fits_closer(prior: str) -> None:
    problem = measure(picture(), "circulant:0.3", seed=0)
    path = SparsePath(problem, None, prior).along([0.4, 0.1, 0.01])
    fits = [error(problem.physics.A(x), problem.y) for _, x in path]
    assert all(after < before for before, after in pairwise(fits))


def test_lambda_may_differ_from_image_to_image() -> None:
    problem, lambdas = measure(picture(2), "circulant:0.3", seed=0), torch.tensor([0.3, 0.03])
    _, both = next(SparsePath(problem, None, "tv").along([lambdas.reshape(2, 1, 1, 1)]))
    for b, lambda_ in enumerate(lambdas):
        _, alone = next(SparsePath(problem.alone(b), None, "tv").along([lambda_.item()]))
        assert (both[b] - alone[0]).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("task", "factor"), [("circulant:0.01", 4), ("circulant:0.05", 2), ("circulant:0.1", 1)]
)
def test_a_grid_has_four_values_for_each_that_is_measured(task: str, factor: int) -> None:
    x = plane(256, 256)
    problem = measure(x, task, seed=0)
    assert coarse_factor(problem, torch.ones(1), x) == factor
    assert coarse_factor(problem, torch.ones(1), x[..., :64, :64]) == 1


def test_few_measurements_of_a_smooth_picture_give_it_back_on_a_coarse_grid() -> None:
    x = plane(256, 256)
    problem = measure(x, "circulant:0.01", seed=0)
    errors = [
        error(list(SparsePath(problem, None, "tv", grid=grid).along([0.1, 0.01, 1e-3]))[-1][1], x)
        for grid in (Grid(problem, x), Grid(problem, x, 4))
    ]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("method", [tv, wavelet])
@pytest.mark.parametrize(
    "task", ["circulant:0.4", "inpaint:0.5+denoise:0.1", "deblur:1+denoise:0.02"]
)
def test_sparsity_brings_the_image_nearer_than_least_squares(method: Classical, task: str) -> None:
    x = picture()
    problem = measure(x, task, seed=0)
    path = SparsePath(problem, None, "tv", steps=50).along([1e-6], torch.full_like(x, 0.5))
    *_, (_, least_squares) = path
    assert error(method(problem, None), x) < 0.8 * error(least_squares, x)


@pytest.mark.parametrize("method", [tv, wavelet])
def test_a_prior_does_not_lose_what_interpolation_finds(method: Classical) -> None:
    x = picture()
    problem = measure(x, "inpaint:0.1", seed=0)
    assert error(method(problem, None), x) < 1.02 * error(interpolation(problem), x)


def test_a_good_centre_helps() -> None:
    x = random(1, *SIZE)
    problem = measure(x, "circulant:0.1", seed=0)
    centre = (x + 0.1 * picture()).clamp(0, 1)
    corrected = wavelet(problem, start=centre, centre=centre)
    assert error(corrected, x) < error(centre, x) < error(wavelet(problem), x)


def test_a_parabola_over_the_logarithms_is_recovered() -> None:
    lambdas = [2.0**-k for k in range(6)]
    places = torch.tensor([1.7, 3.2])
    errors = (torch.arange(6.0)[:, None] - places) ** 2
    assert torch.allclose(refined(lambdas, errors), 2**-places)
    ends = torch.stack([errors.new_tensor([k, -k]) for k in range(6)])
    assert refined(lambdas, ends).tolist() == [1, 2**-5]


def test_bm3d_filters_every_strip_and_leaves_a_clean_picture_alone() -> None:
    x = 0.5 * plane(288, 32) + 0.2
    noisy = Denoising(GaussianNoise(0.1, torch.Generator().manual_seed(0)))
    rest = (bm3d(Problem(noisy, noisy(x))) - x).square().mean((0, 1, 3))
    assert rest[:256].mean() < 0.1 * 0.1**2 and rest[256:].mean() < 0.1 * 0.1**2
    assert torch.equal(bm3d(Problem(Denoising(ZeroNoise()), x)), x)


def test_noise_is_known_from_the_operator_or_else_estimated_for_pictures() -> None:
    exact, known = (
        measure(picture(), task, seed=0).noise
        for task in ("circulant:0.5", "circulant:0.5+denoise:0.2")
    )
    assert (exact.source, exact.sigma) == ("none", 0)
    assert known.source == "known" and known.sigma == pytest.approx(0.2)
    uniform = UniformNoise(0.1, rng=torch.Generator().manual_seed(0))
    noisy = Denoising(uniform)
    x = plane(64, 64)
    estimated = Problem(noisy, noisy(x)).noise
    assert estimated.source == "estimated"
    assert estimated.sigma == pytest.approx(0.1 / 3**0.5, rel=0.1)
    holes = Inpainting((3, 64, 64), mask=0.5, noise_model=uniform)  # pyright: ignore[reportArgumentType]
    assert Problem(holes, holes(x)).noise == Noise("unknown", None)


def test_noise_that_a_file_has_clipped_is_estimated_where_it_has_not() -> None:
    x = torch.full((1, 3, 64, 64), 0.5).index_fill_(2, torch.arange(20), 0.0)
    noisy = make_physics("denoise:0.1", (3, 64, 64))(x)
    estimates = [
        estimate_noise(y).item() for y in (noisy, noisy.clamp(0, 1), 0.5 + noisy[:, :, 20:])
    ]
    assert estimates == pytest.approx([0.1] * 3, rel=0.1)


def test_dip_learns_the_picture_and_repeats_itself() -> None:
    x = picture()
    problem = measure(x, "inpaint:0.5", seed=0)
    x_hat = dip(problem, steps=60)
    assert error(x_hat, x) < 0.3 * x.var().item()
    assert torch.equal(x_hat, dip(problem, steps=60))
    assert not torch.equal(x_hat, dip(problem, steps=60, seed=1))


def test_a_membrane_keeps_what_is_known_and_stays_between_its_values():
    rng = torch.Generator().manual_seed(0)
    values = torch.rand(2, 3, 20, 13, generator=rng)
    known = torch.rand(2, 1, 20, 13, generator=rng) < 0.1
    whole = membrane(values, known)
    assert torch.where(known, whole - values, 0).abs().max() == 0
    for image, mask, filled in zip(values, known, whole, strict=True):
        inside = image[:, mask[0]]
        assert (filled.amax((1, 2)) <= inside.amax(1) + 1e-6).all()
        assert (filled.amin((1, 2)) >= inside.amin(1) - 1e-6).all()
    assert membrane(torch.full_like(values, 0.3), known).sub(0.3).abs().max() < 1e-6
