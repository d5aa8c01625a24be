"""The examples run, and recover."""

import importlib.util
import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
EXTENSIONS = sorted((EXAMPLES / "extend").glob("*.py"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_trained_decoder_recovers_unseen_shapes():
    assert example("own_network").main() > 25


def test_deepinvs_dcgan_recovers_what_it_drew():
    assert example("deepinv_dcgan").main() > 25


@pytest.mark.parametrize("file", EXTENSIONS, ids=lambda file: file.stem)
def test_an_extension_is_short_and_recovers_and_is_in_the_docs(file: Path, capsys):
    text = file.read_text("utf-8")
    assert len(text.splitlines()) < 30
    assert text in (EXAMPLES.parent / "docs" / "extending.md").read_text("utf-8")
    runpy.run_path(str(file))
    *_, last = capsys.readouterr().out.splitlines()
    found = re.match(r"([\d.]+) dB", last)
    assert found and float(found[1]) > 20


def test_a_new_estimator_is_weighed():
    values = runpy.run_path(str(EXAMPLES / "extend" / "new_estimator.py"))
    assert values["Landweber"]() in values["method"].estimators
