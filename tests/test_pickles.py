import io
import os
import pickle
import pickletools
import random
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from interlayer.errors import InputError
from interlayer.weights.checkpoints import read_checkpoint
from interlayer.weights.pickles import MAX_OPCODES, Name, PersistentId, Record, read_pickle

from .checkpoint_files import nvidia_pickle, nvidia_tensors, rosinality_state, saved, small_tensors

MUTANTS_EACH = 450
LONGEST = 5.0


class Holder:
    """Something with state, items and elements."""


class Shelf(dict):
    """A dictionary with a name of its own."""


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_what_pickle_gives(protocol: int) -> None:
    value = {
        "text": "ε" * 300,
        "numbers": [0, 255, 65536, -(2**31), 2**80, -1.5, True, None],
        "bytes": b"abc" if protocol >= 3 else 0,
        "nested": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[]], {"a": {"b": "c"}}),
        "sets": {1, 2} if protocol >= 4 else 0,
        "frozen": frozenset("ab") if protocol >= 4 else 0,
        "ordered": OrderedDict(a=1),
    }
    value["again"] = value["numbers"]
    found = read_pickle(pickle.dumps(value, protocol)).root
    if protocol < 2:
        found["ordered"] = value["ordered"]
    assert found == value and found["again"] is found["numbers"]


def test_everything_else_is_a_record() -> None:
    holder = Holder()
    holder.size = 3  # type: ignore[attr-defined]
    root = read_pickle(pickle.dumps([holder, Shelf(a=1), Path, os.system], 4)).root
    made, shelf, kind, function = root
    assert isinstance(made, Record) and made.state == {"size": 3}
    assert made.callable.value.endswith("Holder")
    assert isinstance(shelf, Record) and shelf.items == {"a": 1}
    assert isinstance(kind, Name) and isinstance(function, Name)
    assert function.value.endswith(".system")


def test_it_stops_where_the_pickle_ends() -> None:
    stream = io.BytesIO(pickle.dumps(1) + pickle.dumps(2) + b"rest")
    assert [read_pickle(stream).root for _ in range(2)] == [1, 2]
    assert stream.read() == b"rest"


def test_persistent_ids_are_kept_in_order() -> None:
    found = read_pickle(b"\x80\x02(U\x01aQU\x01bQt.")
    assert [p.value for p in found.persistent_ids] == ["a", "b"]
    assert all(isinstance(p, PersistentId) for p in found.root)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"\x80\x04N",
        b"\x80\x04t.",
        b"\x80\x04h\x07.",
        b"\x80\x04]\x94}h\x00h\x00s.",
        b"\x80\x04NN\x85b.",
        b"\x80\x04N)R.",
        b"\x80\x04\x82\x01.",
        b"\x80\x05\x97.",
        b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
        b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.",
        b"I" + b"9" * 10**6 + b"\n.",
        b"\x80\x04(((K\x01ttt}\x8c\x01as.",
        b"\xff\xff",
    ],
)
def test_broken_pickles_are_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        read_pickle(content)


def within(seconds: float, content: bytes) -> None:
    """Read or refuse, in time."""
    started = time.perf_counter()
    try:
        read_pickle(content)
    except InputError:
        pass
    assert time.perf_counter() - started < seconds


def test_memo_depth_and_name_bombs_do_no_harm() -> None:
    deep = 300_000
    name = b"\x8d" + (10**6).to_bytes(8, "little") + b"a" * 10**6 + b"\x94"
    bombs = [
        b"\x80\x04Nr\xff\xff\xff\x7f.",
        b"\x80\x04" + b"]" * deep + b"a" * (deep - 1) + b".",
        b"\x80\x04)" + b"\x85" * deep + b".",
        b"\x80\x04})" + b"\x85" * deep + b"Ns.",
        b"\x80\x04)" + b"\x94h\x00h\x00\x86" * 50 + b".",
        b"\x80\x04})" + b"2\x86" * 60 + b"Ns.",
        b"\x80\x04cbuiltins\nlist\n)" + b"\x85" * deep + b"R.",
        b"\x80\x04" + name + b"h\x00h\x00\x930" * 10_000 + b".",
        b"\x80\x04]" + b"N" * deep + b"." * 2,
        b"\x80\x04(" + b"(" * deep + b".",
        b"\x80\x04N" + b"2" * (MAX_OPCODES + 1) + b".",
    ]
    for content in bombs:
        within(60.0 if len(content) > 10**6 else LONGEST, content)


