"""The client for one namespace of one cluster. Errors of the API are raised as classes of `knative.api.errors`."""

import copy
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from knative.api.connection import ANSWER_TIMEOUT, Connection
from knative.api.errors import ClusterUnreachable, Forbidden, NoAnswerInTime, NotInCluster
from knative.api.refusals import refusal, status_of
from knative.manifests import names
from knative.objects import APIS, Manifest, Ref, ref_of

Manifests = list[Manifest]  # an alias, because the method `list` hides the built-in inside the class

_WATCH_MARGIN: Final = 10.0  # s that the server may take to end a watch after its timeout
_LOG_IDLE_TIMEOUT: Final = 3600.0  # s without a log line after which following ends
_RETRY_PAUSE: Final = 0.5  # s between two attempts to follow
# The Service of a revision routes to the activator too, but an API server does not proxy to a pod of another namespace.
_ACTIVATOR: Final = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/services/{names.ACTIVATOR}"


class Answer(NamedTuple):
    """The HTTP response of a pod or a revision."""

    status: int
    body: bytes


class Cluster:
    """The objects of one namespace, by `Ref`. Every method raises `ClusterError`s."""

    def __init__(
        self, *, context: str | None = None, namespace: str | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        """Select the cluster, but send no request yet. Raises `NoCluster`, `WrongContext`, `BadKubeconfig`."""
        self._connection = Connection(context, environ)
        self.context = self._connection.context
        self.address = self._connection.address
        self.namespace = namespace or self._connection.namespace

    def in_namespace(self, namespace: str) -> "Cluster":
        """Return a client for another namespace of the same cluster."""
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def require_namespace(self) -> None:
        """Raise `NotInCluster` if the namespace does not exist.

        The check is necessary because lists of a missing namespace are empty, as in an empty namespace. It passes if
        the user has no permission to read namespaces: such a user has a Role in a namespace that exists.
        """
        with suppress(Forbidden):
            self._json("GET", f"/api/v1/namespaces/{quote(self.namespace)}", what=f"namespace/{self.namespace}")

    def close(self) -> None:
        """Close the pooled connections."""
        self._connection.close()

    def get(self, ref: Ref) -> Manifest | None:
        """Return an object, or None if it does not exist. Raises `KnativeMissing` if no API serves its kind."""
        try:
            found: Manifest = self._json("GET", self._path(ref.kind, ref.name), what=str(ref))
        except NotInCluster:
            return None
        return found

    def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> Manifests:
        """Return all objects of a kind that have the labels, sorted by name."""
        return self._list_with_version(kind, {"labelSelector": _selector(labels)})[0]

    def apply(
        self, manifest: Manifest, *, manager: str = "scalezero", force: bool = False, dry_run: bool = False
    ) -> Manifest:
        """Apply a manifest with server-side apply (SSA) and return the object.

        Raises `Conflict` for fields that other managers own. If the manifest has a `metadata.resourceVersion`, raises
        `Outrun` if the object has changed since that version. With `dry_run` the server admits the object and sets its
        defaults, but does not store it.
        """
        ref = ref_of(manifest)
        query = {"fieldManager": manager, "force": str(force).lower(), "dryRun": "All" if dry_run else ""}
        path = self._path(ref.kind, ref.name)
        applied: Manifest = self._json(
            "PATCH", path, query=query, body=manifest, kind="apply-patch+yaml", what=str(ref)
        )
        return applied

    def delete(self, ref: Ref, *, seen: Manifest | None = None) -> bool:
        """Delete an object and, in the background, its dependents. Return False if the object does not exist.

        With `seen`, only that state of the object is deleted: raises `Outrun` if it has changed.
        """
        request = {} if seen is None else {"body": {"preconditions": _state(seen)}}
        try:
            self._json("DELETE", self._path(ref.kind, ref.name), what=str(ref), **request)
        except NotInCluster:
            return False
        return True

    def follow(self, kind: str, *, name: str, seconds: float, every: float = 30.0) -> Iterator[Manifest]:
        """Yield an object now and after each change, for `seconds`, and at least once in `every` seconds.

        Interruptions are retried until the time is over. A deleted object is not yielded. Raises `ClusterUnreachable`
        if the first or the last request fails.
        """
        ends = time.monotonic() + seconds
        selectors = {"fieldSelector": f"metadata.name={name}"}
        reached = False
        while (left := ends - time.monotonic()) > 0:
            try:
                found, version = self._list_with_version(kind, selectors)
                reached = True
                yield from found
                yield from self._watch(kind, {**selectors, "resourceVersion": version}, min(left, every))
            except ClusterUnreachable:
                if not reached or time.monotonic() + _RETRY_PAUSE >= ends:
                    raise
                time.sleep(_RETRY_PAUSE)

    def logs(self, pod: str, *, container: str, lines: int, previous: bool = False) -> str:
        """Return the last log lines of a container, or of its previous run if `previous`. Empty if there is no log."""
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        answer = self._connection.send("GET", f"{self._path('Pod', pod)}/log", query=query)
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:  # not started yet, or deleted
            return ""
        self._raise_for_status(answer, what=f"the log of pod/{pod}", path="")
        return answer.data.decode("utf-8", "replace")

    def follow_logs(self, pod: str, *, container: str, lines: int) -> Iterator[str]:
        """Yield the last log lines of a container, then new lines until the container ends."""
        query = {"container": container, "tailLines": str(lines), "follow": "true"}
        path = f"{self._path('Pod', pod)}/log"
        answer = self._connection.send("GET", path, query=query, seconds=_LOG_IDLE_TIMEOUT, stream=True)
        try:
            self._raise_for_status(answer, what=f"the log of pod/{pod}", path="")
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\n")
        except (HTTPError, OSError):  # the connection broke: the caller may follow again
            return
        finally:
            answer.close()

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        """Send a GET to a pod through the API server's proxy, which needs no DNS name and no ingress.

        Returns status 404 if the pod does not exist, 503 or 504 if it does not answer. `timeout` is in seconds. Raises
        `Forbidden` without permission to get pods/proxy.
        """
        return self._proxy_get(f"{self._path('Pod', f'{pod}:{port}')}/proxy/{path.lstrip('/')}", timeout=timeout)

    def revision_get(self, revision: str, path: str, *, timeout: float) -> Answer:
        """Send a GET to a revision, which starts a pod if it is scaled to zero.

        The API server proxies the request to Knative's activator. Headers name the revision, because the request has no
        host name of it. `timeout` is in seconds and includes the cold start. Returns status 404 if the revision does
        not exist. Raises `Forbidden` without permission to get services/proxy of the activator.
        """
        headers = {"Knative-Serving-Namespace": self.namespace, "Knative-Serving-Revision": revision}
        return self._proxy_get(f"{_ACTIVATOR}/proxy/{path.lstrip('/')}", timeout=timeout, headers=headers)

    def _path(self, kind: str, name: str | None = None) -> str:
        api = APIS[kind]
        root = "apis" if "/" in api.version else "api"
        path = f"/{root}/{api.version}/namespaces/{quote(self.namespace)}/{api.plural}"
        return path if name is None else f"{path}/{quote(name, safe=':')}"

    def _list_with_version(self, kind: str, query: Mapping[str, str]) -> tuple[Manifests, str]:
        """Return the objects, and the resource version of the collection, from which a watch continues."""
        read = self._json("GET", self._path(kind), query=query, what=APIS[kind].plural)
        items = [{"apiVersion": APIS[kind].version, "kind": kind, **each} for each in read["items"]]
        return items, read["metadata"]["resourceVersion"]

    def _watch(self, kind: str, query: Mapping[str, str], seconds: float) -> Iterator[Manifest]:
        """Yield each changed object until the time is over or the server ends the watch."""
        timeout = max(1, round(seconds))
        query = {**query, "watch": "true", "timeoutSeconds": str(timeout)}
        path = self._path(kind)
        answer = self._connection.send("GET", path, query=query, seconds=timeout + _WATCH_MARGIN, stream=True)
        try:
            self._raise_for_status(answer, what=APIS[kind].plural, path=path)
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":  # the version is too old: the caller lists the objects again
                    return
                if event["type"] in {"ADDED", "MODIFIED"}:
                    yield event["object"]
        except (HTTPError, ValueError):  # the connection broke, perhaps within an event
            return  # the next list shows whether the cluster still answers
        finally:
            answer.close()

    def _proxy_get(self, path: str, *, timeout: float, headers: Mapping[str, str] = {}) -> Answer:
        try:
            answer = self._connection.send("GET", path, headers=headers, seconds=timeout)
        except NoAnswerInTime as error:
            return Answer(HTTPStatus.GATEWAY_TIMEOUT, error.message.encode())
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} and status_of(answer.data):
            self._raise_for_status(answer, what=path, path=path)
        return Answer(answer.status, answer.data)

    def _json(self, method: str, path: str, *, what: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        answer = self._connection.send(method, path, seconds=ANSWER_TIMEOUT, **request)
        self._raise_for_status(answer, what=what, path=path)
        try:
            return json.loads(answer.data)
        except ValueError as error:
            reason = "the response is not JSON, so this address is not an API server"
            raise ClusterUnreachable(self.address, reason) from error

    def _raise_for_status(self, answer: urllib3.BaseHTTPResponse, *, what: str, path: str) -> None:
        """Raise the error of an answer that is not a success."""
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refusal(answer.status, answer.data, what=what, path=path, address=self.address, context=self.context)


def _state(manifest: Manifest) -> dict[str, str]:
    """Return what identifies an object and its state."""
    return {name: manifest["metadata"][name] for name in ("uid", "resourceVersion")}


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())
