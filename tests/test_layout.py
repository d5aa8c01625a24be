"""The wings of the house: imports point downwards from wing to wing, and nowhere in a circle."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import interlayer

from . import house
from .house import FILES, ROOT, name_of

# Each wing with those that it may import from, besides `errors` and `memory`, which all may.
WINGS: Mapping[str, str] = {
    "errors": "",
    "memory": "",
    "media": "",
    "generators": "",
    "weights": "generators media",
    "problem": "media",
    "methods": "problem media",
    "networks": "weights media",
    "solver": "methods networks problem generators",
    "evaluation": "solver methods networks problem weights generators media",
    "recipes": "solver methods networks problem generators media",
    "app": "evaluation recipes solver methods networks problem weights generators media",
}
BASE = ("errors", "memory")


def wing_of(dotted: str) -> str:
    """The wing of a module; of the package itself, which gathers the public names, none."""
    return (dotted.split(".") + [""])[1]


def imported(source: str, own: str, is_package: bool = False) -> Iterator[str]:
    """Full names of the modules of this package that a source file imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "interlayer")
        elif isinstance(node, ast.ImportFrom):
            parents = own.split(".")[: len(own.split(".")) - node.level + is_package]
            base = ".".join(
                [*(parents if node.level else []), *([node.module] if node.module else [])]
            )
            if base.split(".")[0] == "interlayer":
                yield from (
                    f"{base}.{a.name}" if is_module(f"{base}.{a.name}") else base
                    for a in node.names
                )


def is_module(dotted: str) -> bool:
    path = ROOT.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def violations(source: str, own: str, is_package: bool = False) -> list[str]:
    """The imports of a file that its wing may not have."""
    allowed = {wing_of(own), *BASE, *WINGS[wing_of(own)].split()}
    return [name for name in imported(source, own, is_package) if wing_of(name) not in allowed]


@pytest.mark.parametrize("file", FILES[1:], ids=name_of)
def test_imports_point_downwards(file: Path) -> None:
    assert violations(file.read_text("utf-8"), name_of(file), file.stem == "__init__") == []


def test_no_module_needs_itself() -> None:
    needs = {
        name_of(file): set(
            imported(file.read_text("utf-8"), name_of(file), file.stem == "__init__")
        )
        for file in FILES
    }
    try:
        TopologicalSorter({k: v - {k} for k, v in needs.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")


def test_wings_form_no_circle() -> None:
    TopologicalSorter({wing: below.split() for wing, below in WINGS.items()}).prepare()
    assert {wing_of(name_of(file)) for file in FILES[1:]} == set(WINGS)


@pytest.mark.parametrize(
    "source",
    [
        "from interlayer.weights.loading import load",
        "import interlayer.weights.loading",
        "from interlayer.weights import loading",
        "from ..weights import loading",
        "from ..weights.loading import load",
        "def late():\n    from interlayer.weights.loading import load",
        "from interlayer import InputError",
    ],
)
def test_an_upward_import_is_found_in_every_form(source: str) -> None:
    assert len(violations(source, "interlayer.media.images")) == 1
    assert violations("from interlayer.errors import InputError", "interlayer.media.images") == []


def test_a_problem_never_knows_generators_weights_or_the_solver() -> None:
    own = "interlayer.problem.tasks"
    for wing in ("generators.toy", "weights.loading", "solver.solving"):
        assert violations(f"import interlayer.{wing}", own) == [f"interlayer.{wing}"]


def test_the_house_keeps_its_bounds() -> None:
    files, folders = house.places()
    assert len(files) <= 3 and len(folders) <= 10
    assert house.lengths()[0][0] <= 60, house.lengths()[0]
    assert len(house.widths()) <= 8, house.widths()
    assert len(interlayer.__all__) <= 27
    assert house.kinds_asked() == []
    assert house.namesakes() == []
