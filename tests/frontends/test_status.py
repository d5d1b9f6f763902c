"""Every error that a caller can get has its status, and one JSON form."""

from asyncio import CancelledError
from collections.abc import Iterator

import orjson
import pytest

from runtime import errors
from runtime.errors import InvalidInput, MethodNotAllowed, QueueFull, RequestError, ScalezeroError
from runtime.frontends import status


def every(kind: type[ScalezeroError]) -> Iterator[type[ScalezeroError]]:
    """The class and all below it that `runtime.errors` itself declares."""
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from every(each)


KINDS = sorted((each for each in every(ScalezeroError) if "code" in each.__dict__), key=lambda each: each.code)


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.code)
def test_every_error_has_a_status_of_its_side(kind: type[ScalezeroError]) -> None:
    code = status.HTTP[kind.code]
    assert (400 <= code < 500) is (issubclass(kind, RequestError | QueueFull))


def test_the_table_has_no_code_that_nothing_raises() -> None:
    assert set(status.HTTP) - {kind.code for kind in KINDS} == {"internal"}


@pytest.mark.parametrize(
    ("error", "counted"),
    [(InvalidInput("x", got="1", expected="2"), 400), (CancelledError(), 499), (ZeroDivisionError(), 500)],
    ids=repr,
)
def test_whatever_ends_a_request_is_counted_under_a_status(error: BaseException, counted: int) -> None:
    assert status.of(error) == counted


def test_an_error_is_told_with_code_message_and_details() -> None:
    response = status.error_response(InvalidInput("inputs[1]", got="true", expected="a number"))
    assert response.status == 400
    assert (b"content-type", b"application/json") in response.headers
    assert orjson.loads(response.body) == {
        "error": {
            "code": "invalid_input",
            "message": "inputs[1]: got true; expected a number",
            "details": {"field": "inputs[1]", "got": "true", "expected": "a number"},
        }
    }


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.UnknownModel("n", ["m", "o"]), "no model 'n' here; served: m, o"),
        (errors.UnknownPath("/x"), "nothing answers '/x' here; /openapi.json lists what does"),
        (
            errors.FunctionFailed("main.py", "SyntaxError at main.py:3"),
            "the function in main.py cannot be loaded: SyntaxError at main.py:3; the server's log has the traceback",
        ),
        (
            errors.FunctionCrashed(KeyError("secret")),
            "the function raised KeyError; the server's log has the traceback",
        ),
        (
            errors.FunctionTimedOut("this call of the function", limit=1.5),
            "this call of the function took longer than 1.5 s, the limit that SCALEZERO_FUNCTION_TIMEOUT sets",
        ),
        (
            errors.FunctionStuck(["GET for 4 s", "POST for 3 s at main.py:7"], limit=2),
            (
                "all 2 threads of the function are stuck in calls past the limit of 2 s: "
                "GET for 4 s; POST for 3 s at main.py:7; only a restart frees them"
            ),
        ),
        (
            errors.FunctionStuck([f"GET for {seconds} s" for seconds in range(9, 2, -1)], limit=2),
            (
                "all 7 threads of the function are stuck in calls past the limit of 2 s: "
                "GET for 9 s; GET for 8 s; GET for 7 s; GET for 6 s; GET for 5 s; 2 more; only a restart frees them"
            ),
        ),
        (errors.ModelFailed("m", "out of memory"), "model 'm' failed: out of memory"),
        (
            errors.PayloadTooLarge("body", limit=10, unit="bytes", got=11),
            "body: got 11 bytes; expected at most 10 bytes",
        ),
        (
            errors.PayloadTooLarge("body", limit=10, unit="bytes"),
            "body: got more than 10 bytes; expected at most 10 bytes",
        ),
        (errors.ShuttingDown(), "this process is shutting down; another one will answer"),
        (
            errors.DigestMismatch("s3://b/m", expected="aa", got="bb"),
            "s3://b/m: its SHA-256 is bb, expected aa",
        ),
    ],
    ids=lambda each: getattr(each, "code", ""),
)
def test_an_error_is_a_sentence_with_what_came_and_what_would_be_right(error: ScalezeroError, sentence: str) -> None:
    assert orjson.loads(status.error_response(error).body)["error"]["message"] == sentence


def test_an_error_with_details_that_json_does_not_hold_is_told_without_them() -> None:
    circle: list[object] = []
    circle.append(circle)
    for error in (errors.ScalezeroError("\ud800", value=1), errors.ScalezeroError("circle", value=circle)):
        error.code = "invalid_input"  # type: ignore[misc] # as a subclass of an author's has one
        told = orjson.loads(status.error_response(error).body)["error"]
        assert told["details"] == {}
        assert told["message"] in {"\\ud800", "circle"}


def test_some_statuses_ask_for_a_header() -> None:
    full = status.error_response(QueueFull(limit=4, retry_after=7))
    assert (full.status, full.headers[-1]) == (429, (b"retry-after", b"7"))
    wrong = status.error_response(MethodNotAllowed("PUT", "/x", ["GET", "HEAD"]))
    assert (wrong.status, wrong.headers[-1]) == (405, (b"allow", b"GET, HEAD"))


def test_a_bug_of_ours_says_no_more_than_that() -> None:
    response = status.internal_error()
    assert response.status == 500
    assert orjson.loads(response.body)["error"]["code"] == "internal"
    assert (b"content-type", b"application/json") in response.headers
