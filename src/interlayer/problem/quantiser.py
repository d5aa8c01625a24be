"""The last step of a digital sensor: a few bits per measurement."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Step of the uniform quantiser with 2^bits levels of least mean squared error for N(0, 1).
GAUSSIAN_STEPS = (1.5958, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308)


class UniformQuantiser(nn.Module):
    r"""A ``sensor_model`` that rounds measurements to the middles of ``2^bits`` equal cells.

    The cells divide [low, high]; the first and the last also take all that lies beyond. One bit is
    the sign of ``y - (low + high) / 2``. A solver compares ``A(x)``, which is not quantised, with
    these middles, or asks `cell` which values were possible.

    Args:
        bits: number of bits, 1 to 8.
        low: lower end of the first cell.
        high: upper end of the last one.

    Raises:
        ValueError: if ``bits`` is out of range or ``low`` is not below ``high``.

    >>> sensor = UniformQuantiser(bits=1)
    >>> y = sensor(torch.tensor([0.1, 0.4, 0.9, 7.0]))
    >>> y.tolist()
    [0.25, 0.25, 0.75, 0.75]
    >>> low, high = sensor.cell(y)
    >>> low.tolist(), high.tolist()
    ([-inf, -inf, 0.5, 0.5], [0.5, 0.5, inf, inf])
    """

    def __init__(self, bits: int, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        if not 1 <= bits <= len(GAUSSIAN_STEPS) or not low < high:
            raise ValueError(f"cannot quantise [{low}, {high}] to {bits} bits; give 1 to 8 bits")
        self.bits, self.low, self.high = bits, low, high
        self.step = (high - low) / 2**bits

    @classmethod
    def for_gaussian(cls, bits: int, std: float) -> UniformQuantiser:
        """The quantiser of least mean squared error for measurements ``N(0, std²)``.

        Reference: Max, Quantizing for minimum distortion, IRE Trans. Inf. Theory 6 (1960), table 2.
        """
        reach = std * GAUSSIAN_STEPS[bits - 1] * 2 ** (bits - 1)
        return cls(bits, -reach, reach)

    def forward(self, y: Tensor) -> Tensor:
        """The middle of the cell of every measurement."""
        return self.low + (self._index(y) + 0.5) * self.step

    def cell(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Ends of the cell of every measurement, infinite where the cell is open."""
        index = self._index(y)
        low, high = self.low + index * self.step, self.low + (index + 1) * self.step
        last = 2**self.bits - 1
        return low.masked_fill(index == 0, -torch.inf), high.masked_fill(index == last, torch.inf)

    def _index(self, y: Tensor) -> Tensor:
        return ((y - self.low) / self.step).floor().clamp(0, 2**self.bits - 1)
