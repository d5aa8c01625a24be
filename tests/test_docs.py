"""The pages: links lead somewhere, commands and flags exist, and the README's program runs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import interlayer
from interlayer import write_image
from interlayer.app.cli import COMMANDS, imported
from interlayer.generators import ToyGenerator
from interlayer.methods.presets import auto
from interlayer.weights import loading

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("benchmarks/**/*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block, and the content of every indented one."""
    text = page.read_text("utf-8")
    yield from re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for found in re.findall(r"(?:^    [^\n]+\n)+", text, re.MULTILINE):
        yield "", found


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Command and flags of every line of a block that calls the program."""
    for language, content in blocks(page):
        if language in ("", "bash", "console", "sh"):
            for line in content.replace("\\\n", " ").splitlines():
                words = line.partition("#")[0].removeprefix("$ ").split()
                if words[:1] == ["interlayer"] and len(words) > 1:
                    yield " ".join(words[1:3]), [w for w in words if w.startswith("--")]


def options(command: str) -> set[str]:
    """The flags of a command, or of one of those that it has."""
    first, _, second = command.partition(" ")
    known: Any = imported(first)
    known = getattr(known, "commands", {}).get(second, known)
    return {flag for p in known.params for flag in [*p.opts, *p.secondary_opts]} | {"--help"}


@pages
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    for link in links:
        if not link.startswith(("http:", "https:", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pages
def test_commands_and_flags_exist(page):
    for command, flags in commands(page):
        name = command.split()[0]
        if not name.startswith("-"):
            assert name in COMMANDS, command
            assert {f.partition("=")[0] for f in flags} <= options(command), (command, flags)


def test_commands_are_found_in_pages():
    assert ("restore old.jpg", []) in list(commands(README))
    assert sum(1 for page in PAGES for _ in commands(page)) > 20
    assert "--store" in options("bench run") and "--task" in options("recover")


def test_the_readme_fits_a_screen_and_its_sentences_are_short():
    text = README.read_text("utf-8")
    assert len(text.splitlines()) <= 90
    prose = re.sub(r"^```.*?^```|^\|.*?$|^!\[.*?$|^#.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    sentences = re.split(r"(?<=[.:;?])\s+|\n\s*\n|\n- ", prose)
    assert max(len(sentence.split()) for sentence in sentences) < 30


def test_the_program_of_the_readme_runs(monkeypatch, tmp_path, capsys):
    generator = ToyGenerator(32)
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: generator)
    monkeypatch.setitem(vars(interlayer), "load", loading.load)
    monkeypatch.setitem(vars(interlayer), "auto", lambda: auto(10).within(generator.num_layers))
    monkeypatch.chdir(tmp_path)
    write_image(Path("photo.jpg"), generator(generator.sample([3])))
    (program,) = [content for language, content in blocks(README) if language == "python"]
    exec(compile(program.replace("circulant:0.01", "circulant:0.2"), "README.md", "exec"), {})
    assert (tmp_path / "recovered.png").is_file() and "layers" in capsys.readouterr().out
