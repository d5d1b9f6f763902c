"""Where the log goes: what is refused at the start, and with which error."""

from pathlib import Path

import pytest

from runtime.errors import BadSetting
from runtime.prediction_log.opening import open_log
from runtime.prediction_log.targets import check_target, extensions, sink_url
from runtime.settings import Settings


@pytest.mark.parametrize("url", ["http://broker.ns.svc/default", "https://10.0.0.1:8443", "http://[::1]:80/a?b=c"])
def test_urls_with_a_host_are_sinks(url: str) -> None:
    assert sink_url(url) == url


@pytest.mark.parametrize(
    "url", ["", "broker", "ftp://x", "http://", "http://a:x", "http://a:0", "http://a b", "http://ä"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="K_SINK"):
        sink_url(url)


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


def test_in_a_pod_a_missing_sink_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(prediction_log="sink")
    with pytest.raises(BadSetting, match="K_SINK: not set"):
        check_target(settings)
    monkeypatch.setenv("K_REVISION", "m-1")
    assert open_log(settings) is None
    assert "apply a SinkBinding" in caplog.text


def test_a_file_needs_a_folder_that_can_be_written(tmp_path: Path) -> None:
    check_target(Settings(prediction_log=str(tmp_path / "log")))
    for wrong in (tmp_path, tmp_path / "missing" / "log"):
        with pytest.raises(BadSetting, match="SCALEZERO_PREDICTION_LOG"):
            check_target(Settings(prediction_log=str(wrong)))


def test_certificates_must_be_certificates() -> None:
    with pytest.raises(BadSetting, match="K_CA_CERTS"):
        open_log(Settings(prediction_log="sink", sink="https://broker", sink_certificates="x"))
