"""Gaussian matrix that need not be stored: its entries are a function of row and column."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

from interlayer.memory import available_memory
from interlayer.problem.linear import MatrixFree

VALUES = 2**16
# Type of the rows that are kept, which holds each of the values exactly.
KEPT = torch.float16
# Rows and columns of words made at a time, on other devices and on a CPU, in whose cache they stay.
BLOCK = ((2**10, 2**15), (2**4, 2**14))
INT32 = 2**31
# Bytes that kept rows leave free.
RESERVE = 4 << 30


class GaussianMatrix(MatrixFree):
    r"""Matrix of independent Gaussians ``A_ij ~ N(0, 1/m)`` that is stored only where it fits.

    Each entry is the normal quantile of 16 bits of a hash of its column and of two random 32-bit
    keys of its row, so that any block can be made again by itself, the same on every device. Hence
    an entry takes one of 65,536 equally likely values, rounded to 16-bit floating point: its
    distribution function is within 2e-4 of the Gaussian one, its variance within 1e-4 of 1, and
    none exceeds 4.4 standard deviations. ``A_adjoint`` is the exact transpose, and
    ``E ||A x||² = ||x||²``.

    An application makes all m n entries, once for the whole batch, and needs a few MB per thread
    besides vectors of length m and n. From the second ``A`` on, rows are kept for later, 2 bytes an
    entry, as long as 4 GB of memory stay free. That changes the time, to less than half if all are
    kept, but not the results.

    Args:
        img_size: shape (C, H, W) of the image; n is its number of entries.
        m: number of measurements, at least 1.
        seed: seed of the keys.
        device: device of the operator.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`, e.g. ``noise_model``.

    Raises:
        ValueError: if ``m`` is less than 1.

    Reference: Bora et al., Compressed sensing using generative models (arXiv 1703.03208), measures
    with such a matrix; counter-based generation is from Salmon et al., Parallel random numbers: as
    easy as 1, 2, 3 (SC 2011); the mixing constants are those of C. Wellons' hash "lowbias32".

    >>> physics = GaussianMatrix((3, 8, 8), m=20)
    >>> physics(torch.rand(2, 3, 8, 8)).shape
    torch.Size([2, 20])
    """

    keys: Tensor
    columns: Tensor
    quantiles: Tensor

    def __init__(
        self,
        img_size: tuple[int, ...],
        m: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        **kwargs,
    ) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        if m < 1:
            raise ValueError(f"a Gaussian matrix has at least 1 row, not {m}")
        self.size, self.m = tuple(img_size), m
        self.n = torch.Size(img_size).numel()
        self.row_norm = (self.n / m) ** 0.5  # root mean square over the rows, in expectation
        rng = torch.Generator().manual_seed(seed)
        keys = torch.randint(-INT32, INT32, (2, m), generator=rng, dtype=torch.int32)
        self.register_buffer("keys", keys)
        # One word makes the entries of two columns, j and j + width.
        self.width = (self.n + 1) // 2
        columns = _mix(torch.arange(self.width, dtype=torch.int32))
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("quantiles", _normal_quantiles(), persistent=False)
        self._kept: dict[int, Tensor] = {}
        self._used = False
        self.to(device)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": {}}

    def _apply(self, *args, **kwargs) -> GaussianMatrix:
        self._kept = {}
        return super()._apply(*args, **kwargs)

    def _product(self, x: Tensor) -> Tensor:
        halves = self._halves(x.flatten(1))
        y = x.new_zeros(len(x), self.m)
        row_blocks, column_blocks = self._blocks()
        # A single application would not pay back.
        keep, self._used = self._used, True

        def fill(rows: slice) -> None:
            if keep:
                self._keep(rows, column_blocks)
            for columns in column_blocks:
                for half, block in zip(halves, self._entries(rows, columns), strict=True):
                    y[:, rows] += half[:, columns] @ block.to(y.dtype).T

        self._each(fill, row_blocks)
        return y.div_(self.m**0.5)

    def _transposed_product(self, y: Tensor) -> Tensor:
        y = y.detach() / self.m**0.5
        halves = y.new_zeros(2, len(y), self.width)
        row_blocks, column_blocks = self._blocks()

        def fill(columns: slice) -> None:
            for rows in row_blocks:
                for half, block in zip(halves, self._entries(rows, columns), strict=True):
                    half[:, columns] += y[:, rows] @ block.to(y.dtype)

        self._each(fill, column_blocks)
        return halves.transpose(0, 1).flatten(1)[:, : self.n].reshape(-1, *self.size)

    def _halves(self, flat: Tensor) -> Tensor:
        """Split vectors (B, n) in two halves (2, B, width), with a zero appended for odd n."""
        padded = torch.nn.functional.pad(flat, (0, 2 * self.width - self.n))
        return padded.reshape(len(flat), 2, self.width).transpose(0, 1)

    def _blocks(self) -> tuple[list[slice], list[slice]]:
        """Cut the matrix of words (m, width) into blocks of rows and of columns."""
        rows, columns = BLOCK[self.keys.device.type == "cpu"]
        return _cuts(self.m, rows), _cuts(self.width, columns)

    def _each(self, fill: Callable[[slice], None], blocks: list[slice]) -> None:
        """Fill separate parts of a result, on a CPU several at a time."""
        workers = torch.get_num_threads() if self.keys.device.type == "cpu" else 1
        if workers == 1:
            deque(map(fill, blocks), maxlen=0)
            return
        # PyTorch's own threads would meet after every short operation, which wins nothing here and
        # takes forever on a busy machine.
        with ThreadPoolExecutor(workers, initializer=_compute_alone) as pool:
            deque(pool.map(fill, blocks), maxlen=0)

    def _keep(self, rows: slice, column_blocks: list[slice]) -> None:
        """Store a block of rows, if there is memory for it."""
        shape = (2, rows.stop - rows.start, self.width)
        device = self.keys.device
        room = available_memory(device) - RESERVE
        if rows.start in self._kept or room < torch.Size(shape).numel() * KEPT.itemsize:
            return
        made = torch.empty(shape, dtype=KEPT, device=device)
        for columns in column_blocks:
            for half, block in zip(made, self._entries(rows, columns), strict=True):
                half[:, columns] = block
        self._kept[rows.start] = made

    def _entries(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        """Make standard Gaussians (rows, columns) of the left and the right half of the matrix."""
        kept = self._kept.get(rows.start)
        if kept is not None:
            left, right = kept[:, :, columns]
            return left, right
        flip, multiplier = self.keys[:, rows, None]
        word = _mix((self.columns[columns] ^ flip).mul_(multiplier | 1))
        # An index may be neither negative nor beyond the table.
        high = (word >> 16).bitwise_and_(VALUES - 1)
        low = word.bitwise_and_(VALUES - 1)
        left, right = (self.quantiles.index_select(0, half.flatten()) for half in (low, high))
        return left.view_as(word), right.view_as(word)


def _compute_alone() -> None:
    """Have PyTorch use one thread for the operations of this thread, and of no other.

    `torch.set_num_threads` would do so for every thread that starts from then on. Where PyTorch is
    built with other libraries, its operations go on sharing threads, which takes longer.
    """
    torch.get_num_threads()  # else PyTorch sets the number itself, at the thread's first operation
    for set_threads in _thread_setters():
        set_threads(1)


@cache
def _thread_setters() -> list[Callable[[int], object]]:
    """Functions of the libraries behind PyTorch that set the number for the calling thread."""
    library = ctypes.CDLL(torch._C.__file__)
    names = "omp_set_num_threads", "MKL_Set_Num_Threads_Local"
    return [getattr(library, name) for name in names if hasattr(library, name)]


def _cuts(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _mix(word: Tensor) -> Tensor:
    """Scramble 32-bit words in place, one to one."""
    scratch = torch.empty_like(word)
    for shift, multiplier in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32), (16, 1)):
        torch.bitwise_right_shift(word, shift, out=scratch)
        # The shift drags the sign along; as a shift of unsigned words it would not.
        word.bitwise_xor_(scratch.bitwise_and_((1 << (32 - shift)) - 1))
        if multiplier != 1:
            word.mul_(multiplier)
    return word


def _normal_quantiles() -> Tensor:
    """Quantiles (VALUES,) amid equally likely parts of N(0, 1), scaled to variance 1."""
    middles = (torch.arange(VALUES, dtype=torch.float64) + 0.5) / VALUES
    quantiles = torch.special.ndtri(middles)
    return (quantiles / quantiles.std(correction=0)).to(KEPT).float()
