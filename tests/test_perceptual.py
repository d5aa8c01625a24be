from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.evaluation import quality
from interlayer.evaluation.quality import lpips
from interlayer.networks.perceptual import (
    TRUNK_LAYOUTS,
    Blur,
    BlurredConvolution,
    Convolution,
    PerceptualNetwork,
    Trunk,
    load_perceptual,
)
from interlayer.solver.perceptual_terms import MultiScaleLoss, PerceptualLoss
from interlayer.weights import cache

TRUNKS: tuple[Trunk, ...] = get_args(Trunk)
each_trunk = pytest.mark.parametrize("trunk", TRUNKS)


def toy(trunk: Trunk) -> PerceptualNetwork:
    """A network of the trunk's layout with 4 channels and random weights."""
    rng = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    widths = {"alex": (11, 5, 3, 3, 3), "vgg": (3,) * 13}[trunk]
    for number, width in enumerate(widths):
        size = (4, 4 if number else 3, width, width)
        tensors[f"{trunk}.conv{number}.weight"] = torch.randn(size, generator=rng) / width
        tensors[f"{trunk}.conv{number}.bias"] = torch.randn(4, generator=rng)
    for place in range(len(TRUNK_LAYOUTS[trunk].convolutions)):
        tensors[f"{trunk}.head{place}"] = torch.rand(4, generator=rng)
    return PerceptualNetwork(tensors, trunk)


def pictures(seed: int, *size: int) -> Tensor:
    return torch.rand(size or (2, 3, 40, 33), generator=torch.Generator().manual_seed(seed))


