"""The write of a rollout: its record, and the split with it, in one request.

It is a server-side apply of the traffic and the annotation alone, under a field manager of its own and with the
resourceVersion that was looked at: the template is nobody's business here, and who was faster is noticed.
"""

from typing import Final

from knative.api.client import Cluster
from knative.objects import SERVING, Manifest, traffic_writers
from knative.rollout import reading, record
from knative.rollout.machine import State
from knative.rollout.split import is_same

MANAGER: Final = "scalezero-rollout"


def write(cluster: Cluster, service: Manifest, state: State) -> None:
    """Write what holds from now on. Raises `Outrun` where the Service is not as it was looked at, `ClusterError`."""
    metadata = service["metadata"]
    cluster.apply(
        {
            "apiVersion": SERVING,
            "kind": "Service",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {record.ANNOTATION: record.render(state)},
            },
            **_spec(service, state),
        },
        manager=MANAGER,
        force=True,
    )


def _spec(service: Manifest, state: State) -> Manifest:
    """Give the split to write. One that somebody else has written stays theirs, and is not even named.

    Unless it was written under this field manager's name: what a manager no longer names, the API server takes away.
    """
    halted = state.phase == "halted" and not is_same(reading.live_split(service), state.split)
    if not halted and state.phase != "forgotten":
        return {"spec": {"traffic": reading.traffic(service, state.split)}}
    return {"spec": {"traffic": service["spec"]["traffic"]}} if MANAGER in traffic_writers(service) else {}
