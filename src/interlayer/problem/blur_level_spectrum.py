"""The power spectrum of a photo, and what a blur that was added makes of a sharp one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Sharp photos: mean and standard deviation over generated faces of what multiplies the columns of
# `_shapes`, by benchmarks/sharp_spectrum.py. The level is free; the cubic is left to photos.
_MEAN = (0.0, -7.44, 0.26, 0.0) + (0.0,) * 12
_SPREAD = (10.0, 0.71, 0.37, 0.25) + (0.39, 0.29, 0.35) * 4
_SOFTNESS = 0.25  # square of their own blur in pixels at 1024 px
SIDE = 1024  # of those faces
_SCALE = 0.4  # of the residuals, which are heavy-tailed
_FLOOR_SPREAD = (10.0, 0.6)  # of the noise floor's level and slope
_LEAST_PATCH = 24
_NOT_QUITE_ZERO = 1e-4  # of a kernel, so that gradients move what is zero
_HIDDEN = 1 / 12  # of a squared step: what rounding adds, and about what is lost below it


@dataclass(frozen=True)
class Explanation:
    """Fit of a sharp photo, blurred, with a noise floor, to a spectrum.

    Attributes:
        misfit: negative logarithm of its posterior density, up to a constant.
        floor: power of the noise at the highest frequencies.
    """

    misfit: float
    floor: float


@dataclass(frozen=True)
class Spectrum:
    """Power of a photo in cells of the frequency plane, rings cut into sectors.

    Attributes:
        log_power: logarithm of each cell's mean power (M,).
        fx, fy: frequencies of the bins (N,) in cycles a pixel, x to the right and y upwards.
        cell: number of each bin's cell (N,).
        shapes: what log spectra of sharp photos consist of (M, 16).
        softness: square of a sharp photo's own blur in pixels.
        hidden: power (M,) below which cells say nothing, as a file has not kept them.
    """

    log_power: Tensor
    fx: Tensor
    fy: Tensor
    cell: Tensor
    shapes: Tensor
    softness: float
    hidden: Tensor

    def explained_by(self, transfer: Callable[[Tensor, Tensor], Tensor]) -> Explanation:
        """Fit ``log(P + J) ~ log(exp(B b) |K|² + exp(F c) + J)`` with Student's t for residuals.

        The hidden power J, on both sides, leaves no weight to cells of far less power.

        Args:
            transfer: the blur's transfer function K of ``fx`` and ``fy``.
        """
        return _fit(self, self._log_share(transfer(self.fx, self.fy).square()))

    def nearest_kernel(self, kernel: Tensor, sparsity: float, steps: int) -> Tensor:
        """The most probable kernel near one, whose spectrum is told but for its phases.

        Minimises ``misfit + sparsity sum(sqrt(k))`` over ``k = t² / sum(t²)`` by L-BFGS.

        Args:
            kernel: the start (k, k), at least 0.
            sparsity: weight of what prefers few entries.
            steps: number of steps.
        """
        model, t = _Model(self), (kernel.double() + _NOT_QUITE_ZERO).sqrt().requires_grad_()
        rows, columns, side = self._bins
        spare = side - len(kernel)

        def log_share() -> Tensor:
            around = F.pad(t.square() / t.square().sum(), (0, spare, 0, spare))
            return self._log_share(torch.fft.rfft2(around).abs().square()[rows, columns])

        mean = model.mean(log_share().detach())
        b = mean.clone().requires_grad_()
        steepest = torch.optim.LBFGS([t, b], 1, steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            steepest.zero_grad()
            value = model.misfit(b, mean, log_share()) + sparsity * t.abs().sum()
            value.backward()
            return value

        with torch.enable_grad():
            steepest.step(closure)
        return (t.detach().square() / t.detach().square().sum()).to(kernel)

    @property
    def _bins(self) -> tuple[Tensor, Tensor, int]:
        """Rows and columns of the bins in the transform of a patch, and the patch's side."""
        side = round(1 / self.fx[self.fx > 0].min().item())
        rows, columns = (-self.fy * side).round().long() % side, (self.fx * side).round().long()
        return rows, columns, side

    def _log_share(self, square: Tensor) -> Tensor:
        """Logarithm of the share (M,) of each cell's power that a blur of |K|² (N,) lets pass."""
        distance = self.fx.square() + self.fy.square()
        own = (-4 * math.pi**2 * self.softness * distance).exp()
        weight = distance.pow(-1.5)  # most of a cell's power lies at its lower frequencies
        passed = _means(own * square * weight, self.cell) / _means(weight, self.cell)
        return passed.clamp_min(1e-12).log()