def waves(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Two smooth pictures that need no random numbers."""
    i, j = torch.arange(height).reshape(-1, 1), torch.arange(width).reshape(1, -1)
    rates = ((0.1, 0.3), (0.2, 0.05), (0.7, 0.4))
    x = torch.stack([0.5 + 0.5 * torch.sin(a * i + b * j) for a, b in rates])
    y = torch.stack([0.5 + 0.3 * torch.cos(a * i - b * j) for a, b in rates])
    return x[None], y[None]


@pytest.fixture
def pulled() -> None:
    """Leave a test out where the weights are not in the cache."""
    if not cache.is_cached("perceptual"):
        pytest.skip("`interlayer pull perceptual` has not been run")


@pytest.mark.usefixtures("pulled")
@pytest.mark.parametrize(
    ("trunk", "size", "expected"),
    [
        ("alex", (64, 64), 0.377082),
        ("alex", (65, 48), 0.357997),
        ("vgg", (64, 64), 0.642455),
        ("vgg", (65, 48), 0.557588),
    ],
)
def test_distances_are_the_authors(trunk: Trunk, size: tuple[int, int], expected: float) -> None:
    """Figures by ``stlpips_pytorch`` 0.0.2 for the same pictures."""
    assert load_perceptual(trunk)(*waves(*size)).item() == pytest.approx(expected, abs=2e-5)


@pytest.mark.usefixtures("pulled")
@each_trunk
def test_distances_and_gradients_are_those_of_the_authors_code(trunk: Trunk) -> None:
    stlpips = pytest.importorskip("stlpips_pytorch.stlpips", exc_type=ImportError)
    theirs = stlpips.LPIPS(net=trunk, variant="shift_tolerant", verbose=False)
    ours, y = load_perceptual(trunk), pictures(1)
    x, x_too = pictures(0).requires_grad_(), pictures(0).requires_grad_()
    expected, found = theirs(x, y, normalize=True).flatten(), ours(x_too, y)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), x_too)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), x)[0])


@pytest.mark.usefixtures("pulled")
@each_trunk
def test_a_shift_by_a_pixel_looks_nearer_than_a_blur_does(trunk: Trunk) -> None:
    x = torch.nn.functional.interpolate(pictures(0, 1, 3, 24, 24), (96, 96), mode="bicubic")
    x = x.clamp(0, 1)
    network, blurred = load_perceptual(trunk), torch.nn.functional.avg_pool2d(x, 5, 1)
    shifted, kept = x[..., 2:-2, 3:-1], x[..., 2:-2, 2:-2]
    assert (shifted - kept).square().mean() > 0.3 * (blurred - kept).square().mean()
    assert network(shifted, kept) < 0.3 * network(blurred, kept)


@each_trunk
def test_the_distance_is_symmetric_and_zero_for_equal_pictures(trunk: Trunk) -> None:
    network, x, y = toy(trunk), pictures(0), pictures(1)
    assert network(x, x).tolist() == [0, 0]
    assert (network(x, y) > 1e-4).all()
    torch.testing.assert_close(network(x, y), network(y, x))


@each_trunk
def test_a_picture_does_not_see_the_others(trunk: Trunk) -> None:
    network, x, y = toy(trunk), pictures(0), pictures(1)
    alone = torch.cat([network(x[i : i + 1], y[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(network(x, y), alone)


@each_trunk
def test_gradients_reach_the_pictures_alone_and_are_finite(trunk: Trunk) -> None:
    network = toy(trunk)
    for name, tensor in network.named_buffers():
        tensor.mul_(not name.endswith(".bias"))  # so that a grey picture's features are all 0
    x = network.mean.expand(1, 3, 32, 32).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x, pictures(0, 1, 3, 32, 32)).sum(), x)
    assert gradient.isfinite().all()
    (gradient,) = torch.autograd.grad(network(x + 0.1, pictures(0, 1, 3, 32, 32)).sum(), x)
    assert gradient.abs().max() > 0
    assert not list(network.parameters())


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (16, 17), (17, 17), (14, 21)])
def test_a_blurred_convolution_is_a_convolution_and_a_blur(size: tuple[int, int]) -> None:
    weight, bias = pictures(0, 5, 3, 11, 11).double(), pictures(1, 5).double()
    h = pictures(2, 2, 3, *size).double()
    expected = Blur()(Convolution(weight, bias)(h))
    torch.testing.assert_close(BlurredConvolution(weight, bias)(h), expected)


def test_a_blur_keeps_a_constant_and_removes_a_checkerboard() -> None:
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(4, 4)[None, None]
    blurred = Blur()(board)
    assert blurred.shape == (1, 1, 5, 5)
    torch.testing.assert_close(blurred, torch.full_like(blurred, 0.5))


@pytest.mark.parametrize("size", [(1, 3, 31, 64), (1, 1, 64, 64), (3, 64, 64)])
def test_what_is_no_picture_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="compares RGB pictures of 32x32 pixels or more, not of"):
        next(toy("alex").features(torch.zeros(size)))


@pytest.fixture
def loss() -> PerceptualLoss:
    return PerceptualLoss(toy("alex"))


def test_the_loss_of_known_pictures_is_their_distance(loss: PerceptualLoss) -> None:
    predicted, y = pictures(0), pictures(1)
    found = loss(predicted, y, torch.ones(1, 1, 1, 1), pictures(2))
    torch.testing.assert_close(found, loss.network(predicted, y))


@pytest.mark.parametrize("same_size", [True, False])
def test_what_is_unknown_agrees(loss: PerceptualLoss, same_size: bool) -> None:
    known = (pictures(3, 2, 1, 40, 33) < 0.5).float()
    x = pictures(2) if same_size else pictures(2, 2, 3, 64, 64)
    predicted, y = pictures(0), pictures(1)
    found = loss(predicted, y, known, x)
    torch.testing.assert_close(loss(predicted, torch.where(known > 0, y, 0.5), known, x), found)
    assert loss(predicted, torch.where(known > 0, predicted, y), known, x).tolist() == [0, 0]
    if same_size:
        hidden = torch.where(known > 0, predicted, 0.0)
        torch.testing.assert_close(loss(hidden, y, known, x), found)


def test_no_gradient_flows_through_what_fills_the_measurements(loss: PerceptualLoss) -> None:
    x, y, known = pictures(2).requires_grad_(), pictures(1), (pictures(3) < 0.5).float()
    (gradient,) = torch.autograd.grad(loss(x, y, known, x).sum(), x)
    target = torch.where(known > 0, y, x).detach()
    (expected,) = torch.autograd.grad(loss.network(x, target).sum(), x)
    torch.testing.assert_close(gradient, expected)


def test_large_pictures_are_averaged_and_grey_ones_have_three_equal_channels() -> None:
    seen: list[Tensor] = []

    def network(x: Tensor, y: Tensor) -> Tensor:
        seen.extend((x, y))
        return (x - y).square().mean((1, 2, 3))

    y = pictures(0, 1, 1, 96, 64)
    PerceptualLoss(network, size=48)(1 - y, y, torch.ones(1, 1), pictures(1, 1, 3, 96, 64))
    means = torch.nn.functional.avg_pool2d(y, 2)
    torch.testing.assert_close(seen[1], means.expand(1, 3, 48, 32))
    torch.testing.assert_close(seen[0], 1 - seen[1])


def test_scales_are_halved_and_what_is_unknown_is_black() -> None:
    seen: list[Tensor] = []

    def network(x: Tensor, y: Tensor) -> Tensor:
        seen.append(y)
        return (x - y).square().mean((1, 2, 3))

    predicted, y, known = pictures(0, 1, 3, 128, 96), pictures(1, 1, 3, 128, 96), torch.zeros(1, 1)
    loss = MultiScaleLoss(network, size=64)
    assert loss(predicted, y, known, predicted).item() == 0
    assert loss(predicted, y, known + 1, predicted).item() > 0
    assert [tuple(picture.shape[2:]) for picture in seen] == [(64, 48)] * 2
    seen.clear()
    MultiScaleLoss(network)(predicted, y, known + 1, predicted)
    assert [tuple(picture.shape[2:]) for picture in seen] == [(128, 96), (64, 48)]
    torch.testing.assert_close(seen[1], torch.nn.functional.avg_pool2d(y, 2))


def test_imitated_noise_makes_the_truth_look_like_its_noisy_measurement() -> None:
    x = torch.full((2, 3, 64, 64), 0.5)
    noise = 0.3 * torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0))
    plain, imitating = (MultiScaleLoss(toy("alex"), sigma) for sigma in (0.0, 0.3))
    clean, noisy = (loss(x, x + noise, torch.ones(1, 1), x) for loss in (plain, imitating))
    assert (noisy < clean).all()
    assert noisy[0] == noisy[1]
    assert torch.equal(imitating(x, x + noise, torch.ones(1, 1), x), noisy)


@pytest.mark.parametrize("y", [torch.zeros(1, 9), torch.zeros(1, 2, 64, 64)])
@pytest.mark.parametrize("kind", [PerceptualLoss, MultiScaleLoss])
def test_measurements_that_are_no_pictures_are_refused(kind, y: Tensor) -> None:
    loss = kind(toy("alex"))
    with pytest.raises(InputError, match="a perceptual loss compares pictures"):
        loss(y, y, torch.ones(1, 1), pictures(0))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch) -> Callable[[bool, bool], None]:
    """Sets which of the two networks are on this machine: torchvision's, ours."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    class Metric:
        def __init__(self, device: torch.device) -> None:
            self.device = device

        def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
            return torch.full((len(x),), 7.0)

    def place(theirs: bool, ours: bool) -> None:
        (tmp_path / "checkpoints").mkdir()
        if theirs:
            (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
        monkeypatch.setattr(cache, "is_cached", lambda _: ours)
        monkeypatch.setattr(quality, "load_perceptual", lambda: toy("alex"))
        monkeypatch.setattr(quality, "LPIPS", Metric)

    return place


def test_the_figure_is_named_by_the_network_that_was_there(weights) -> None:
    x, y = pictures(0), pictures(1)
    weights(theirs=False, ours=True)
    (figure,) = lpips(x, y).items()
    assert figure[0] == "stlpips"
    torch.testing.assert_close(figure[1], toy("alex")(x, y))


@pytest.mark.parametrize("ours", [True, False])
def test_the_usual_lpips_goes_first(weights, ours: bool) -> None:
    weights(theirs=True, ours=ours)
    assert {name: value.tolist() for name, value in lpips(pictures(0), pictures(1)).items()} == {
        "lpips": [7, 7]
    }


def test_without_weights_there_is_no_figure(weights) -> None:
    weights(theirs=False, ours=False)
    assert lpips(pictures(0), pictures(1)) == {}
