"""Errors that end a command before any output or change, on an API server without objects."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.cli import scalezero
from tests.knative.api.test_client import status
from tests.knative.api.test_connection import answering, send
from tests.knative.documents import version

IMAGE = ("--image", "scalezero:0.1")


@pytest.fixture
def requests() -> list[str]:
    """Collect the paths of the requests to the API server."""
    return []


@pytest.fixture
def kubeconfig(tmp_path: Path, requests: list[str]) -> Iterator[dict[str, str]]:
    """Return the environment of a cluster without the namespace `shop`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        requests.append(request.path)
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
    """Return the folder of a function. Publishing it fails with a different error."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "model.yaml").write_text(version("shop-v1", "shop"))
    return shop


def run(*arguments: str | Path, env: dict[str, str]) -> Result:
    return CliRunner().invoke(scalezero, [str(each) for each in arguments], env=env, prog_name="scalezero")


OF_FILES = (("apply", "-f"), ("plan", "-f"), ("deploy",))
OF_MODELS = (("status",), ("logs", "shop"), ("delete", "shop"), ("rollout", "shop", "--to", "shop-v1"))


@pytest.mark.parametrize("verb", [*OF_FILES, *OF_MODELS])
def test_a_missing_namespace_is_the_only_error_and_the_only_request(
    verb: tuple[str, ...], folder: Path, kubeconfig: dict[str, str], requests: list[str]
) -> None:
    paths = () if verb in OF_MODELS else (folder, *IMAGE)
    result = run(*verb, *paths, env=kubeconfig)
    assert result.exit_code == 2
    assert result.output == "scalezero: the cluster has no namespace 'shop'; create it: kubectl create namespace shop\n"
    assert requests == ["/api/v1/namespaces/shop"]


@pytest.mark.parametrize("verb", OF_MODELS)
def test_a_model_is_in_the_namespace_of_the_func_yaml_here(
    verb: tuple[str, ...],
    folder: Path,
    kubeconfig: dict[str, str],
    requests: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = "specVersion: 0.36.0\nname: shop\nruntime: python\ncreated: 2026-11-29T00:00:00Z\n"
    (folder / "func.yaml").write_text(f"{header}namespace: mine\n")
    monkeypatch.chdir(folder)
    assert run(*verb, env=kubeconfig).exit_code == 2
    assert requests == ["/api/v1/namespaces/mine"]


def test_an_unknown_context_is_refused_before_the_training(folder: Path, kubeconfig: dict[str, str]) -> None:
    result = run("deploy", folder, *IMAGE, "--context", "yours", env=kubeconfig)
    assert result.exit_code == 2
    assert result.output.startswith("scalezero: no context 'yours'")


def test_an_invalid_manifest_is_refused_before_the_training_and_any_request(
    folder: Path, kubeconfig: dict[str, str], requests: list[str]
) -> None:
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text().replace("modelName", "modelNmae"))
    result = run("deploy", folder, *IMAGE, env=kubeconfig)
    assert result.exit_code == 1
    assert "modelNmae" in result.output
    assert requests == []