def spectrum_of(grey: Tensor, known: Tensor, steps: Tensor | None = None) -> Spectrum | None:
    """Measure the spectrum of a photo in windowed patches, so that its borders do not matter.

    Args:
        grey: photo (H, W), its shorter side at most ``SIDE``.
        known: pixels (H, W) that count; patches that contain others do not.
        steps: steps (8, 8) of a JPEG file's brightness in 255ths; ``None`` for others.

    Returns:
        ``None`` where no patch of at least 24 px is known.
    """
    side, size = min(grey.shape), min(grey.shape) // 4 * 2
    while size >= _LEAST_PATCH:
        whole = _patches(known, size).flatten(1).all(1)
        if whole.any():
            return _in_cells(_power(_patches(grey, size)[whole]), side, steps)
        size = size // 4 * 2
    return None


def _patches(picture: Tensor, size: int) -> Tensor:
    """All (P, size, size) at steps of a quarter of their size."""
    step = size // 4
    return picture.unfold(0, size, step).unfold(1, size, step).reshape(-1, size, size)


def _power(patches: Tensor) -> Tensor:
    """Mean power (n, n // 2 + 1), white noise of variance v having v.

    The window is Hann's, squared: what leaks to other frequencies is far below the rounding of an
    8-bit file.
    """
    side = torch.hann_window(patches.shape[-1], periodic=False, dtype=torch.float64).square()
    window = torch.outer(side, side)
    total = torch.zeros(())
    for patch in patches.double():
        level = (patch * window).sum() / window.sum()
        total = total + torch.fft.rfft2((patch - level) * window).abs().square()
    return total / len(patches) / window.square().sum()


