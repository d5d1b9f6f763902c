"""What ends a verb before it has said or done anything, on an API server that has nothing."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.cli import scalezero
from tests.knative.api.test_client import status
from tests.knative.api.test_connection import answering, send
from tests.knative.manifests.test_steps import version

IMAGE = ("--image", "scalezero:0.1")


@pytest.fixture
def asked() -> list[str]:
    """What the API server was asked."""
    return []


@pytest.fixture
def kubeconfig(tmp_path: Path, asked: list[str]) -> Iterator[dict[str, str]]:
    """The environment that names a cluster without the namespace `shop`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        send(request, 404, status(404, "NotFound", name="shop", kind="namespaces"))

    with answering(answer) as address:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [],
            "contexts": [{"name": "mine", "context": {"cluster": "c", "namespace": "shop"}}],
            "current-context": "mine",
        }
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(config))
        yield {"KUBECONFIG": str(file)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A function's folder; to publish it would fail, with a sentence of its own."""
    made = tmp_path / "shop"
    made.mkdir()
    (made / "model.yaml").write_text(version("shop-v1", "shop"))
    return made


def run(*arguments: str | Path, env: dict[str, str]) -> Result:
    return CliRunner().invoke(scalezero, [str(each) for each in arguments], env=env, prog_name="scalezero")


@pytest.mark.parametrize("verb", [("apply", "-f"), ("plan", "-f"), ("deploy",), ("status",)])
def test_a_namespace_that_is_not_there_is_all_that_is_told(
    verb: tuple[str, ...], folder: Path, kubeconfig: dict[str, str], asked: list[str]
) -> None:
    of_files = () if verb == ("status",) else (folder, *IMAGE)
    result = run(*verb, *of_files, env=kubeconfig)
    assert result.exit_code == 2
    assert result.output == "scalezero: the cluster has no namespace 'shop'; create it: kubectl create namespace shop\n"
    assert asked == ["/api/v1/namespaces/shop"]


def test_a_context_that_is_not_there_costs_no_training(folder: Path, kubeconfig: dict[str, str]) -> None:
    result = run("deploy", folder, *IMAGE, "--context", "yours", env=kubeconfig)
    assert result.exit_code == 2
    assert result.output.startswith("scalezero: no context 'yours'")


def test_a_slip_in_the_files_costs_no_training_and_no_look_at_the_cluster(
    folder: Path, kubeconfig: dict[str, str], asked: list[str]
) -> None:
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text().replace("modelName", "modelNmae"))
    result = run("deploy", folder, *IMAGE, env=kubeconfig)
    assert result.exit_code == 1
    assert "modelNmae" in result.output
    assert asked == []
