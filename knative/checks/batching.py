"""Rules that batches can fill, and that requests do not expire before."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, error, problem, warning
from knative.checks.reading import WAIT_NOT_BELOW_TIMEOUT
from knative.checks.subject import Served, Subject
from knative.manifests import capacity
from runtime.errors import BadSetting

CONCURRENCY_BELOW_BATCHES: Final = error(
    "concurrency-below-batches", "Knative would hold back the requests that fill the next batch."
)
QUEUE_BELOW_TARGET: Final = warning(
    "queue-below-target", "A pod would answer 429 before the autoscaler starts another one."
)

RULES: Final = (CONCURRENCY_BELOW_BATCHES, QUEUE_BELOW_TARGET)


def check(subject: Subject) -> Iterator[Finding]:
    """Check the batching of each model.

    Knative's concurrency and target apply to the requests to a revision. A companion gets no requests of Knative but
    the calls of the function, of which one may have many rows.
    """
    for served in subject.one_per_model():
        yield from _wait(subject, served)
        if not served.is_companion:
            yield from _concurrency(subject, served)
            yield from _queue(subject, served)


def _concurrency(subject: Subject, served: Served) -> Iterator[Finding]:
    try:
        capacity.concurrency(served.settings, subject.options)
    except BadSetting as fault:
        where = subject.place_in_function("deploy", "options", "resources", "limits", "concurrency")
        allowed = f"use {fault.details['allowed']}; or a smaller batchSize"
        yield CONCURRENCY_BELOW_BATCHES.finding(problem(fault), fix=allowed, where=where)


def _wait(subject: Subject, served: Served) -> Iterator[Finding]:
    wait, timeout = served.settings.max_wait, served.settings.timeout
    if wait >= timeout:
        name = served.version.spec.model_name
        what = f"{name}: a batch waits up to {wait:g}s, but a request expires after {timeout:g}s"
        where = subject.place_of_batching(served, "timeout", "SCALEZERO_TIMEOUT")
        yield WAIT_NOT_BELOW_TIMEOUT.finding(what, fix=f"set maxWaitTime below {timeout:g}s", where=where)


def _queue(subject: Subject, served: Served) -> Iterator[Finding]:
    size, target = served.settings.queue_size, capacity.target(served.settings, subject.options)
    if target is not None and size < target:
        name = served.version.spec.model_name
        what = f"{name}: the queue has room for {size} requests, but the target concurrency of a pod is {target:g}"
        where = subject.place_of_variable("SCALEZERO_QUEUE_SIZE")
        yield QUEUE_BELOW_TARGET.finding(what, fix=f"set SCALEZERO_QUEUE_SIZE to at least {target:g}", where=where)
