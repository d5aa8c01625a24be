import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators.modulation import (
    activate,
    binomial_filter,
    convolve,
    convolve_up,
    depthwise,
    mix_channels,
    shuffle,
)


def channels_last(*shape: int) -> Tensor:
    x = torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape))
    )
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("maps", [None, 1, 2])
def test_activation_and_its_gradients_are_those_of_the_formula(maps: int | None) -> None:
    y = channels_last(2, 3, 4, 5).requires_grad_()
    factor = torch.rand(2, 3, 1, 1, dtype=torch.float64).add_(0.5).requires_grad_()
    noise = None
    if maps is not None:
        noise = torch.randn(maps, 1, 4, 5, dtype=torch.float64).requires_grad_()
    bias = torch.randn(3, 1, 1, dtype=torch.float64)
    variables = [v for v in (y, factor, noise) if v is not None]

    def ours() -> Tensor:
        return activate(y.clone(memory_format=torch.preserve_format), factor, noise, bias)

    def formula() -> Tensor:
        return F.leaky_relu(y * factor + (0 if noise is None else noise) + bias, 0.2)

    check_gradients(ours(), formula(), variables)


def check_gradients(ours: Tensor, right: Tensor, variables: list[Tensor]) -> None:
    torch.testing.assert_close(ours, right)
    cotangent = torch.randn_like(right)
    for a, b in zip(
        torch.autograd.grad(ours, variables, cotangent),
        torch.autograd.grad(right, variables, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)  # sums over pixels are in float32


def styles(*values: float) -> Tensor:
    scale = torch.tensor([[1.0, -0.5, *values], [0.7, 1.3, *values]], dtype=torch.float64)
    return scale.requires_grad_()


@pytest.mark.parametrize("scale", [styles(2.0, 0.3), styles(0.0, 1e-6)])
@pytest.mark.parametrize("kind", ["full", "depthwise", "up", "mix"])
def test_styled_convolutions_are_convolutions_of_the_scaled_input(kind: str, scale: Tensor) -> None:
    x = channels_last(2, 4, 5, 6).requires_grad_()
    scaled = x * scale[..., None, None]
    blur = binomial_filter().double()
    if kind == "full":
        weight = channels_last(3, 4, 3, 3)
        pair = convolve(x, weight, scale), F.conv2d(scaled, weight, padding=1)
    elif kind == "depthwise":
        weight = channels_last(4, 1, 3, 3)
        pair = convolve(x, weight, scale, 4), F.conv2d(scaled, weight, padding=1, groups=4)
    elif kind == "up":
        weight = channels_last(4, 3, 3, 3)
        right = depthwise(F.conv_transpose2d(scaled, weight, stride=2), blur)
        pair = convolve_up(x, weight, scale, blur), right
    else:
        weight = torch.randn(3, 4, dtype=torch.float64)
        pair = mix_channels(x, weight, scale), F.conv2d(scaled, weight[..., None, None])
    check_gradients(*pair, [x, scale])


def test_shuffle_moves_channels_as_pixel_shuffle_does_in_another_order() -> None:
    x = channels_last(2, 12, 3, 4)
    by_channel = x.unflatten(1, (4, 3)).transpose(1, 2).flatten(1, 2)
    assert torch.equal(shuffle(x), F.pixel_shuffle(by_channel, 2))
