"""Whether batches can fill, and requests live as long as that takes."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, came, error, warning
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
    """Look at each model's batching."""
    for served in subject.first_of_models():
        yield from _concurrency(subject, served)
        yield from _wait(subject, served)
        yield from _queue(subject, served)


def _concurrency(subject: Subject, served: Served) -> Iterator[Finding]:
    try:
        capacity.concurrency(served.settings, subject.options)
    except BadSetting as fault:
        where = subject.place_in_function("deploy", "options", "resources", "limits", "concurrency")
        allowed = f"use {fault.details['allowed']}; or a smaller batchSize"
        yield CONCURRENCY_BELOW_BATCHES.found(came(fault), fix=allowed, where=where)


def _wait(subject: Subject, served: Served) -> Iterator[Finding]:
    wait, timeout = served.settings.max_wait, served.settings.timeout
    if wait >= timeout:
        what = f"{served.version.spec.model_name}: a batch waits up to {wait:g}s, a request lives {timeout:g}s"
        where = subject.place_of_batching(served, "timeout", "SCALEZERO_TIMEOUT")
        yield WAIT_NOT_BELOW_TIMEOUT.found(what, fix=f"make maxWaitTime less than {timeout:g}s", where=where)


def _queue(subject: Subject, served: Served) -> Iterator[Finding]:
    size, target = served.settings.queue_size, capacity.target(served.settings, subject.options)
    if target is not None and size < target:
        what = f"{served.version.spec.model_name}: {size} requests may wait, a pod is meant for {target:g} at once"
        where = subject.place_of_variable("SCALEZERO_QUEUE_SIZE")
        yield QUEUE_BELOW_TARGET.found(what, fix=f"set SCALEZERO_QUEUE_SIZE to {target:g} or more", where=where)
