"""Limits of the transport, for one client and for the process. Times are in seconds, sizes in bytes."""

import resource
from typing import Final, NamedTuple

from runtime.errors import Overloaded

_RESERVED_FILES: Final = 128  # file descriptors for the model, the registry, the cache and the author's function
_MIN_CONNECTIONS: Final = 64
_RETRY_AFTER: Final = 1


class Limits(NamedTuple):
    """Limits of the transport. Times are in seconds, sizes in bytes."""

    body: int  # largest request body
    buffered: int  # all request bodies in memory: being received, or not yet answered
    head: int = 64 * 1024  # request line and headers, counted in the same way for both versions of HTTP
    head_time: float = 15.0  # to receive a head, from its first byte or from accepting the connection
    body_time: float = 15.0  # to receive a body; `body_rate` adds time for large bodies
    body_rate: float = 8 * 1024.0  # bytes per second that a larger body must reach
    write_time: float = 30.0  # a response is aborted if the client reads nothing for this long
    # Longest wait for the next message of a stream. It equals Knative's default for the longest request
    # (config-defaults: max-revision-timeout-seconds).
    stream_idle: float = 600.0
    stream_size: int = 16 * 1024  # bytes that an open stream adds to the budget, so that the budget limits streams
    # Idle time of a connection. It is longer than the 90 s of Knative's and Go's proxies, so that they close first and
    # never write to a connection that is being closed.
    keep_alive: float = 120.0
    connections: int = 10_000  # fewer if the process may not open enough files
    shutdown_idle: float = 0.5  # in shutdown, a connection without requests is closed after this time

    def body_deadline(self, started: float, received: int) -> float:
        """Return the deadline of a body that began at `started` and of which `received` bytes have arrived."""
        return started + self.body_time + received / self.body_rate


class Budget:
    """The memory for request bodies, in bytes: bodies that are being received or not yet answered."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def reserve(self, size: int) -> None:
        """Add `size` bytes. Raises `Overloaded`, and adds nothing, if the limit is exceeded."""
        if self.used + size > self.limit:
            self.check(size)
        self.used += size

    def check(self, size: int) -> None:
        """Raise `Overloaded` if `size` more bytes would exceed the limit."""
        if self.used + size > self.limit:
            raise Overloaded("bodies of unanswered requests", limit=self.limit, unit="bytes", retry_after=_RETRY_AFTER)

    def release(self, size: int) -> None:
        """Subtract `size` bytes."""
        self.used -= size


def max_connections(wanted: int) -> int:
    """Return how many connections the limit of open files allows, after raising that limit as far as possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = allowed_files(wanted, soft=soft, hard=hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return fitting_connections(wanted, files=files)


def allowed_files(wanted: int, *, soft: int, hard: int) -> int:
    """Return the limit of open files to set for `wanted` connections. A higher limit is kept."""
    files = wanted + _RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= files:
        return soft
    return files if hard == resource.RLIM_INFINITY else min(hard, files)


def fitting_connections(wanted: int, *, files: int) -> int:
    """Return how many of the wanted connections fit into a limit of open files; at least 64 of them."""
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(_MIN_CONNECTIONS, files - _RESERVED_FILES))
