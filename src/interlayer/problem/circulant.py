"""Random rows of a circulant matrix: compressed sensing at the price of two short FFTs."""

from __future__ import annotations

import torch
from torch import Tensor

from interlayer.problem.linear import MatrixFree


class PartialCirculant(MatrixFree):
    r"""Random rows of a circulant Gaussian matrix with random signs: compressed sensing by FFT.

    ``A x = (g * (s ⊙ x))_Ω``: signs ``s ∈ {±1}^n``, circular convolution of the flattened image
    with ``g ~ N(0, 1/n)``, and ``m`` of the ``n`` outputs kept (without replacement). Then
    ``E ||A x||² = (m/n) ||x||²``, and ``A_adjoint`` is the exact transpose. Each costs two complex
    FFTs of length n/2 (n even). All random parts come from ``seed`` and are buffers (`state_dict`).

    Args:
        img_size: shape (C, H, W) of the image; n is its number of entries.
        m: number of measurements, 1 to n.
        seed: seed of signs, filter and rows.
        device: device of the operator.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`, e.g. ``noise_model``.

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

    row_norm = 1.0  # root mean square over the rows, in expectation

    def __init__(
        self,
        img_size: tuple[int, ...],
        m: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        **kwargs,
    ) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        self.size = tuple(img_size)
        self.n = torch.Size(img_size).numel()
        if not 1 <= m <= self.n:
            raise ValueError(
                f"a partial circulant operator keeps 1 to {self.n} measurements, not {m}"
            )
        rng = torch.Generator().manual_seed(seed)
        self.register_buffer("signs", torch.randint(0, 2, (self.n,), generator=rng).float() * 2 - 1)
        self.register_buffer("filter", torch.randn(self.n, generator=rng) / self.n**0.5)
        self.register_buffer("rows", torch.randperm(self.n, generator=rng)[:m].sort().values)
        self._spectra: tuple[Tensor, Tensor] | None = None
        self.to(device)

    def _product(self, x: Tensor) -> Tensor:
        signed = x.flatten(1) * self.signs.to(x.dtype)
        return self._convolve(signed, transpose=False).index_select(1, self.rows)

    def _transposed_product(self, y: Tensor) -> Tensor:
        full = y.new_zeros(y.shape[0], self.n).index_copy_(1, self.rows, y)
        signed = self._convolve(full, transpose=True).mul_(self.signs.to(y.dtype))
        return signed.reshape(-1, *self.size)

    def _convolve(self, x: Tensor, transpose: bool) -> Tensor:
        """Convolve real rows (B, n) with the filter, ``g * x``, or with it mirrored in time.

        Even and odd samples are the real and imaginary parts of one complex signal half as long:
        with Z its spectrum and Z'_k = conj(Z_-k), the result has the spectrum α Z + β Z'.
        """
        if self.n % 2:
            spectrum = self._filter_spectra(x)[0]
            return torch.fft.irfft(
                torch.fft.rfft(x) * (spectrum.conj() if transpose else spectrum), n=self.n
            )
        alpha, beta = self._filter_spectra(x)
        packed = torch.fft.fft(torch.view_as_complex(x.reshape(len(x), -1, 2)))
        # The transpose of Z -> α Z + β Z' is Z -> conj(α) Z + (β' conj(Z))'.
        mirrored = _mirror(packed * beta.conj() if transpose else packed)
        if transpose:
            packed.mul_(alpha.conj()).add_(mirrored.conj())
        else:
            packed.mul_(alpha).addcmul_(beta, mirrored.conj())
        return torch.view_as_real(torch.fft.ifft(packed)).reshape(len(x), -1)

    def _filter_spectra(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The spectra α and β of `_convolve` in the precision and on the device of ``like``."""
        kept = self._spectra
        dtype = torch.complex128 if like.dtype == torch.float64 else torch.complex64
        if kept is None or kept[0].dtype != dtype or kept[0].device != like.device:
            kept = _spectra(self.filter.to(like.device, like.dtype))
            self._spectra = kept
        return kept

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._spectra = None


def _spectra(g: Tensor) -> tuple[Tensor, Tensor]:
    """The spectra α and β of `_convolve` for a filter; its plain spectrum and nothing for odd n."""
    if len(g) % 2:
        return torch.fft.rfft(g), g.new_empty(0)
    # With E, O the spectra of the even and odd samples of a signal and W the delay by one of
    # them, g * x has the even samples E_g E + W O_g O and the odd ones O_g E + E_g O.
    even, odd = torch.fft.fft(g.reshape(-1, 2).T)
    steps = torch.arange(len(even), dtype=torch.float64, device=g.device)
    delay = torch.polar(torch.ones_like(steps), -2 * torch.pi * steps / len(even)).to(even.dtype)
    return even + 0.5j * (1 - delay) * odd, 0.5j * (1 + delay) * odd


def _mirror(spectrum: Tensor) -> Tensor:
    """The spectrum with entry -k (modulo the length) at k."""
    return torch.cat([spectrum[:, :1], spectrum[:, 1:].flip(-1)], dim=1)
