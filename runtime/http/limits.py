"""What one client, and all of them together, may take of this process. Times in seconds, sizes in bytes."""

import resource
from typing import Final, NamedTuple

from runtime.errors import Overloaded

_SPARE_FILES: Final = 128  # descriptors for the model, the registry, the cache and the author's function
_FEWEST_CONNECTIONS: Final = 64
_RETRY_AFTER: Final = 1


class Limits(NamedTuple):
    """The bounds of the transport."""

    body: int  # largest body of one request
    buffered: int  # all bodies in memory: those that are coming in and those not answered yet
    head: int = 64 * 1024  # request line and headers, the same for both versions of HTTP
    head_time: float = 15.0  # from the first byte of a head, or from accepting the connection, to the head's end
    body_time: float = 15.0  # a body may take this long, and longer by its size over `body_rate`
    body_rate: float = 8 * 1024.0  # bytes a second that a body must keep up after that
    write_time: float = 30.0  # an answer of which the client reads nothing for this long is given up
    # A stream may wait so long for its client's next message. Knative's longest request is no longer by default
    # (config-defaults: max-revision-timeout-seconds).
    stream_idle: float = 600.0
    stream_size: int = 16 * 1024  # what an open stream counts as, beside its body, so that the budget bounds streams
    # Longer than Knative's and Go's proxies keep an idle connection (90 s), so that they close first and never write
    # into a connection that is being closed here.
    keep_alive: float = 120.0
    connections: int = 10_000  # fewer where the process may not open so many files
    quiet: float = 0.5  # in shutdown: a connection without a request for this long is closed

    def body_deadline(self, begun: float, received: int) -> float:
        """When a body that began then, and of which so much has come, is late."""
        return begun + self.body_time + received / self.body_rate


class Budget:
    """Bytes of request bodies that the process holds: what is coming in, and what is not answered yet."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Count bytes in. Raises `Overloaded` where the budget is spent; nothing is counted then."""
        if self.used + size > self.limit:
            self.check(size)
        self.used += size

    def check(self, size: int) -> None:
        """Raise `Overloaded` where so many bytes more are beyond the budget."""
        if self.used + size > self.limit:
            raise Overloaded("bodies of unanswered requests", limit=self.limit, unit="bytes", retry_after=_RETRY_AFTER)

    def give_back(self, size: int) -> None:
        """Count bytes out."""
        self.used -= size


def most_connections(wanted: int) -> int:
    """How many connections fit beside the files that the process needs, after raising its limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = allowed_files(wanted, soft=soft, hard=hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return fitting_connections(wanted, files=files)


def allowed_files(wanted: int, *, soft: int, hard: int) -> int:
    """The limit of open files to set for so many connections. A limit that is higher already stays."""
    files = wanted + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= files:
        return soft
    return files if hard == resource.RLIM_INFINITY else min(hard, files)


def fitting_connections(wanted: int, *, files: int) -> int:
    """How many of the wanted connections fit into a limit of open files; some always do."""
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(_FEWEST_CONNECTIONS, files - _SPARE_FILES))
