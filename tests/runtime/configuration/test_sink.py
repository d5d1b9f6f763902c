"""The URL of a sink, and what a SinkBinding adds to events."""

import pytest

from runtime.configuration.sink import checked_url, extensions, request_target
from runtime.errors import BadSetting


@pytest.mark.parametrize("url", ["http://broker.ns.svc/default", "https://10.0.0.1:8443", "http://[::1]:80/a?b=c"])
def test_urls_with_a_host_are_sinks(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url", ["", "broker", "ftp://x", "http://", "http://a:x", "http://a:0", "http://a b", "http://ä"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(BadSetting, match=r"^K_SINK.*expected http://HOST"):
        checked_url(url)
    with pytest.raises(BadSetting, match=r"^URL.*expected http://HOST"):
        checked_url(url, name="URL")


@pytest.mark.parametrize(
    ("url", "target"),
    [("http://a", "/"), ("http://a:80/b/c", "/b/c"), ("http://a?b=c", "/?b=c"), ("https://a/b?c=d&e=#f", "/b?c=d&e=")],
)
def test_a_request_has_the_path_and_the_query_of_the_url(url: str, target: str) -> None:
    assert request_target(url) == target


@pytest.mark.parametrize("text", [None, "", "{}", '{"extensions": null}', '{"other": 1}'])
def test_overrides_may_be_empty(text: str | None) -> None:
    assert extensions(text) == {}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        '{"extensions": []}',
        *(
            f'{{"extensions": {{{each}}}}}'
            for each in ('"Team": "x"', '"a-b": "x"', '"id": "x"', '"a": 1', '"a": "x\\n"')
        ),
    ],
)
def test_invalid_overrides_are_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="K_CE_OVERRIDES"):
        extensions(text)


def test_overrides_are_extensions_of_each_event() -> None:
    assert extensions('{"extensions": {"team": "risk", "traceparent": "x"}}') == {"team": "risk", "traceparent": "x"}
