"""Many requests to the A/B split: each is answered, and each revision has its share."""

from typing import Final

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import ask_times
from scripts.benchmarks.cluster.outcomes import Outcome, split
from scripts.benchmarks.cluster.payment import SPLIT, V1, predict
from scripts.benchmarks.cluster.place import Place

REQUESTS: Final = 400
CALLERS: Final = 4
PERCENT: Final = 50  # as functions/payment_model/model.yaml declares it


def measure(place: Place) -> Outcome:
    """Ask the Route that has the name of the user's split."""
    request = predict(place.url(Ref("Route", SPLIT)))
    ask_times(request, CALLERS, callers=CALLERS)  # both revisions wake; that is another figure
    return split(ask_times(request, REQUESTS, callers=CALLERS), revision=V1, percent=PERCENT)
