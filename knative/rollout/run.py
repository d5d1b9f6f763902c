"""The loop of a rollout: observe, decide, act."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple
from uuid import uuid4

from knative.api.client import Cluster
from knative.api.errors import ClusterError, ClusterUnreachable, Forbidden, Outrun
from knative.deploying.deployed import service_of
from knative.objects import SERVICE_LABEL, Manifest, Ref
from knative.rollout import reading, record
from knative.rollout.effects import Watch, wake, write
from knative.rollout.errors import RevisionNotReady, TakenOver, is_temporary
from knative.rollout.judgement import NOTHING, Limits, Sample
from knative.rollout.machine import ENDS, Decision, Facts, State, StepVerdict, Verb, decide, verdict
from knative.rollout.reading import ConditionState
from knative.rollout.split import Split, format_split, is_same
from knative.rollout.starting import Found, abort_or_forget, check_split, describe, start_or_resume
from runtime.settings import READY_PATH

_PAUSE: Final = 2.0  # s between two observations
_SHORT_PAUSE: Final = 0.5  # s, while the Route applies a split
_NO_METRICS: Final = "its pods return no metrics: only readiness and crashes are checked"
_WAKE: Final = 30.0  # s for a pod to answer, before the next observation


class Progress(NamedTuple):
    """One event of a rollout."""

    at: float  # s since the epoch
    verb: Verb
    split: Split
    why: str
    new: Sample = NOTHING  # answers of the target during the step so far
    old: Sample = NOTHING  # answers of the other revisions
    verdict: StepVerdict | None = None  # of the step that this event completes
    judged: int = 0  # number of completed steps with enough requests
    steps: int = 0  # number of all steps


Say = Callable[[Progress], None]


class Rollout:
    """The rollout of one model in one command. `state` is the result of the last decision."""

    def __init__(
        self,
        cluster: Cluster,
        model: str,
        *,
        say: Say,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster, self._model, self._say = cluster, model, say
        self._clock, self._sleep = clock, sleep
        self._watch = Watch(cluster)
        self._last_line = ""
        self.state: State | None = None

    def plan(self, to: str, *, steps: Sequence[int] | None, limits: Limits, adopt: bool) -> State:
        """Return the state to start from. Only reads.

        Raises `NoService`, `UnknownRevision`, `AmbiguousRevision`, `RevisionNotReady`, `BadRecord`, `ClusterError`, and
        the errors of `start_or_resume`.
        """
        service = service_of(self._cluster, self._model)
        revisions = self._cluster.list("Revision", labels={SERVICE_LABEL: self._model})
        revision = reading.find_revision(to, service, revisions)
        name = revision["metadata"]["name"]
        found = self._found(service, adopt=adopt)
        state = start_or_resume(found, name, steps=steps, limits=limits, now=self._clock(), adopt=adopt)
        ready = reading.condition(revision, "Ready")
        if ready.status is False:
            raise RevisionNotReady(name, reason=ready.reason)
        return state

    def notices(self, state: State) -> list[str]:
        """Return notices about facts that the user may not expect, one sentence each."""
        service, routes = service_of(self._cluster, self._model), self._cluster.list("Route")
        other_routes = reading.other_routes(routes, (*state.stable, *state.split))
        follows = reading.follows_latest(service) and not state.is_over
        return [
            *(
                f"Route {name} has its own split of these revisions; the rollout does not change it"
                for name in other_routes
            ),
            *(
                ["the traffic followed the latest revision; the rollout replaces that with revision names"]
                if follows
                else []
            ),
        ]

    def run(self, state: State) -> State:
        """Run until the rollout is done, rolled back or halted. Raises `TakenOver`, `SplitChanged`, `ClusterError`.

        It retries while the API server does not respond. Otherwise the new revision would keep its share unmonitored.
        """
        state = self._claim(state)
        failing_since: float | None = None
        while state.phase not in ENDS:
            try:
                state = self._iterate(state)
                failing_since = None
            except ClusterError as error:
                failing_since = failing_since or self._clock()
                if not is_temporary(error) or self._clock() - failing_since > state.limits.timeout:
                    raise
                self._sleep(_PAUSE)
            self.state = state
        self._await_route(state)
        return state

    def abort(self, limits: Limits) -> State:
        """Roll back, or end the rollout and keep the split if another writer has changed it.

        Raises `NoService`, `NoRollout`, `BadRecord`, `ClusterError`.
        """
        while True:
            service = service_of(self._cluster, self._model)
            state = abort_or_forget(self._found(service, adopt=False), now=self._clock())
            state = self.state = replace(state, run=uuid4().hex, limits=limits)
            try:
                write(self._cluster, service, state)
            except Outrun:
                continue
            self._say(
                Progress(
                    self._clock(),
                    ENDS[state.phase],
                    state.split,
                    state.reason,
                    judged=state.judged,
                    steps=len(state.steps),
                )
            )
            self._await_route(state)
            return state

    def _found(self, service: Manifest, *, adopt: bool) -> Found:
        recorded = None if adopt else record.find(service)  # --adopt also ignores an invalid record
        live, by = reading.live_split(service), reading.changed_by(service)
        return Found(model=self._model, namespace=self._cluster.namespace, live=live, changed_by=by, recorded=recorded)

    def _claim(self, state: State) -> State:
        """Record that this command runs the rollout, so that any earlier command stops."""
        state = self.state = replace(state, run=uuid4().hex)
        while True:
            service = service_of(self._cluster, self._model)
            check_split(self._found(service, adopt=True), state, target=state.target)
            try:
                write(self._cluster, service, state)
            except Outrun:
                continue
            return state

    def _iterate(self, state: State) -> State:
        service = service_of(self._cluster, self._model)
        if (recorded := record.find(service)) is None or recorded.run != state.run:
            raise TakenOver(self._model, now=describe(recorded) if recorded else "its record was deleted")
        if recorded.step != state.step or recorded.phase in ENDS:  # the last write succeeded, but its response was lost
            return self._after_lost_response(state, replace(recorded, limits=state.limits))
        facts = self._facts(service, state)
        decision = decide(state, facts)
        if decision.is_written:
            try:
                write(self._cluster, service, decision.state)
            except Outrun:
                return state  # observe again
        self._report_once(state, decision, facts)
        self._act(decision, service)
        return decision.state

    def _after_lost_response(self, before: State, after: State) -> State:
        """Report the decision of the last iteration. The watch still has its numbers."""
        decision = Decision(ENDS.get(after.phase, "shift"), after, after.reason)
        self._report(before, decision, at=self._clock(), split=after.split)
        self._watch = Watch(self._cluster)
        return after

    def _act(self, decision: Decision, service: Manifest) -> None:
        """Wait, or start a pod."""
        if decision.is_written:
            self._watch = Watch(self._cluster)
        elif decision.verb == "warm":
            self._wake(decision.state, service)
        else:
            settling = decision.state.phase == "settling"
            left = decision.state.since + decision.state.limits.interval - self._clock()
            self._sleep(_SHORT_PAUSE if settling else min(_PAUSE, max(0.0, left)))

    def _facts(self, service: Manifest, state: State) -> Facts:
        revision = self._cluster.get(Ref("Revision", state.target))
        ready = reading.condition(revision, "Ready") if revision else reading.GONE
        pods = [reading.pod_of(each) for each in self._pods()]
        route = reading.settled(service)
        if state.phase != "settling" or route.status:
            self._watch.scrape(state, pods)  # also before the first shift, to find a missing permission early
        return Facts(
            now=self._clock(),
            live=reading.live_split(service),
            changed_by=reading.changed_by(service),
            settled=route.status is True,
            ready=ready.status,
            reason=_reason(state, ready, route),
            pods=sum(each.ready for each in pods if each.revision == state.target),
            new=self._watch.new,
            old=self._watch.old,
        )

    def _pods(self) -> list[Manifest]:
        return self._cluster.list("Pod", labels={SERVICE_LABEL: self._model})

    def _wake(self, state: State, service: Manifest) -> None:
        """Start a pod and wait for it. If the API server does not answer, the next observation finds it."""
        started = self._clock()
        seconds = min(_WAKE, max(_PAUSE, state.since + state.limits.timeout - started))
        try:
            self._cluster.revision_get(state.target, READY_PATH, timeout=seconds)
        except ClusterUnreachable:
            pass  # the pod takes longer
        except Forbidden:  # the activator is in Knative's own namespace
            url = reading.tag_url(service, state.target)
            if url is None or not wake(url, timeout=seconds):
                raise
        self._sleep(max(0.0, _SHORT_PAUSE - (self._clock() - started)))

    def _await_route(self, state: State) -> None:
        """Wait until the Route has applied the last split, so that it is in effect when the command ends."""
        ends = self._clock() + state.limits.timeout
        while self._clock() < ends:
            try:
                service = service_of(self._cluster, self._model)
            except ClusterError as error:
                if not is_temporary(error):
                    raise
            else:
                if reading.settled(service).status or not is_same(reading.live_split(service), state.split):
                    return
            self._sleep(_SHORT_PAUSE)

    def _report_once(self, state: State, decision: Decision, facts: Facts) -> None:
        """Report each write, and each wait once."""
        why = _NO_METRICS if decision.verb == "shift" and self._watch.lacks_metrics else decision.why
        line = f"{decision.verb} {why} {format_split(decision.state.split)}"
        if decision.is_written or (why and line != self._last_line):
            split = facts.live if decision.verb == "halt" else decision.state.split
            self._report(state, decision._replace(why=why), at=facts.now, split=split)
        self._last_line = line

    def _report(self, before: State, decision: Decision, *, at: float, split: Split) -> None:
        verb, after, new = decision.verb, decision.state, self._watch.new
        found, steps = verdict(before, verb, new), len(after.steps)
        self._say(Progress(at, verb, split, decision.why, new, self._watch.old, found, after.judged, steps))


def _reason(state: State, ready: ConditionState, route: ConditionState) -> str:
    """Return why the rollout waits; empty if no condition says so."""
    if ready.status is not True:
        return ready.reason
    return route.reason if state.phase == "settling" else ""
