"""Ours compared with other servers: the same model and method. Ours has its defaults, with all features on."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from scripts.benchmarks.figures import Pair
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import Contender
from scripts.benchmarks.measures import cold_start, memory, throughput
from scripts.benchmarks.rivals import Peer

THROUGHPUT: Final = "throughput_c"

AGAINST: Final[Mapping[str, Callable[[Lab, Contender], list[Pair]]]] = MappingProxyType(
    {
        **{f"{THROUGHPUT}{count}": partial(throughput.pairs, connections=count) for count in (1, 8, 32)},
        "cold_start": cold_start.pairs,
        "memory": memory.pairs,
    }
)


def names(peer: Peer) -> list[str]:
    """Return the figures of a peer. Without batches only the throughput: cold start and memory do not change."""
    return [name for name in AGAINST if peer.max_batch > 1 or name.startswith(THROUGHPUT)]
