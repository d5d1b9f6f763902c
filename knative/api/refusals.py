"""What an API server's refusal means: pure, from the answer to the error that says it.

A refusal is a `Status` object, described in the Kubernetes API reference under meta/v1: `reason` is a word for
programs, `message` a sentence, `details.causes` the fields. Admission webhooks put their own sentence into `message`.
"""

import json
import re
from http import HTTPStatus
from typing import Any, Final

from knative.api.errors import (
    ClusterError,
    ClusterUnreachable,
    Conflict,
    Forbidden,
    Holder,
    KnativeMissing,
    NotLoggedIn,
    ObjectMissing,
    Outrun,
    RefusedByCluster,
)

_FORBIDDEN: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)'
)
_WEBHOOK: Final = re.compile(r'^admission webhook "(?P<webhook>[^"]*)" denied the request: ', re.DOTALL)
_MANAGER: Final = re.compile(r'^conflict with "(?P<manager>[^"]*)"')
_AWAY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_KNATIVE: Final = "serving.knative.dev/"


def status_of(body: bytes) -> dict[str, Any] | None:
    """Read the `Status` that an API server sends where it refuses; None where the body is something else."""
    try:
        read = json.loads(body)
    except ValueError:
        return None
    return read if isinstance(read, dict) and read.get("kind") == "Status" else None


def refusal(code: int, body: bytes, *, what: str, path: str, address: str, context: str) -> ClusterError:
    """Build the error for an answer that is not a success. `what` is the object, as a person calls it."""
    status = status_of(body)
    if status is None:
        return _without_status(code, body, what=what, path=path, address=address)
    message = str(status.get("message", ""))
    details = status.get("details") or {}
    match status.get("reason"):
        case "Unauthorized":
            return NotLoggedIn(address, context=context)
        case "Forbidden" if found := _FORBIDDEN.search(message):
            return Forbidden(
                found["user"],
                verb=found["verb"],
                resource=found["resource"],
                group=found["group"],
                namespace=found["namespace"],
            )
        case "NotFound":
            return ObjectMissing(str(details.get("kind", "object")), str(details.get("name", what)))
        case "Conflict" | "AlreadyExists":
            holders = [_holder(cause) for cause in details.get("causes") or ()]
            return Conflict(what, holders) if holders else Outrun(what)
        case _:
            return RefusedByCluster(what, _sentence(message), status=code)


def _without_status(code: int, body: bytes, *, what: str, path: str, address: str) -> ClusterError:
    """Tell an answer that no part of the API wrote: a group that nobody serves, or a proxy in between.

    A proxy that has no API server to ask says nothing about the request, which may be sent again.
    """
    if code == HTTPStatus.NOT_FOUND and _KNATIVE in path:
        return KnativeMissing(address)
    said = f"{code} {' '.join(body.decode('utf-8', 'replace').split())[:200]}".strip()
    return ClusterUnreachable(address, said) if code in _AWAY else RefusedByCluster(what, said, status=code)


def _holder(cause: dict[str, Any]) -> Holder:
    found = _MANAGER.search(str(cause.get("message", "")))
    field = str(cause.get("field", "")).removeprefix(".")
    return Holder(field or "a field", found["manager"] if found else str(cause.get("message", "somebody")))


def _sentence(message: str) -> str:
    """Leave out which webhook speaks: its sentence says what is wrong."""
    return "; ".join(_WEBHOOK.sub("", message).strip().splitlines())
