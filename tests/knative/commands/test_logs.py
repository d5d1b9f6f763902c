"""`scalezero logs` against an API server."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from knative.objects import Manifest
from runtime.cli import scalezero
from tests.knative.api.test_client import cluster, listed, status
from tests.knative.api.test_connection import send
from tests.waiting import DEADLINE


def pod(name: str) -> Manifest:
    return {"metadata": {"name": name, "uid": name}, "status": {"phase": "Running"}}


@contextmanager
def pods_with_logs(folder: Path, pods: Mapping[str, str]) -> Iterator[list[Mapping[str, list[str]]]]:
    """Serve the model m with its revision m-v1 and these pods with their logs; yield the queries for pods and logs."""
    queries: list[Mapping[str, list[str]]] = []

    def handle(request: BaseHTTPRequestHandler) -> None:
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if path.endswith("/log"):
            queries.append(query)
            send(request, 200, pods[path.split("/")[-2]].encode())
        elif path.endswith("/pods"):
            queries.append(query)
            send(request, 200, listed(*map(pod, pods)))
        elif path.endswith("/revisions"):
            send(request, 200, listed({"metadata": {"name": "m-v1"}}))
        elif path.endswith("/services"):
            send(request, 200, listed({"metadata": {"name": "m"}}))
        elif path.endswith("/services/nope"):
            send(request, 404, status(404, "NotFound", name="nope", kind="services"))
        else:
            send(request, 200, json.dumps({"metadata": {"name": "m"}}).encode())

    with cluster(folder, handle):
        yield queries


def logs(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(scalezero, ["logs", *arguments], env={"KUBECONFIG": str(folder / "kubeconfig")})


def test_the_log_lines_of_one_pod_are_printed_unchanged(tmp_path: Path) -> None:
    with pods_with_logs(tmp_path, {"m-1": '{"a":1}\n{"b":2}\n'}) as queries:
        result = logs(tmp_path, "m", "--lines", "7", "--previous")
    assert (result.exit_code, result.output) == (0, '{"a":1}\n{"b":2}\n')
    assert queries[0] == {"labelSelector": ["serving.knative.dev/service=m"]}
    assert queries[1] == {"container": ["model"], "tailLines": ["7"], "previous": ["true"]}


def test_the_log_lines_of_several_pods_start_with_the_name_of_their_pod(tmp_path: Path) -> None:
    with pods_with_logs(tmp_path, {"m-1": "one\n", "m-2": "two\n"}):
        assert logs(tmp_path, "m").output == "m-1 one\nm-2 two\n"


@pytest.mark.parametrize("revision", ["m-v1", "v1"])
def test_a_revision_is_selected_with_or_without_the_prefix_of_its_model(tmp_path: Path, revision: str) -> None:
    with pods_with_logs(tmp_path, {"m-1": "one\n"}) as queries:
        logs(tmp_path, "m", "--revision", revision)
    assert queries[0] == {"labelSelector": ["serving.knative.dev/service=m,serving.knative.dev/revision=m-v1"]}


def test_without_a_pod_the_message_explains_where_older_logs_are(tmp_path: Path) -> None:
    with pods_with_logs(tmp_path, {}):
        result = logs(tmp_path, "m")
    assert result.exit_code == 0
    for fact in ("m has no pod in namespace shop", "scaled to zero", "serving.knative.dev/service=m"):
        assert fact in result.output


@pytest.mark.parametrize(("flags", "message"), [([], "no log lines yet"), (["--previous"], "m-2: no previous run")])
def test_a_pod_without_lines_is_reported(tmp_path: Path, flags: list[str], message: str) -> None:
    with pods_with_logs(tmp_path, {"m-1": "one\n", "m-2": ""}):
        result = logs(tmp_path, "m", *flags)
    assert result.stdout == "m-1 one\n"
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "no model 'nope' in namespace shop of mine: it has m"),
        (["nope", "--revision", "v1"], "no model 'nope' in namespace shop of mine: it has m"),
        (["m", "--revision", "v9"], "--revision='v9': expected a revision of m: m-v1"),
        (["m", "--follow", "--previous"], "--previous reads a run that has ended"),
    ],
)
def test_an_unknown_model_or_revision_is_refused_with_the_existing_ones(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    with pods_with_logs(tmp_path, {}):
        result = logs(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_following_prints_each_run_of_a_container_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminated container that waits for its restart is followed too; a closed log of a running one is reopened."""
    runs: list[tuple[str, Manifest]] = [
        ("c1", {"terminated": {}}),
        ("c1", {"waiting": {}}),
        ("c2", {"running": {}}),
        ("c2", {"running": {}}),
    ]
    states_of_pod = iter(runs)

    def handle(request: BaseHTTPRequestHandler) -> None:
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if path.endswith("/log"):
            send(request, 200, b"again\n" if query["tailLines"] == ["100"] else b"")
        elif path.endswith("/pods"):
            container, state = next(states_of_pod)
            states = [{"name": "model", "containerID": container, "state": state}]
            metadata = {"name": "m-1", "uid": "1"}
            send(request, 200, listed({"metadata": metadata, "status": {"containerStatuses": states}}))
        else:
            send(request, 200, json.dumps({"metadata": {"name": "m"}}).encode())

    remaining = len(runs)

    def wait_for_followers(_: float) -> None:
        nonlocal remaining
        remaining -= 1
        for thread in threading.enumerate():
            if thread.name.endswith("(follow)"):
                thread.join(DEADLINE)
        if not remaining:
            raise KeyboardInterrupt

    monkeypatch.setattr("knative.commands.logs.time.sleep", wait_for_followers)
    with cluster(tmp_path, handle):
        assert logs(tmp_path, "m", "--follow").output == "m-1 again\n" * 2
