"""The composition root: what a model is called, and a start that could never serve."""

from pathlib import Path

import pytest

from runtime.errors import ArtifactMissing, BadSetting, DiskFull, InvalidModel, ScalezeroError, StoreStalled
from runtime.service import Service, begin, name_of
from runtime.settings import Settings


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://models/payment-model-v1.onnx", "payment-model-v1"),
        ("s3://models/deep/er/m.onnx", "m"),
        ("s3://models/m.onnx?versionId=3HL4", "m"),
        ("file:///srv/my%20model.onnx", "my model"),
        ("file:///srv/model", "model"),
        ("folder/m.ort", "m"),
        ("model.v2", "model.v2"),
    ],
)
def test_a_model_is_named_for_its_file(uri: str, name: str) -> None:
    assert name_of(uri) == name


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(model_uri="none/there.onnx"),
        Settings(model_uri="ftp://x/y.onnx"),
        Settings(model_uri="s3://bucket"),
        Settings(model_uri="s3://bucket/..onnx", load="lazy"),
        Settings(model_uri="s3://bucket/...onnx", load="lazy"),
        Settings(function_source=Path("none/main.py")),
    ],
)
def test_what_can_never_serve_does_not_start(settings: Settings) -> None:
    with pytest.raises(BadSetting):
        begin(settings)


def test_a_file_whose_name_is_no_segment_of_a_path_needs_another_name() -> None:
    """No client asks for /models/../predict: it takes the dots for a way up."""
    with pytest.raises(
        BadSetting, match=r"^SCALEZERO_MODEL_NAME: not given; expected .* the file's name '\.\.' is none$"
    ):
        begin(Settings(model_uri="s3://bucket/...onnx", load="lazy"))
    assert begin(Settings(model_uri="s3://bucket/...onnx", load="lazy", model_name="m")) is None


MISSING, STALLED = ArtifactMissing("s3://b/m", "none"), StoreStalled("s3://b/m", "slow")


@pytest.mark.parametrize(
    ("setting", "error", "ends"),
    [
        ("exit", MISSING, True),
        ("exit", InvalidModel("s3://b/m", "no model"), True),
        ("exit", STALLED, False),
        ("exit", DiskFull("s3://b/m", "no room"), False),
        ("stay", MISSING, False),
    ],
)
def test_only_what_no_retry_mends_ends_a_process_and_only_where_that_is_wanted(
    setting: str, error: ScalezeroError, *, ends: bool
) -> None:
    service, told = Service(Settings(load_failure=setting), process_started=0.0), []
    service.end = lambda: told.append(service.hopeless)
    assert service.gives_up(error) is ends
    assert told == [error] * ends
    assert service.hopeless is (error if ends else None)


def test_the_first_reason_counts() -> None:
    service = Service(Settings(load_failure="exit"), process_started=0.0)
    service.end = lambda: None
    assert service.gives_up(MISSING)
    assert service.gives_up(InvalidModel("s3://b/m", "no model"))
    assert service.hopeless is MISSING


def test_a_process_of_somebody_else_is_not_ended() -> None:
    """An author's function under the plain functions-framework opens the service for itself."""
    service = Service(Settings(load_failure="exit"), process_started=0.0)
    assert not service.gives_up(MISSING)
    assert service.hopeless is None
