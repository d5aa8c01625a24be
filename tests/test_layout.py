"""Imports point upwards in one list of modules, so that no two of them need each other."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import interlayer

ORDER: Sequence[str] = """
    errors memory files images samples align video physics tasks
    generators.base generators.precision generators.styles generators.layout generators.modulation
    generators.stylegan2_names generators.mobilestylegan generators.stylegan2
    generators.sequential generators.dcgan generators.toy generators
    unpickling torchfile openvino_ir foreign checkpoints wheels hub
    perceptual classifiers losses projections schedules optimiser methods search selection
    stacking classical refine objective solve uncertainty reconstruct imagine theory
    recovery measured sequence interlayer console recover_command bench demo cli __main__
""".split()

ROOT = Path(interlayer.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def module_of(dotted: str) -> str:
    """The entry of ORDER that a module's full name belongs to."""
    parts = dotted.split(".")[1:]
    if not parts:
        return "interlayer"
    return ".".join(parts[:2]) if parts[0] == "generators" else parts[0]


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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
    """The imports of a file that point downwards in ORDER."""
    rank = ORDER.index(module_of(own))
    below = (
        name for name in imported(source, own, is_package) if module_of(name) != module_of(own)
    )
    return [name for name in below if ORDER.index(module_of(name)) > rank]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_point_upwards(file: Path) -> None:
    assert module_of(name_of(file)) in ORDER, f"put {name_of(file)} into ORDER where it belongs"
    assert violations(file.read_text("utf-8"), name_of(file), file.stem == "__init__") == []


@pytest.mark.parametrize(
    "source",
    [
        "from interlayer.hub import load",
        "import interlayer.hub",
        "from interlayer import hub",
        "from . import hub",
        "from .hub import load",
        "def late():\n    from interlayer.hub import load",
        "from interlayer import InputError",
    ],
)
def test_a_downward_import_is_found_in_every_form(source: str) -> None:
    assert len(violations(source, "interlayer.images")) == 1
    assert violations("from interlayer.errors import InputError", "interlayer.images") == []


def test_generators_do_not_import_their_package() -> None:
    own = "interlayer.generators.toy"
    assert violations("from interlayer.generators import Generator", own) != []
    assert violations("from .base import Generator", own) == []
    assert violations("from .toy import ToyGenerator", "interlayer.generators", True) == []
