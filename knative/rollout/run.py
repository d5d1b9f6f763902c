"""A rollout carried out: look, decide, act, and again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple
from uuid import uuid4

from knative.api.client import Cluster
from knative.api.errors import ClusterError, ClusterUnreachable, Forbidden, Outrun
from knative.objects import SERVICE_LABEL, Manifest, Ref
from knative.rollout import reading, record
from knative.rollout.effects import Watch, wake, write
from knative.rollout.errors import NoService, RevisionNotReady, TakenOver, is_away
from knative.rollout.judgement import NOTHING, Limits, Sample
from knative.rollout.machine import ENDS, Decision, Facts, State, StepVerdict, Verb, decide, verdict
from knative.rollout.opening import Found, closing, opening, progress, refuse_changed
from knative.rollout.reading import ConditionState
from knative.rollout.split import Split, format_split, is_same
from runtime.settings import READY_PATH

_PAUSE: Final = 2.0  # s between two looks
_SOON: Final = 0.5  # s while the Route is about to take a split
_MUTE: Final = "its pods tell no metrics: only their readiness and their crashes are watched"
_WAKE: Final = 30.0  # s for a pod to answer, before it is looked at again


class Progress(NamedTuple):
    """One thing that happened."""

    at: float  # s of the epoch
    verb: Verb
    split: Split
    why: str
    new: Sample = NOTHING  # what the step showed until then
    old: Sample = NOTHING
    verdict: StepVerdict | None = None  # of the step that this leads past
    judged: int = 0  # steps, of those behind
    steps: int = 0  # all of them


Say = Callable[[Progress], None]


class Rollout:
    """One command's hold on the rollout of a model. `state` is what was decided last."""

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
        self._told = ""
        self.state: State | None = None

    def plan(self, to: str, *, steps: Sequence[int] | None, limits: Limits, adopt: bool) -> State:
        """Work out where to begin, and refuse what cannot be; only reads.

        Raises `NoService`, `UnknownRevision`, `AmbiguousRevision`, `RevisionNotReady`, `BadRecord`, `ClusterError`, and
        what `opening` does.
        """
        service = self._service()
        revisions = self._cluster.list("Revision", labels={SERVICE_LABEL: self._model})
        revision = reading.target(to, service, revisions)
        name = revision["metadata"]["name"]
        found = self._found(service, adopt=adopt)
        state = opening(found, name, steps=steps, limits=limits, now=self._clock(), adopt=adopt)
        ready = reading.condition(revision, "Ready")
        if ready.status is False:
            raise RevisionNotReady(name, reason=ready.reason)
        return state

    def notices(self, state: State) -> list[str]:
        """Say what a person may not expect of this rollout, a sentence each."""
        service, routes = self._service(), self._cluster.list("Route")
        alone = reading.other_routes(routes, (*state.stable, *state.split))
        follows = reading.follows_latest(service) and not state.is_over
        return [
            *(f"Route {name} shares out these revisions by itself, and stays as it is" for name in alone),
            *(["the traffic followed the latest revision; from now on it names its revisions"] if follows else []),
        ]

    def carry_out(self, state: State) -> State:
        """Go on until it is done, rolled back or halted. Raises `TakenOver`, `SplitChanged`, `ClusterError`.

        A cluster that is away is waited for: with nobody to watch it, the new revision would keep its share.
        """
        state = self._claimed(state)
        away_since: float | None = None
        while state.phase not in ENDS:
            try:
                state = self._turn(state)
                away_since = None
            except ClusterError as error:
                away_since = away_since or self._clock()
                if not is_away(error) or self._clock() - away_since > state.limits.patience:
                    raise
                self._sleep(_PAUSE)
            self.state = state
        self._await_route(state)
        return state

    def give_up(self, limits: Limits) -> State:
        """Go back where it came from, or forget it where somebody else has set the split.

        Raises `NoService`, `NoRollout`, `BadRecord`, `ClusterError`.
        """
        while True:
            service = self._service()
            state = closing(self._found(service, adopt=False), now=self._clock())
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

    def _service(self) -> Manifest:
        service = self._cluster.get(Ref("Service", self._model))
        if service is None:
            known = [each["metadata"]["name"] for each in self._cluster.list("Service")]
            raise NoService(self._model, namespace=self._cluster.namespace, known=known)
        return service

    def _found(self, service: Manifest, *, adopt: bool) -> Found:
        recorded = None if adopt else record.find(service)  # with adopt, a record that nobody can read is no hindrance
        live, by = reading.live_split(service), reading.changed_by(service)
        return Found(model=self._model, namespace=self._cluster.namespace, live=live, changed_by=by, recorded=recorded)

    def _claimed(self, state: State) -> State:
        """Write that this command carries the rollout on, so that another one that does so still will stop."""
        state = self.state = replace(state, run=uuid4().hex)
        while True:
            service = self._service()
            refuse_changed(self._found(service, adopt=True), state, target=state.target)
            try:
                write(self._cluster, service, state)
            except Outrun:
                continue
            return state

    def _turn(self, state: State) -> State:
        service = self._service()
        if (recorded := record.find(service)) is None or recorded.run != state.run:
            raise TakenOver(self._model, now=progress(recorded) if recorded else "its record is gone")
        if recorded.step != state.step or recorded.phase in ENDS:  # our own write, whose answer was lost
            return self._landed(state, replace(recorded, limits=state.limits))
        facts = self._facts(service, state)
        decision = decide(state, facts)
        if decision.is_written:
            try:
                write(self._cluster, service, decision.state)
            except Outrun:
                return state  # looked at again
        self._tell(state, decision, facts)
        self._act(decision, service)
        return decision.state

    def _landed(self, before: State, after: State) -> State:
        """Tell what was decided at the last look: the watch still has its numbers."""
        decision = Decision(ENDS.get(after.phase, "shift"), after, after.reason)
        self._report(before, decision, at=self._clock(), split=after.split)
        self._watch = Watch(self._cluster)
        return after

    def _act(self, decision: Decision, service: Manifest) -> None:
        """Do what takes time."""
        if decision.is_written:
            self._watch = Watch(self._cluster)
        elif decision.verb == "warm":
            self._wake(decision.state, service)
        else:
            settling = decision.state.phase == "settling"
            left = decision.state.since + decision.state.limits.interval - self._clock()
            self._sleep(_SOON if settling else min(_PAUSE, max(0.0, left)))

    def _facts(self, service: Manifest, state: State) -> Facts:
        revision = self._cluster.get(Ref("Revision", state.target))
        ready = reading.condition(revision, "Ready") if revision else reading.GONE
        pods = [reading.pod_of(each) for each in self._pods()]
        route = reading.settled(service)
        if state.phase != "settling" or route.status:
            self._watch.look(state, pods)  # before the first shift too: whether that is allowed is found out in time
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
        """Have a pod started, and wait for it. A cluster that is gone is found at the next look."""
        began = self._clock()
        seconds = min(_WAKE, max(_PAUSE, state.since + state.limits.patience - began))
        try:
            self._cluster.revision_get(state.target, READY_PATH, timeout=seconds)
        except ClusterUnreachable:
            pass  # a pod that takes longer
        except Forbidden:  # to ask the activator, which is in Knative's own namespace
            url = reading.tag_url(service, state.target)
            if url is None or not wake(url, timeout=seconds):
                raise
        self._sleep(max(0.0, _SOON - (self._clock() - began)))

    def _await_route(self, state: State) -> None:
        """Wait until the Route has taken the last split, so that who asks next finds it so."""
        ends = self._clock() + state.limits.patience
        while self._clock() < ends:
            try:
                service = self._service()
            except ClusterError as error:
                if not is_away(error):
                    raise
            else:
                if reading.settled(service).status or not is_same(reading.live_split(service), state.split):
                    return
            self._sleep(_SOON)

    def _tell(self, state: State, decision: Decision, facts: Facts) -> None:
        """Tell what happened, and what is waited for once."""
        why = _MUTE if decision.verb == "shift" and self._watch.is_mute else decision.why
        line = f"{decision.verb} {why} {format_split(decision.state.split)}"
        if decision.is_written or (why and line != self._told):
            split = facts.live if decision.verb == "halt" else decision.state.split
            self._report(state, decision._replace(why=why), at=facts.now, split=split)
        self._told = line

    def _report(self, before: State, decision: Decision, *, at: float, split: Split) -> None:
        verb, after, new = decision.verb, decision.state, self._watch.new
        found, steps = verdict(before, verb, new), len(after.steps)
        self._say(Progress(at, verb, split, decision.why, new, self._watch.old, found, after.judged, steps))


def _reason(state: State, ready: ConditionState, route: ConditionState) -> str:
    """Say why it is not further on; empty where no condition speaks of it."""
    if ready.status is not True:
        return ready.reason
    return route.reason if state.phase == "settling" else ""
