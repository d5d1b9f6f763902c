"""One namespace of one cluster: objects in, objects out. Its refusals leave here as classes of `knative.api.errors`."""

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

from knative.api.connection import ANSWER, Connection
from knative.api.errors import ClusterUnreachable, Forbidden, NoAnswerInTime, ObjectMissing
from knative.api.refusals import refusal, status_of
from knative.manifests import names
from knative.objects import APIS, Manifest, Ref, ref_of

Manifests = list[Manifest]  # a name of its own, as the class has a method `list`

_WATCH_MARGIN: Final = 10.0  # s that a watch's end may be late
_QUIET: Final = 3600.0  # s that a container which is followed may log nothing
_PAUSE: Final = 0.5  # s between two attempts to follow
# The Service of a revision leads there too, but an API server proxies to no pod of another namespace.
_ACTIVATOR: Final = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/services/{names.ACTIVATOR}"


class Answer(NamedTuple):
    """What a pod or a revision answered over HTTP."""

    status: int
    body: bytes


class Cluster:
    """The objects of one namespace, by `Ref`. Every method raises `ClusterError`s."""

    def __init__(
        self, *, context: str | None = None, namespace: str | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        """Find the cluster, without asking it anything yet. Raises `NoCluster`, `WrongContext`, `BadKubeconfig`."""
        self._connection = Connection(context, environ)
        self.context = self._connection.context
        self.address = self._connection.address
        self.namespace = namespace or self._connection.namespace

    def within(self, namespace: str) -> "Cluster":
        """Look at another namespace of the same cluster."""
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def see_namespace(self) -> None:
        """Raise `ObjectMissing` where there is no such namespace: objects in it are only not there, as in an empty one.

        Who may not look at namespaces has been given rights in one that is there.
        """
        with suppress(Forbidden):
            self._json("GET", f"/api/v1/namespaces/{quote(self.namespace)}", what=f"namespace/{self.namespace}")

    def close(self) -> None:
        """Let go of the connections that are kept for the next request."""
        self._connection.close()

    def get(self, ref: Ref) -> Manifest | None:
        """Read an object; None where there is none. Raises `KnativeMissing` where nobody knows its kind."""
        try:
            found: Manifest = self._json("GET", self._path(ref.kind, ref.name), what=str(ref))
        except ObjectMissing:
            return None
        return found

    def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> Manifests:
        """Read all objects of a kind that have the labels, in the order of their names."""
        return self._listed(kind, {"labelSelector": _selector(labels)})[0]

    def apply(
        self, manifest: Manifest, *, manager: str = "scalezero", force: bool = False, dry_run: bool = False
    ) -> Manifest:
        """Apply on the server's side (SSA) and return the object. Raises `Conflict` for fields that others hold.

        With a `metadata.resourceVersion` it raises `Outrun` where the object has changed since. `dry_run` has it
        admitted, defaulted and thrown away.
        """
        ref = ref_of(manifest)
        query = {"fieldManager": manager, "force": str(force).lower(), "dryRun": "All" if dry_run else ""}
        path = self._path(ref.kind, ref.name)
        applied: Manifest = self._json(
            "PATCH", path, query=query, body=manifest, kind="apply-patch+yaml", what=str(ref)
        )
        return applied

    def delete(self, ref: Ref) -> bool:
        """Delete an object and, in the background, what it owns; False where there was none."""
        try:
            self._json("DELETE", self._path(ref.kind, ref.name), what=str(ref))
        except ObjectMissing:
            return False
        return True

    def follow(self, kind: str, *, name: str, seconds: float, every: float = 30.0) -> Iterator[Manifest]:
        """Yield an object as it is and as it becomes, for `seconds`; again after `every` seconds at most.

        An interruption is gone over as long as there is time; what was deleted comes no more. Raises
        `ClusterUnreachable` where the first look fails, or the last.
        """
        ends = time.monotonic() + seconds
        selectors = {"fieldSelector": f"metadata.name={name}"}
        reached = False
        while (left := ends - time.monotonic()) > 0:
            try:
                found, version = self._listed(kind, selectors)
                reached = True
                yield from found
                yield from self._watched(kind, {**selectors, "resourceVersion": version}, min(left, every))
            except ClusterUnreachable:
                if not reached or time.monotonic() + _PAUSE >= ends:
                    raise
                time.sleep(_PAUSE)

    def logs(self, pod: str, *, container: str, lines: int, previous: bool = False) -> str:
        """Read a container's last log lines, of the run before where `previous`. Empty where there are none."""
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        answer = self._connection.send("GET", f"{self._path('Pod', pod)}/log", query=query)
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:  # it has not run, or is gone
            return ""
        self._refuse(answer, what=f"the log of pod/{pod}", path="")
        return answer.data.decode("utf-8", "replace")

    def follow_logs(self, pod: str, *, container: str, lines: int) -> Iterator[str]:
        """Yield a container's last log lines, and new ones until it ends."""
        query = {"container": container, "tailLines": str(lines), "follow": "true"}
        path = f"{self._path('Pod', pod)}/log"
        answer = self._connection.send("GET", path, query=query, seconds=_QUIET, stream=True)
        try:
            self._refuse(answer, what=f"the log of pod/{pod}", path="")
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\n")
        except (HTTPError, OSError):  # cut off: the caller may follow again
            return
        finally:
            answer.close()

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        """Ask a pod, through the API server: no name and no ingress is needed.

        404 where it is gone, 503 or 504 where it is deaf. `timeout` is in seconds. Raises `Forbidden` without the right
        to get pods/proxy.
        """
        return self._proxied(f"{self._path('Pod', f'{pod}:{port}')}/proxy/{path.lstrip('/')}", timeout=timeout)

    def revision_get(self, revision: str, path: str, *, timeout: float) -> Answer:
        """Ask a revision, which wakes it from zero: the API server asks Knative's activator, which makes it a pod.

        Headers name the revision, as no host name does here. `timeout` is in seconds, the cold start included. 404
        where there is no such revision. Raises `Forbidden` without the right to get services/proxy of the activator.
        """
        headers = {"Knative-Serving-Namespace": self.namespace, "Knative-Serving-Revision": revision}
        return self._proxied(f"{_ACTIVATOR}/proxy/{path.lstrip('/')}", timeout=timeout, headers=headers)

    def _path(self, kind: str, name: str | None = None) -> str:
        api = APIS[kind]
        root = "apis" if "/" in api.version else "api"
        path = f"/{root}/{api.version}/namespaces/{quote(self.namespace)}/{api.plural}"
        return path if name is None else f"{path}/{quote(name, safe=':')}"

    def _listed(self, kind: str, query: Mapping[str, str]) -> tuple[Manifests, str]:
        """Read the objects, and the version of the collection that a watch goes on from."""
        read = self._json("GET", self._path(kind), query=query, what=APIS[kind].plural)
        items = [{"apiVersion": APIS[kind].version, "kind": kind, **each} for each in read["items"]]
        return items, read["metadata"]["resourceVersion"]

    def _watched(self, kind: str, query: Mapping[str, str], seconds: float) -> Iterator[Manifest]:
        """Yield what changes until the time is over, or the server ends it."""
        whole = max(1, round(seconds))
        query = {**query, "watch": "true", "timeoutSeconds": str(whole)}
        path = self._path(kind)
        answer = self._connection.send("GET", path, query=query, seconds=whole + _WATCH_MARGIN, stream=True)
        try:
            self._refuse(answer, what=APIS[kind].plural, path=path)
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":  # the version is too old: the next list begins anew
                    return
                if event["type"] in {"ADDED", "MODIFIED"}:
                    yield event["object"]
        except (HTTPError, ValueError):  # cut off, perhaps within an event
            return  # the next list tells whether the cluster is still there
        finally:
            answer.close()

    def _proxied(self, path: str, *, timeout: float, headers: Mapping[str, str] = {}) -> Answer:
        try:
            answer = self._connection.send("GET", path, headers=headers, seconds=timeout)
        except NoAnswerInTime as error:
            return Answer(HTTPStatus.GATEWAY_TIMEOUT, error.message.encode())
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} and status_of(answer.data):
            self._refuse(answer, what=path, path=path)
        return Answer(answer.status, answer.data)

    def _json(self, method: str, path: str, *, what: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        answer = self._connection.send(method, path, seconds=ANSWER, **request)
        self._refuse(answer, what=what, path=path)
        try:
            return json.loads(answer.data)
        except ValueError as error:
            raise ClusterUnreachable(self.address, "what answers there is no API server") from error

    def _refuse(self, answer: urllib3.BaseHTTPResponse, *, what: str, path: str) -> None:
        """Raise what an answer says that is no success."""
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refusal(answer.status, answer.data, what=what, path=path, address=self.address, context=self.context)


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())
