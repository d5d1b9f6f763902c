"""Rules that a pod has enough memory for its model, and rules about the number of pods.

Measured with models of 1 to 100 MB: a process without a model needs 72 MiB, and a model is in memory twice while its
session is created.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from knative.checks.finding import Finding, advice, error, warning
from knative.checks.subject import Artifact, Served, Subject
from knative.manifests.quantities import in_bytes
from runtime.variants.values import ORIGINAL, PreparedForm, Variant

ALWAYS_ON: Final = advice("always-on", "These pods run, and cost money, even without requests.")
CACHE_BELOW_MODEL: Final = error("cache-below-model", "The kubelet evicts a pod whose volume grows beyond its size.")
CPU_BELOW_ONE: Final = advice(
    "cpu-below-one", "Importing and opening the model is throttled: a cold start takes longer."
)
GUESTS_ABOVE_MEMORY: Final = warning(
    "guests-above-memory", "If all guests of a pod use the memory that they may use, the kernel kills the process."
)
MEMORY_BELOW_MODEL: Final = error("memory-below-model", "The kernel would kill the process before it serves the model.")
MEMORY_TIGHT: Final = warning(
    "memory-tight", "The model fits, but there is little memory for its inputs, its outputs and the file cache."
)
UNBOUNDED_SCALE: Final = advice("unbounded-scale", "A burst, or a client in a loop, can use all nodes.")

RULES: Final = (
    ALWAYS_ON,
    CACHE_BELOW_MODEL,
    CPU_BELOW_ONE,
    GUESTS_ABOVE_MEMORY,
    MEMORY_BELOW_MODEL,
    MEMORY_TIGHT,
    UNBOUNDED_SCALE,
)

_MIB: Final = 2**20
_PROCESS: Final = 72 * _MIB  # without a model
_LOADING: Final = 32 * _MIB  # in addition to two copies of the model, while its session is created
_HEADROOM: Final = 96 * _MIB  # for the process, with inputs, outputs and the file cache
_RESOURCES: Final = ("deploy", "options", "resources")


def check(subject: Subject) -> Iterator[Finding]:
    """Check the compute resources and the scale bounds."""
    yield from _scale(subject)
    if subject.options.limits.cores < 1:
        where = subject.place_in_function(*_RESOURCES, "limits", "cpu")
        what = f"a pod may use {subject.options.limits.cpu} CPU"
        yield CPU_BELOW_ONE.finding(
            what, fix='set a CPU limit of at least "1"; the request may be smaller', where=where
        )
    for served in subject.revisions():
        sizes = [size for uri in _uris(served) if (size := _size(subject.facts.artifacts.get(uri))) is not None]
        if served.settings.guest_uri:
            yield from _guests(subject, served, sum(each.opened for each in sizes))
        if sizes:
            yield from _models(subject, served, _Size(sum(e.opened for e in sizes), sum(e.cached for e in sizes)))
        elif subject.options.limits.bytes < _PROCESS:
            what = f"{served.version.metadata.name}: the runtime without a model needs {_in_mib(_PROCESS)}"
            yield _below_model(subject, what, 0)


def _uris(served: Served) -> Iterator[str]:
    """Yield the URIs of all models in the memory of a pod."""
    yield str(served.settings.model_uri)
    yield from (each.uri for each in served.settings.companions)


class _Size(NamedTuple):
    """The bytes of a model in a pod."""

    opened: int  # of the largest file that a pod may serve, with its external data
    cached: int  # of all files that it may pull: a variant, then the original, each after its prepared form


def _size(artifact: Artifact | None) -> _Size | None:
    if artifact is None or artifact.size is None:
        return None
    form = _largest_form(artifact.original)
    others = [(_bytes(each), _largest_form(each)) for each in artifact.chosen if each.name != ORIGINAL]
    return _Size(
        opened=max(artifact.size, form, *(max(each) for each in others)),
        cached=artifact.size + form + max(map(sum, others), default=0),
    )


def _largest_form(variant: Variant | None) -> int:
    """Return the bytes of the largest prepared form; 0 without one."""
    return max(map(_bytes, variant.prepared), default=0) if variant else 0


def _bytes(stored: Variant | PreparedForm) -> int:
    return stored.size + sum(file.size for file in stored.files)


def _scale(subject: Subject) -> Iterator[Finding]:
    options, scale = subject.options, ("deploy", "options", "scale")
    if options.min_scale > 0:
        what = f"each revision always has at least {options.min_scale} pods, so it never scales to zero"
        yield ALWAYS_ON.finding(
            what, fix="set min: 0, if a cold start is fast enough", where=subject.place_in_function(*scale, "min")
        )
    if options.max_scale == 0:
        what = "the number of pods of a revision has no maximum"
        yield UNBOUNDED_SCALE.finding(
            what, fix="set max to a number above 0", where=subject.place_in_function(*scale, "max")
        )


def _guests(subject: Subject, served: Served, models: int) -> Iterator[Finding]:
    """Check that the instances of a guest fit into a pod, beside the process and its `models` of so many bytes."""
    settings, limit = served.settings, subject.options.limits
    instances = settings.function_threads * settings.guest_memory
    if _PROCESS + models + instances > limit.bytes:
        what = (
            f"{served.version.metadata.name}: {settings.function_threads} guests with {_in_mib(settings.guest_memory)} "
            f"each may need {_in_mib(instances)}, and the memory limit of a pod is {limit.memory}"
        )
        fix = "lower guest.memory or SCALEZERO_FUNCTION_THREADS, or raise the memory limit"
        where = subject.place_in_function(*_RESOURCES, "limits", "memory")
        yield GUESTS_ABOVE_MEMORY.finding(what, fix=fix, where=where)


def _models(subject: Subject, served: Served, sizes: _Size) -> Iterator[Finding]:
    """Check a revision whose models have these sizes in all: they are opened at the same time."""
    size = sizes.opened
    limit, cache = subject.options.limits, subject.options.cache_size
    models = "models" if served.settings.companions else "model"
    what = f"{served.version.metadata.name}: the size of its {models} is {_in_mib(size)}"
    if limit.bytes < max(_PROCESS + size, _LOADING + 2 * size):
        yield _below_model(subject, what, size)
    elif limit.bytes < _recommended(size):
        where = subject.place_in_function(*_RESOURCES, "limits", "memory")
        tight = f"{what}, the memory limit of a pod is {limit.memory}"
        fix = f"set a memory limit of at least {_in_mib(_recommended(size))}"
        yield MEMORY_TIGHT.finding(tight, fix=fix, where=where)
    if in_bytes("cache_size", cache) < sizes.cached:
        variants = f", with its variants and prepared forms {_in_mib(sizes.cached)}" if sizes.cached > size else ""
        what = f"{what}{variants}, the size of the cache volume is {cache}"
        fix = "set a larger sizeLimit for the emptyDir at /var/cache/scalezero"
        yield CACHE_BELOW_MODEL.finding(what, fix=fix, where=subject.place_in_function("run", "volumes"))


def _below_model(subject: Subject, what: str, size: int) -> Finding:
    where = subject.place_in_function(*_RESOURCES, "limits", "memory")
    fix = f"set a memory limit of at least {_in_mib(_recommended(size))}"
    what = f"{what}, the memory limit of a pod is {subject.options.limits.memory}"
    return MEMORY_BELOW_MODEL.finding(what, fix=fix, where=where)


def _recommended(size: int) -> int:
    """Return the recommended memory limit for a model of `size` bytes, in bytes."""
    return size * 5 // 2 + _HEADROOM


def _in_mib(size: int) -> str:
    """Format bytes in whole Mi, rounded up so that a recommended limit is sufficient."""
    return f"{-(-size // _MIB)}Mi"
