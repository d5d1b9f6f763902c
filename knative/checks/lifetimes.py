"""Whether a request that was taken can be answered, also by a pod that is told to stop."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, came, error, warning
from knative.checks.subject import Served, Subject
from knative.manifests import capacity
from runtime.errors import BadSetting

GRACE_BELOW_TIMEOUT: Final = warning(
    "grace-below-timeout", "A stopping pod would end before the requests in its queue are answered."
)
GRACE_TOO_LONG: Final = error(
    "grace-too-long", "Kubernetes ends a pod after the revision's timeoutSeconds at the latest."
)
TIMEOUT_CUT: Final = warning(
    "timeout-cut",
    "Knative ends a request, and the grace period of a pod, after the revision's timeoutSeconds, which has a maximum.",
)

RULES: Final = (GRACE_BELOW_TIMEOUT, GRACE_TOO_LONG, TIMEOUT_CUT)


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each model's timeouts."""
    for served in subject.first_of_models():
        yield from _grace(subject, served)
        yield from _pod(subject, served)


def _grace(subject: Subject, served: Served) -> Iterator[Finding]:
    grace, timeout = served.settings.grace_period, served.settings.timeout
    if grace < timeout:
        what = f"{served.version.spec.model_name}: a request may wait {timeout:g}s, the grace period is {grace:g}s"
        where = subject.place_of_variable("SCALEZERO_GRACE_PERIOD")
        fix = f"SCALEZERO_GRACE_PERIOD of {timeout:g}s or more, or a shorter timeout"
        yield GRACE_BELOW_TIMEOUT.found(what, fix=fix, where=where)


def _pod(subject: Subject, served: Served) -> Iterator[Finding]:
    settings, drain = served.settings, capacity.QUEUE_PROXY_DRAIN
    try:
        given = capacity.timeout_seconds(settings)
    except BadSetting as fault:
        where = subject.place_of_variable("SCALEZERO_GRACE_PERIOD")
        yield GRACE_TOO_LONG.found(came(fault), fix=f"use {fault.details['allowed']}", where=where)
        return
    needed = settings.load_timeout + settings.timeout + drain + settings.grace_period
    if needed > given:
        what = (
            f"{served.version.spec.model_name}: a pull ({settings.load_timeout:g}s), a wait ({settings.timeout:g}s), "
            f"queue-proxy's drain ({drain}s) and the grace period ({settings.grace_period:g}s) take {needed:g}s; "
            f"the revision has {given}s"
        )
        where = subject.place_of_batching(served, "timeout", "SCALEZERO_TIMEOUT")
        fix = "a shorter timeout, SCALEZERO_LOAD_TIMEOUT or SCALEZERO_GRACE_PERIOD"
        yield TIMEOUT_CUT.found(what, fix=fix, where=where)
