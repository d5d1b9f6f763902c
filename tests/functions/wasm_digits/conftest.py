"""The example as it is served: built, and with the model that the tests train once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.digits.train import VERSION, train
from tests import ROOT
from tests.runtime.frontends.conftest import Served, serving
from tests.runtime.wasi_nn.building import scripted_guest

FOLDER = ROOT / "functions" / "wasm_digits"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the folder with its guest, and the model in digits.onnx."""
    folder = tmp_path_factory.mktemp("example") / "wasm_digits"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("main.wasm"))
    shutil.copy(scripted_guest(FOLDER), folder / "main.wasm")
    train(VERSION, folder).path.rename(folder / "digits.onnx")
    return folder


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    """Serve the folder with the model on disk."""
    with serving(folder, folder, SCALEZERO_MODEL_URI=str(folder / "digits.onnx"), SCALEZERO_TIMEOUT="60s") as running:
        yield running
