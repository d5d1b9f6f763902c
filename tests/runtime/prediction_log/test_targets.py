"""Where the log goes: what is refused at the start, and with which error."""

from pathlib import Path

import pytest

from runtime.errors import BadSetting
from runtime.prediction_log.opening import open_log
from runtime.prediction_log.targets import check_target
from runtime.settings import Settings


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
