"""Rules that every accepted request can be answered, also by a pod that is terminating."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, error, problem, warning
from knative.checks.subject import Served, Subject
from knative.manifests import capacity
from runtime.errors import BadSetting

GRACE_BELOW_TIMEOUT: Final = warning(
    "grace-below-timeout", "A terminating pod would stop before it answers the requests in its queue."
)
GRACE_TOO_LONG: Final = error(
    "grace-too-long", "Kubernetes kills a terminating pod after the revision's timeoutSeconds at the latest."
)
TIMEOUT_CUT: Final = warning(
    "timeout-cut",
    "Knative ends requests and the grace period of a pod after the revision's timeoutSeconds, which has a maximum.",
)

RULES: Final = (GRACE_BELOW_TIMEOUT, GRACE_TOO_LONG, TIMEOUT_CUT)


def check(subject: Subject) -> Iterator[Finding]:
    """Check the timeouts of each model."""
    for served in subject.one_per_model():
        yield from _grace(subject, served)
        if not served.is_companion:
            yield from _pod(subject, served)


def _grace(subject: Subject, served: Served) -> Iterator[Finding]:
    grace, timeout = served.settings.grace_period, served.settings.timeout
    if grace < timeout:
        what = f"{served.version.spec.model_name}: a request may wait {timeout:g}s, but the grace period is {grace:g}s"
        where = subject.place_of_variable("SCALEZERO_GRACE_PERIOD")
        fix = f"set SCALEZERO_GRACE_PERIOD to at least {timeout:g}s, or a shorter timeout"
        yield GRACE_BELOW_TIMEOUT.finding(what, fix=fix, where=where)


def _pod(subject: Subject, served: Served) -> Iterator[Finding]:
    settings, drain = served.settings, capacity.QUEUE_PROXY_DRAIN
    try:
        available = capacity.timeout_seconds(settings)
    except BadSetting as fault:
        where = subject.place_of_variable("SCALEZERO_GRACE_PERIOD")
        yield GRACE_TOO_LONG.finding(problem(fault), fix=f"use {fault.details['allowed']}", where=where)
        return
    wait = capacity.queue_seconds(settings)
    needed = settings.load_timeout + wait + drain + settings.grace_period
    if needed > available:
        what = (
            f"{served.version.spec.model_name}: a pull ({settings.load_timeout:g}s), a wait ({wait:g}s), "
            f"queue-proxy's drain ({drain}s) and the grace period ({settings.grace_period:g}s) take {needed:g}s, "
            f"but timeoutSeconds of the revision is {available}s"
        )
        where = subject.place_of_batching(served, "timeout", "SCALEZERO_TIMEOUT")
        fix = "set a shorter timeout, SCALEZERO_LOAD_TIMEOUT or SCALEZERO_GRACE_PERIOD"
        yield TIMEOUT_CUT.finding(what, fix=fix, where=where)
