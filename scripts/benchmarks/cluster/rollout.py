"""`scalezero rollout` to the second version, under steady load: no caller may notice more than another version."""

from typing import Final

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import asking
from scripts.benchmarks.cluster.outcomes import Outcome, rollout
from scripts.benchmarks.cluster.payment import MODEL, V2, predict
from scripts.benchmarks.cluster.place import Place

CALLERS: Final = 3
PAUSE_SECONDS: Final = 0.1  # some 30 requests a second in all
STEPS: Final = "75,100"  # from the 50 that the split gives it
INTERVAL_SECONDS: Final = 5


def measure(place: Place) -> Outcome:
    """Roll out while callers ask the Service."""
    service = Ref("Service", MODEL)
    with asking(predict(place.url(service)), callers=CALLERS, pause=PAUSE_SECONDS) as load:
        place.scalezero("rollout", MODEL, "--to", V2, "--steps", STEPS, "--interval", str(INTERVAL_SECONDS))
    return rollout(load(), target=V2, done=place.share_of(service, V2) == 100)  # noqa: PLR2004 - percent
