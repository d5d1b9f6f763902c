"""From zero pods to the first answer, as a caller sees it: ours, its pull from S3 included, beside hello world."""

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import Request, ask
from scripts.benchmarks.cluster.functions import HELLO, hello_world
from scripts.benchmarks.cluster.outcomes import Outcome, cold_start
from scripts.benchmarks.cluster.payment import MODEL, V1, predict
from scripts.benchmarks.cluster.place import Place
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Pair
from scripts.benchmarks.noise import Guard

HELLO_REVISION = f"{HELLO}-v1"


def measure(place: Place, guard: Guard, rounds: int) -> Outcome:
    """Pairs of first answers; every other one begins with the hello-world function."""
    place.apply(hello_world(place.image))
    requests = {
        V1: predict(place.url(Ref("Service", MODEL), tag="v1")),
        HELLO_REVISION: Request(url=place.url(Ref("Service", HELLO))),
    }
    pairs = []
    for index in range(rounds):
        for revision in requests:
            place.wait_for_zero(revision)
        order = sorted(requests, reverse=bool(index % 2))
        seconds = {revision: _first_answer(place, guard, revision, requests[revision]) for revision in order}
        pairs.append(Pair(ours=seconds[V1], floor=seconds[HELLO_REVISION]))
    return cold_start(pairs)


def _first_answer(place: Place, guard: Guard, revision: str, request: Request) -> float:
    """Seconds until a revision without a pod has answered."""
    guard.wait_for_quiet()
    reply = ask(request)
    if reply.failure:
        pods = ", ".join(each["status"]["phase"] for each in place.pods(revision)) or "there are none"
        raise CannotMeasure(f"{revision} answered its first request with {reply.failure}; its pods: {pods}")
    place.say(f"{revision}: {reply.seconds:.2f} s")
    return reply.seconds
