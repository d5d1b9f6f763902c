"""One step's watch over the pods: what the target has answered since it began, and what the other revisions have."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterUnreachable
from knative.rollout.judgement import NOTHING, Sample
from knative.rollout.machine import State
from knative.rollout.measuring import Scrape, Tally, advanced, parse, started
from knative.rollout.reading import Pod

_SCRAPE: Final = 5.0  # s for a pod's metrics


class Watch:
    """Adds up the pods' own numbers, from its first look on."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._new: Tally | None = None
        self._old: Tally | None = None
        self.is_mute = False  # whether the target's pods tell no metrics

    @property
    def new(self) -> Sample:
        """What the target has answered."""
        return self._new.total if self._new else NOTHING

    @property
    def old(self) -> Sample:
        """What the other revisions have answered."""
        return self._old.total if self._old else NOTHING

    def look(self, state: State, pods: Sequence[Pod]) -> None:
        """Take in what the pods say now. Raises `Forbidden` without the right to get pods/proxy."""
        others = {each.revision for each in state.stable} - {state.target}
        ours = [self._scrape(each) for each in pods if each.revision == state.target]
        self.is_mute = bool(ours) and all(each.sample is None for each in ours)
        self._new = _tallied(self._new, ours)
        self._old = _tallied(self._old, [self._scrape(each) for each in pods if each.revision in others])

    def _scrape(self, pod: Pod) -> Scrape:
        """Ask a pod for its metrics. One that starts, ends or is busy may not answer: that is no fault of a rollout."""
        try:
            answer = self._cluster.pod_get(pod.name, "/metrics", timeout=_SCRAPE)
            sample = parse(answer.body.decode()) if answer.status == HTTPStatus.OK else None
        except (ClusterUnreachable, ValueError):
            sample = None
        return Scrape(pod.name, pod.restarts, sample)


def _tallied(tally: Tally | None, scrapes: Sequence[Scrape]) -> Tally:
    return started(scrapes) if tally is None else advanced(tally, scrapes)
