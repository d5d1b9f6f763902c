"""The compute resources of a container, as `resources` of func.yaml."""

from collections.abc import Iterator
from typing import Any, Final

from knative.importing.server import Omission
from knative.manifests.options import DeploymentOptions
from knative.manifests.quantities import cores, in_bytes
from knative.resources.pod import Container
from runtime.errors import BadSetting

_FIELDS: Final = ("requests", "limits")
_DEFAULTS: Final = DeploymentOptions(image="any")
_REPLACEMENTS: Final = {
    "ephemeral-storage": "the size of the cache volume limits it: run.volumes in func.yaml",
}


def compute_resources(container: Container) -> tuple[dict[str, dict[str, Any]], tuple[Omission, ...]]:
    """Return `resources` of func.yaml, and the values of the Deployment that it omits.

    Without any supported value in the Deployment, the defaults of scalezero are used.
    """
    declared = {field: dict(_quantities(container, field)) for field in _FIELDS}
    kept = {
        field: {name: text for name, text in each.items() if _is_supported(name, text)}
        for field, each in declared.items()
    }
    omitted = [
        Omission(f"resources.{field} {name}: {text}", _REPLACEMENTS.get(name, _reason(name)))
        for field, each in declared.items()
        for name, text in each.items()
        if name not in kept[field]
    ]
    if not any(kept.values()):
        kept = {
            field: {"cpu": default.cpu, "memory": default.memory}
            for field, default in (("requests", _DEFAULTS.requests), ("limits", _DEFAULTS.limits))
        }
    return {"requests": kept["requests"], "limits": {**kept["limits"], "concurrency": 0}}, tuple(omitted)


def _quantities(container: Container, field: str) -> Iterator[tuple[str, str]]:
    if container.resources is not None:
        for name, value in getattr(container.resources, field).items():
            yield name, str(value).removeprefix("+")


def _is_supported(name: str, text: str) -> bool:
    try:
        return name in {"cpu", "memory"} and bool(cores(text) if name == "cpu" else in_bytes(name, text))
    except BadSetting:
        return False


def _reason(name: str) -> str:
    if name in {"cpu", "memory"}:
        return "not a supported quantity above 0; write it like 500m or 512Mi"
    return "models are served on the CPU, and func.yaml has only cpu and memory"