def test_a_dictionary_key_cannot_be_deep() -> None:
    with pytest.raises(InputError, match="uses a tuple as a dictionary key"):
        read_pickle(b"\x80\x04})" + b"\x85" * 100_000 + b"Ns.")


def payloads(marker: Path) -> list[bytes]:
    """Pieces of pickle that leave one value on the stack and, when obeyed, make the marker."""
    path = str(marker).encode()
    code = f"open({str(marker)!r},'w').close()".encode()
    short = b"X" + len(code).to_bytes(4, "little") + code
    name = b"X" + len(path).to_bytes(4, "little") + path
    write = b"X\x01\x00\x00\x00w"
    return [
        b"cbuiltins\nexec\n" + short + b"\x85R",
        b"\x8c\x08builtins\x8c\x04exec\x93" + short + b"\x85R",
        b"(" + short + b"ibuiltins\nexec\n",
        b"(cbuiltins\nexec\n" + short + b"o",
        b"c_io\nFileIO\n" + name + write + b"\x86R",
        b"(" + name + write + b"i_io\nFileIO\n",
        b"cbuiltins\nmap\ncbuiltins\nexec\n" + short + b"\x85\x86\x81",
        b"ccopyreg\n__reduce_ex__\n}" + write + b"cbuiltins\nexec\nsb",
        b"cbuiltins\ngetattr\ncbuiltins\neval\nX\x08\x00\x00\x00__call__\x86R" + short + b"\x85R",
        b"ctorch.storage\n_load_from_bytes\nC"
        + bytes([min(len(code) + 30, 255)])
        + code
        + b"\x85R",
    ]


def test_the_payloads_would_act(tmp_path: Path) -> None:
    """Python's own unpickler obeys the first six: the mutants below could do harm."""
    for i, payload in enumerate(payloads(tmp_path / "marker")[:6]):
        content = b"\x80\x04" + payload + b"."
        subprocess.run([sys.executable, "-c", f"import pickle; pickle.loads({content!r})"])
        assert (tmp_path / "marker").exists(), i
        (tmp_path / "marker").unlink()
        read_pickle(content)
        assert not (tmp_path / "marker").exists()


def flip_bits(content: bytes, dice: random.Random, marker: Path) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def truncate(content: bytes, dice: random.Random, marker: Path) -> bytes:
    return content[: dice.randrange(len(content))]


def edit_opcodes(content: bytes, dice: random.Random, marker: Path) -> bytes:
    """Replace single bytes by opcodes, wherever they stand."""
    opcodes = [ord(op.code) for op in pickletools.opcodes]
    changed = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] = dice.choice(opcodes)
    return bytes(changed)


def inject(content: bytes, dice: random.Random, marker: Path) -> bytes:
    """Insert payloads between two instructions, kept on the stack or popped."""
    places = [position for _, _, position in pickletools.genops(content) if position]
    for _ in range(dice.randint(1, 3)):
        at = dice.choice(places)
        payload = dice.choice(payloads(marker)) + dice.choice([b"", b"0"])
        content = content[:at] + payload + content[at:]
        places = [p + len(payload) * (p > at) for p in places]
    return content


def splice(content: bytes, dice: random.Random, marker: Path) -> bytes:
    """Move a run of bytes elsewhere, or repeat it."""
    start = dice.randrange(len(content))
    run = content[start : start + dice.randint(1, 64)]
    at = dice.randrange(len(content))
    return content[:at] + run * dice.randint(1, 3) + content[at + dice.choice([0, len(run)]) :]


@pytest.fixture(scope="module")
def sound() -> list[bytes]:
    """A small NVIDIA pickle, and a PyTorch file of the old kind."""
    tensors = small_tensors(channels=(2, 2), z_dim=2, mapping=(2,))
    old = saved(rosinality_state(tensors), legacy=True)
    return [nvidia_pickle(nvidia_tensors(tensors)), old]


@pytest.mark.parametrize("mutate", [flip_bits, truncate, edit_opcodes, inject, splice])
def test_mutated_files_are_read_as_data_or_refused(mutate, sound, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "mutant.pkl"
    refused = 0
    for seed in range(MUTANTS_EACH):
        dice = random.Random(f"{mutate.__name__} {seed}")
        base = sound[0] if mutate is inject else sound[seed % 2]
        path.write_bytes(mutate(base, dice, marker))
        started = time.perf_counter()
        try:
            loaded = read_checkpoint(path).load()
            assert all(isinstance(value, torch.Tensor) for value in loaded.values())
        except InputError:
            refused += 1
        assert time.perf_counter() - started < LONGEST
        assert not marker.exists(), seed
    assert refused > MUTANTS_EACH / 10
