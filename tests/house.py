"""Print how the house stands: its places, its longest function, its widest signatures, its names.

python -m tests.house, or python tests/house.py; `test_layout.py` holds the figures to their bounds.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from deepinv.physics import Physics
from deepinv.physics.noise import NoiseModel

import interlayer

ROOT = Path(interlayer.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
WIDE = 7  # parameters
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(file: Path) -> str:
    """The dotted name of a module's file."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def places() -> tuple[list[str], list[str]]:
    """Files at the top level besides ``__init__`` and ``py.typed``, and folders."""
    entries = [path for path in sorted(ROOT.iterdir()) if path.name != "__pycache__"]
    files = [p.name for p in entries if p.is_file()]
    kept = [name for name in files if name not in ("__init__.py", "__init__.pyi", "py.typed")]
    return kept, [path.name for path in entries if path.is_dir()]


def functions() -> Iterator[tuple[str, Function]]:
    """Every function and method of the package, with its place."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, Function):
                yield f"{name_of(file)}.{node.name}", node


def lengths() -> list[tuple[int, str]]:
    """Functions by their number of lines, the longest first."""
    found = [((node.end_lineno or 0) - node.lineno + 1, name) for name, node in functions()]
    return sorted(found, reverse=True)


def widths() -> list[tuple[int, str]]:
    """Functions with at least `WIDE` parameters, ``self`` among them."""
    found = [
        (len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs), name)
        for name, node in functions()
    ]
    return sorted((each for each in found if each[0] >= WIDE), reverse=True)


def namesakes() -> list[str]:
    """Functions that bear the name of their module."""
    return [
        name_of(file)
        for file in FILES
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, Function) and node.name == name_of(file).split(".")[-1]
    ]


def kinds_asked() -> list[str]:
    """Places outside ``problem`` where ``isinstance`` asks what an operator or its noise is."""
    found: list[str] = []
    for file in FILES:
        if file.relative_to(ROOT).parts[0] == "problem":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
                named = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                known = vars(importlib.import_module(name_of(file)))
                kinds = [known[name] for name in named if isinstance(known.get(name), type)]
                if any(issubclass(kind, Physics | NoiseModel) for kind in kinds):
                    found.append(f"{name_of(file)}:{node.lineno}")
    return found


def main() -> None:
    """Print the figures."""
    files, folders = places()
    print(
        f"top level: {len(files)} files ({', '.join(files)}), {len(folders)} folders "
        f"({', '.join(folders)})"
    )
    longest, wide = lengths(), widths()
    print(f"longest function: {longest[0][0]} lines, {longest[0][1]}")
    print(f"functions with {WIDE} or more parameters: {len(wide)}")
    for count, name in wide:
        print(f"  {count} {name}")
    print(f"public names: {len(interlayer.__all__)}")
    print(f"operators' kinds asked outside problem: {len(kinds_asked())}", *kinds_asked())
    print(f"functions with the name of their module: {len(namesakes())}", *namesakes())


if __name__ == "__main__":
    main()
