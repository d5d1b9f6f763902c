"""Which routes a listener has: those of scalezero and those of its protocols, by the catalogue. Pure."""

from collections.abc import Container, Iterator, Sequence
from typing import Final

from runtime.frontends.catalogue import grpc_services
from runtime.frontends.openapi.document import Described, description
from runtime.frontends.protocol import Protocol, left_to

# Always mounted, and described by "METHOD PATTERN": the prefixes that they own.
OURS: Final = {"scalezero": ("/healthz",), "predict": ("/api/v1/models",)}


def listed(protocols: Sequence[Protocol], generic: Container[str]) -> Iterator[Described]:
    """Each route once. `generic` has the names of the protocols whose generic paths are mounted."""
    for owner in OURS:
        for key in description(owner).operations:
            method, pattern = key.split()
            yield Described(owner, method, pattern, key)
    for protocol in protocols:
        if protocol.rest is None:
            continue
        paths = [*protocol.rest.paths, *(protocol.rest.generic if protocol.name in generic else ())]
        for path in left_to(protocol, paths, protocols):
            yield Described(protocol.name, path.method, path.pattern, path.handler, protocol.rest.any_case)


def prefixes(protocols: Sequence[Protocol], generic: Container[str]) -> list[str]:
    """All paths below these belong to scalezero or a protocol, never to the author's function; as `listed` has it."""
    owned = [prefix for each in OURS.values() for prefix in each]
    owned += [f"/{each.service}" for each in grpc_services(protocols)]
    for protocol in protocols:
        if protocol.rest is not None:
            owned += protocol.rest.prefixes
            owned += protocol.rest.generic_prefixes if protocol.name in generic else ()
    return owned
