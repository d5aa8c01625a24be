"""Tensors in PyTorch files and NVIDIA pickles, found as data and read one at a time.

Three containers: a zip archive (`torch.save` since 1.6), four pickles with raw storages behind
them (`torch.save` before), and a bare pickle whose storages are themselves such files. Nothing is
read until a tensor is asked for, and no tensor may be larger than what the file holds for it.
"""

from __future__ import annotations

import io
import math
import mmap
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.weights.pickles import Name, PersistentId, Record, read_pickle

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001
_PICKLE_IN_ZIP_LIMIT = 64 << 20
_DIMENSIONS_LIMIT = 8
_LONGEST_KEY = 80
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_NESTED = "torch.storage._load_from_bytes"
_NUMPY_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")


@dataclass(frozen=True)
class Storage:
    """Flat run of ``numel`` values in the file; ``read`` gives its bytes."""

    dtype: torch.dtype
    numel: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class LazyTensor:
    """Tensor of known shape that has not been read yet."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage: Storage

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def load(self) -> Tensor:
        """Read the tensor into memory of its own, contiguous."""
        raw = bytearray(self.storage.read())
        said = self.storage.numel * self.storage.dtype.itemsize
        if len(raw) < said:
            raise InputError("a storage in the file is shorter than the file says; it is cut short")
        if len(raw) > said:
            raise InputError("a storage in the file is longer than the file says; it is damaged")
        if not raw:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        flat = torch.frombuffer(raw, dtype=self.storage.dtype)
        return flat.as_strided(self.shape, self.stride, self.offset).clone().contiguous()


@dataclass(frozen=True)
class TorchFile:
    """Root object of a file, as `read_pickle` gives it, and the way to its tensors."""

    root: Any
    storage: Callable[[object], Storage]
    _nested: dict[int, Storage] = field(default_factory=dict, repr=False)

    def tensor(self, value: object) -> LazyTensor | None:
        """Return the tensor or parameter that a record describes, ``None`` for any other record.

        Raises:
            InputError: if the description is broken or claims more values than its storage has.
        """
        for _ in range(2):
            if not isinstance(value, Record) or not isinstance(value.args, tuple):
                return None
            if value.callable.value in _TENSORS and len(value.args) >= 4:
                return self._view(*value.args[:4])
            if value.callable.value not in _PARAMETERS or not value.args:
                return None
            value = value.args[0]
        return None

    def _view(self, source: object, offset: object, shape: object, stride: object) -> LazyTensor:
        storage = self._storage(source)
        shape, stride = _sizes(shape), _sizes(stride)
        (offset,) = _sizes((offset,))
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=False))
        numel = math.prod(shape)
        if len(shape) != len(stride) or numel > storage.numel or (numel and last >= storage.numel):
            raise InputError(
                f"a tensor of shape {shape} is claimed, but the file holds {storage.numel:,} values"
            )
        return LazyTensor(shape, stride, offset, storage)

    def _storage(self, source: object) -> Storage:
        if isinstance(source, PersistentId):
            return self.storage(source.value)
        if isinstance(source, Record) and source.callable.value == _NESTED:
            match source.args:
                case (bytes() as raw,):
                    if id(raw) not in self._nested:  # the root object keeps it alive
                        self._nested[id(raw)] = _nested_storage(raw)
                    return self._nested[id(raw)]
                case (Record(Name("_codecs.encode"), (str() as letters, "latin1")) as raw,):
                    if id(raw) not in self._nested:  # bytes of a pickle of protocol 2
                        encoded = letters.encode("latin1", "ignore")
                        self._nested[id(raw)] = _nested_storage(encoded)
                    return self._nested[id(raw)]
        raise InputError("a tensor's storage is not stored in any way that PyTorch uses")


def open_torch_file(path: Path) -> TorchFile:
    """Read the structure of a ``.pt``, ``.pth`` or ``.pkl`` file, whatever its name.

    Raises:
        InputError: if it is none of these, is damaged, or claims more data than it holds.
    """
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if view[:4] == b"PK\x03\x04":
        return _open_zip(path)
    first = read_pickle(view)
    view.seek(0)
    if first.root == LEGACY_MAGIC:
        return _open_legacy(view, len(view))
    return TorchFile(first.root, _no_storage)


def plain_number(value: object) -> float | None:
    """Return the number in a plain value or in a record of a NumPy scalar, else ``None``."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return float(value)
    match value:
        case Record(Name(name), (Record(Name("numpy.dtype"), (str(kind), *_)), bytes(raw))):
            formats = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i"}
            if name in _NUMPY_SCALARS and kind in formats:
                if struct.calcsize(formats[kind]) == len(raw):
                    return float(struct.unpack(formats[kind], raw)[0])
    return None


