"""The command line of a container is parsed as by the kubelet and a shell."""

import pytest

from knative.importing.command_line import flags_of, value_of, words_of
from tests.knative.importing.deployments import env, one


def words(**fields: object) -> list[str]:
    return list(words_of(one(**fields), "server"))  # type: ignore[arg-type]


def test_arguments_follow_the_command() -> None:
    assert words(command=["server"], args=["--a=1", "b"]) == ["server", "--a=1", "b"]


def test_references_are_resolved_as_the_kubelet_does() -> None:
    assert words(args=["$(A)/$(B)", "$$(A)", "$A"], env=env(A="x")) == ["x/$(B)", "$(A)", "$A"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exec /usr/bin/server --a=${A} --b $A", ["exec", "/usr/bin/server", "--a=x", "--b", "x"]),
        ("cd /m && server --a='1 2' \\\n  --b | tee log", ["server", "--a=1 2", "--b"]),
        ("mkdir /m\nserver --a=1\nsleep 9", ["server", "--a=1"]),
        ("other --a=1", []),
        ("server --a='1", ["server", "--a='1"]),
    ],
)
def test_the_programs_command_is_taken_from_a_shell_script(script: str, expected: list[str]) -> None:
    assert words(command=["/bin/sh", "-ec", script], env=env(A="x")) == expected
    assert words(command=["bash"], args=["-c", script], env=env(A="x")) == expected


def test_dash_c_after_another_program_is_not_a_script() -> None:
    assert words(command=["server", "-c", "a b"]) == ["server", "-c", "a b"]


def test_a_flag_has_the_value_after_the_equals_sign_or_the_following_words() -> None:
    flags = flags_of(["server", "x", "--models", "a=a.mar", "b.mar", "--port=1", "y", "--on", "--port", "2", "--none="])
    assert flags == {"--models": ("a=a.mar", "b.mar"), "--port": ("2",), "--on": (), "--none": ("",)}
    assert [value_of(flags, each) for each in ("--port", "--on", "--absent")] == ["2", None, None]
