"""The composition root: the names of models, starts that can never serve, and adding and removing models."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.configuration.companions import Companion, Companions
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
from runtime.tensors import Query
from runtime.variants.pinned import PinnedModel, PinnedVariant
from tests import models
from tests.archives import manifest, zipped
from tests.runtime.recording import RecordingSink


def test_variants_of_an_original_without_a_valid_uri_are_refused() -> None:
    original = PinnedVariant("original", "CPUExecutionProvider", None, "http://host/m.onnx", "a" * 64)
    settings = Settings(model_uri="s3://models/m.onnx", load="lazy", variants=PinnedModel((original,)))
    with pytest.raises(BadSetting, match=r"SCALEZERO_VARIANTS='http://host/m.onnx': expected s3://bucket/key"):
        begin(settings)


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
def test_the_name_of_a_model_is_that_of_its_file(uri: str, name: str) -> None:
    assert name_of(uri) == name


@pytest.mark.parametrize(("declared", "name"), [("other", "other"), ("no/segment", "file"), ("", "file")])
def test_the_name_of_a_model_in_a_local_archive_is_that_in_the_archive(
    tmp_path: Path, declared: str, name: str
) -> None:
    assert name_of(str(zipped(tmp_path / "file.mar", {}, manifest_text=manifest(name=declared)))) == name


def test_the_name_of_an_unreadable_archive_is_that_of_its_file(tmp_path: Path) -> None:
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
def test_a_process_that_can_never_serve_does_not_start(settings: Settings) -> None:
    with pytest.raises(BadSetting):
        begin(settings)


def test_a_function_of_events_needs_a_file_that_has_it() -> None:
    with pytest.raises(
        BadSetting, match=r"^FUNCTION_SOURCE: not set; expected a Python file with the function 'on_event'"
    ):
        begin(Settings(model_uri="s3://models/m.onnx", load="lazy", event_target="on_event"))


def test_a_guest_must_exist_and_be_the_only_function(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^SCALEZERO_GUEST_URI=.*: expected a WebAssembly file that exists"):
        begin(Settings(guest_uri=str(tmp_path / "none.wasm")))
    (tmp_path / "main.py").touch()
    with pytest.raises(BadSetting, match=r"^FUNCTION_SOURCE=.*: expected no value"):
        begin(Settings(guest_uri="main.wasm", function_source=tmp_path / "main.py"))


def test_a_file_whose_name_cannot_be_in_a_url_needs_a_model_name() -> None:
    """Clients never request /models/../predict, because they resolve the dots."""
    with pytest.raises(
        BadSetting,
        match=r"^SCALEZERO_MODEL_NAME: not set; expected .* the file's name '\.\.' cannot be used as the model's name$",
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
def test_only_a_permanent_error_ends_a_process_and_only_with_the_setting_exit(
    setting: str, error: ScalezeroError, *, ends: bool
) -> None:
    service, errors = Service(Settings(load_failure=setting), process_started=0.0), []
    service.end = lambda: errors.append(service.fatal_error)
    assert service.end_if_permanent(error) is ends
    assert errors == [error] * ends
    assert service.fatal_error is (error if ends else None)


def test_the_first_fatal_error_is_kept() -> None:
    service = Service(Settings(load_failure="exit"), process_started=0.0)
    service.end = lambda: None
    assert service.end_if_permanent(MISSING)
    assert service.end_if_permanent(InvalidModel("s3://b/m", "no model"))
    assert service.fatal_error is MISSING


@pytest.mark.parametrize(("companions", "reason"), [(0, str(MISSING)), (1, f"reader: {MISSING}")])
def test_the_reason_of_the_end_has_the_name_of_the_model_if_there_are_several(
    tmp_path: Path, companions: int, reason: str
) -> None:
    uri = str(models.doubling(tmp_path / "m.onnx"))
    declared = Companions([Companion("reader", "1", uri)] * companions)
    settings = Settings(model_uri=uri, load="lazy", load_failure="exit", companions=declared)

    async def scenario() -> None:
        service = Service(settings, process_started=0.0)
        await service.open()
        service.end = lambda: None
        assert service.end_if_permanent(MISSING, model="reader")
        assert service.fatal_reason == reason
        await service.close(within=1)

    asyncio.run(scenario())


def test_each_model_of_a_function_is_pulled_from_the_start_with_its_own_settings(tmp_path: Path) -> None:
    main, other = str(models.doubling(tmp_path / "m.onnx")), str(models.doubling(tmp_path / "reader.onnx"))
    companion = Companion("reader", "7", other, batch_size=4, timeout=2.0)
    settings = Settings(
        model_uri=main, model_sha256="a" * 64, batch_size=16, timeout=5.0, companions=Companions([companion])
    )
    first, second = begin(settings)
    assert first.settings is settings
    assert first.pull
    assert second.pull
    found = second.settings
    assert (found.model_uri, found.model_name, found.model_version, found.model_sha256) == (other, "reader", "7", None)
    assert (found.batch_size, found.timeout, found.max_wait) == (4, 2.0, Settings().max_wait)
    assert found.companions == ()
    assert found.variants is None


@pytest.mark.parametrize(
    ("wanted", "variants", "variant"),
    [
        ("auto", True, "auto"),
        ("int8", True, "int8"),
        ("int8", False, "auto"),
        ("nncf", True, "auto"),
        ("original", False, "original"),
        ("openvino", True, "openvino"),
        ("openvino", False, "openvino"),
    ],
)
def test_the_wanted_variant_counts_for_each_model_that_has_it(
    tmp_path: Path, wanted: str, variant: str, *, variants: bool
) -> None:
    uri = str(models.doubling(tmp_path / "m.onnx"))
    pinned = PinnedModel(tuple(PinnedVariant(name, "CPU", None, uri, "a" * 64) for name in ("original", "int8")))
    companion = Companion("reader", "7", uri, variants=pinned if variants else None)
    settings = Settings(model_uri=uri, load="lazy", variant=wanted, companions=Companions([companion]))
    assert begin(settings)[1].settings.variant == variant


@pytest.mark.parametrize(
    ("companion", "message"),
    [
        (Companion("m", "1", "s3://b/n.onnx"), r"SCALEZERO_COMPANIONS='m': expected other models than m, which is the"),
        (Companion("n", "1", "none.onnx"), r"SCALEZERO_COMPANIONS='none\.onnx': expected an ONNX .*, as the uri of n"),
        (Companion("n", "1", "s3://b"), r"SCALEZERO_COMPANIONS='s3://b': expected .*, as the uri of n"),
    ],
)
def test_a_companion_that_can_never_be_served_stops_the_start_with_its_name(
    tmp_path: Path, companion: Companion, message: str
) -> None:
    uri = str(models.doubling(tmp_path / "m.onnx"))
    with pytest.raises(BadSetting, match=message):
        begin(Settings(model_uri=uri, load="lazy", companions=Companions([companion])))


def test_companions_without_a_main_model_stop_the_start() -> None:
    companions = Companions([Companion("n", "1", "s3://b/n.onnx")])
    with pytest.raises(BadSetting, match="expected no companions without a main model in SCALEZERO_MODEL_URI"):
        begin(Settings(companions=companions, base_path="s3://b/models"))


def test_the_main_model_answers_for_the_process(tmp_path: Path) -> None:
    uri = str(models.doubling(tmp_path / "m.onnx"))
    companions = Companions([Companion("a", "7", uri)])
    settings = Settings(model_uri=uri, model_version="1", load="lazy", companions=companions)

    async def scenario() -> None:
        service = Service(settings, process_started=0.0)
        await service.open()
        assert (service.main, service.version, list(service.models)) == ("m", "1", ["m", "a"])
        service.answered("function", "ok", 0.1)
        measured = [each.measurements for each in service.models.served()]
        for each in measured:
            each.count()
        assert [list(each.requests) for each in measured] == [[("function", "ok")], []]
        await service.close(within=1)

    asyncio.run(scenario())


def test_without_companions_several_models_have_no_main_model(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        names = [service.main]
        service.add(replace(service.settings, model_name="n"))
        names.append(service.main)
        assert names == ["m", None]
        assert service.version is None

    serving(tmp_path, scenario)


def test_a_process_of_another_server_is_not_ended() -> None:
    """An author's function in the plain functions-framework opens its own service."""
    service = Service(Settings(load_failure="exit"), process_started=0.0)
    assert not service.end_if_permanent(MISSING)
    assert service.fatal_error is None


