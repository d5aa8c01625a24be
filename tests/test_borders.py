"""Every file that a user can hand over, damaged at random: read, or refused in one sentence."""

import inspect
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from PIL import Image

from interlayer import InputError, ilo, iterate
from interlayer.app import commands
from interlayer.app.rerun import arguments_again, plain_arguments
from interlayer.evaluation.studies.export import write_table
from interlayer.evaluation.studies.spec import checked, parts, read_spec
from interlayer.evaluation.studies.store import reading, writing
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.generators.stylegan3_layout import StyleGAN3Layout
from interlayer.media.masks import read_mask
from interlayer.media.photos import read_photo
from interlayer.problem import load_problem, measure, save_problem
from interlayer.recipes.learned_prior import load_prior
from interlayer.recipes.saving import load_solution, save_solution
from interlayer.recipes.training import train_prior
from interlayer.weights.checkpoints import load_generator, read_checkpoint
from interlayer.weights.converted import write_converted

from .bench_studies import jobs
from .checkpoint_files import nvidia_pickle, nvidia_tensors, rosinality_state, saved, small_tensors

EACH = int(os.environ.get("INTERLAYER_INPUTS", "1200")) // 12
G = ToyGenerator()
X = draw_truths(G, [3])
WORDS = [
    *(b"-1", b"0", b"99999999999", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'""'),
    *(b'"\\ud800"', b"[[[[[[[[", b"9" * 5000, b"2026-01-01", b"!!python/object:os.system", b"\x00"),
]


def checkpoint(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def converted(path: Path) -> None:
    layout = StyleGAN3Layout(16, depth=3, base=32, widest=4, z_dim=4, w_dim=4)
    write_converted(path, layout.random_tensors(0), {"architecture": "stylegan3"})


def solution(path: Path) -> None:
    *_, state = iterate(measure(X, "inpaint:0.3", seed=0), G, ilo(4, layers=(0, 2)))
    save_solution(state.solution(), path)


def prior(path: Path) -> None:
    *_, state = train_prior(G, [2], steps=1)
    state.prior.save(path)


FLAGS = {name: kind for name, kind in get_type_hints(commands.recover).items() if name != "return"}


def result(path: Path) -> None:
    parameters = inspect.signature(commands.recover).parameters.items()
    flags = plain_arguments({name: parameter.default for name, parameter in parameters})
    flags["photos"] = ["sample:astronaut"]
    run = {"arguments": flags, "inputs": {}, "threads": 1, "weights": "a", "measurements": "b"}
    path.write_text(json.dumps({"run": run, "versions": {"torch": "2"}}))


def read_result(path: Path) -> object:
    threads = torch.get_num_threads()
    try:
        return arguments_again(path, path.parent, FLAGS)
    finally:
        torch.set_num_threads(threads)


def study(path: Path) -> None:
    path.write_text(
        "images: generated:0-3\ntasks: {inpaint: [0.01, 0.1], superres: 8}\nmethods: [ilo, csgm]\n"
        "seeds: 0-3\nquality: draft\nparts:\n- {tasks: denoise:0.1, seeds: [1, 2]}\n"
    )


def read_study(path: Path) -> object:
    return [checked(values) for values in parts(read_spec(path))]


def store(path: Path) -> None:
    with writing(path) as written:
        written.plan(jobs("generated:0-9"))


def read_store(path: Path) -> None:
    with reading(path) as found:
        write_table(list(found.rows()), "csv", path.with_suffix(".csv"))


def picture(path: Path) -> None:
    Image.effect_noise((40, 30), 50).save(path, path.suffix.lstrip("."), quality=90)


# How each kind of file is made, and what reads it.
KINDS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "nvidia.pkl": (checkpoint(nvidia_pickle(nvidia_tensors(small_tensors()))), load_generator),
    "zip.pt": (checkpoint(saved(rosinality_state(small_tensors()))), load_generator),
    "old.pt": (
        checkpoint(saved(rosinality_state(small_tensors()), legacy=True)),
        lambda path: read_checkpoint(path).load(),
    ),
    "converted.safetensors": (converted, load_generator),
    "solution.safetensors": (solution, load_solution),
    "prior.safetensors": (prior, lambda path: load_prior(path, G)),
    "measurements.pt": (lambda p: save_problem(measure(X, "inpaint:0.3", 0), p), load_problem),
    "result.json": (result, read_result),
    "study.yaml": (study, read_study),
    "study.db": (store, read_store),
    "photo.jpeg": (picture, lambda path: read_photo(path)),
    "mask.png": (picture, lambda path: read_mask(path)),
}


def flip(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def splice(content: bytes, dice: random.Random) -> bytes:
    start, at = dice.randrange(len(content)), dice.randrange(len(content))
    run = content[start : start + dice.randint(1, 64)]
    return content[:at] + run * dice.randint(1, 3) + content[at + dice.choice([0, len(run)]) :]


def reword(content: bytes, dice: random.Random) -> bytes:
    """Put an odd word in the place of a number or a name, near the beginning of a long file."""
    places = [match.span() for match in re.finditer(rb"[\w.+-]+", content[:4096])]
    start, end = dice.choice(places)
    return content[:start] + dice.choice(WORDS) + content[end:]


@pytest.mark.filterwarnings("ignore")  # of libraries, about what is damaged
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_or_refused(name, tmp_path):
    make, read = KINDS[name]
    path = tmp_path / name
    make(path)
    read(path)
    content, refused = path.read_bytes(), 0
    for number in range(EACH):
        dice = random.Random(f"{name} {number}")
        path.write_bytes(dice.choice([flip, cut, splice, reword])(content, dice))
        try:
            read(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500, error
    assert refused
