"""Requests to an API server and what becomes of its answers. The answers are those of a real one; tests/e2e asks it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from knative.api.client import Answer, Cluster
from knative.api.errors import ClusterUnreachable, Forbidden, KnativeMissing, ObjectMissing
from knative.objects import Manifest, Ref
from tests.knative.api.test_connection import answering, send

REVISIONS = "/apis/serving.knative.dev/v1/namespaces/shop/revisions"
DENIED = (
    'services "http:activator-service:http" is forbidden: User "mine" cannot get resource "services/proxy" in API '
    'group "" in the namespace "knative-serving"'
)


@contextmanager
def cluster(folder: Path, handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Cluster]:
    """A cluster whose API server answers so."""
    with answering(handle) as address:
        file = folder / "kubeconfig"
        config = {
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [],
            "contexts": [{"name": "mine", "context": {"cluster": "c", "namespace": "shop"}}],
            "current-context": "mine",
        }
        file.write_text(json.dumps(config))
        made = Cluster(environ={"KUBECONFIG": str(file)})
        yield made
        made.close()


def status(code: int, reason: str, message: str = "", **details: str) -> bytes:
    return json.dumps(
        {"kind": "Status", "reason": reason, "message": message, "details": details, "code": code}
    ).encode()


def revision(version: int) -> Manifest:
    return {"metadata": {"name": "m-v1", "resourceVersion": str(version)}}


def listed(*items: Manifest) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "7"}, "items": items}).encode()


def test_a_namespace_may_be_another_than_the_contexts(tmp_path: Path) -> None:
    asked: list[str] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        send(request, 200)

    with cluster(tmp_path, note) as here:
        here.get(Ref("Pod", "p"))
        here.within("other").get(Ref("Route", "r"))
        assert (here.namespace, here.context) == ("shop", "mine")
    assert asked == ["/api/v1/namespaces/shop/pods/p", "/apis/serving.knative.dev/v1/namespaces/other/routes/r"]


def test_what_is_not_there_is_none_and_a_kind_that_nobody_knows_is_told(tmp_path: Path) -> None:
    answers = iter([status(404, "NotFound", name="x", kind="services"), b"404 page not found\n"])
    with cluster(tmp_path, lambda request: send(request, 404, next(answers))) as here:
        assert here.get(Ref("Service", "x")) is None
        with pytest.raises(KnativeMissing):
            here.get(Ref("Service", "x"))


def test_a_namespace_that_is_not_there_is_told_with_how_it_is_made(tmp_path: Path) -> None:
    missing = status(404, "NotFound", 'namespaces "shop" not found', name="shop", kind="namespaces")
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        send(request, 404, missing)

    with cluster(tmp_path, answer) as here, pytest.raises(ObjectMissing, match="kubectl create namespace shop"):
        here.see_namespace()
    assert asked == ["/api/v1/namespaces/shop"]


def test_who_may_not_look_at_namespaces_may_work_in_one(tmp_path: Path) -> None:
    denied = (
        'namespaces "shop" is forbidden: User "mine" cannot get resource "namespaces" in API group "" in the '
        'namespace "shop"'
    )
    answer = status(403, "Forbidden", denied, name="shop", kind="namespaces")
    with cluster(tmp_path, lambda request: send(request, 403, answer)) as here:
        here.see_namespace()


def test_what_answers_without_json_is_no_api_server(tmp_path: Path) -> None:
    sentence = "does not answer: what answers there is no API server"
    with (
        cluster(tmp_path, lambda request: send(request, 200, b"<html>log in</html>")) as here,
        pytest.raises(ClusterUnreachable, match=sentence),
    ):
        here.get(Ref("Pod", "p"))


def test_listed_objects_say_what_they_are(tmp_path: Path) -> None:
    """An API server leaves kind and apiVersion out of lists."""
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        send(request, 200, listed(revision(1)))

    with cluster(tmp_path, answer) as here:
        (found,) = here.list("Revision", labels={"a/b": "c", "d": "e"})
    assert (found["kind"], found["apiVersion"]) == ("Revision", "serving.knative.dev/v1")
    assert asked == [f"{REVISIONS}?labelSelector=a%2Fb%3Dc%2Cd%3De"]


class Watched:
    """Answers lists, and one watch after the other, from scripts."""

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
            request.close_connection = True  # cut off


def event(kind: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": revision(version)}).encode() + b"\n"


def followed(here: Cluster, number: int) -> list[str]:
    """The versions of so many objects, as they come."""
    versions: list[str] = []
    for each in here.follow("Revision", name="m-v1", seconds=20):
        versions.append(each["metadata"]["resourceVersion"])
        if len(versions) == number:
            break
    return versions


def test_objects_come_as_they_are_and_as_they_become(tmp_path: Path) -> None:
    events = event("MODIFIED", 11) + event("BOOKMARK", 12) + event("DELETED", 13) + event("ADDED", 14)
    with cluster(tmp_path, Watched(events)) as here:
        assert followed(here, 3) == ["10", "11", "14"]


def test_a_watch_that_is_too_old_begins_anew(tmp_path: Path) -> None:
    gone = json.dumps({"type": "ERROR", "object": {"code": 410}}).encode() + b"\n"
    with cluster(tmp_path, Watched(gone + event("MODIFIED", 99), event("MODIFIED", 21))) as here:
        assert followed(here, 3) == ["10", "20", "21"]


def test_a_watch_that_is_cut_off_begins_anew(tmp_path: Path) -> None:
    torn = event("MODIFIED", 11)[:20]
    with cluster(tmp_path, Watched(event("MODIFIED", 11) + torn, event("MODIFIED", 21))) as here:
        assert followed(here, 4) == ["10", "11", "20", "21"]


def test_following_goes_over_a_cluster_that_is_away_for_a_while(tmp_path: Path) -> None:
    with cluster(tmp_path, Watched()) as here:  # each watch breaks the connection
        assert followed(here, 2) == ["10", "20"]


def test_following_a_cluster_that_was_never_there_fails_at_once(tmp_path: Path) -> None:
    with cluster(tmp_path, Watched()) as here:
        pass
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable):
        followed(here, 1)
    assert time.monotonic() - began < 5


def test_a_deaf_pod_is_an_answer_and_not_an_unreachable_cluster(tmp_path: Path) -> None:
    with cluster(tmp_path, lambda _: time.sleep(1)) as here:
        answer = here.pod_get("p", "/metrics", timeout=0.2)
    assert (answer.status, b"no answer within 0.2 s" in answer.body) == (504, True)


def test_a_pods_own_refusal_is_an_answer_and_the_api_servers_is_not(tmp_path: Path) -> None:
    answers = iter([b"who are you?", status(403, "Forbidden", DENIED)])
    with cluster(tmp_path, lambda request: send(request, 403, next(answers))) as here:
        assert here.pod_get("p", "/private", timeout=5) == Answer(403, b"who are you?")
        with pytest.raises(Forbidden, match="mine cannot get services/proxy in namespace knative-serving"):
            here.revision_get("m-v1", "/healthz/ready", timeout=5)


def test_a_revision_is_asked_through_the_activator_which_headers_tell_the_revision(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        headers = request.headers
        told = headers["knative-serving-namespace"], headers["knative-serving-revision"]
        asked.append((request.path.rpartition("/services/")[2], *told))
        send(request, 200, b"ready")

    with cluster(tmp_path, note) as here:
        assert here.revision_get("m-v1", "/healthz/ready", timeout=5) == Answer(200, b"ready")
    assert asked == [("http:activator-service:http/proxy/healthz/ready", "shop", "m-v1")]


@pytest.mark.parametrize("code", [400, 404])
def test_a_container_that_has_not_run_has_an_empty_log(tmp_path: Path, code: int) -> None:
    with cluster(tmp_path, lambda request: send(request, code, status(code, "BadRequest"))) as here:
        assert here.logs("p", container="model", lines=5) == ""


def test_lines_that_a_container_logs_come_one_by_one_until_it_ends(tmp_path: Path) -> None:
    asked: list[str] = []

    def log(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        send(request, 200, "first\nsecond, ä\n".encode())

    with cluster(tmp_path, log) as here:
        assert list(here.follow_logs("p", container="model", lines=5)) == ["first", "second, ä"]
    assert asked == ["/api/v1/namespaces/shop/pods/p/log?container=model&tailLines=5&follow=true"]


def test_a_pod_that_is_gone_has_no_log_to_follow(tmp_path: Path) -> None:
    gone = status(404, "NotFound")
    with cluster(tmp_path, lambda request: send(request, 404, gone)) as here, pytest.raises(ObjectMissing):
        list(here.follow_logs("p", container="model", lines=5))
