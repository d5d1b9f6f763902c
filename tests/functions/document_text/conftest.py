"""The models as `scalezero publish` takes them, and the package rapidocr-onnxruntime, which answers in the same way."""

import importlib
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.document_text import package
from functions.document_text.train import VERSION, TrainedModel, train

Answer = list[tuple[list[list[float]], str, float]]  # of each line the corners of its box, its text and its score


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TrainedModel]:
    """Return all models by name, with their metrics and data."""
    folder = tmp_path_factory.mktemp("document_text")
    return {name: train(VERSION, folder, name) for name in package.MODELS}


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - the package has no types
    """Return the package's own implementation. Its wheel is unpacked, not installed, as it requires opencv-python."""
    folder = tmp_path_factory.mktemp("rapidocr")
    with zipfile.ZipFile(package.download(folder)) as wheel:
        wheel.extractall(folder)
    sys.path.append(str(folder))
    try:
        return importlib.import_module("rapidocr_onnxruntime").RapidOCR(intra_op_num_threads=1)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def answer_of(original: Any) -> Callable[[bytes], Answer]:  # noqa: ANN401 - as above
    """Return the function that asks the package for the text of an image."""
    return lambda content: [tuple(line) for line in original(content)[0] or []]


@pytest.fixture(scope="session")
def folder(original: Any) -> Path:  # noqa: ANN401 - as above
    """Return the folder of the unpacked package."""
    return Path(sys.modules[type(original).__module__].__file__ or "").parent