def _open_zip(path: Path) -> TorchFile:
    try:
        archive = zipfile.ZipFile(path)
        entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
        raise InputError("the zip archive is damaged or cut short") from None
    if any("/code/" in name or name.endswith("/constants.pkl") for name in entries):
        raise InputError(
            "this is a TorchScript program, and nothing in it is run; give the module that it was "
            "made from to interlayer.Sequential, as docs/extending.md shows"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise InputError("the zip archive is compressed, which PyTorch's files never are")
    if sum(entry.file_size for entry in entries.values()) > path.stat().st_size:
        raise InputError("the zip archive claims more data than the file holds")
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1 or entries[pickles[0]].file_size > _PICKLE_IN_ZIP_LIMIT:
        raise InputError("the zip archive is not one that PyTorch's save makes")
    prefix = pickles[0].removesuffix("data.pkl")

    def read(name: str) -> bytes:
        try:
            return archive.read(entries[name])
        except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, EOFError, struct.error):
            raise InputError(f"the zip archive's {name[:80]!r} is damaged") from None

    def storage(pid: object) -> Storage:
        dtype, key, numel = _parse_persistent_id(pid)
        entry = entries.get(f"{prefix}data/{key}")
        if entry is None or entry.file_size < numel * dtype.itemsize:
            raise InputError(f"{numel:,} values are claimed that the file does not hold")
        return Storage(dtype, numel, lambda: read(entry.filename))

    if f"{prefix}byteorder" in entries and read(f"{prefix}byteorder") != b"little":
        raise InputError("the file was written on a big-endian machine; save it again on another")
    return TorchFile(read_pickle(read(pickles[0])).root, storage)


def _open_legacy(stream: Any, size: int) -> TorchFile:
    """Read magic number, version, system information, object and keys; then come the storages."""
    magic, version, _, content, keys = (read_pickle(stream) for _ in range(5))
    if magic.root != LEGACY_MAGIC or version.root != LEGACY_VERSION:
        raise InputError("the storage in the file is not one that PyTorch's save makes")
    claims: dict[str, tuple[torch.dtype, int]] = {}
    for pid in content.persistent_ids:
        dtype, key, numel = _parse_persistent_id(pid.value)
        claims[key] = (dtype, numel)
    places: dict[str, int] = {}
    position = stream.tell()
    for key in keys.root if isinstance(keys.root, list) else []:
        if not isinstance(key, str) or key not in claims or key in places:
            raise InputError("the file lists a storage that it does not describe")
        dtype, numel = claims[key]
        places[key] = position + 8
        position += 8 + numel * dtype.itemsize
    if position > size:
        raise InputError("the file is cut short: it claims more data than it holds")

    def storage(pid: object) -> Storage:
        dtype, key, numel = _parse_persistent_id(pid)
        if key not in places or claims[key] != (dtype, numel):
            raise InputError("a storage is claimed that the file does not hold")

        def read() -> bytes:
            stream.seek(places[key] - 8)
            if stream.read(8) != struct.pack("<q", numel):
                raise InputError("a storage's length differs from what the file says of it")
            return stream.read(numel * dtype.itemsize)

        return Storage(dtype, numel, read)

    return TorchFile(content.root, storage)


def _nested_storage(raw: bytes) -> Storage:
    """Storage that a file within the file consists of."""
    nested = _open_legacy(io.BytesIO(raw), len(raw))
    if not isinstance(nested.root, PersistentId):
        raise InputError("a tensor's storage is not stored in any way that PyTorch uses")
    return nested.storage(nested.root.value)


def _parse_persistent_id(pid: object) -> tuple[torch.dtype, str, int]:
    """Parse ``("storage", type, key, location, numel)`` to data type, key and number."""
    match pid:
        case ("storage", Name(name), str(key), str(), int(numel), *rest) if not any(rest):
            module, _, kind = name.rpartition(".")
            known = module in ("torch", "torch.storage") and kind in _DTYPES
            if known and len(key) <= _LONGEST_KEY and 0 <= numel < 2**48:
                return _DTYPES[kind], key, numel
    raise InputError("the file refers to a storage in a way that PyTorch does not use")


def _sizes(values: object) -> tuple[int, ...]:
    """Check a shape or stride."""
    if not isinstance(values, (tuple, list)) or len(values) > _DIMENSIONS_LIMIT:
        raise InputError("a tensor in the file has a shape that is not one")
    if not all(isinstance(n, int) and 0 <= n < 2**48 for n in values):
        raise InputError("a tensor in the file has a shape that is not one")
    return tuple(values)


def _no_storage(pid: object) -> Storage:
    raise InputError("a tensor's storage lies outside the file")
