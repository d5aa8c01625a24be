"""Files after a kill at any moment, on a full disk, and in a folder that takes nothing."""

import errno
import hashlib
import json
import multiprocessing
import os
import random
import signal
import time
import zipfile
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch
from PIL import Image

from interlayer import InputError, Problem, Solution, ilo, iterate, read_image, write_image
from interlayer.app.results import Animation, report, write_results
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.generators.layout import Layout
from interlayer.media.files import write_text
from interlayer.media.images import write_gif
from interlayer.problem import load_problem, measure, save_problem
from interlayer.recipes.learned_prior import LearnedPrior, load_prior
from interlayer.recipes.saving import load_solution, save_solution
from interlayer.recipes.training import train_prior
from interlayer.weights import cache, table
from interlayer.weights.checkpoints import convert, load_generator
from interlayer.weights.converted import write_converted
from interlayer.weights.wheels import Wheel


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache and the table of weights, put back as they were."""
    monkeypatch.setenv("INTERLAYER_CACHE", os.environ.get("INTERLAYER_CACHE", ""))
    monkeypatch.setitem(table.WEIGHTS, "tiny", table.FACES)


KILLS = 10
LONGEST = 0.15  # seconds between the first file and the kill
WHEEL = "example-1.0-py3-none-any.whl"
G = ToyGenerator()
X = draw_truths(G, [3])


def problem() -> Problem:
    return measure(X, "inpaint:0.3", seed=0)


def solution() -> Solution:
    *_, state = iterate(problem(), G, ilo(4, layers=(0, 2)))
    return state.solution()


def prior() -> LearnedPrior:
    *_, state = train_prior(G, [2], steps=1)
    return state.prior


FOUND = solution()


def results(folder: Path, found: Solution = FOUND) -> None:
    animation = Animation()
    write_results(folder, problem(), found, X, report(found, X, False), animation)


def check_results(folder: Path) -> None:
    for file in folder.iterdir():
        if file.suffix in (".png", ".gif") and not file.name.startswith("."):
            with Image.open(file) as picture:
                picture.load()
    if (folder / "result.json").exists():
        json.loads((folder / "result.json").read_text())
    if (folder / "measurements.pt").exists():
        load_problem(folder / "measurements.pt")


def source_of(folder: Path) -> Path:
    source = folder / "source.safetensors"
    if not source.exists():
        layout = Layout(channels=(8, 8, 4), z_dim=8, mapping=(8, 8))
        write_converted(source, layout.random_tensors(0), {"architecture": "stylegan2"})
    return source


def pull_of(folder: Path) -> table.Weights:
    """A named entry ``tiny`` whose published file lies beside the cache."""
    os.environ["INTERLAYER_CACHE"] = str(folder / "cache")
    wheel = folder / WHEEL
    if not wheel.exists():
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("example/number", "7")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    source = Wheel("example==1.0", WHEEL, digest, wheel.stat().st_size)
    tensors = {"number": torch.arange(100_000.0)}
    entry = table.Weights(
        "tiny", "toys", "toy", source, lambda path: tensors, "MIT", "care", "nobody"
    )
    table.WEIGHTS["tiny"] = entry
    return entry


def pull_again(folder: Path) -> None:
    entry = pull_of(folder)
    (folder / "cache" / entry.file).unlink(missing_ok=True)
    cache.pull("tiny", wheel=folder / WHEEL, note=lambda line: None)


def check_pull(folder: Path) -> None:
    entry = pull_of(folder)
    cache.pull("tiny", wheel=folder / WHEEL, note=lambda line: None)
    tensors = cache.load_tensors("tiny", "cpu", lambda line: None)
    assert torch.equal(tensors["number"], torch.arange(100_000.0))
    assert (folder / "cache" / entry.file).is_file()


# What writes, and what reads it again; the reader passes where nothing is there yet.
WRITERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "recover": (results, check_results),
    "keep-point": (
        lambda folder: save_solution(solution(), folder / "s.safetensors"),
        lambda folder: load_solution(folder / "s.safetensors"),
    ),
    "measurements": (
        lambda folder: save_problem(problem(), folder / "m.pt"),
        lambda folder: load_problem(folder / "m.pt"),
    ),
    "train-prior": (
        lambda folder: prior().save(folder / "p.safetensors"),
        lambda folder: load_prior(folder / "p.safetensors", G),
    ),
    "convert": (
        lambda folder: convert(source_of(folder), folder / "g.safetensors", measure=False),
        lambda folder: load_generator(folder / "g.safetensors"),
    ),
    "restore": (
        lambda folder: write_image(folder / "photo.png", torch.rand(3, 256, 256)),
        lambda folder: read_image(folder / "photo.png"),
    ),
    "pull": (pull_again, check_pull),
}


def write_for_ever(name: str, folder: Path, begun: Event) -> None:
    torch.set_num_threads(1)
    os.setpgrp()
    while True:
        WRITERS[name][0](folder)
        begun.set()


@pytest.mark.parametrize("name", WRITERS)
def test_a_kill_at_any_moment_leaves_whole_files(name, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    draw = random.Random(0)
    write, read = WRITERS[name]
    landed = 0
    for _ in range(KILLS):
        begun = context.Event()
        child = context.Process(target=write_for_ever, args=(name, tmp_path, begun))
        child.start()
        assert begun.wait(60)
        time.sleep(draw.uniform(0, LONGEST))
        assert child.pid is not None and child.is_alive()
        os.killpg(child.pid, signal.SIGKILL)
        child.join(20)
        landed += child.exitcode == -signal.SIGKILL
        read(tmp_path)
    assert landed == KILLS  # all while it wrote
    write(tmp_path)
    read(tmp_path)


def test_two_pulls_at_once_give_one_file(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    children = [context.Process(target=pull_often, args=(tmp_path,)) for _ in range(2)]
    pull_of(tmp_path)
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    visible = [f.name for f in (tmp_path / "cache").iterdir() if not f.name.startswith(".")]
    assert visible == [pull_of(tmp_path).file]


def pull_often(folder: Path) -> None:
    for _ in range(10):
        check_pull(folder)


WRITES: dict[str, Callable[[Path], object]] = {
    "text": lambda folder: write_text(folder / "t.json", "{}"),
    "picture": lambda folder: write_image(folder / "p.png", X),
    "animation": lambda folder: write_gif(folder / "a.gif", [X]),
    "solution": lambda folder: save_solution(solution(), folder / "s.safetensors"),
    "measurements": lambda folder: save_problem(problem(), folder / "m.pt"),
    "prior": lambda folder: prior().save(folder / "p.safetensors"),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(name, tmp_path, monkeypatch):
    WRITES[name](tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="cannot write .*No space left on device; make room"):
        WRITES[name](tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", WRITES)
def test_a_folder_that_takes_nothing_is_one_sentence(name):
    with pytest.raises(InputError, match="cannot write /proc/.*choose another place"):
        WRITES[name](Path("/proc"))
