"""The composition root: what a model is called, a start that could never serve, and models that come and go."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.errors import (
    ArtifactMissing,
    BadSetting,
    DiskFull,
    InvalidModel,
    ScalezeroError,
    ShuttingDown,
    StoreStalled,
    UnknownModel,
    UnknownVersion,
    VersionConflict,
)
from runtime.predictor import predict
from runtime.service import Service, Start, begin, name_of
from runtime.settings import Settings
from runtime.sinks import Outcome, Sink
from runtime.tensors import Query
from tests import models
from tests.archives import manifest, zipped


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
        ("s3://models/resnet.mar", "resnet"),
        ("s3://models/resnet.tar.gz", "resnet"),
    ],
)
def test_a_model_is_named_for_its_file(uri: str, name: str) -> None:
    assert name_of(uri) == name


@pytest.mark.parametrize(("said", "name"), [("other", "other"), ("no/segment", "file"), ("", "file")])
def test_a_model_in_a_local_archive_is_named_as_the_archive_says(tmp_path: Path, said: str, name: str) -> None:
    assert name_of(str(zipped(tmp_path / "file.mar", {}, said=manifest(name=said)))) == name


def test_an_archive_that_cannot_be_read_is_named_for_its_file(tmp_path: Path) -> None:
    (tmp_path / "file.mar").write_bytes(b"no archive")
    assert name_of(str(tmp_path / "file.mar")) == "file"


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
        BadSetting, match=r"^SCALEZERO_MODEL_NAME: not set; expected .* the file's name '\.\.' is none$"
    ):
        begin(Settings(model_uri="s3://bucket/...onnx", load="lazy"))
    named = Settings(model_uri="s3://bucket/...onnx", load="lazy", model_name="m")
    assert begin(named) == [Start(named)]


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


def serving(tmp_path: Path, scenario: Callable[[Service], Coroutine[Any, Any, None]], **changed: object) -> None:
    """Run the scenario with a service that has version 1 of the model m, not loaded yet."""
    uri = str(models.doubling(tmp_path / "m.onnx"))
    settings = Settings(model_uri=uri, model_version="1", threads=1, **changed)  # type: ignore[arg-type] # any setting

    async def whole() -> None:
        service = Service(settings, process_started=0.0)
        await service.open()
        await scenario(service)
        await service.close(within=10)

    asyncio.run(whole())


async def predicted(service: Service, version: str | None = None) -> tuple[str, list[float]]:
    ready = await service.model("m", version).load()
    prediction = await predict(ready, Query([np.ones((1, 2), np.float32)]))
    return prediction.version, prediction.outputs[0][0].tolist()


def test_versions_come_and_go_while_the_others_answer(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        changes: list[str | None] = []
        service.on_change.append(lambda: changes.append(service.version))
        second = replace(
            service.settings,
            model_version="2",
            model_uri=str(models.identity(tmp_path / "2.onnx", shape=("n", 2))),
            model_name="m",
            batch_size=3,
        )
        service.add(second)
        assert (await service.model("m", "2").load()).batcher.limits.batch_size == 3
        assert await predicted(service) == ("2", [1.0, 1.0])
        assert await predicted(service, "1") == ("1", [2.0, 2.0])
        with pytest.raises(VersionConflict):
            service.add(second)
        service.set_default("m", "1")
        assert await predicted(service) == ("1", [2.0, 2.0])
        removed = await service.remove("m", "1")
        assert removed.ready is None
        assert await predicted(service) == ("2", [1.0, 1.0])
        with pytest.raises(UnknownVersion):
            service.model("m", "1")
        await service.remove("m")
        with pytest.raises(UnknownModel):
            service.model("m")
        assert changes == [None, None, "2", None]

    serving(tmp_path, scenario)


def test_a_version_that_is_brought_is_there_once_it_answers_and_leaves_the_default_alone(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        await service.model("m").load()
        uri = str(models.identity(tmp_path / "2.onnx", shape=("n", 2)))
        second = replace(service.settings, model_version="2", model_uri=uri, model_name="m")
        served = await service.bring(second)
        assert served.ready is not None
        assert await predicted(service) == ("1", [2.0, 2.0])
        assert await predicted(service, "2") == ("2", [1.0, 1.0])
        with pytest.raises(VersionConflict):
            await service.bring(second)
        assert await predicted(service, "2") == ("2", [1.0, 1.0])

    serving(tmp_path, scenario)


def test_a_version_that_cannot_be_loaded_is_not_taken_up(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        missing = replace(service.settings, model_version="2", model_uri=str(tmp_path / "none.onnx"), model_name="n")
        with pytest.raises(ArtifactMissing):
            await service.bring(missing)
        with pytest.raises(UnknownModel):
            service.model("n")

    serving(tmp_path, scenario)


def test_the_models_of_a_store_are_served_unless_another_one_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        models.doubling(tmp_path / f"{name}.onnx")
    starts = begin(Settings(model_store=str(tmp_path), load="lazy", threads=1))
    assert [start.settings.model_name for start in starts] == ["a", "b"]
    [start] = begin(Settings(model_store=str(tmp_path), model_uri=str(tmp_path / "a.onnx"), load="lazy", threads=1))
    assert start.settings.model_uri == str(tmp_path / "a.onnx")


def test_a_version_that_goes_finishes_what_it_has(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        await service.model("m").load()
        asked = [asyncio.create_task(predicted(service)) for _ in range(5)]
        await asyncio.sleep(0)
        await service.remove("m")
        assert [await each for each in asked] == [("1", [2.0, 2.0])] * 5

    serving(tmp_path, scenario)


def test_who_waits_for_a_version_that_goes_is_told(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        asked = asyncio.create_task(predicted(service))
        await asyncio.sleep(0)
        await service.remove("m")
        with pytest.raises(ShuttingDown):
            await asked

    serving(tmp_path, scenario)


def test_a_default_can_only_be_what_is_served(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        with pytest.raises(UnknownModel):
            service.set_default("x", "1")
        with pytest.raises(UnknownVersion):
            service.set_default("m", "2")

    serving(tmp_path, scenario)


def test_the_end_lets_the_sinks_take_what_they_have(tmp_path: Path) -> None:
    taken: list[Outcome] = []

    async def take(outcomes: Sequence[Outcome]) -> None:
        await asyncio.sleep(0.01)
        taken.extend(outcomes)

    async def scenario(service: Service) -> None:
        service.sinks.add(Sink("s", take))
        for _ in range(3):
            service.sinks.offer(Outcome("predict", "m", "1", "ok", 0.0, 0.1))

    serving(tmp_path, scenario)
    assert len(taken) == 3
