"""The description of a protocol: its REST paths, its gRPC services, and the modules with their handlers. Pure.

Such a module has a function `handlers(context: Context) -> Mapping[str, handler]`. Its keys are the handler names of
the paths, or the names of the gRPC methods; a test compares them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

_ERRORS: Final = "runtime.protocols.refusals:error_answer"
_GRPC_ERRORS: Final = "runtime.protocols.grpc_errors:grpc_error_answer"


class Path(NamedTuple):
    """A route: `method` and `pattern` as in `frontends.routes`; `handler` is a key of the module's handlers."""

    method: str
    pattern: str
    handler: str


class Rest(NamedTuple):
    """The REST routes of a protocol."""

    module: str
    prefixes: tuple[str, ...]  # the protocol owns all paths below them, also those that no route matches
    paths: tuple[Path, ...]
    refuse: str = _ERRORS  # "module:function" of type `Owner.refuse`; imported on the event loop, so it must be light
    generic: tuple[Path, ...] = ()  # mounted only if there is no author's function or the setting names the protocol
    generic_prefixes: tuple[str, ...] = ()  # prefixes that the protocol also owns if `generic` is mounted
    events: tuple[Path, ...] = ()  # paths of which the protocol answers only the CloudEvents
    ignore_case: bool = False  # see `Owner`
    owns_port: bool = False  # on an additional port it answers every path, also unknown ones
    part_of: str = ""  # the protocol that shares its paths with this one: the more specific route of both is used


class Grpc(NamedTuple):
    """One gRPC service."""

    module: str
    service: str  # the full name, such as `grpc.health.v1.Health`
    methods: tuple[str, ...]
    streams: tuple[str, ...] = ()  # streaming methods, see `grpc.streams`
    refuse: str = _GRPC_ERRORS  # as in `Rest`


class Protocol(NamedTuple):
    """One protocol. `name` is the name in `SCALEZERO_PROTOCOLS` and in the metrics."""

    name: str
    rest: Rest | None = None
    grpc: tuple[Grpc, ...] = ()
    yields_to: tuple[str, ...] = ()  # protocols that, if they are selected too, answer the paths that both declare
    needs_own_port: bool = False  # served only on additional ports: see `SCALEZERO_LISTEN`
    enabled_by: str = ""  # the setting that enables it; otherwise it is served only if `SCALEZERO_PROTOCOLS` names it


def below(patterns: tuple[str, ...], *paths: Path) -> tuple[Path, ...]:
    """Return the paths below each of the patterns."""
    return tuple(path._replace(pattern=pattern + path.pattern) for pattern in patterns for path in paths)


def served_paths(protocol: Protocol, paths: Sequence[Path], others: Sequence[Protocol]) -> list[Path]:
    """Return the paths that the protocol itself serves: without those that it yields to a protocol of `others`."""
    yielded = {
        (path.method, path.pattern)
        for other in others
        if other.name in protocol.yields_to and other.rest
        for path in (*other.rest.paths, *other.rest.generic)
    }
    return [path for path in paths if (path.method, path.pattern) not in yielded]
