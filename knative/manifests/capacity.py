"""The concurrency and the timeouts of a revision, derived from its batching and its load timeout."""

import math
from typing import Final

from knative.manifests.options import DeploymentOptions
from runtime.errors import BadSetting
from runtime.settings import Settings

BATCHES: Final = 2  # one runs while the next one fills
UTILIZATION: Final = 70  # percent of the target at which another pod starts
MOST_CONCURRENCY: Final = 1000  # Knative's limit
LONGEST_TIMEOUT: Final = 600  # s; Knative's limit, unless an operator raised it
QUEUE_PROXY_DRAIN: Final = 30  # s for which queue-proxy keeps a terminating pod, for late requests
PLACING: Final = 60  # s to schedule a pod and pull its image


def concurrency(settings: Settings, options: DeploymentOptions) -> int:
    """Return the limit on concurrent requests in a pod; 0: no limit. Raises `BadSetting` if no batch could fill."""
    least = BATCHES * settings.batch_size
    if options.concurrency == 0 or least <= options.concurrency <= MOST_CONCURRENCY:
        return options.concurrency
    allowed = f"{least} ({BATCHES} x batchSize) to {MOST_CONCURRENCY}, or 0" if least <= MOST_CONCURRENCY else "0"
    raise BadSetting(
        "concurrency", value=options.concurrency, allowed=f"{allowed}, so that batches of {settings.batch_size} fill"
    )


def target(settings: Settings, options: DeploymentOptions) -> float | None:
    """Return the metric per pod at which Knative scales; None: Knative's own target.

    Without one in the options it is the concurrency of one batch that runs and one that fills. How many requests a
    second that makes is not known.
    """
    if options.target is None and options.metric == "concurrency":
        return BATCHES * settings.batch_size
    return options.target


def timeout_seconds(settings: Settings) -> int:
    """Return the limit on a request in seconds. Knative uses it as the grace period of a pod too.

    The slowest valid answer is to a request that reaches a terminating pod while it pulls its model (`load_timeout`),
    and that waits in the queue (`timeout`); then queue-proxy drains and the process shuts down (`grace_period`). The
    sum is capped at Knative's limit. Raises `BadSetting` if the shutdown alone exceeds it.
    """
    end = QUEUE_PROXY_DRAIN + settings.grace_period
    if end > LONGEST_TIMEOUT:
        allowed = f"at most {LONGEST_TIMEOUT - QUEUE_PROXY_DRAIN}s: Knative ends a pod after {LONGEST_TIMEOUT}s"
        raise BadSetting("grace_period", value=settings.grace_period, allowed=allowed)
    return min(LONGEST_TIMEOUT, math.ceil(settings.load_timeout + settings.timeout + end))


def progress_deadline(settings: Settings) -> int:
    """Return the limit on the start of a revision in seconds: scheduling, a pull, and a second pull after a failure."""
    return math.ceil(PLACING + 2 * settings.load_timeout)
