"""How a protocol is described: its paths over REST and its gRPC services, by the modules that have the handlers. Pure.

A module named here has a function `handlers(context: Context) -> Mapping[str, handler]`. Its keys are the names that
the paths give, and for gRPC the names of the methods; a test compares both.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

_ERRORS: Final = "runtime.protocols.refusals:error_answer"
_GRPC_ERRORS: Final = "runtime.protocols.grpc_errors:grpc_error_answer"


class Path(NamedTuple):
    """A route: `method` and `pattern` as in `frontends.routes`, `handler` a key of what the module gives."""

    method: str
    pattern: str
    handler: str


class Rest(NamedTuple):
    """What a protocol answers over HTTP without gRPC."""

    module: str
    prefixes: tuple[str, ...]  # all paths below them are the protocol's, those that no route fits included
    paths: tuple[Path, ...]
    refuse: str = _ERRORS  # "module:function" of type `Owner.refuse`; imported at once, so the module must be light
    generic: tuple[Path, ...] = ()  # only where no author's function is mounted, or the setting names the protocol
    generic_prefixes: tuple[str, ...] = ()  # of paths that are its own there, too
    any_case: bool = False  # see `Owner`
    owns_port: bool = False  # on a port of its own it answers every path, those that nobody knows too
    part_of: str = ""  # the protocol beside whose routes these stand: of both, the more specific one takes a path


class Grpc(NamedTuple):
    """One gRPC service."""

    module: str
    service: str  # its full name, such as `grpc.health.v1.Health`
    methods: tuple[str, ...]
    streams: tuple[str, ...] = ()  # methods that answer while their messages come in, as `grpc.streams` has it
    refuse: str = _GRPC_ERRORS  # as in `Rest`


class Protocol(NamedTuple):
    """One protocol, by the name that `SCALEZERO_PROTOCOLS` and the metrics use."""

    name: str
    rest: Rest | None = None
    grpc: tuple[Grpc, ...] = ()
    yields_to: tuple[str, ...] = ()  # protocols that answer, where they are selected too, the paths that both declare
    alone: bool = False  # it is served only on ports of its own: see `SCALEZERO_LISTEN`
    switch: str = ""  # the setting without which it is served only where `SCALEZERO_PROTOCOLS` names it


def below(patterns: tuple[str, ...], *paths: Path) -> tuple[Path, ...]:
    """The paths below each of the patterns."""
    return tuple(path._replace(pattern=pattern + path.pattern) for pattern in patterns for path in paths)


def left_to(protocol: Protocol, paths: Sequence[Path], others: Sequence[Protocol]) -> list[Path]:
    """Those of the protocol's paths that none of the others, which are mounted beside it, answers instead."""
    taken = {
        (path.method, path.pattern)
        for other in others
        if other.name in protocol.yields_to and other.rest
        for path in (*other.rest.paths, *other.rest.generic)
    }
    return [path for path in paths if (path.method, path.pattern) not in taken]
