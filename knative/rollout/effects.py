"""The effects of a rollout on a cluster: scrape the pods, start a pod of the target, write the split and the state."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from knative.api.client import Cluster
from knative.api.errors import ClusterUnreachable
from knative.objects import SERVING, Manifest, traffic_writers
from knative.rollout import reading, record
from knative.rollout.judgement import NOTHING, Sample
from knative.rollout.machine import State
from knative.rollout.measuring import Scrape, Tally, add_scrapes, begin_tally, parse
from knative.rollout.reading import Pod
from knative.rollout.split import is_same
from runtime.settings import READY_PATH

MANAGER: Final = "scalezero-rollout"
SCRAPES: Final = 8  # maximum of concurrent scrapes
_SCRAPE: Final = 5.0  # s for the metrics of one pod


class Watch:
    """The sums of the pods' metrics since the first scrape: of the target, and of the other revisions."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._new: Tally | None = None
        self._old: Tally | None = None
        self.lacks_metrics = False  # whether no pod of the target returns metrics

    @property
    def new(self) -> Sample:
        """The requests that the target has answered."""
        return self._new.total if self._new else NOTHING

    @property
    def old(self) -> Sample:
        """The requests that the other revisions have answered."""
        return self._old.total if self._old else NOTHING

    def scrape(self, state: State, pods: Sequence[Pod]) -> None:
        """Scrape the pods, at most `SCRAPES` at the same time. Raises `Forbidden` without permission for pods/proxy."""
        revisions = {each.revision for each in state.stable} | {state.target}
        known = [each for each in pods if each.revision in revisions]
        with ThreadPoolExecutor(SCRAPES, thread_name_prefix="scrape") as pool:
            scrapes = list(zip(known, pool.map(self._scrape, known), strict=True))
        ours = [scrape for pod, scrape in scrapes if pod.revision == state.target]
        self.lacks_metrics = bool(ours) and all(each.sample is None for each in ours)
        self._new = _tallied(self._new, ours)
        self._old = _tallied(self._old, [scrape for pod, scrape in scrapes if pod.revision != state.target])

    def _scrape(self, pod: Pod) -> Scrape:
        """Get a pod's metrics. A pod that starts, ends or is busy may not answer; the rollout continues without it."""
        try:
            answer = self._cluster.pod_get(pod.name, "/metrics", timeout=_SCRAPE)
            sample = parse(answer.body.decode()) if answer.status == HTTPStatus.OK else None
        except (ClusterUnreachable, ValueError):
            sample = None
        return Scrape(pod.name, pod.restarts, sample)


def _tallied(tally: Tally | None, scrapes: Sequence[Scrape]) -> Tally:
    return begin_tally(scrapes) if tally is None else add_scrapes(tally, scrapes)


def wake(url: str, *, timeout: float) -> bool:
    """Request the readiness of a revision by the URL of its tag, which starts a pod; False: the URL is not reachable.

    For callers without permission to use the activator through the API server. Every status counts as an answer.
    So does a timeout, because a pod may take longer; its conditions show whether it is Ready. `timeout` is in seconds.
    """
    try:
        with urlopen(f"{url}{READY_PATH}", timeout=timeout):  # noqa: S310 - Knative's own URL, from the status
            return True
    except (HTTPError, TimeoutError):
        return True
    except (OSError, HTTPException):
        return False


def write(cluster: Cluster, service: Manifest, state: State) -> None:
    """Write the rollout's state, and its split, in one request.

    It is a server-side apply of the traffic and one annotation, with its own field manager and with the
    resourceVersion that was read. So it does not change the template, and it detects other writers. Raises `Outrun` if
    the Service has changed since, `ClusterError`.
    """
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
    """Return the traffic to write. Traffic that another writer has set is left out, so that it keeps its owner.

    If this field manager owns the traffic, it is repeated: the API server removes fields that their owner omits.
    """
    halted = state.phase == "halted" and not is_same(reading.live_split(service), state.split)
    if not halted and state.phase != "forgotten":
        return {"spec": {"traffic": reading.traffic(service, state.split)}}
    return {"spec": {"traffic": service["spec"]["traffic"]}} if MANAGER in traffic_writers(service) else {}