def serving(tmp_path: Path, scenario: Callable[[Service], Coroutine[Any, Any, None]], **changed: object) -> None:
    """Run the scenario with a service that has version 1 of the model m, which is not loaded."""
    uri = str(models.doubling(tmp_path / "m.onnx"))
    settings = Settings(model_uri=uri, model_version="1", threads=1, **changed)  # type: ignore[arg-type] # any setting

    async def run_scenario() -> None:
        service = Service(settings, process_started=0.0)
        await service.open()
        await scenario(service)
        await service.close(within=10)

    asyncio.run(run_scenario())


async def predicted(service: Service, version: str | None = None) -> tuple[str, list[float]]:
    ready = await service.model("m", version).load()
    prediction = await predict(ready, Query([np.ones((1, 2), np.float32)]))
    return prediction.version, prediction.outputs[0][0].tolist()


def test_versions_are_added_and_removed_while_others_answer(tmp_path: Path) -> None:
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


def test_a_version_is_added_after_loading_and_the_default_does_not_change(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        await service.model("m").load()
        uri = str(models.identity(tmp_path / "2.onnx", shape=("n", 2)))
        second = replace(service.settings, model_version="2", model_uri=uri, model_name="m")
        served = await service.load_and_add(second)
        assert served.ready is not None
        assert await predicted(service) == ("1", [2.0, 2.0])
        assert await predicted(service, "2") == ("2", [1.0, 1.0])
        with pytest.raises(VersionConflict):
            await service.load_and_add(second)
        assert await predicted(service, "2") == ("2", [1.0, 1.0])

    serving(tmp_path, scenario)


def test_a_version_that_cannot_be_loaded_is_not_added(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        missing = replace(service.settings, model_version="2", model_uri=str(tmp_path / "none.onnx"), model_name="n")
        with pytest.raises(ArtifactMissing):
            await service.load_and_add(missing)
        with pytest.raises(UnknownModel):
            service.model("n")

    serving(tmp_path, scenario)


def test_the_models_of_a_store_are_served_unless_a_model_is_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        models.doubling(tmp_path / f"{name}.onnx")
    starts = begin(Settings(model_store=str(tmp_path), load="lazy", threads=1))
    assert [start.settings.model_name for start in starts] == ["a", "b"]
    [start] = begin(Settings(model_store=str(tmp_path), model_uri=str(tmp_path / "a.onnx"), load="lazy", threads=1))
    assert start.settings.model_uri == str(tmp_path / "a.onnx")


def test_a_removed_version_finishes_its_requests(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        await service.model("m").load()
        requests = [asyncio.create_task(predicted(service)) for _ in range(5)]
        await asyncio.sleep(0)
        await service.remove("m")
        assert [await each for each in requests] == [("1", [2.0, 2.0])] * 5

    serving(tmp_path, scenario)


def test_requests_that_wait_for_a_removed_version_get_an_error(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(predicted(service))
        await asyncio.sleep(0)
        await service.remove("m")
        with pytest.raises(ShuttingDown):
            await request

    serving(tmp_path, scenario)


def test_the_default_must_be_a_served_version(tmp_path: Path) -> None:
    async def scenario(service: Service) -> None:
        with pytest.raises(UnknownModel):
            service.set_default("x", "1")
        with pytest.raises(UnknownVersion):
            service.set_default("m", "2")

    serving(tmp_path, scenario)


def test_close_drains_the_sinks_once_within_the_grace_period(tmp_path: Path) -> None:
    sink = RecordingSink()

    async def scenario(service: Service) -> None:
        service.sinks.add(sink)

    serving(tmp_path, scenario)
    [within] = sink.drained
    assert 0 < within <= 30
