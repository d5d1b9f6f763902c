"""Tests that the requests in the documentation work."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import helper

from tests import models
from tests.runtime.frontends.conftest import Served, serving
from tests.test_docs import DOCUMENTS, PAGES

ADDRESSES = ("localhost:8080", "127.0.0.1:8080")
MODEL = "payment-model"


def commands(page: Path) -> Iterator[str]:
    """Yield the curl commands of a page for payment-model on this machine, each as one text."""
    lines = iter(page.read_text("utf-8").splitlines())
    for line in lines:
        command = line.removeprefix("$ ")
        if not command.startswith("curl ") or not any(
            f"{address}/" in command and MODEL in command for address in ADDRESSES
        ):
            continue
        while command.endswith("\\") or not is_complete(command):
            command += "\n" + next(lines)
        yield command


def is_complete(command: str) -> bool:
    """Whether all quotes of the command are closed."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


FOUND = [
    pytest.param(each, id=f"{page.name}-{index}") for page in DOCUMENTS for index, each in enumerate(commands(page))
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A substitute for payment-model with its name, input and output. The score is the mean of the features."""
    folder = tmp_path_factory.mktemp("served")
    node = helper.make_node("ReduceMean", ["features"], ["fraud_score"], axes=[1], keepdims=1)
    features = models.value("features", models.FLOAT, ["batch", 30])
    path = models.save(folder / "m.onnx", [node], [features], [models.value("fraud_score", models.FLOAT, ["batch", 1])])
    with serving(folder, path, SCALEZERO_MODEL_NAME=MODEL) as served:
        yield served


@pytest.mark.parametrize("command", FOUND)
def test_a_documented_request_is_answered(served: Served, command: str) -> None:
    for address in ADDRESSES:
        command = command.replace(address, f"127.0.0.1:{served.port}")
    run = f"curl() {{ command curl --noproxy '*' --fail-with-body \"$@\"; }}\n{command}"
    done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads(done.stdout)


def test_the_page_of_every_rest_protocol_has_a_request() -> None:
    names = (
        "api",
        "protocols/open-inference",
        "protocols/tensorflow-serving",
        "protocols/kserve-v1",
        "protocols/torchserve",
    )
    assert [name for name in names if not list(commands(PAGES / f"{name}.md"))] == []
