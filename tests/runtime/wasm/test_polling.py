"""A core module waits as WASI states, and not beyond the time limit of its call."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from runtime.errors import FunctionFailed, FunctionTimedOut
from runtime.wasm import Limits, polling
from runtime.wasm.code import Code, compile_code
from runtime.wasm.guest import Call, Guest
from runtime.wasm.polling import Now, Subscription, events_of, wait_of
from tests import guests
from tests.runtime.wasi_nn.building import c_guest

LIMITS = Limits(seconds=60, memory=2**20, output=2**20)
SHORT = LIMITS._replace(seconds=0.2)
HOUR = 3600 * 10**9
CLOCK, READ, WRITE, OTHER = range(4)  # the tags
REALTIME, MONOTONIC, CPU = range(3)
ABSOLUTE = 1
SUBSCRIBED, EVENTS, WRITTEN = 4096, 8192, 1024  # places in the memory
NOW = Now(realtime=10**18, monotonic=1000)


@pytest.mark.parametrize(
    ("subscription", "wait"),
    [
        (Subscription(1, CLOCK, MONOTONIC, 5), 5),
        (Subscription(1, CLOCK, REALTIME, 2**64 - 1), 2**64 - 1),
        (Subscription(1, CLOCK, MONOTONIC, 1005, 0, ABSOLUTE), 5),
        (Subscription(1, CLOCK, REALTIME, 10**18 + 5, 0, ABSOLUTE), 5),
        (Subscription(1, CLOCK, MONOTONIC, 999, 0, ABSOLUTE), 0),
        (Subscription(1, CLOCK, CPU, 5), None),
        (Subscription(1, READ, 0), 0),
        (Subscription(1, WRITE, 1), 0),
        (Subscription(1, OTHER, 0), None),
    ],
)
def test_the_wait_of_a_subscription(subscription: Subscription, wait: int | None) -> None:
    assert wait_of(subscription, NOW) == wait


def test_the_events_are_those_of_the_subscriptions_that_end_first() -> None:
    subscriptions = [Subscription(1, CLOCK, MONOTONIC), Subscription(2, READ, 0), Subscription(2**64 - 1, CLOCK, 0)]
    events = [polling.EVENT.unpack(each) for each in events_of(subscriptions, [7, 0, 0])]
    assert events == [(2, 0, READ, 1, 0), (2**64 - 1, 0, CLOCK, 0, 0)]


@pytest.fixture(scope="module")
def waiting() -> Code:
    path = c_guest(Path(__file__).parent / "sources" / "waiting.c")
    return compile_code(path.read_bytes(), name="main.wasm")


def said(guest: Guest, *parameters: str) -> str:
    """Return what the guest says after its head."""
    return guest.run(Call(["main.wasm", *parameters], [], b"")).decode().removeprefix(guests.HEAD)


@pytest.mark.parametrize(
    "how", ["relative", "relative-realtime", "absolute", "absolute-realtime", "files", "files-or-an-hour"]
)
def test_a_guest_in_c_waits_until_its_clock_or_file_is_ready(waiting: Code, how: str) -> None:
    assert said(Guest(waiting, LIMITS), how) == "1"


@pytest.mark.parametrize("how", ["hour", "hours"])
def test_a_guest_in_c_that_sleeps_is_stopped_at_the_limit(waiting: Code, how: str) -> None:
    with pytest.raises(FunctionTimedOut, match=r"this call of the guest took longer than 0\.2 s"):
        said(Guest(waiting, SHORT), how)


def test_each_call_has_a_limit_of_its_own(waiting: Code) -> None:
    """Guests that sleep do not stop others, nor later calls on their threads."""
    short, long = Guest(waiting, SHORT), Guest(waiting, LIMITS)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            sleeping = [threads.submit(partial(said, short, "hour")) for _ in range(2)]
            answered = [threads.submit(partial(said, long, "relative")) for _ in range(4)]
            assert [type(each.exception()) for each in sleeping] == [FunctionTimedOut] * 2
            assert [each.result() for each in answered] == ["1"] * 4


def polled(
    *subscriptions: Subscription,
    subscribed: int = SUBSCRIBED,
    events: int = EVENTS,
    count: int | None = None,
    written: int = WRITTEN,
) -> tuple[int, list[tuple[int, ...]]]:
    """Return the errno of `poll_oneoff` with these arguments, and the events that it wrote."""
    content = b"".join(polling.SUBSCRIPTION.pack(*each) for each in subscriptions)
    stated = len(subscriptions) if count is None else count
    arguments = " ".join(f"(i32.const {each})" for each in (subscribed, events, stated, written))
    text = guests.command(
        f"""
        (i32.store (i32.const 32) (call $poll {arguments}))
        (drop (call $out (i32.const 32) (i32.const 4)))
        (drop (call $out (i32.const {WRITTEN}) (i32.const 4)))
        (drop (call $out (i32.const {EVENTS}) (i32.mul (i32.const 32) (i32.load (i32.const {WRITTEN})))))
        """,
        imports=guests.POLL,
        data="\0\0\0\0",
        functions=f'(data (i32.const {SUBSCRIBED}) "{"".join(f"{chr(92)}{byte:02x}" for byte in content)}")',
    )
    output = Guest(compile_code(guests.binary(text), name="main.wasm"), LIMITS).run(Call(["main.wasm"], [], b""))
    return int.from_bytes(output[:4], "little"), [*polling.EVENT.iter_unpack(output[8:])]


def test_a_wait_ends_with_the_first_clock() -> None:
    clocks = [Subscription(7, CLOCK, MONOTONIC, HOUR), Subscription(2**63, CLOCK, REALTIME, 1000)]
    assert polled(*clocks) == (polling.SUCCESS, [(2**63, 0, CLOCK, 0, 0)])


def test_all_clocks_that_are_over_are_reported() -> None:
    clocks = [Subscription(number, CLOCK, MONOTONIC, 1, 0, ABSOLUTE) for number in range(3)]
    assert polled(*clocks) == (polling.SUCCESS, [(number, 0, CLOCK, 0, 0) for number in range(3)])


def test_a_file_is_ready_before_any_clock() -> None:
    assert polled(Subscription(1, CLOCK, MONOTONIC, HOUR), Subscription(2, READ, 0)) == (0, [(2, 0, READ, 1, 0)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"subscribed": 2**16 - 47},
        {"subscribed": -1},
        {"events": 2**16 - 31},
        {"events": -1},
        {"written": 2**16 - 3},
        {"written": -1},
        {"count": 2**16 // 48},
    ],
)
def test_a_place_outside_of_the_memory_is_an_error_of_the_guest(wrong: dict[str, int]) -> None:
    assert polled(Subscription(1, CLOCK, MONOTONIC, 1), **wrong) == (polling.FAULT, [])


@pytest.mark.parametrize("count", [0, -1, 4097])
def test_a_count_that_no_guest_needs_is_invalid(count: int) -> None:
    assert polled(Subscription(1, CLOCK, MONOTONIC, 1), count=count) == (polling.INVALID, [])


@pytest.mark.parametrize("wrong", [Subscription(1, OTHER, 0), Subscription(1, CLOCK, CPU, 1)])
def test_an_unknown_subscription_is_invalid(wrong: Subscription) -> None:
    assert polled(Subscription(2, CLOCK, MONOTONIC, 1), wrong) == (polling.INVALID, [])


def test_a_guest_without_an_exported_memory_cannot_wait() -> None:
    """28 is `inval`. The guest traps on success."""
    text = f"""
    (module {guests.POLL} (memory 1) (func (export "_start")
      (if (i32.ne (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 32)) (i32.const 28))
        (then unreachable))))
    """
    assert Guest(compile_code(guests.binary(text), name="main.wasm"), LIMITS).run(Call([], [], b"")) == b""


def test_a_guest_that_sleeps_while_it_is_instantiated_cannot_be_loaded() -> None:
    text = guests.SLEEP.replace('(func (export "_start")', '(func (export "_start")) (start $main) (func $main')
    with pytest.raises(FunctionFailed, match=r"cannot be instantiated: this call of the guest took longer than 0\.2 s"):
        Guest(compile_code(guests.binary(text), name="main.wasm"), SHORT)
