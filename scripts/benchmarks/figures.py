"""Pure: the targets, and whether the pairs of a run meet them."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

NO_LIMITS: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bound on ours / floor: a lower bound if `higher_is_better`, otherwise an upper bound; infinite: none.

    `limits` are upper bounds on the additional values of `Figure.extra`, by name.
    """

    unit: str
    ratio: float
    higher_is_better: bool
    digits: int  # after the decimal point, in the table
    limits: Mapping[str, float] = field(default_factory=dict)

    def met(self, ratio: float) -> bool:
        """Whether a ratio meets the target."""
        return ratio >= self.ratio if self.higher_is_better else ratio <= self.ratio

    def __str__(self) -> str:
        if math.isinf(self.ratio):
            return ", ".join(f"{name} <= {limit:g} {self.unit}" for name, limit in self.limits.items())
        return f"{'>=' if self.higher_is_better else '<='} {self.ratio:.2f}"


LIVE_LIMIT_MS: Final = 20.0  # the longest answer of /healthz/live while a heavy model runs
LIVE_UNDER_ATTACK_SECONDS: Final = 0.050  # the longest answer of /healthz/live during any attack
LOST: Final = 0.01  # the share of the predictions that the log may lose at 2,000 per second
SLOWDOWN: Final = 1.11  # of requests, while the sink of the log is down
MEMORY_LIMIT: Final = 12.0  # peak memory, as a multiple of the request's body


def _at_least(ratio: float, unit: str, *, digits: int = 0, limits: Mapping[str, float] = NO_LIMITS) -> Target:
    return Target(unit=unit, ratio=ratio, higher_is_better=True, digits=digits, limits=limits)


def _at_most(ratio: float, unit: str, *, digits: int = 0, limits: Mapping[str, float] = NO_LIMITS) -> Target:
    return Target(unit=unit, ratio=ratio, higher_is_better=False, digits=digits, limits=limits)


def _above_by_at_most(difference: float, unit: str, *, digits: int) -> Target:
    return _at_most(math.inf, unit, digits=digits, limits={"difference": difference})


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "raw_c1": _at_least(0.65, "req/s"),
        "raw_c8": _at_least(0.42, "req/s"),
        "raw_c32": _at_least(0.38, "req/s"),
        "throughput_c1": _at_least(0.95, "req/s"),
        "throughput_c8": _at_least(1.2, "req/s"),
        "throughput_c32": _at_least(1.3, "req/s"),
        "h2_c1": _at_least(0.8, "req/s"),
        "h2_c8": _at_least(0.8, "req/s"),
        "h2_c32": _at_least(0.8, "req/s"),
        "lone_latency": _at_most(1.15, "us"),
        "cold_start": _at_most(1.15, "ms"),
        "memory": _at_most(1.12, "MiB", digits=1),
        "heavy_model": _at_least(0.95, "rows/s", digits=2, limits={"live_max_ms": LIVE_LIMIT_MS}),
        "live_under_attack": _at_most(1.0, "s", digits=3, limits={"memory_times_body": MEMORY_LIMIT}),
        "v2_binary": _at_most(1.05, "ms/req", digits=1),
        "json_million": _at_least(0.9, "tensors/s", digits=2),
        "grpc_ml_v1": _at_least(0.8, "req/s"),
        "grpc_v2": _at_least(0.8, "req/s"),
        "grpc_peer": _at_least(3.0, "req/s"),
        "protocols_memory": _at_most(1.02, "MiB", digits=1, limits={"unused_mib": 1.0, "used_mib": 8.0}),
        "protocols_start": _at_most(1.02, "ms"),
        "events": _at_least(0.8, "events/s"),
        "idempotency": _at_least(0.95, "events/s"),
        "logging": _at_least(0.9, "req/s", limits={"lost_at_2000": LOST, "sink_down_slowdown": SLOWDOWN}),
        "ready_seconds_over_pull": _at_most(0.4, "s", digits=3),  # the floor is one second, so the ratio is seconds
        "peak_over_size": _at_most(1.15, "MiB"),
        "upload": _at_least(0.9, "MiB/s"),
        "pull": _at_least(0.9, "MiB/s"),
        "rss_mib": _at_most(64.0, "MiB", digits=1),  # the floor is one MiB
        "compute_us": _above_by_at_most(100.0, "us", digits=1),
        "request_ms": _above_by_at_most(2.0, "ms", digits=3),
        "cold_ms": _above_by_at_most(80.0, "ms", digits=1),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Ours and the floor, measured directly after each other."""

    ours: float
    floor: float
    disturbed: bool = False  # other processes used the cores meanwhile

    @property
    def ratio(self) -> float:
        """Ours / floor."""
        return self.ours / self.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The result of one measurement: the medians of ours and of the floor, and the median of the pairs' ratios.

    The ratio is not ours / floor: both halves of a pair are measured in the same phase of the machine, so slow phases
    cancel out. `extra` has additional values. A name with a dot, such as `rows.max_ms`, belongs to one part of the
    measurement, and only the JSON output has it.
    """

    name: str
    ours: float
    floor: float
    ratio: float
    disturbed: int  # pairs, of `pairs`
    pairs: int
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """The target of this figure."""
        return TARGETS[self.name]

    @property
    def met(self) -> bool:
        """Whether the ratio meets the target, and all values in `extra` their limits."""
        kept = (self.extra.get(name, 0.0) <= limit for name, limit in self.target.limits.items())
        return self.target.met(self.ratio) and all(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFigure:
    """A figure whose floor is another server."""

    peer: str
    figure: Figure


def figure(name: str, pairs: Sequence[Pair], extra: Mapping[str, float] | None = None) -> Figure:
    """Summarize the pairs of one figure. Raises ValueError if there is none."""
    if not pairs:
        raise ValueError(f"{name}: no pair was measured")
    return Figure(
        name=name,
        ours=statistics.median(pair.ours for pair in pairs),
        floor=statistics.median(pair.floor for pair in pairs),
        ratio=statistics.median(pair.ratio for pair in pairs),
        disturbed=sum(pair.disturbed for pair in pairs),
        pairs=len(pairs),
        extra=dict(extra or {}),
    )
