"""`poll_oneoff` of WASI preview 1, with which a core module sleeps and waits for files.

wasmtime's function waits for as long as the guest says, and an epoch does not interrupt it: the guest would keep its
thread beyond the time limit of its call. This one waits until that limit at most, without the GIL. After that, each
further wait returns at once, and the next epoch stops the guest.

A call runs on one thread, which is how a poll finds the limit of its call: the function is defined once for all calls.
The descriptors of a guest are files, which are always ready, as POSIX has it.

    subscription (48 bytes)   userdata, tag, and at 16: clock, at 24: timeout, precision, flags; or at 16: descriptor
    event (32 bytes)          userdata, errno, tag, and at 16: bytes that can be read or written, flags

Source: WASI preview 1, witx/wasi_snapshot_preview1.witx and typenames.witx. All times are in nanoseconds.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import local
from time import monotonic_ns, sleep, time_ns
from typing import Final, NamedTuple

import wasmtime

from runtime.errors import FunctionTimedOut

MODULE: Final = "wasi_snapshot_preview1"
NAME: Final = "poll_oneoff"
SUCCESS: Final = 0
FAULT: Final = 21
INTERRUPTED: Final = 27
INVALID: Final = 28
SUBSCRIPTION: Final = struct.Struct("<QB7xI4xQQH6x")
EVENT: Final = struct.Struct("<QHB5xQH6x")
_U32: Final = struct.Struct("<I")
_CLOCK, _READ, _WRITE = range(3)  # the tags
_REALTIME, _MONOTONIC = range(2)
_ABSOLUTE: Final = 1  # in the flags of a clock
_MOST: Final = 4096  # subscriptions of one call: more would keep the GIL for too long
_READY_BYTES: Final = 1  # of a descriptor: at least so many; what wasmtime reports for the standard streams
_BITS: Final = 0xFFFF_FFFF
_SECOND: Final = 10**9


class Subscription(NamedTuple):
    """What a guest waits for. The fields after `place` are those of a clock."""

    userdata: int
    tag: int
    place: int  # the clock, or the descriptor
    timeout: int = 0
    precision: int = 0
    flags: int = 0


class Now(NamedTuple):
    """The clocks as the guest sees them."""

    realtime: int
    monotonic: int


def wait_of(subscription: Subscription, now: Now) -> int | None:
    """Return how long a subscription takes, at least 0; None: WASI has no such subscription."""
    if subscription.tag in {_READ, _WRITE}:
        return 0
    if subscription.tag != _CLOCK or subscription.place not in {_REALTIME, _MONOTONIC}:
        return None
    if not subscription.flags & _ABSOLUTE:
        return subscription.timeout
    return max(0, subscription.timeout - now[subscription.place])


def events_of(subscriptions: Sequence[Subscription], waits: Sequence[int]) -> list[bytes]:
    """Return the events of the subscriptions that end first, which are those that end by then."""
    first = min(waits)
    return [
        EVENT.pack(each.userdata, SUCCESS, each.tag, 0 if each.tag == _CLOCK else _READY_BYTES, 0)
        for each, wait in zip(subscriptions, waits, strict=True)
        if wait <= first
    ]


class _Call:
    """The call that runs on a thread: its time, on the clock of `monotonic_ns`, and whether a wait went beyond it."""

    __slots__ = ("began", "ends", "exceeded")

    def __init__(self, seconds: float) -> None:
        self.began = monotonic_ns()
        self.ends = self.began + round(seconds * _SECOND)
        self.exceeded = False

    def wait(self, duration: int) -> bool:
        """Wait, until the end of the call at most. Return whether the whole wait is over."""
        left = max(0, self.ends - monotonic_ns())
        sleep(min(duration, left) / _SECOND)
        self.exceeded |= duration > left
        return not self.exceeded


class _Thread(local):
    call: _Call | None = None


_thread: Final = _Thread()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Run a call of a guest in this block, on this thread. Raises `FunctionTimedOut` if a wait exceeded the limit.

    Enter it right after the creation of WASI's configuration, where the guest's monotonic clock begins.
    """
    call = _thread.call = _Call(seconds)
    timed_out = FunctionTimedOut("this call of the guest", limit=seconds)
    try:
        yield
    except Exception as error:
        if not call.exceeded:
            raise
        raise timed_out from error
    finally:
        _thread.call = None
    if call.exceeded:
        raise timed_out


def define(linker: wasmtime.Linker) -> None:
    """Define `poll_oneoff` in place of wasmtime's."""
    i32 = wasmtime.ValType.i32()
    linker.allow_shadowing = True
    linker.define_func(MODULE, NAME, wasmtime.FuncType([i32] * 4, [i32]), _poll, access_caller=True)
    linker.allow_shadowing = False


def _poll(caller: wasmtime.Caller, *arguments: int) -> int:
    """Return an errno. An exception would pass through a variable that all instances of the process share."""
    memory, call = caller.get("memory"), _thread.call
    if not isinstance(memory, wasmtime.Memory) or call is None:
        return INVALID
    subscribed, events, count, written = (each & _BITS for each in arguments)
    if not 0 < count <= _MOST:
        return INVALID
    ends = (subscribed + count * SUBSCRIPTION.size, events + count * EVENT.size, written + _U32.size)
    if max(ends) > memory.data_len(caller):
        return FAULT
    content = memory.read(caller, subscribed, subscribed + count * SUBSCRIPTION.size)
    subscriptions = [Subscription(*fields) for fields in SUBSCRIPTION.iter_unpack(content)]
    now = Now(time_ns(), monotonic_ns() - call.began)
    waits = [wait for each in subscriptions if (wait := wait_of(each, now)) is not None]
    if len(waits) < count:
        return INVALID
    if not call.wait(min(waits)):
        return INTERRUPTED
    occurred = events_of(subscriptions, waits)
    memory.write(caller, b"".join(occurred), events)
    memory.write(caller, _U32.pack(len(occurred)), written)
    return SUCCESS
