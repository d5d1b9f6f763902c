"""Tests of the setting for ports other than the main one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.listeners import TENSORFLOW_SERVING, Listener, parse_listeners
from runtime.errors import BadSetting
from runtime.settings import settings_from

NAMES = st.from_regex(r"[a-z0-9_.]{1,12}", fullmatch=True)
HOSTS = st.sampled_from([None, "127.0.0.1", "localhost", "::1", "a-b.c"])
LISTENERS = st.builds(Listener, st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.integers(0, 65535), HOSTS)


@given(st.lists(LISTENERS, min_size=1, max_size=3).map(tuple))
def test_rendered_listeners_are_parsed_to_the_same_values(listeners: tuple[Listener, ...]) -> None:
    assert parse_listeners(", ".join(map(str, listeners))) == listeners


@pytest.mark.parametrize(
    "text", ["a", "a@", "@80", "a@65536", "a+@80", "a@b", "a@::1:80", "a@80,", "a b@80", "a@h:p:80"]
)
def test_the_error_for_an_invalid_list_has_the_allowed_form(text: str) -> None:
    with pytest.raises(BadSetting, match=r"SCALEZERO_LISTEN=.*PROTOCOL\[\+PROTOCOL\]@\[HOST:\]PORT"):
        settings_from({"SCALEZERO_LISTEN": text})


def test_the_ports_are_those_of_tensorflow_servings_container() -> None:
    assert [each.port for each in parse_listeners(TENSORFLOW_SERVING)] == [8500, 8501]
