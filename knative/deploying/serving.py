"""Which variant each Ready pod of a model serves, as the pods themselves say.

A pod skips a variant that its image, its CPU or its store cannot provide. Only the pod knows that.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.objects import Manifest, owner_of

_TIMEOUT: Final = 2.0  # s for a pod's answer
_MOST: Final = 5  # pods of a model that are asked; the others usually serve the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The variant that a pod serves."""

    variant: str
    provider: str
    cpu_class: str
    not_served: Mapping[str, str] = field(default_factory=dict)  # the reason by variant that comes before it

    def __str__(self) -> str:
        """Format it with the reasons."""
        reasons = "".join(f"; {name} is not served: {reason}" for name, reason in self.not_served.items())
        return f"{self.variant} on {self.provider}, {self.cpu_class}{reasons}"


def served_by(cluster: Cluster, pods: Iterable[Manifest]) -> Mapping[str, Serving]:
    """Ask Ready pods which variant of their model they serve; return the answers by pod.

    A pod that does not answer, or serves other protocols only, is left out. Without the right to reach pods there are
    no answers.
    """
    asked: dict[str, int] = {}
    found: dict[str, Serving] = {}
    for pod in pods:
        model, name = owner_of(pod) or "", pod["metadata"]["name"]
        asked[model] = asked.get(model, 0) + 1
        if asked[model] > _MOST:
            continue
        try:
            answer = cluster.pod_get(name, f"api/v1/models/{quote(model)}", timeout=_TIMEOUT)
        except ClusterError:
            break
        if answer.status == HTTPStatus.OK and (serving := parse(answer.body)):
            found[name] = serving
    return found


def parse(body: bytes) -> Serving | None:
    """Read the description of a model by a pod; None: it is not loaded, or of another version of scalezero."""
    try:
        facts: Any = json.loads(body)["serving"]
        return Serving(
            variant=str(facts["variant"]),
            provider=str(facts["provider"]),
            cpu_class=str(facts["cpu_class"]),
            not_served={str(name): str(reason) for name, reason in (facts.get("not_served") or {}).items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
