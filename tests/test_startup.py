"""What a command imports: nothing that it does not need, and nothing that an extra brings."""

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import interlayer
from interlayer.app.cli import COMMANDS, imported
from interlayer.generators.layout import Layout
from interlayer.weights.converted import write_converted

LAYOUT = Layout(channels=(8, 8, 4), z_dim=8, mapping=(8, 8))


def brought_by(name: str, seen: set[str]) -> Iterator[str]:
    """Names of the distributions that one without extras needs, itself first."""
    name = canonicalize_name(name)
    if name in seen:
        return
    seen.add(name)
    try:
        needs = requires(name) or []
    except PackageNotFoundError:
        return
    yield name
    for need in map(Requirement, needs):
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield from brought_by(need.name, seen)


def of_extras() -> set[str]:
    """Top-level modules here that an installation without extras lacks."""
    base = set(brought_by("interlayer", set()))
    return {
        module
        for module, owners in packages_distributions().items()
        if not base & {canonicalize_name(owner) for owner in owners}
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages without what only an extra brings."""
    folder, absent = tmp_path_factory.mktemp("packages"), of_extras()
    for entry in Path(torch.__file__).parents[1].iterdir():
        if entry.name.split(".")[0] not in absent and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)
    return folder


def bare(base: Path, program: str, *arguments: object) -> None:
    """Run a program, which is to succeed, with those packages alone."""
    path = os.pathsep.join([str(Path(interlayer.__file__).parents[1]), str(base)])
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_all_says_what_each_command_says(command):
    target = imported(command)
    assert inspect.cleandoc(target.help).splitlines()[0] == COMMANDS[command][1]


def test_a_recovery_needs_no_extra(base, tmp_path):
    assert {"gradio", "starlette", "pytest"} <= of_extras()
    weights = tmp_path / "weights.safetensors"
    write_converted(weights, LAYOUT.random_tensors(0), {"architecture": "stylegan2"})
    flags = ("--generator", weights, "--task", "inpaint:0.5", "--steps", 8, "--out", tmp_path)
    program = "from interlayer.app.cli import main; main()"
    bare(base, program, "recover", "sample:astronaut", *flags)
    assert (tmp_path / "astronaut" / "recovered.png").is_file()


def test_no_command_needs_an_extra(base):
    bare(base, "from interlayer.app import cli; [cli.imported(name) for name in cli.COMMANDS]")


def test_the_help_of_all_imports_nothing_heavy():
    program = (
        "import sys; sys.argv = ['interlayer', '--help']\n"
        "from interlayer.app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'deepinv', 'scipy', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "recover" in done.stdout


@pytest.mark.parametrize("name", interlayer.__all__)
def test_public_names_are_what_their_modules_hold(name):
    found = getattr(interlayer, name)
    if hasattr(found, "__module__") and found.__module__.startswith("interlayer"):
        assert getattr(importlib.import_module(found.__module__), name) is found
    assert name in dir(interlayer)
