"""The window keeps the final replies to recent events, and is bounded in time, number and bytes."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.frontends.events import window as module
from runtime.frontends.events.window import Key, Reply, Window

KEY = ("/s", "1")


def reply(status: int = 200, size: int = 10) -> Reply:
    return Reply(status, [(b"ce-id", b"1")], b"x" * size)


def test_a_known_event_has_its_reply_until_it_expires() -> None:
    window = Window(seconds=10, events=5)
    window.store(KEY, first := reply(), 100.0)
    assert window.find(KEY, 109.9) == first
    assert window.find(KEY, 110.0) is None
    assert window.find(("/other", "1"), 100.0) is None


def test_an_expired_event_can_be_stored_again() -> None:
    window = Window(seconds=10, events=5)
    window.store(KEY, reply(), 0.0)
    window.store(KEY, second := reply(400), 20.0)
    assert window.find(KEY, 21.0) == second
    assert len(window) == 1


def test_only_answers_that_cannot_change_are_kept() -> None:
    window = Window(seconds=10, events=100)
    kept = {}
    for status in (200, 204, 400, 403, 408, 410, 413, 415, 429, 500, 502, 503, 504):
        window.store(("/s", str(status)), reply(status), 0.0)
        kept[status] = window.find(("/s", str(status)), 1.0) is not None
    assert [status for status, known in kept.items() if not known] == [408, 429, 500, 502, 503, 504]


def test_the_oldest_event_is_forgotten_first() -> None:
    window = Window(seconds=10, events=2)
    for name in "abc":
        window.store(("/s", name), reply(), 0.0)
    assert [window.find(("/s", name), 1.0) is not None for name in "abc"] == [False, True, True]


def test_a_reply_that_is_too_large_is_not_kept_and_pushes_none_out() -> None:
    window = Window(seconds=10, events=10)
    window.store(KEY, reply(), 0.0)
    window.store(("/s", "large"), reply(size=module.MAX_BYTES // 8), 0.0)
    assert window.find(KEY, 1.0) is not None
    assert window.find(("/s", "large"), 1.0) is None


KEYS = st.tuples(st.sampled_from(["/a", "/b"]), st.text("xyz", min_size=1, max_size=2))
STEPS = st.lists(st.tuples(KEYS, st.floats(0, 5), st.integers(0, 2000)), max_size=60)


@given(STEPS)
def test_events_and_bytes_never_exceed_their_limits_and_a_found_reply_is_the_last_kept(
    steps: list[tuple[Key, float, int]],
) -> None:
    window = Window(seconds=6, events=4, max_bytes=4000)
    now = 0.0
    kept: dict[Key, Reply] = {}
    for key, passed, size in steps:
        now += passed
        known = window.find(key, now)
        assert known is None or known == kept[key]
        if known is None:
            kept[key] = reply(size=size)
            window.store(key, kept[key], now)
        assert len(window) <= 4
        assert 0 <= window.bytes <= 4000
        assert bool(window.bytes) == bool(len(window))
