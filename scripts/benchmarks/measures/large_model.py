"""The start of models of 1 GiB in their prepared form, pulled from a real S3 server into an empty cache.

The time counts from the end of the pull to readiness. The peak is that of the resident memory, mapped weights included,
after the first right answer. The figures are those of the table. `dense_` has those of the matrix products, whose
weights ONNX Runtime packs.
"""

import tempfile
from collections.abc import Callable, Mapping
from statistics import median
from typing import Final, NamedTuple

from runtime.artifacts.cache import hash_file
from runtime.variants.names import CPU_PROVIDER, ORIGINAL
from runtime.variants.pinned import PinnedForm, PinnedModel, PinnedVariant, render
from scripts.benchmarks import launches
from scripts.benchmarks.client import not_ready, send_request, wait_for_first_answer, wait_until_correct
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.s3 import publish
from scripts.benchmarks.servers import Server, running
from scripts.benchmarks.subjects import Subject

MIB: Final = 2**20
ROUNDS: Final = 3  # a start takes several seconds
PULLED: Final = ("import", "idle", "pull", "verify")  # the phases until the end of the pull


class Start(NamedTuple):
    """One start."""

    seconds: float  # from the end of the pull to readiness
    whole: float  # seconds from the start of the process to readiness
    peak: float  # MiB
    size: float  # MiB of the model with its external data
    disturbed: bool


class Starts:
    """The starts of one run, measured when a figure first needs them."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[list[Start], list[Start]]] = {}

    def of(self, lab: Lab) -> tuple[list[Start], list[Start]]:
        """Return the starts of the table, and of the matrix products."""
        if id(lab) not in self._found:
            self._found[id(lab)] = measure_starts(lab, lab.table), measure_starts(lab, lab.dense)
        return self._found[id(lab)]


def measures() -> Mapping[str, Callable[[Lab], Figure]]:
    """Return both figures by name. They share their starts."""
    starts = Starts()

    def ready(lab: Lab) -> Figure:
        table, dense = starts.of(lab)
        pairs = [Pair(ours=each.seconds, floor=1.0, disturbed=each.disturbed) for each in table]
        extra = {
            "start_seconds": median(each.whole for each in table),
            "dense_seconds": median(each.seconds for each in dense),
        }
        return figure("ready_seconds_over_pull", pairs, extra)

    def peak(lab: Lab) -> Figure:
        table, dense = starts.of(lab)
        pairs = [Pair(ours=each.peak, floor=each.size, disturbed=each.disturbed) for each in table]
        return figure("peak_over_size", pairs, {"dense_ratio": median(each.peak / each.size for each in dense)})

    return {"ready_seconds_over_pull": ready, "peak_over_size": peak}


def measure_starts(lab: Lab, subject: Subject) -> list[Start]:
    """Publish the model and start it several times, each time with an empty cache."""
    uri = publish(subject.path, lab.s3)
    found = []
    for _ in range(min(ROUNDS, lab.rounds)):
        start, noise = lab.guard.least_disturbed(lambda: start_once(lab, subject, uri))
        found.append(start._replace(disturbed=noise.disturbed))
    return found


def start_once(lab: Lab, subject: Subject, uri: str) -> Start:
    """Start the server once. Raises CannotMeasure if it does not become ready, or answers wrongly."""
    digest = hash_file(subject.path)
    form = PinnedForm(uri, digest)
    pinned = PinnedModel((PinnedVariant(ORIGINAL, CPU_PROVIDER, None, uri, digest, prepared=(form,)),))
    with tempfile.TemporaryDirectory() as cache:
        env = {**lab.s3, **launches.BATCHING, "SCALEZERO_VARIANTS": render(pinned)}
        launch = launches.ours(subject, uri, cache, env)
        with running(launch, cpu=lab.server_cpu) as server:
            ready = wait_until_correct(server, lambda: not_ready(server))
            wait_for_first_answer(server, subject)
            phases = cold_start_phases(server)
            pulled = sum(phases[name] for name in PULLED)
            size = sum(each.stat().st_size for each in subject.path.parent.iterdir())
            return Start(ready - pulled, ready, server.peak_memory() / MIB, size / MIB, disturbed=False)


def cold_start_phases(server: Server) -> dict[str, float]:
    """Read the seconds of each phase of the cold start. Raises CannotMeasure if one is missing."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(send_request(server, "GET", "/metrics").text.decode())
    samples = (sample for family in families for sample in family.samples)
    found = {each.labels["phase"]: each.value for each in samples if each.name == "scalezero_cold_start_seconds"}
    if missing := [name for name in PULLED if name not in found]:
        raise CannotMeasure(f"/metrics has no phase {', '.join(missing)} of the cold start")
    return found
