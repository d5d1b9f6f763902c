"""Many requests to the A/B split: each is answered, and each revision gets its share."""

from typing import Final

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import send_requests
from scripts.benchmarks.cluster.outcomes import Outcome, split
from scripts.benchmarks.cluster.payment import SPLIT, V1, predict
from scripts.benchmarks.cluster.place import BenchNamespace

REQUESTS: Final = 400
CALLERS: Final = 4
PERCENT: Final = 50  # as functions/payment_model/model.yaml declares it


def measure(namespace: BenchNamespace) -> Outcome:
    """Send requests to the Route with the name of the user's split."""
    request = predict(namespace.url(Ref("Route", SPLIT)))
    send_requests(request, CALLERS, callers=CALLERS)  # not counted: it starts pods of both revisions
    return split(send_requests(request, REQUESTS, callers=CALLERS), revision=V1, percent=PERCENT)
