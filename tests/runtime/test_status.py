"""Every error that a client can get has a row in the table, and one JSON form."""

from asyncio import CancelledError
from collections.abc import Iterator
from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import errors, status
from runtime.errors import InternalError, InvalidInput, MethodNotAllowed, QueueFull, RequestError, ScalezeroError
from runtime.protocols import refusals


def every(kind: type[ScalezeroError]) -> Iterator[type[ScalezeroError]]:
    """Yield the class and its subclasses that `runtime.errors` defines."""
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from every(each)


KINDS = sorted((each for each in every(ScalezeroError) if "code" in each.__dict__), key=lambda each: each.code)
FAULTS = st.sampled_from([code for code in status.TABLE if code != status.CLIENT_LEFT])


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.code)
def test_every_error_has_a_row_with_its_fault(kind: type[ScalezeroError]) -> None:
    row = status.TABLE[kind.code]
    assert (row.fault is status.Fault.CLIENT) is issubclass(kind, RequestError)
    assert (400 <= row.http < 500) is (issubclass(kind, RequestError | QueueFull))


def test_the_table_has_no_unused_code() -> None:
    assert set(status.TABLE) - {kind.code for kind in KINDS} == {status.CLIENT_LEFT}


@pytest.mark.parametrize("row", status.TABLE.values(), ids=list(status.TABLE))
def test_only_client_errors_are_not_delivered_again(row: status.Row) -> None:
    gave_up = row.http in {499, 408}  # the same request can succeed when it is sent again
    assert (row.delivery is status.Delivery.REJECT) is (row.fault is status.Fault.CLIENT and not gave_up)


class Strange(ScalezeroError):
    """An error whose code is not in the table."""

    code = "strange"


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (InvalidInput("x", got="1", expected="2"), "invalid_input"),
        (CancelledError(), status.CLIENT_LEFT),
        (ZeroDivisionError(), status.INTERNAL),
        (Strange("x"), status.INTERNAL),
    ],
    ids=repr,
)
def test_any_exception_is_counted_under_a_code_of_the_table(error: BaseException, counted: str) -> None:
    assert status.code_of(error) == counted


@pytest.mark.parametrize(
    ("code", "fault"),
    [(200, "none"), (302, "none"), (404, "client"), (429, "overload"), (500, "server"), (599, "server")],
)
def test_a_status_of_the_function_is_counted_with_its_fault(code: int, fault: str) -> None:
    assert status.fault_of(status.code_of_status(code)).value == fault


@given(FAULTS)
def test_a_code_of_the_table_keeps_its_fault(code: str) -> None:
    assert status.fault_of(code) is status.TABLE[code].fault


def test_an_error_without_a_row_is_an_internal_error_without_details() -> None:
    answer = refusals.error_answer(Strange("the secret"))
    assert answer.status == 500
    assert b"the secret" not in cast("bytes", answer.body)


def test_the_error_document_has_the_code_the_message_and_the_details() -> None:
    response = refusals.error_answer(InvalidInput("inputs[1]", got="true", expected="a number"))
    assert response.status == 400
    assert (b"content-type", b"application/json") in response.headers
    assert orjson.loads(cast("bytes", response.body)) == {
        "error": {
            "code": "invalid_input",
            "message": "inputs[1]: got true; expected a number",
            "details": {"field": "inputs[1]", "got": "true", "expected": "a number"},
        }
    }


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.UnknownModel("n", ["m", "o"]), "model 'n' is not served; served: m, o"),
        (errors.UnknownPath("/x"), "no route matches '/x'; /openapi.json lists the routes"),
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
                "all 2 threads of the function are stuck in calls that exceed the limit of 2 s: "
                "GET for 4 s; POST for 3 s at main.py:7; only a restart frees them"
            ),
        ),
        (
            errors.FunctionStuck([f"GET for {seconds} s" for seconds in range(9, 2, -1)], limit=2),
            (
                "all 7 threads of the function are stuck in calls that exceed the limit of 2 s: "
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
        (errors.ShuttingDown(), "this process is shutting down; send the request again"),
        (
            errors.DigestMismatch("s3://b/m", expected="aa", got="bb"),
            "s3://b/m: its SHA-256 is bb; expected aa: the object was replaced or damaged after it was published",
        ),
    ],
    ids=lambda each: getattr(each, "code", ""),
)
def test_the_message_of_an_error_has_the_received_and_the_expected_value(error: ScalezeroError, sentence: str) -> None:
    assert orjson.loads(cast("bytes", refusals.error_answer(error).body))["error"]["message"] == sentence


def test_details_that_json_cannot_represent_are_omitted() -> None:
    circle: list[object] = []
    circle.append(circle)
    for error in (ScalezeroError("\ud800", value=1), ScalezeroError("circle", value=circle)):
        error.code = "invalid_input"  # type: ignore[misc] # as in a subclass of an author
        document = orjson.loads(cast("bytes", refusals.error_answer(error).body))["error"]
        assert document["details"] == {}
        assert document["message"] in {"\\ud800", "circle"}


def test_some_statuses_require_a_header() -> None:
    full = refusals.error_answer(QueueFull(limit=4, retry_after=7))
    assert (full.status, full.headers[-1]) == (429, (b"retry-after", b"7"))
    wrong = refusals.error_answer(MethodNotAllowed("PUT", "/x", ["GET", "HEAD"]))
    assert (wrong.status, wrong.headers[-1]) == (405, (b"allow", b"GET, HEAD"))


def test_an_internal_error_has_no_details() -> None:
    response = refusals.error_answer(InternalError())
    assert response.status == 500
    assert orjson.loads(cast("bytes", response.body))["error"]["code"] == "internal"
    assert (b"content-type", b"application/json") in response.headers