def _in_cells(power: Tensor, side: int, steps: Tensor | None) -> Spectrum:
    """Sum up the bins below 0.48 cycles a pixel, at least 8 or so to a cell."""
    n = len(power)
    fy = -torch.fft.fftfreq(n, dtype=torch.float64)[:, None].expand_as(power)
    fx = torch.fft.rfftfreq(n, dtype=torch.float64).expand_as(power)
    radius = (fx.square() + fy.square()).sqrt() * n
    # Half the plane is the other's mirror.
    kept = (radius >= 2.5) & (radius < 0.48 * n) & ~((fx == 0) & (fy < 0))
    fx, fy, radius, power = fx[kept], fy[kept], radius[kept], power[kept]
    edges = [2.5]
    while edges[-1] < 0.48 * n:
        edges.append(max(edges[-1] + 2, edges[-1] * 1.09))
    ring = torch.bucketize(radius, torch.tensor(edges, dtype=torch.float64), right=True) - 1
    sectors = (torch.bincount(ring) // 8).clamp(1, 36)
    turn = torch.atan2(fy, fx) % math.pi / math.pi  # of a half turn
    sector = (turn * sectors[ring] + 0.5).long() % sectors[ring]
    # Cells that hold no bin are left out.
    cell = torch.unique(ring * 36 + sector, return_inverse=True)[1]
    height = _means((radius * side / n).log2(), cell)
    waves = [
        _means(wave(2 * math.pi * k * turn), cell)
        for k in (1, 2)
        for wave in (torch.cos, torch.sin)
    ]
    softness = _SOFTNESS * (side / SIDE) ** 2
    log_power = _means(power, cell).clamp_min(1e-12).log()
    hidden = torch.zeros_like(log_power)
    if steps is not None:
        hidden = _means(_hidden(steps, fx, fy), cell)
    return Spectrum(log_power, fx, fy, cell, _shapes(height, waves), softness, hidden)


def _hidden(steps: Tensor, fx: Tensor, fy: Tensor) -> Tensor:
    """Power (N,) below which a JPEG file loses some, from its steps (8, 8) in 255ths.

    The k-th cosine of a block has k / 16 cycles a pixel.
    """
    places = torch.stack([16 * fx, 16 * fy.abs()], -1) / 3.5 - 1
    table = (steps.double() / 255).square().log()[None, None]
    found = F.grid_sample(table, places[None, None], padding_mode="border", align_corners=True)
    return _HIDDEN * found[0, 0, 0].exp()


def _shapes(height: Tensor, waves: list[Tensor]) -> Tensor:
    """Cubics of log frequency, and quadratics that turn with the direction.

    Args:
        height: logarithm to base 2 of the frequency in cycles a side (M,).
        waves: cosines and sines of twice and four times the direction (M,) each.
    """
    t = (height - 5.5) / 3.5
    level, slope, bend, cubic = torch.ones_like(t), t, 2 * t**2 - 1, 4 * t**3 - 3 * t
    turning = [wave * part for wave in waves for part in (level, slope, bend)]
    return torch.stack([level, slope, bend, cubic, *turning], 1)


def _means(values: Tensor, cell: Tensor) -> Tensor:
    """Mean (M,) over the bins (N,) of each cell."""
    count = torch.bincount(cell)
    return torch.zeros(len(count), dtype=values.dtype).index_add_(0, cell, values) / count


class _Model:
    """What log spectra are predicted to be, with parameters b: B's, and those of the floor."""

    def __init__(self, spectrum: Spectrum) -> None:
        self.shapes, self.parts = spectrum.shapes, spectrum.shapes.shape[1]
        self.log_power, self.hidden = spectrum.log_power, spectrum.hidden.log()
        self.seen = torch.logaddexp(self.log_power, self.hidden)
        slope = self.shapes[:, 1] - 1
        self.floors = torch.stack([torch.ones_like(slope), slope], 1)
        spread = torch.tensor([*_SPREAD, *_FLOOR_SPREAD], dtype=torch.float64)
        self.precision = 1 / spread.square()
        self.high = self.shapes[:, 1] >= self.shapes[:, 1].max() - 0.1

    def mean(self, log_share: Tensor) -> Tensor:
        """The prior's mean, its levels set by the lowest and the highest frequencies."""
        mean = torch.tensor([*_MEAN, 0.0, 0.0], dtype=torch.float64)
        low = self.shapes[:, 1] <= self.shapes[:, 1].quantile(0.2)
        mean[0] = (self.log_power - self.shapes @ mean[: self.parts] - log_share)[low].median()
        mean[self.parts] = self.log_power[self.high].median() - 0.3
        return mean

    def predicted(self, b: Tensor, log_share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logarithm of the power, and the shares of it that are the picture and the floor."""
        signal, floor = self.shapes @ b[: self.parts] + log_share, self.floors @ b[self.parts :]
        total = torch.logaddexp(torch.logaddexp(signal, floor), self.hidden)
        return total, (signal - total).exp(), (floor - total).exp()

    def misfit(self, b: Tensor, mean: Tensor, log_share: Tensor) -> Tensor:
        """Negative logarithm of the posterior density, up to a constant."""
        squares = ((self.seen - self.predicted(b, log_share)[0]) / _SCALE).square()
        prior = ((b - mean).square() * self.precision).sum() / 2
        return 2.5 * torch.log1p(squares / 4).sum() + prior


def _fit(spectrum: Spectrum, log_share: Tensor) -> Explanation:
    """Levenberg and Marquardt's method, each step a weighted least-squares problem."""
    model = _Model(spectrum)
    b = mean = model.mean(log_share)
    found, damping = model.misfit(b, mean, log_share).item(), 1e-3
    for _ in range(20):
        total, share, rest = model.predicted(b, log_share)
        residual = model.seen - total
        weight = 1.25 / (1 + (residual / _SCALE).square() / 4) / _SCALE**2
        slopes = torch.cat([model.shapes * share[:, None], model.floors * rest[:, None]], 1)
        downhill = slopes.T @ (weight * residual) - (b - mean) * model.precision
        curvature = slopes.T @ (weight[:, None] * slopes) + model.precision.diag()
        damped = curvature + damping * curvature.diagonal().diag()
        tried = b + torch.linalg.solve(damped, downhill)
        value = model.misfit(tried, mean, log_share).item()
        if value >= found:
            damping *= 10
            if damping > 1e3:
                break
            continue
        gained, b, found, damping = found - value, tried, value, max(damping / 10, 1e-6)
        if gained < 0.01:
            break
    floor = b[model.parts].exp().item() + spectrum.hidden[model.high].mean().item()
    return Explanation(found, floor)
