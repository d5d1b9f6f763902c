"""The time from zero pods to the first answer: ours, including the pull from S3, compared with hello world."""

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import Request, send_request
from scripts.benchmarks.cluster.functions import HELLO, hello_world
from scripts.benchmarks.cluster.outcomes import Outcome, cold_start
from scripts.benchmarks.cluster.payment import MODEL, V1, predict
from scripts.benchmarks.cluster.place import BenchNamespace
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Pair
from scripts.benchmarks.noise import Guard

HELLO_REVISION = f"{HELLO}-v1"


def measure(namespace: BenchNamespace, guard: Guard, rounds: int) -> Outcome:
    """Measure pairs of first answers. Every second pair starts with the hello-world function."""
    namespace.apply(hello_world(namespace.image))
    requests = {
        V1: predict(namespace.url(Ref("Service", MODEL), tag="v1")),
        HELLO_REVISION: Request(url=namespace.url(Ref("Service", HELLO))),
    }
    pairs = []
    for index in range(rounds):
        for revision in requests:
            namespace.wait_for_zero(revision)
        order = sorted(requests, reverse=bool(index % 2))
        seconds = {revision: _first_answer(namespace, guard, revision, requests[revision]) for revision in order}
        pairs.append(Pair(ours=seconds[V1], floor=seconds[HELLO_REVISION]))
    return cold_start(pairs)


def _first_answer(namespace: BenchNamespace, guard: Guard, revision: str, request: Request) -> float:
    """Return the seconds until a revision without pods has answered."""
    guard.wait_for_quiet()
    reply = send_request(request)
    if reply.failure:
        pods = ", ".join(each["status"]["phase"] for each in namespace.pods(revision)) or "none"
        raise CannotMeasure(f"the first request to {revision} failed: {reply.failure}; phases of its pods: {pods}")
    namespace.log(f"{revision}: {reply.seconds:.2f} s")
    return reply.seconds
