"""Who published a model, and the element type of a model without weights."""

import getpass
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runtime.model.header import ModelHeader
from runtime.model.signature import Signature
from runtime.published.manifest import Value
from runtime.registry.describing import Description, describe, provenance_of, publisher
from tests.runtime.registry.model_files import model


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"GITHUB_SERVER_URL": "https://g.test", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"},
            "https://g.test/a/b/actions/runs/7",
        ),
        ({"CI_JOB_URL": "https://gitlab.test/jobs/1"}, "https://gitlab.test/jobs/1"),
        ({"BUILD_URL": "https://jenkins.test/1/"}, "https://jenkins.test/1/"),
    ],
)
def test_a_ci_run_is_the_publisher(environ: Mapping[str, str], expected: str) -> None:
    assert publisher(environ) == expected


def test_without_ci_the_publisher_is_a_user_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    assert publisher({"CI_JOB_URL": ""}) == f"me@{socket.gethostname()}"


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert publisher({}).partition("@")[0].isdecimal()


def test_the_time_is_in_utc() -> None:
    now = datetime(2026, 11, 29, 14, 30, 5, 700, tzinfo=timezone(timedelta(hours=1)))
    assert provenance_of("m.onnx", now=now).published_at == "2026-11-29T13:30:05Z"


@pytest.mark.parametrize(
    ("weights", "types", "expected"),
    [
        ("int8", ("float32",), "int8"),
        (None, ("int64", "float16"), "float16"),
        (None, ("string", "sequence(map(int64, float32))"), None),
    ],
)
def test_the_precision_is_that_of_the_weights_or_of_the_first_floating_point_value(
    weights: str | None, types: tuple[str, ...], expected: str | None
) -> None:
    values = tuple(Value(name=str(index), dtype=each, shape=None) for index, each in enumerate(types))
    header = ModelHeader("onnx", weights=weights)
    found = Description("onnx", header, values, (), None, "1", Signature((), ()))
    assert found.precision == expected


def test_the_version_in_the_file_is_described(tmp_path: Path) -> None:
    import onnx

    path = model(tmp_path)
    loaded = onnx.load(path)
    loaded.model_version = 12
    onnx.save(loaded, path)
    assert describe(path, name="add").version == "12"
