"""TensorFlow Serving's container layout: which versions of $MODEL_BASE_PATH/$MODEL_NAME are served, and the errors."""

import asyncio
import logging
from pathlib import Path

import pytest

from runtime.errors import BadSetting, StoreUnreachable
from runtime.service import Service, begin, has_model
from runtime.settings import Settings, settings_from
from runtime.stores.version_folders import versions_of
from tests.s3_server import S3Server


def write_files(path: Path, *files: str) -> Path:
    for file in files:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        if not file.endswith("/"):
            (path / file).write_bytes(b"x")
        else:
            (path / file).mkdir(exist_ok=True)
    return path


def served(base: object, **variables: str) -> list[tuple[str | None, str | None, str]]:
    settings = settings_from({"MODEL_BASE_PATH": str(base), **variables})
    return [
        (each.model_name, each.model_version, str(each.model_uri).removeprefix(f"{base}/"))
        for each in versions_of(settings)
    ]


FILES = ("m/1/model.onnx", "m/2/model.onnx", "m/2/other.onnx", "m/10/only.onnx", "m/10/weights.bin", "m/x/model.onnx")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, [("m", "10", "m/10/only.onnx")]),
        ({"SCALEZERO_MODEL_VERSIONS": "latest:2"}, [("m", "10", "m/10/only.onnx"), ("m", "2", "m/2/model.onnx")]),
        ({"SCALEZERO_MODEL_VERSIONS": "1,2"}, [("m", "2", "m/2/model.onnx"), ("m", "1", "m/1/model.onnx")]),
        ({"SCALEZERO_MODEL_VERSION": "2"}, [("m", "2", "m/2/model.onnx")]),
        ({"SCALEZERO_MODEL_NAME": "n"}, [("n", "10", "m/10/only.onnx")]),
    ],
)
def test_the_policy_selects_versions_by_their_folders(
    tmp_path: Path, variables: dict[str, str], expected: list[object]
) -> None:
    assert served(write_files(tmp_path, *FILES), MODEL_NAME="m", **variables) == expected


def test_versions_are_served_from_s3(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    for file in FILES:
        s3.put(f"s3://models/folders/{file}", b"x")
    found = served("s3://models/folders", MODEL_NAME="m", SCALEZERO_MODEL_VERSIONS="all")
    assert [(version, uri) for _, version, uri in found] == [
        ("10", "m/10/only.onnx"),
        ("2", "m/2/model.onnx"),
        ("1", "m/1/model.onnx"),
    ]


def test_the_defaults_are_those_of_the_container(tmp_path: Path) -> None:
    assert served(write_files(tmp_path, "model/1/model.onnx")) == [("model", "1", "model/1/model.onnx")]


@pytest.mark.parametrize(
    ("files", "variables", "message"),
    [
        ((), {}, r"folders named by version numbers, such as .*/m/1/model\.onnx; found none$"),
        (("m/model.onnx",), {}, r"folders named by version numbers, .* found none$"),
        (("m/1/",), {}, r"model\.onnx in .*/m/1; found nothing$"),
        (("m/1/a.txt",), {}, r"model\.onnx in .*/m/1; found a\.txt$"),
        (("m/1/a.onnx", "m/1/b.onnx"), {}, r"or exactly one ONNX file, in .*/m/1; found a\.onnx, b\.onnx$"),
        (
            ("m/1/saved_model.pb",),
            {},
            r"found a SavedModel\. Convert it: python -m tf2onnx\.convert --saved-model 1 --output 1/model\.onnx$",
        ),
        (("m/1/m.onnx", "m/01/m.onnx"), {}, "one folder of version 1; found 01 and 1$"),
        (("m/1/m.onnx",), {"SCALEZERO_MODEL_VERSIONS": "2,3"}, "version 2 or 3 in .*; found 1$"),
        (tuple(f"m/1/{n}.txt" for n in range(10)), {}, r"6\.txt, 7\.txt and 2 more$"),
    ],
)
def test_a_folder_without_a_servable_version_is_refused_with_its_content(
    tmp_path: Path, files: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    with pytest.raises(BadSetting, match=message):
        served(write_files(tmp_path, *files), MODEL_NAME="m", **variables)


def test_a_name_that_is_not_a_path_segment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"MODEL_NAME='\.\./m': expected one segment of a URL's path"):
        served(tmp_path, MODEL_NAME="../m")


def test_a_digest_is_refused_for_several_versions(tmp_path: Path) -> None:
    digest = {"SCALEZERO_MODEL_SHA256": "a" * 64, "MODEL_NAME": "m"}
    write_files(tmp_path, *FILES)
    assert len(served(tmp_path, **digest)) == 1
    with pytest.raises(BadSetting, match="SCALEZERO_MODEL_SHA256"):
        served(tmp_path, SCALEZERO_MODEL_VERSIONS="all", **digest)


def test_an_unreachable_store_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnreachable):
        served("s3://models/folders", SCALEZERO_LOAD_TIMEOUT="1s")


def test_every_selected_version_is_started(tmp_path: Path) -> None:
    variables = {"MODEL_BASE_PATH": str(write_files(tmp_path, *FILES)), "MODEL_NAME": "m", "SCALEZERO_LOAD": "lazy"}
    starts = begin(settings_from({**variables, "SCALEZERO_MODEL_VERSIONS": "all"}))
    assert [start.settings.model_version for start in starts] == ["10", "2", "1"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), False),
        (Settings(base_name="m"), True),
        (Settings(base_name="m", function_source=Path("main.py")), False),
        (Settings(base_path="/models", function_source=Path("main.py")), True),
        (Settings(model_uri="m.onnx"), True),
    ],
)
def test_model_name_alone_selects_a_model_only_without_a_function(settings: Settings, expected: bool) -> None:  # noqa: FBT001
    assert has_model(settings) is expected


async def _opened(settings: Settings) -> list[str]:
    service = Service(settings, process_started=0.0, starts=begin(settings))
    await service.open()
    return [str(each.uri) for each in service.models.served()]


def test_an_explicit_uri_has_priority_and_a_warning_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_files(tmp_path, "m/1/model.onnx", "mine.onnx")
    settings = Settings(
        model_uri=str(tmp_path / "mine.onnx"), base_path=str(tmp_path), base_name="m", load="lazy", threads=1
    )
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(_opened(settings)) == ["mine.onnx"]
    assert "MODEL_BASE_PATH and MODEL_NAME are ignored" in caplog.text
