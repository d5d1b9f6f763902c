"""Which function of the author's file gets events, and the errors of files in which none can."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import FunctionFailed
from runtime.frontends.functions.loading import load

TEXT = """
import functions_framework
import functions_framework.aio

def handle(request): ...
@functions_framework.cloud_event
def on_event(cloud_event): ...
@functions_framework.http
def page(request): ...
@functions_framework.aio.cloud_event
async def on_aio(cloud_event): ...
@functions_framework.cloud_event
async def on_async(cloud_event): ...
def plain(event): ...
def background(data, context): ...
def optional(event, more=None): ...
def none(): ...
def three(a, b, c): ...
async def asynchronous(event): ...
@functions_framework.cloud_event
def wrong(a, b): ...
value = 5
"""
Write = Callable[[str], Path]


@pytest.mark.parametrize("events", ["on_event", "plain", "background", "optional"])
def test_a_function_beside_the_one_of_requests_gets_events(source: Write, events: str) -> None:
    assert load(source(TEXT), "handle", events).takes_events


@pytest.mark.parametrize(
    ("target", "signature", "takes"),
    [
        ("handle", None, False),
        ("page", None, False),
        ("on_event", None, True),
        ("on_event", "http", True),  # the decorator precedes
        ("plain", None, False),
        ("plain", "cloudevent", True),
        ("background", "event", True),
        ("page", "cloudevent", False),
    ],
)
def test_a_target_with_a_signature_of_events_gets_them(
    source: Write, monkeypatch: pytest.MonkeyPatch, target: str, signature: str | None, *, takes: bool
) -> None:
    if signature:
        monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", signature)
    assert load(source(TEXT), target).takes_events == takes


@pytest.mark.parametrize("target", ["on_event", "plain"])
def test_both_settings_may_name_the_same_function(source: Write, target: str) -> None:
    assert load(source(TEXT), target, target).takes_events


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ("missing", "it has no function 'missing'; set SCALEZERO_EVENT_TARGET"),
        ("value", "not a function in it: 'value'; set SCALEZERO_EVENT_TARGET"),
        ("page", "'page' has the signature http; decorate 'page' with functions_framework.cloud_event"),
        ("on_aio", "'on_aio' is asynchronous; write it with def"),
        ("on_async", "'on_async' is asynchronous; write it with def"),
        ("asynchronous", "'asynchronous' is asynchronous; write it with def"),
        ("none", "'none' has the parameters (); expected none(cloud_event) or none(data, context)"),
        ("three", "'three' has the parameters (a, b, c); expected three(cloud_event) or three(data, context)"),
        ("wrong", "'wrong' has the parameters (a, b); expected wrong(cloud_event)"),
    ],
)
def test_a_function_that_cannot_get_events_is_named(source: Write, events: str, reason: str) -> None:
    with pytest.raises(FunctionFailed, match=r"cannot be loaded") as raised:
        load(source(TEXT), "handle", events)
    assert str(raised.value.details["reason"]).startswith(reason)


@pytest.mark.parametrize("signature", [None, "event"])
def test_two_functions_of_events_are_an_error(
    source: Write, monkeypatch: pytest.MonkeyPatch, signature: str | None
) -> None:
    if signature:
        monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", signature)
    with pytest.raises(
        FunctionFailed, match=r"take events; set only one of FUNCTION_TARGET and SCALEZERO_EVENT_TARGET"
    ):
        load(source(TEXT), "background" if signature else "on_event", "plain")


@pytest.mark.parametrize(
    ("target", "signature"), [("three", "cloudevent"), ("none", "event"), ("asynchronous", "event")]
)
def test_a_target_whose_parameters_do_not_fit_its_signature_is_an_error(
    source: Write, monkeypatch: pytest.MonkeyPatch, target: str, signature: str
) -> None:
    monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", signature)
    with pytest.raises(FunctionFailed, match=rf"'{target}' (has the parameters|is asynchronous)"):
        load(source(TEXT), target)


def test_both_settings_may_not_name_a_function_of_requests(source: Write) -> None:
    with pytest.raises(FunctionFailed, match=r"'page' has the signature http; decorate 'page'"):
        load(source(TEXT), "page", "page")


def test_a_target_of_two_parameters_is_told_the_signature_that_passes_them(source: Write) -> None:
    with pytest.raises(
        FunctionFailed, match=r"expected background\(cloud_event\); FUNCTION_SIGNATURE_TYPE=event passes"
    ):
        load(source(TEXT), "background", "background")


def test_an_unknown_signature_is_an_error_with_the_known_ones(source: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", "cloudevents")
    with pytest.raises(FunctionFailed, match="expected http, typed, cloudevent or event"):
        load(source(TEXT), "handle")


def test_the_file_is_imported_once_for_both_functions(source: Write) -> None:
    path = source(TEXT + "with open(__file__ + '.log', 'a') as log:\n    log.write('x')\n")
    assert load(path, "handle", "on_event").takes_events
    assert Path(f"{path}.log").read_text() == "x"
