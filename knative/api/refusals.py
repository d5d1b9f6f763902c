"""The conversion of an API server's error response to a class of `knative.api.errors`. Pure.

The body is a `Status` object (Kubernetes API reference, meta/v1): `reason` is machine-readable, `message` is a
sentence, `details.causes` lists the fields. Admission webhooks put their own sentence into `message`.
"""

import json
import re
from http import HTTPStatus
from typing import Any, Final

from knative.api.errors import (
    ClusterError,
    ClusterUnreachable,
    Conflict,
    EventingMissing,
    Forbidden,
    Holder,
    KnativeMissing,
    NotInCluster,
    NotLoggedIn,
    Outrun,
    RefusedByCluster,
)
from knative.objects import EVENTING_APIS, SERVING_PREFIX

_FORBIDDEN: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)'
)
_WEBHOOK: Final = re.compile(r'^admission webhook "(?P<webhook>[^"]*)" denied the request: ', re.DOTALL)
_MANAGER: Final = re.compile(r'^conflict with "(?P<manager>[^"]*)"')
_UNAVAILABLE: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


def status_of(body: bytes) -> dict[str, Any] | None:
    """Return the `Status` that an API server sends with an error, or None if the body is something else."""
    try:
        read = json.loads(body)
    except ValueError:
        return None
    return read if isinstance(read, dict) and read.get("kind") == "Status" else None


def refusal(code: int, body: bytes, *, what: str, path: str, address: str, context: str) -> ClusterError:
    """Build the error for an answer that is not a success. `what` names the object in the message."""
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
            return NotInCluster(str(details.get("kind", "object")), str(details.get("name", what)))
        case "Conflict" | "AlreadyExists":
            holders = [_holder(cause) for cause in details.get("causes") or ()]
            return Conflict(what, holders) if holders else Outrun(what)
        case _:
            return RefusedByCluster(what, _sentence(message), status=code)


def _without_status(code: int, body: bytes, *, what: str, path: str, address: str) -> ClusterError:
    """Build the error for an answer without a `Status`: of an API group that is not served, or of a proxy in between.

    502, 503 and 504 of a proxy mean that it cannot reach the API server, so the request may be sent again.
    """
    if code == HTTPStatus.NOT_FOUND and SERVING_PREFIX in path:
        return KnativeMissing(address)
    if code == HTTPStatus.NOT_FOUND and (api := next((each for each in EVENTING_APIS if f"/{each}/" in path), None)):
        return EventingMissing(address, api)
    reason = f"{code} {' '.join(body.decode('utf-8', 'replace').split())[:200]}".strip()
    return ClusterUnreachable(address, reason) if code in _UNAVAILABLE else RefusedByCluster(what, reason, status=code)


def _holder(cause: dict[str, Any]) -> Holder:
    found = _MANAGER.search(str(cause.get("message", "")))
    field = str(cause.get("field", "")).removeprefix(".")
    return Holder(field or "a field", found["manager"] if found else str(cause.get("message", "an unknown manager")))


def _sentence(message: str) -> str:
    """Return the message on one line, without the name of the webhook that wrote it."""
    return "; ".join(_WEBHOOK.sub("", message).strip().splitlines())
