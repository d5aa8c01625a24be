import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators.modulation import activate, mix_channels


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

    torch.testing.assert_close(ours(), formula())
    cotangent = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for found, right in zip(
        torch.autograd.grad(ours(), variables, cotangent),
        torch.autograd.grad(formula(), variables, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(found, right)


def test_mixing_channels_is_a_styled_1x1_convolution() -> None:
    x, weight, scale = (
        channels_last(2, 8, 4, 5),
        channels_last(3, 8, 1, 1),
        torch.rand(2, 8).double(),
    )
    right = F.conv2d(x * scale[..., None, None], weight)
    torch.testing.assert_close(mix_channels(x, weight, scale), right)
