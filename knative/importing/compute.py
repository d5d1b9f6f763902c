"""A foreign container's share of a node, as func.yaml has it."""

from collections.abc import Iterator
from typing import Any, Final

from knative.importing.server import Left
from knative.manifests.options import DeploymentOptions
from knative.manifests.quantities import cores, in_bytes
from knative.resources.pod import Container
from runtime.errors import BadSetting

_FIELDS: Final = ("requests", "limits")
_USUAL: Final = DeploymentOptions(image="any")
_ELSEWHERE: Final = {
    "ephemeral-storage": "the cache's volume bounds it: run.volumes in func.yaml",
}


def shares(container: Container) -> tuple[dict[str, dict[str, Any]], tuple[Left, ...]]:
    """Write `resources` of func.yaml: what the Deployment says, or else the usual; and what could not be taken."""
    given = {field: dict(_given(container, field)) for field in _FIELDS}
    taken = {field: {name: text for name, text in each.items() if _reads(name, text)} for field, each in given.items()}
    left = [
        Left(f"resources.{field} {name}: {text}", _ELSEWHERE.get(name, _why(name)))
        for field, each in given.items()
        for name, text in each.items()
        if name not in taken[field]
    ]
    if not any(taken.values()):
        taken = {
            field: {"cpu": share.cpu, "memory": share.memory}
            for field, share in (("requests", _USUAL.requests), ("limits", _USUAL.limits))
        }
    return {"requests": taken["requests"], "limits": {**taken["limits"], "concurrency": 0}}, tuple(left)


def _given(container: Container, field: str) -> Iterator[tuple[str, str]]:
    if container.resources is not None:
        for name, value in getattr(container.resources, field).items():
            yield name, str(value).removeprefix("+")


def _reads(name: str, text: str) -> bool:
    try:
        return name in {"cpu", "memory"} and bool(cores(text) if name == "cpu" else in_bytes(name, text))
    except BadSetting:
        return False


def _why(name: str) -> str:
    if name in {"cpu", "memory"}:
        return "it is no quantity above nothing that is understood here: write it as 500m or 512Mi"
    return "models are served on the CPU; func.yaml knows cpu and memory"
