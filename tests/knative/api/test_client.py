"""Requests to an API server and the handling of its answers. The answers are copied from a real one (see tests/e2e)."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from knative.api.client import Answer, Cluster
from knative.api.errors import ClusterUnreachable, Forbidden, KnativeMissing, NotInCluster
from knative.objects import Manifest, Ref
from tests.knative.api.test_connection import answering, send

REVISIONS = "/apis/serving.knative.dev/v1/namespaces/shop/revisions"
DENIED = (
    'services "http:activator-service:http" is forbidden: User "mine" cannot get resource "services/proxy" in API '
    'group "" in the namespace "knative-serving"'
)


@contextmanager
def cluster(folder: Path, handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Cluster]:
    """Yield a client for an API server that answers with `handle`."""
    with answering(handle) as address:
        file = folder / "kubeconfig"
        config = {
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [],
            "contexts": [{"name": "mine", "context": {"cluster": "c", "namespace": "shop"}}],
            "current-context": "mine",
        }
        file.write_text(json.dumps(config))
        client = Cluster(environ={"KUBECONFIG": str(file)})
        yield client
        client.close()


def status(code: int, reason: str, message: str = "", **details: str) -> bytes:
    return json.dumps(
        {"kind": "Status", "reason": reason, "message": message, "details": details, "code": code}
    ).encode()


def revision(version: int) -> Manifest:
    return {"metadata": {"name": "m-v1", "resourceVersion": str(version)}}


def listed(*items: Manifest) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "7"}, "items": items}).encode()


def test_in_namespace_overrides_the_namespace_of_the_context(tmp_path: Path) -> None:
    requested: list[str] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        requested.append(request.path)
        send(request, 200)

    with cluster(tmp_path, note) as client:
        client.get(Ref("Pod", "p"))
        client.in_namespace("other").get(Ref("Route", "r"))
        assert (client.namespace, client.context) == ("shop", "mine")
    assert requested == ["/api/v1/namespaces/shop/pods/p", "/apis/serving.knative.dev/v1/namespaces/other/routes/r"]


def test_a_missing_object_is_none_and_a_missing_api_is_an_error(tmp_path: Path) -> None:
    answers = iter([status(404, "NotFound", name="x", kind="services"), b"404 page not found\n"])
    with cluster(tmp_path, lambda request: send(request, 404, next(answers))) as client:
        assert client.get(Ref("Service", "x")) is None
        with pytest.raises(KnativeMissing):
            client.get(Ref("Service", "x"))


def test_the_error_for_a_missing_namespace_names_the_command_that_creates_it(tmp_path: Path) -> None:
    missing = status(404, "NotFound", 'namespaces "shop" not found', name="shop", kind="namespaces")
    requested: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        requested.append(request.path)
        send(request, 404, missing)

    with cluster(tmp_path, answer) as client, pytest.raises(NotInCluster, match="kubectl create namespace shop"):
        client.require_namespace()
    assert requested == ["/api/v1/namespaces/shop"]


def test_a_user_without_permission_to_read_namespaces_can_use_one(tmp_path: Path) -> None:
    denied = (
        'namespaces "shop" is forbidden: User "mine" cannot get resource "namespaces" in API group "" in the '
        'namespace "shop"'
    )
    answer = status(403, "Forbidden", denied, name="shop", kind="namespaces")
    with cluster(tmp_path, lambda request: send(request, 403, answer)) as client:
        client.require_namespace()


def test_a_server_that_does_not_answer_with_json_is_not_an_api_server(tmp_path: Path) -> None:
    sentence = "does not answer: .*not an API server"
    with (
        cluster(tmp_path, lambda request: send(request, 200, b"<html>log in</html>")) as client,
        pytest.raises(ClusterUnreachable, match=sentence),
    ):
        client.get(Ref("Pod", "p"))


def test_listed_objects_have_kind_and_api_version(tmp_path: Path) -> None:
    """An API server omits kind and apiVersion in lists."""
    requested: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        requested.append(request.path)
        send(request, 200, listed(revision(1)))

    with cluster(tmp_path, answer) as client:
        (found,) = client.list("Revision", labels={"a/b": "c", "d": "e"})
    assert (found["kind"], found["apiVersion"]) == ("Revision", "serving.knative.dev/v1")
    assert requested == [f"{REVISIONS}?labelSelector=a%2Fb%3Dc%2Cd%3De"]


class Watched:
    """A handler that answers lists, and each watch with the next of the given events."""

    def __init__(self, *watches: bytes) -> None:
        self.watches = iter(watches)
        self.lists = 0

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        if "watch=true" not in request.path:
            self.lists += 1
            send(request, 200, listed(revision(self.lists * 10)))
        elif (events := next(self.watches, None)) is not None:
            send(request, 200, events)
        else:
            request.close_connection = True  # closes the connection


def event(kind: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": revision(version)}).encode() + b"\n"


def followed(client: Cluster, number: int) -> list[str]:
    """Return the versions of the first `number` objects."""
    versions: list[str] = []
    for each in client.follow("Revision", name="m-v1", seconds=20):
        versions.append(each["metadata"]["resourceVersion"])
        if len(versions) == number:
            break
    return versions


def test_follow_yields_the_object_and_its_changes(tmp_path: Path) -> None:
    events = event("MODIFIED", 11) + event("BOOKMARK", 12) + event("DELETED", 13) + event("ADDED", 14)
    with cluster(tmp_path, Watched(events)) as client:
        assert followed(client, 3) == ["10", "11", "14"]


def test_an_expired_watch_restarts(tmp_path: Path) -> None:
    gone = json.dumps({"type": "ERROR", "object": {"code": 410}}).encode() + b"\n"
    with cluster(tmp_path, Watched(gone + event("MODIFIED", 99), event("MODIFIED", 21))) as client:
        assert followed(client, 3) == ["10", "20", "21"]


def test_an_interrupted_watch_restarts(tmp_path: Path) -> None:
    torn = event("MODIFIED", 11)[:20]
    with cluster(tmp_path, Watched(event("MODIFIED", 11) + torn, event("MODIFIED", 21))) as client:
        assert followed(client, 4) == ["10", "11", "20", "21"]


def test_following_continues_after_the_cluster_was_unreachable(tmp_path: Path) -> None:
    with cluster(tmp_path, Watched()) as client:  # each watch breaks the connection
        assert followed(client, 2) == ["10", "20"]


def test_following_an_unreachable_cluster_fails_immediately(tmp_path: Path) -> None:
    with cluster(tmp_path, Watched()) as client:
        pass
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable):
        followed(client, 1)
    assert time.monotonic() - began < 30


def test_a_pod_that_does_not_answer_is_status_504(tmp_path: Path) -> None:
    with cluster(tmp_path, lambda _: time.sleep(1)) as client:
        answer = client.pod_get("p", "/metrics", timeout=0.2)
    assert (answer.status, b"no answer within 0.2 s" in answer.body) == (504, True)


def test_a_403_of_the_pod_is_an_answer_and_a_403_of_the_api_server_is_an_error(tmp_path: Path) -> None:
    answers = iter([b"who are you?", status(403, "Forbidden", DENIED)])
    with cluster(tmp_path, lambda request: send(request, 403, next(answers))) as client:
        assert client.pod_get("p", "/private", timeout=5) == Answer(403, b"who are you?")
        with pytest.raises(Forbidden, match="mine cannot get services/proxy in namespace knative-serving"):
            client.revision_get("m-v1", "/healthz/ready", timeout=5)


def test_a_request_to_a_revision_goes_through_the_activator_with_headers_for_the_revision(tmp_path: Path) -> None:
    requested: list[tuple[str, str | None, str | None]] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        headers = request.headers
        revision_headers = headers["knative-serving-namespace"], headers["knative-serving-revision"]
        requested.append((request.path.rpartition("/services/")[2], *revision_headers))
        send(request, 200, b"ready")

    with cluster(tmp_path, note) as client:
        assert client.revision_get("m-v1", "/healthz/ready", timeout=5) == Answer(200, b"ready")
    assert requested == [("http:activator-service:http/proxy/healthz/ready", "shop", "m-v1")]


@pytest.mark.parametrize("code", [400, 404])
def test_a_container_that_has_not_started_has_an_empty_log(tmp_path: Path, code: int) -> None:
    with cluster(tmp_path, lambda request: send(request, code, status(code, "BadRequest"))) as client:
        assert client.logs("p", container="model", lines=5) == ""


def test_follow_logs_yields_lines_until_the_container_ends(tmp_path: Path) -> None:
    requested: list[str] = []

    def log(request: BaseHTTPRequestHandler) -> None:
        requested.append(request.path)
        send(request, 200, "first\nsecond, ä\n".encode())

    with cluster(tmp_path, log) as client:
        assert list(client.follow_logs("p", container="model", lines=5)) == ["first", "second, ä"]
    assert requested == ["/api/v1/namespaces/shop/pods/p/log?container=model&tailLines=5&follow=true"]


def test_following_the_log_of_a_deleted_pod_is_an_error(tmp_path: Path) -> None:
    gone = status(404, "NotFound")
    with cluster(tmp_path, lambda request: send(request, 404, gone)) as client, pytest.raises(NotInCluster):
        list(client.follow_logs("p", container="model", lines=5))
