"""Whether a pod has enough memory for its model, and how many pods there may be.

Measured with models of 1 to 100 MB: a process without a model needs 72 MiB, and a model is in memory twice while its
session is created.
"""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, advice, error, warning
from knative.checks.subject import Subject
from knative.manifests.quantities import in_bytes

ALWAYS_ON: Final = advice("always-on", "These pods run, and cost money, without any requests.")
CACHE_BELOW_MODEL: Final = error("cache-below-model", "The kubelet evicts a pod whose volume grows beyond its size.")
CPU_BELOW_ONE: Final = advice(
    "cpu-below-one", "Importing and opening the model is throttled: a cold start takes longer."
)
MEMORY_BELOW_MODEL: Final = error("memory-below-model", "The kernel would kill the process before it serves the model.")
MEMORY_TIGHT: Final = warning(
    "memory-tight", "The model fits, but there is little memory for its inputs, its outputs and the file cache."
)
UNBOUNDED_SCALE: Final = advice("unbounded-scale", "A burst, or a client in a loop, can use all nodes.")

RULES: Final = (ALWAYS_ON, CACHE_BELOW_MODEL, CPU_BELOW_ONE, MEMORY_BELOW_MODEL, MEMORY_TIGHT, UNBOUNDED_SCALE)

_MIB: Final = 2**20
_PROCESS: Final = 72 * _MIB  # without a model
_BESIDE_TWO: Final = 32 * _MIB  # beside two copies of the model, while its session is created
_COMFORT: Final = 96 * _MIB  # for the process, with inputs, outputs and the file cache
_SHARES: Final = ("deploy", "options", "resources")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the shares of a node and the bounds of scale."""
    yield from _scale(subject)
    if subject.options.limits.cores < 1:
        where = subject.place_in_function(*_SHARES, "limits", "cpu")
        what = f"a pod may use {subject.options.limits.cpu} CPU"
        yield CPU_BELOW_ONE.found(what, fix='a CPU limit of "1" or more; the request may be small', where=where)
    for served in subject.served():
        artifact = subject.facts.artifacts.get(str(served.settings.model_uri))
        size = None if artifact is None else artifact.size
        if size is not None:
            yield from _model(subject, served.version.metadata.name, size)
        elif subject.options.limits.bytes < _PROCESS:
            yield _too_little(subject, f"{served.version.metadata.name}: the runtime alone needs {_shown(_PROCESS)}", 0)


def _scale(subject: Subject) -> Iterator[Finding]:
    options, scale = subject.options, ("deploy", "options", "scale")
    if options.min_scale > 0:
        what = f"at least {options.min_scale} pods of each revision are kept, so it never scales to zero"
        yield ALWAYS_ON.found(
            what, fix="min: 0, if a cold start is fast enough", where=subject.place_in_function(*scale, "min")
        )
    if options.max_scale == 0:
        what = "a revision may have any number of pods"
        yield UNBOUNDED_SCALE.found(what, fix="a max above 0", where=subject.place_in_function(*scale, "max"))


def _model(subject: Subject, revision: str, size: int) -> Iterator[Finding]:
    limit, cache = subject.options.limits, subject.options.cache_size
    what = f"{revision}: its model has {_shown(size)}"
    if limit.bytes < max(_PROCESS + size, _BESIDE_TWO + 2 * size):
        yield _too_little(subject, what, size)
    elif limit.bytes < _comfortable(size):
        where = subject.place_in_function(*_SHARES, "limits", "memory")
        what = f"{what}, a pod has {limit.memory} of memory"
        yield MEMORY_TIGHT.found(what, fix=f"a memory limit of {_shown(_comfortable(size))} or more", where=where)
    if in_bytes("cache_size", cache) < size:
        what = f"{revision}: its model has {_shown(size)}, the cache's volume {cache}"
        fix = "a larger sizeLimit of the emptyDir at /var/cache/scalezero"
        yield CACHE_BELOW_MODEL.found(what, fix=fix, where=subject.place_in_function("run", "volumes"))


def _too_little(subject: Subject, what: str, size: int) -> Finding:
    where = subject.place_in_function(*_SHARES, "limits", "memory")
    fix = f"a memory limit of {_shown(_comfortable(size))} or more"
    return MEMORY_BELOW_MODEL.found(
        f"{what}, a pod has {subject.options.limits.memory} of memory", fix=fix, where=where
    )


def _comfortable(size: int) -> int:
    return size * 5 // 2 + _COMFORT


def _shown(size: int) -> str:
    """Write bytes in whole Mi, rounded up: what is advised must be enough."""
    return f"{-(-size // _MIB)}Mi"
