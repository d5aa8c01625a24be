"""Forward operators that deepinv lacks, as deepinv physics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from deepinv.physics import LinearPhysics
from torch import Tensor


class PartialCirculant(LinearPhysics):
    r"""Random rows of a circulant Gaussian matrix with random signs: compressed sensing by FFT.

    ``A x = (g * (s ⊙ x))_Ω``: signs ``s ∈ {±1}^n``, circular convolution of the flattened image
    with ``g ~ N(0, 1/n)``, and ``m`` of the ``n`` outputs kept (without replacement). Then
    ``E ||A x||² = (m/n) ||x||²``, and ``A_adjoint`` is the exact transpose. Both cost one real FFT
    pair of length n. All random parts come from ``seed`` and are buffers (`state_dict`).

    Args:
        img_size: (C, H, W) of the image; n is its number of entries.
        m: number of measurements, 1 to n.
        seed: of signs, filter and rows.
        device: where the operator lives.
        **kwargs: of `deepinv.physics.LinearPhysics`, e.g. ``noise_model``.

    Raises:
        ValueError: if ``m`` is not within 1 to n.

    Reference: Romberg, Compressive sensing by random convolution, SIAM J. Imaging Sci. 2 (2009);
    used by ILO (arXiv 2102.07364).

    >>> physics = PartialCirculant((3, 8, 8), m=20)
    >>> x = torch.rand(2, 3, 8, 8)
    >>> y = physics(x)
    >>> y.shape
    torch.Size([2, 20])
    >>> back = physics.A_adjoint(y)
    >>> bool(((back * x).sum() - (y * y).sum()).abs() < 1e-3)
    True
    """

    signs: Tensor
    filter: Tensor
    rows: Tensor

    def __init__(
        self,
        img_size: tuple[int, ...],
        m: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        **kwargs,
    ) -> None:
        super().__init__(img_size=img_size, **kwargs)
        self.size = tuple(img_size)
        n = int(torch.Size(img_size).numel())
        if not 1 <= m <= n:
            raise ValueError(f"a partial circulant operator keeps 1 to {n} measurements, not {m}")
        rng = torch.Generator().manual_seed(seed)
        self.register_buffer("signs", torch.randint(0, 2, (n,), generator=rng).float() * 2 - 1)
        self.register_buffer("filter", torch.randn(n, generator=rng) / n**0.5)
        self.register_buffer("rows", torch.randperm(n, generator=rng)[:m].sort().values)
        self._spectrum: Tensor | None = None
        self.to(device)

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Measurements (B, m) of images (B, C, H, W)."""
        signed = x.flatten(1) * self.signs.to(x.dtype)
        spectrum = torch.fft.rfft(signed) * self._filter_spectrum(x)
        return torch.fft.irfft(spectrum, n=signed.shape[1])[:, self.rows]

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W) from measurements (B, m)."""
        n = self.signs.numel()
        full = y.new_zeros(y.shape[0], n).index_copy(1, self.rows, y)
        spectrum = torch.fft.rfft(full) * self._filter_spectrum(y).conj()
        signed = torch.fft.irfft(spectrum, n=n)
        return (signed * self.signs.to(y.dtype)).reshape(-1, *self.size)

    def _filter_spectrum(self, like: Tensor) -> Tensor:
        """Spectrum of the filter in the precision and on the device of ``like``, kept once made."""
        kept = self._spectrum
        dtype = torch.complex128 if like.dtype == torch.float64 else torch.complex64
        if kept is None or kept.dtype != dtype or kept.device != like.device:
            kept = torch.fft.rfft(self.filter.to(like.device, like.dtype))
            self._spectrum = kept
        return kept

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._spectrum = None


class BicubicDownsampling(LinearPhysics):
    r"""Bicubic downsampling with antialiasing as two small matrix products.

    ``A x = R x Rᵀ`` for each channel, R (H/K, H) being the resampling matrix of PyTorch's (and
    Pillow's) antialiased bicubic filter. deepinv's own operator convolves at full resolution,
    which takes seconds a step at K = 16 on a 1024x1024 image.

    Args:
        img_size: (C, H, W) of the image.
        factor: K; it divides H and W.
        **kwargs: of `deepinv.physics.LinearPhysics`.

    Raises:
        ValueError: if ``factor`` does not divide the size.

    >>> BicubicDownsampling((3, 16, 16), factor=4)(torch.ones(1, 3, 16, 16)).shape
    torch.Size([1, 3, 4, 4])
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, img_size: tuple[int, ...], factor: int, **kwargs) -> None:
        super().__init__(img_size=img_size, **kwargs)
        height, width = img_size[-2:]
        if factor < 1 or height % factor or width % factor:
            raise ValueError(f"{factor} does not divide the image size {height}x{width}")
        self.register_buffer("rows", _bicubic_matrix(height, factor))
        self.register_buffer("columns", _bicubic_matrix(width, factor))

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Small images (B, C, H/K, W/K)."""
        return self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype).mT

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W)."""
        return self.rows.to(y.dtype).mT @ y @ self.columns.to(y.dtype)


def _bicubic_matrix(size: int, factor: int) -> Tensor:
    """The matrix (size / factor, size) that shrinks a signal of ``size`` samples."""
    identity = torch.eye(size)[None, None]
    shape = (size // factor, size)
    return F.interpolate(identity, shape, mode="bicubic", antialias=True, align_corners=False)[0, 0]
