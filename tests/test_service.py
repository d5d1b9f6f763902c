"""The composition root: what a model is called, and a start that could never serve."""

from pathlib import Path

import pytest

from runtime.errors import BadSetting
from runtime.service import begin, name_of
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
        Settings(function_source=Path("none/main.py")),
    ],
)
def test_what_can_never_serve_does_not_start(settings: Settings) -> None:
    with pytest.raises(BadSetting):
        begin(settings)
