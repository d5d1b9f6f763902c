"""How many requests a pod takes and how long each of its lives may last, by what batching and pulling need."""

import math
from typing import Final

from knative.manifests.options import DeploymentOptions
from runtime.errors import BadSetting
from runtime.settings import Settings

BATCHES: Final = 2  # one runs while the next fills
UTILIZATION: Final = 70  # percent of the target at which another pod starts
MOST_CONCURRENCY: Final = 1000  # Knative's bound
LONGEST_TIMEOUT: Final = 600  # s; Knative's bound, unless an operator raised it
QUEUE_PROXY_DRAIN: Final = 30  # s that queue-proxy keeps a pod that is told to stop, for requests still on their way
PLACING: Final = 60  # s to find a node for a pod and pull its image


def concurrency(settings: Settings, options: DeploymentOptions) -> int:
    """Bound the requests at once in a pod: 0 is none. Raises `BadSetting` for a bound below which no batch fills."""
    least = BATCHES * settings.batch_size
    if options.concurrency == 0 or least <= options.concurrency <= MOST_CONCURRENCY:
        return options.concurrency
    allowed = f"{least} ({BATCHES} x batchSize) to {MOST_CONCURRENCY}, or 0" if least <= MOST_CONCURRENCY else "0"
    raise BadSetting(
        "concurrency", value=options.concurrency, allowed=f"{allowed}, so that batches of {settings.batch_size} fill"
    )


def target(settings: Settings) -> int:
    """Say how many requests at once a pod is worth: it has a batch to run and one to fill."""
    return BATCHES * settings.batch_size


def timeout_seconds(settings: Settings) -> int:
    """Bound a request, and with it the grace period of a pod, which Knative takes from the same field.

    The longest life of an answer that is still right: a request reaches a pod that is told to stop while it pulls its
    model (`load_timeout`), waits its turn (`timeout`), then queue-proxy lets go and the process ends in order
    (`grace_period`). Longer than Knative allows is cut to that. Raises `BadSetting` where not even the end fits in.
    """
    end = QUEUE_PROXY_DRAIN + settings.grace_period
    if end > LONGEST_TIMEOUT:
        allowed = f"at most {LONGEST_TIMEOUT - QUEUE_PROXY_DRAIN}s: Knative ends a pod after {LONGEST_TIMEOUT}s"
        raise BadSetting("grace_period", value=settings.grace_period, allowed=allowed)
    return min(LONGEST_TIMEOUT, math.ceil(settings.load_timeout + settings.timeout + end))


def progress_deadline(settings: Settings) -> int:
    """Bound the start of a revision, in seconds: a place, a pull, and a second pull where the first one broke."""
    return math.ceil(PLACING + 2 * settings.load_timeout)
