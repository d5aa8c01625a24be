"""Known tricks against readers of pickles and archives: data or a sentence, and nothing runs."""

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlayer import InputError
from interlayer.weights.checkpoints import load_generator, read_checkpoint
from interlayer.weights.pickles import read_pickle
from interlayer.weights.stylegan2_files import collect
from interlayer.weights.torch_files import LazyTensor, open_torch_file

from .checkpoint_files import (
    nvidia_pickle,
    nvidia_tensors,
    rosinality_state,
    saved,
    small_tensors,
)

MARKER = "/tmp/interlayer-trick"
CENTRAL = b"PK\x01\x02"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def frame(content: bytes, claimed: int | None = None) -> bytes:
    length = len(content) if claimed is None else claimed
    return b"\x95" + struct.pack("<Q", length) + content


CODE = f"open('{MARKER}','w').close()"
CALL = b"cbuiltins\nexec\n" + text(CODE) + b"\x85R"
MAGIC = 0x1950A86A20F9469CFC6C
TRICKS = {
    "a frame that ends within an opcode": b"\x80\x04" + frame(CALL + b".", len(CALL) - 3),
    "a frame shorter than its first opcode": b"\x80\x04" + frame(CALL + b".", 1),
    "a frame longer than the file": b"\x80\x04" + frame(CALL + b".", 2**40),
    "NEWOBJ_EX": b"\x80\x04cbuiltins\nexec\n" + text(CODE) + b"\x85}\x92.",
    "OBJ, then POP": b"\x80\x04(cbuiltins\nexec\n" + text(CODE) + b"o0N.",
    "INST, then POP": b"(" + text(CODE) + b"ibuiltins\nexec\n0N.",
    "a dotted name": b"\x80\x04"
    + text("os")
    + text("path.os.system")
    + b"\x93"
    + text("id")
    + b"\x85R.",
    "a name with a line break": b"\x80\x04" + text("os\nsystem") + text("x") + b"\x93.",
    "a call in the memo": b"\x80\x04" + CALL + b"q\x000h\x00h\x00\x86.",
    "a memo number of four bytes": b"\x80\x04" + CALL + b"r\xff\xff\xff\x7f0j\xff\xff\xff\x7f.",
    "a memo number that nothing has": b"\x80\x04h\x07.",
    "a negative memo number": b"\x80\x04Np-1\n.",
    "BUILD of a call": b"\x80\x04" + CALL + b"}" + text("__setstate__") + b"cos\nsystem\nsb.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent call": b"\x80\x04" + CALL + b"Q.",
    "a buffer outside": b"\x80\x05\x97.",
    "a string of an encoding": b"S'\\x70\\xff'\n.",
    "a string without an end": b"S'abc\n.",
    "UTF-7 in a text": b"V+AGE-\\ud800\n.",
    "a number of 5,000 digits": b"I" + b"9" * 5000 + b"\n.",
    "a long of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "two pickles": b"\x80\x04N." + b"\x80\x04" + CALL + b".",
    "a computed magic number": b"\x80\x02cbuiltins\nint\n" + text(hex(MAGIC)) + b"\x85R.",
    "no end": b"\x80\x04" + CALL,
    "a protocol of the future": b"\x80\x63N.",
}


@pytest.fixture(autouse=True)
def nothing_runs():
    Path(MARKER).unlink(missing_ok=True)
    yield
    assert not Path(MARKER).exists()


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_is_data_or_a_sentence(name, tmp_path):
    content = TRICKS[name]
    for prefix in (b"", pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2)):
        path = tmp_path / "trick.pkl"
        path.write_bytes(prefix + content)
        with pytest.raises(InputError):
            read_checkpoint(path)
    try:
        read_pickle(content)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.fixture(scope="module")
def archive() -> bytes:
    return saved(rosinality_state(small_tensors()))


def rewritten(archive: bytes, change) -> bytes:
    """The archive with its entries as ``change`` (a list of names and contents) leaves them."""
    with zipfile.ZipFile(io.BytesIO(archive)) as before:
        entries = [(name, before.read(name)) for name in before.namelist()]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as after:
        for name, content in change(entries):
            after.writestr(name, content)
    return stream.getvalue()


