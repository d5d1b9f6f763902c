"""The concurrency and the timeouts of a revision, derived from its batching and its load timeout."""

import math
from typing import Final

from knative.manifests.options import DeploymentOptions
from runtime.errors import BadSetting
from runtime.settings import Settings

BATCHES: Final = 2  # one runs while the next one fills
UTILIZATION: Final = 70  # percent of the target at which another pod starts
MAX_CONCURRENCY: Final = 1000  # Knative's limit
MAX_TIMEOUT: Final = 600  # s; Knative's limit, unless an operator raised it
QUEUE_PROXY_DRAIN: Final = 30  # s for which queue-proxy keeps a terminating pod, for late requests
SCHEDULING: Final = 60  # s to schedule a pod and pull its image


def concurrency(settings: Settings, options: DeploymentOptions) -> int:
    """Return the limit on concurrent requests in a pod; 0: no limit. Raises `BadSetting` if no batch could fill."""
    minimum = BATCHES * settings.batch_size
    if options.concurrency == 0 or minimum <= options.concurrency <= MAX_CONCURRENCY:
        return options.concurrency
    allowed = f"{minimum} ({BATCHES} x batchSize) to {MAX_CONCURRENCY}, or 0" if minimum <= MAX_CONCURRENCY else "0"
    raise BadSetting(
        "concurrency", value=options.concurrency, allowed=f"{allowed}, so that batches of {settings.batch_size} fill"
    )


def target(settings: Settings, options: DeploymentOptions) -> float | None:
    """Return the metric per pod at which Knative scales; None: Knative's own target.

    Without a target in the options, it is the concurrency of one running batch and one that fills. The equivalent
    number of requests per second is not known.
    """
    if options.target is None and options.metric == "concurrency":
        return BATCHES * settings.batch_size
    return options.target


def timeout_seconds(settings: Settings) -> int:
    """Return the limit on a request in seconds. Knative uses it as the grace period of a pod too.

    The slowest valid response is to a request that reaches a terminating pod while it pulls its model (`load_timeout`),
    and waits in the queues (`queue_seconds`); then queue-proxy drains and the process shuts down (`grace_period`). The
    sum is capped at Knative's limit. Raises `BadSetting` if the shutdown alone exceeds it.
    """
    end = QUEUE_PROXY_DRAIN + settings.grace_period
    if end > MAX_TIMEOUT:
        allowed = f"at most {MAX_TIMEOUT - QUEUE_PROXY_DRAIN}s: Knative ends a pod after {MAX_TIMEOUT}s"
        raise BadSetting("grace_period", value=settings.grace_period, allowed=allowed)
    return min(MAX_TIMEOUT, math.ceil(settings.load_timeout + queue_seconds(settings) + end))


def queue_seconds(settings: Settings) -> float:
    """Return how long a request may wait in queues: a function may ask its models one after the other."""
    default = Settings().timeout
    return settings.timeout + sum(default if each.timeout is None else each.timeout for each in settings.companions)


def progress_deadline(settings: Settings) -> int:
    """Return the limit on the start of a revision in seconds: scheduling, a pull, and a second pull after a failure."""
    return math.ceil(SCHEDULING + 2 * settings.load_timeout)
