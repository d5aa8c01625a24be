"""The examples run, and recover."""

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_trained_decoder_recovers_an_unseen_shape():
    assert example("own_network").main() > 25


def test_deepinvs_dcgan_recovers_what_it_drew():
    assert example("deepinv_dcgan").main() > 25