def patched(content: bytes, offset: int, value: bytes) -> bytes:
    """Bytes at an offset behind the beginning of each entry of a zip archive's directory."""
    changed, at = bytearray(content), content.find(CENTRAL)
    while at >= 0:
        changed[at + offset : at + offset + len(value)] = value
        at = content.find(CENTRAL, at + 1)
    return bytes(changed)


def evil(entries):
    return [(n, b"\x80\x02" + CALL + b"." if n.endswith("data.pkl") else c) for n, c in entries]


def tarred(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        info = tarfile.TarInfo("storages")
        info.size = len(content)
        file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "change",
    [
        lambda z: rewritten(z, lambda e: [*e, *evil(e)[:1]]),
        lambda z: rewritten(z, evil),
        lambda z: rewritten(z, lambda e: [*e, ("other/data.pkl", b"\x80\x02" + CALL + b".")]),
        lambda z: patched(z, 16, b"\0\0\0\0"),
        lambda z: patched(z, 8, b"\x01\x00"),
        lambda z: patched(z, 42, b"\x07\0\0\0"),
        lambda z: patched(z, 24, b"\xff\xff\xff\x0f"),
        lambda z: b"7z\xbc\xaf\x27\x1c" + z,
        tarred,
        lambda z: z[: len(z) // 2],
    ],
    ids=(
        "an entry twice,a call inside,two pickles,wrong sums,encrypted,"
        "another place,another size,7z,tar,half"
    ).split(","),
)
def test_a_manipulated_archive_is_refused(change, archive, tmp_path):
    path = tmp_path / "trick.pt"
    path.write_bytes(change(archive))
    with pytest.raises(InputError):
        load_generator(path)


def test_a_file_that_is_two_things_is_read_as_the_first(archive, tmp_path):
    path = tmp_path / "both.pkl"
    path.write_bytes(b"\x80\x04" + CALL + b"." + archive)
    with pytest.raises(InputError):
        read_checkpoint(path)


STORED = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shapes=st.lists(st.lists(st.integers(1, 4), max_size=4).map(tuple), min_size=1, max_size=4),
    kinds=st.lists(st.sampled_from(STORED), min_size=4, max_size=4),
    view=st.sampled_from(["whole", "transposed", "strided", "shared"]),
    legacy=st.booleans(),
    seed=st.integers(0, 99),
)
def test_tensors_of_benign_files_are_those_that_pytorch_loads(
    shapes, kinds, view, legacy, seed, tmp_path_factory
):
    rng = torch.Generator().manual_seed(seed)
    state, whole = {}, torch.randn(600, generator=rng)
    for i, (shape, kind) in enumerate(zip(shapes, kinds, strict=False)):
        value = (100 * torch.randn(shape, generator=rng)).to(kind)
        if view == "transposed":
            value = value.T if value.ndim == 2 else value
        elif view == "strided" and value.ndim:
            value = value.repeat_interleave(2, 0)[::2]
        elif view == "shared":
            value = whole[i : i + value.numel()].view(shape)
        state[f"t{i}"] = torch.nn.Parameter(value) if value.is_floating_point() and i % 2 else value
    path = tmp_path_factory.mktemp("benign") / "state.pt"
    path.write_bytes(saved(state, legacy=legacy))
    expected = torch.load(path, weights_only=True)
    file = open_torch_file(path)
    found = collect(file, file.root).tensors
    assert found.keys() == expected.keys()
    for name, lazy in found.items():
        assert isinstance(lazy, LazyTensor)
        assert torch.equal(lazy.load(), expected[name].detach()), name
        assert lazy.load().dtype == expected[name].dtype


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_gives_the_same_tensors(protocol, tmp_path):
    content = nvidia_pickle(nvidia_tensors(small_tensors()), protocol=protocol)
    path = tmp_path / "g.pkl"
    path.write_bytes(content)
    if protocol < 2:  # begins with no mark of a pickle
        with pytest.raises(InputError):
            read_checkpoint(path)
        return
    for name, value in small_tensors().items():
        torch.testing.assert_close(read_checkpoint(path).load()[name], value)
