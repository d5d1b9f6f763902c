"""Settings are read once and checked: the error has the variable, the value and the allowed values."""

import dataclasses
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.resources import BadManifest
from runtime.configuration.companions import Companion, Companions
from runtime.configuration.guest_code import GuestCode, GuestCodes, render_code
from runtime.configuration.guest_folders import GuestFolder, GuestFolders
from runtime.configuration.listeners import Listener
from runtime.configuration.version_policy import VersionPolicy
from runtime.declared import settings_for
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from, unknown_variables
from runtime.variants.names import CPU_PROVIDER, ORIGINAL
from runtime.variants.pinned import PinnedModel, PinnedVariant, render
from tests import ROOT

VARIABLES = {each.metadata["env"]: each for each in dataclasses.fields(Settings)}
MANIFEST = """
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: m-v1}
spec: {modelName: m, version: "1.0", format: onnx, storage: {type: s3, path: "s3://models/m-v1.onnx"}}
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: m-v2}
spec: {modelName: m, version: "2.0", format: onnx, storage: {type: file, path: weights/m.onnx}}
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {name: m-config}
spec: {batchSize: 16, maxWaitTime: "50ms", timeout: "2s"}
"""

PINNED = PinnedModel((PinnedVariant(ORIGINAL, CPU_PROVIDER, None, "s3://b/m.onnx", "a" * 64),))
PAYMENT_MODEL = ROOT / "functions" / "payment_model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text(MANIFEST)
    (tmp_path / "main.py").write_text("def handle(request): ...\n")
    return tmp_path


def test_with_an_empty_environment_all_settings_have_their_defaults() -> None:
    settings = settings_from({})
    assert settings == Settings()
    assert (settings.batch_size, settings.max_wait, settings.port, settings.load) == (32, 0.1, 8080, "prefetch")


def test_every_setting_is_read_from_its_variable(tmp_path: Path) -> None:
    (tmp_path / "main.py").touch()
    texts = {
        "SCALEZERO_MODEL_URI": "s3://b/m.onnx",
        "SCALEZERO_MODEL_NAME": "payment-model",
        "SCALEZERO_MODEL_VERSION": "1.0.0",
        "SCALEZERO_MODEL_SHA256": "A" * 64,
        "SCALEZERO_COMPANIONS": '[{"name": "n", "version": "2", "uri": "s3://b/n.onnx"}]',
        "SCALEZERO_VARIANTS": render(PINNED),
        "SCALEZERO_VARIANT": "int8-dynamic",
        "SCALEZERO_MANIFEST": "read",
        "MODEL_BASE_PATH": "s3://b/models",
        "MODEL_NAME": "m",
        "SCALEZERO_MODEL_VERSIONS": "latest:2",
        "SCALEZERO_LOAD": "lazy",
        "SCALEZERO_LOAD_FAILURE": "exit",
        "SCALEZERO_LOAD_TIMEOUT": "1m30s",
        "SCALEZERO_STALL_TIMEOUT": "500ms",
        "SCALEZERO_CACHE_DIR": "/cache",
        "SCALEZERO_MAX_ARTIFACT_BYTES": "2000",
        "SCALEZERO_BATCH_SIZE": "64",
        "SCALEZERO_BATCHING": "never",
        "SCALEZERO_RUN_TIMEOUT": "2m",
        "SCALEZERO_MAX_WAIT_TIME": "100ms",
        "SCALEZERO_TIMEOUT": "1s",
        "SCALEZERO_QUEUE_SIZE": "10",
        "SCALEZERO_MAX_BODY_BYTES": "1000",
        "SCALEZERO_MAX_BUFFERED_BYTES": "5000",
        "SCALEZERO_THREADS": "3",
        "SCALEZERO_OPENVINO_LIBRARY": "/opt/openvino/plugin.so",
        "SCALEZERO_PROTOCOLS": "ml.v1, open_inference",
        "SCALEZERO_CORS_ORIGINS": "https://app.example.com, http://localhost:3000",
        "FUNCTION_SOURCE": str(tmp_path / "main.py"),
        "FUNCTION_TARGET": "answer",
        "SCALEZERO_EVENT_TARGET": "on_event",
        "SCALEZERO_EVENT_BUCKETS": "uploads, images",
        "SCALEZERO_EVENT_OBJECT_BYTES": "1048576",
        "SCALEZERO_FUNCTION_THREADS": "4",
        "SCALEZERO_FUNCTION_TIMEOUT": "1m30s",
        "SCALEZERO_HOST": "::1",
        "PORT": "0",
        "SCALEZERO_LISTEN": "ml.v1@9000",
        "SCALEZERO_GRACE_PERIOD": "5s",
        "SCALEZERO_LOG_LEVEL": "debug",
        "SCALEZERO_ACCESS_LOG": "True",
        "SCALEZERO_EVENT_REPLY_TYPE": "none",
        "SCALEZERO_EVENT_BATCHES": "true",
        "SCALEZERO_EVENT_WINDOW": "1m",
        "SCALEZERO_EVENT_WINDOW_SIZE": "50",
        "K_SERVICE": "payment-model",
        "K_REVISION": "payment-model-v1",
        "SCALEZERO_PREDICTION_LOG": "sink",
        "SCALEZERO_PREDICTION_LOG_SAMPLE": "0.25",
        "SCALEZERO_PREDICTION_LOG_TYPE": "com.example.logged",
        "SCALEZERO_PREDICTION_LOG_BATCH": "100",
        "SCALEZERO_PREDICTION_LOG_QUEUE": "500",
        "SCALEZERO_PREDICTION_LOG_CONNECTIONS": "8",
        "SCALEZERO_PREDICTION_LOG_EVENT_BYTES": "4096",
        "K_SINK": "http://broker/default",
        "K_CE_OVERRIDES": '{"extensions": {"team": "risk"}}',
        "K_CA_CERTS": "-----BEGIN CERTIFICATE-----",
        "MODEL_STORE": "/store",
        "LOAD_MODELS": "m.mar",
        "TS_MODELS": "{}",
        "SCALEZERO_MODEL_API": "true",
        "SCALEZERO_REGISTER_FROM": "s3://models/, file:///models/",
        "SCALEZERO_KEY_FILE": "/keys/key_file.json",
        "SCALEZERO_KEY_EXPIRATION": "30m",
        "SCALEZERO_MANAGEMENT_KEY": "a key of sixteen characters",
        "SCALEZERO_INFERENCE_KEYS": "false",
        "SCALEZERO_GUEST_URI": "main.wasm",
        "SCALEZERO_GUEST_SHA256": "a" * 64,
        "SCALEZERO_GUEST_CODE": render_code([GuestCode("wasmtime-1", "arm", "core", "s3://b/c", "b" * 64)]),
        "SCALEZERO_GUEST_MEMORY": "1048576",
        "SCALEZERO_GUEST_OUTPUT": "1000",
        "SCALEZERO_GUEST_FOLDERS": '[{"path": "/labels"}]',
        "SCALEZERO_GUEST_NETWORK": "true",
    }
    assert set(texts) == set(VARIABLES)
    settings = settings_from({**texts, "HOME": "/root", "OTHER": "x"})
    assert settings == Settings(
        model_uri="s3://b/m.onnx",
        model_name="payment-model",
        model_version="1.0.0",
        model_sha256="a" * 64,
        companions=Companions([Companion("n", "2", "s3://b/n.onnx")]),
        variants=PINNED,
        variant="int8-dynamic",
        manifest="read",
        base_path="s3://b/models",
        base_name="m",
        model_versions=VersionPolicy(latest=2),
        load="lazy",
        load_failure="exit",
        load_timeout=90.0,
        stall_timeout=0.5,
        cache_dir=Path("/cache"),
        max_artifact_bytes=2000,
        batch_size=64,
        batching="never",
        run_timeout=120.0,
        max_wait=0.1,
        timeout=1.0,
        queue_size=10,
        max_body_bytes=1000,
        max_buffered_bytes=5000,
        threads=3,
        openvino_library=Path("/opt/openvino/plugin.so"),
        protocols=("ml.v1", "open_inference"),
        cors_origins=("https://app.example.com", "http://localhost:3000"),
        function_source=tmp_path / "main.py",
        function_target="answer",
        event_target="on_event",
        event_buckets=("uploads", "images"),
        event_object_bytes=1_048_576,
        function_threads=4,
        function_timeout=90.0,
        event_reply_type=None,
        event_batches=True,
        event_window=60.0,
        event_window_size=50,
        host="::1",
        port=0,
        listen=(Listener(("ml.v1",), 9000),),
        grace_period=5.0,
        log_level="debug",
        access_log=True,
        service="payment-model",
        revision="payment-model-v1",
        prediction_log="sink",
        prediction_log_sample=0.25,
        prediction_log_type="com.example.logged",
        prediction_log_batch=100,
        prediction_log_queue=500,
        prediction_log_connections=8,
        prediction_log_event_bytes=4096,
        sink="http://broker/default",
        sink_overrides='{"extensions": {"team": "risk"}}',
        sink_certificates="-----BEGIN CERTIFICATE-----",
        model_store="/store",
        load_models="m.mar",
        store_batching="{}",
        model_api=True,
        register_from=("s3://models/", "file:///models/"),
        key_file=Path("/keys/key_file.json"),
        key_expiration=1800.0,
        management_key="a key of sixteen characters",
        inference_keys=False,
        guest_uri="main.wasm",
        guest_sha256="a" * 64,
        guest_code=GuestCodes([GuestCode("wasmtime-1", "arm", "core", "s3://b/c", "b" * 64)]),
        guest_memory=2**20,
        guest_output=1000,
        guest_folders=GuestFolders([GuestFolder("/labels", "/labels")]),
        guest_network=True,
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    """Manifests unset a variable by `env: {name: X, value: ""}`."""
    assert settings_from(dict.fromkeys(VARIABLES, "")) == settings_from({})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SCALEZERO_BATCH_SIZE", "0"),
        ("SCALEZERO_BATCH_SIZE", "4097"),
        ("SCALEZERO_BATCH_SIZE", "many"),
        ("SCALEZERO_BATCH_SIZE", "3.5"),
        ("SCALEZERO_MAX_WAIT_TIME", "100"),
        ("SCALEZERO_MAX_WAIT_TIME", "-1s"),
        ("SCALEZERO_TIMEOUT", "25h"),
        ("SCALEZERO_TIMEOUT", "0s"),
        ("SCALEZERO_TIMEOUT", "soon"),
        ("SCALEZERO_QUEUE_SIZE", "0"),
        ("SCALEZERO_MAX_BODY_BYTES", "32MiB"),
        ("SCALEZERO_LOAD", "eager"),
        ("SCALEZERO_LOG_LEVEL", "INFO"),
        ("SCALEZERO_ACCESS_LOG", "yes"),
        ("SCALEZERO_MODEL_SHA256", "abc"),
        ("SCALEZERO_MODEL_SHA256", "g" * 64),
        ("SCALEZERO_THREADS", "-1"),
        ("SCALEZERO_FUNCTION_THREADS", "1000"),
        ("SCALEZERO_EVENT_BUCKETS", "s3://uploads"),
        ("SCALEZERO_EVENT_BUCKETS", "uploads,"),
        ("SCALEZERO_EVENT_OBJECT_BYTES", "0"),
        ("SCALEZERO_MODEL_NAME", "."),
        ("SCALEZERO_MODEL_NAME", ".."),
        ("PORT", "65536"),
        ("PORT", "http"),
    ],
)
def test_the_error_for_a_bad_value_has_the_allowed_values(variable: str, text: str) -> None:
    with pytest.raises(BadSetting) as refused:
        settings_from({variable: text})
    details = refused.value.details
    assert details["name"] == variable
    assert details["value"] == text
    assert details["allowed"]
    assert str(refused.value) == f"{variable}={text!r}: expected {details['allowed']}"


def test_a_folder_that_no_guest_may_have_is_refused_with_its_reason() -> None:
    with pytest.raises(
        BadSetting, match=r"SCALEZERO_GUEST_FOLDERS=.*\(\[0\]\.path: got '/proc'; expected a folder that"
    ):
        settings_from({"SCALEZERO_GUEST_FOLDERS": '[{"path": "/proc"}]'})


@given(variable=st.sampled_from(sorted(VARIABLES)), text=st.text(max_size=12))
def test_any_text_is_parsed_or_rejected(variable: str, text: str) -> None:
    try:
        settings_from({variable: text})
    except BadSetting as refused:
        assert refused.details["name"] == variable  # noqa: PT017 - both outcomes are correct


@given(seconds=st.integers(1, 86_400), unit=st.sampled_from([("s", 1), ("ms", 1000)]))
def test_durations_have_the_format_of_kubernetes(seconds: int, unit: tuple[str, int]) -> None:
    name, per_second = unit
    assert settings_from({"SCALEZERO_TIMEOUT": f"{seconds}{name}"}).timeout == pytest.approx(seconds / per_second)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [("SCALEZERO_BATCHSIZE", "SCALEZERO_BATCH_SIZE"), ("SCALEZERO_MODEL_URL", "SCALEZERO_MODEL_URI")],
)
def test_an_unknown_scalezero_variable_is_rejected_with_the_nearest_name(variable: str, nearest: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{variable}='8': .*, perhaps {nearest}$"):
        settings_from({variable: "8"})


@pytest.mark.parametrize("variable", ["SCALEZERO_", "SCALEZERO_FOO"])
def test_an_unknown_variable_without_a_similar_name_is_rejected_without_a_suggestion(variable: str) -> None:
    with pytest.raises(BadSetting) as refused:
        settings_from({variable: "8"})
    assert f"{variable}='8'" in str(refused.value)
    assert "perhaps" not in str(refused.value)


@pytest.mark.parametrize("pod", ["KUBERNETES_SERVICE_HOST", "K_REVISION"])
def test_in_a_pod_an_unknown_variable_is_reported_and_the_others_apply(pod: str) -> None:
    """An older image must start with the variables of a newer command line."""
    environ = {pod: "x", "SCALEZERO_FROM_A_LATER_VERSION": "8", "SCALEZERO_BATCH_SIZE": "8"}
    assert settings_from(environ).batch_size == 8
    assert list(unknown_variables(environ)) == ["SCALEZERO_FROM_A_LATER_VERSION"]


def test_in_a_pod_a_bad_value_is_rejected() -> None:
    with pytest.raises(BadSetting):
        settings_from({"K_REVISION": "x", "SCALEZERO_BATCH_SIZE": "0"})


def test_the_error_for_bad_variants_has_the_field_and_the_start_of_the_value() -> None:
    text = render(PINNED).replace("a" * 64, "abc")
    with pytest.raises(BadSetting) as refused:
        settings_from({"SCALEZERO_VARIANTS": text})
    assert refused.value.details["value"] == f"{text[:80]}..."
    assert str(refused.value).endswith("(variants[0].sha256: got 'abc'; expected 64 hexadecimal digits in lower case)")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings_from({}).port = 1  # type: ignore[misc] # must raise


def test_every_setting_has_a_description() -> None:
    for each in VARIABLES.values():
        assert len(each.metadata["doc"]) > 10


def test_the_cache_is_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings_from({}).cache_dir == tmp_path / ".cache" / "scalezero"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert settings_from({}).cache_dir == tmp_path / "scalezero"


def test_without_a_writable_home_the_cache_is_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert settings_from({}).cache_dir == tmp_path / "temporary" / "scalezero"


def test_settings_are_read_if_no_folder_is_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a read-only root and no /tmp, a local model needs no cache, and the error of a pull names the folder."""

    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert settings_from({}).cache_dir == Path("/tmp/scalezero")  # noqa: S108 - the usual place


# What the resources in a function's folder declare.


COMPANION = """
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: reader-v9}
spec: {modelName: reader, version: "9.0", format: onnx, storage: {type: s3, path: "s3://models/reader-9.onnx"}}
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: reader-v10}
spec: {modelName: reader, version: "10.0", format: onnx, storage: {type: file, path: reader.onnx}}
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: reader-v1}
spec: {modelName: reader, version: "1.0", format: onnx, storage: {type: s3, path: "s3://models/reader-1.onnx"}}
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {name: reader-config}
spec: {batchSize: 4, maxWaitTime: "20ms", timeout: "3s"}
"""
FUNC_YAML = "specVersion: 0.36.0\nname: m\ncreated: 2026-11-23T00:00:00Z\n"


def test_a_function_serves_the_chosen_version_of_its_main_model_and_the_newest_of_each_companion(folder: Path) -> None:
    (folder / "model.yaml").write_text(COMPANION + "---" + MANIFEST)
    (folder / "func.yaml").write_text(FUNC_YAML)
    settings = settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": "2.0"})
    assert (settings.model_name, settings.model_version, settings.batch_size) == ("m", "2.0", 16)
    uri = str(folder / "reader.onnx")
    assert settings.companions == (Companion("reader", "10.0", uri, batch_size=4, max_wait=0.02, timeout=3.0),)


def test_the_events_of_the_resources_are_settings_of_a_local_server_too(folder: Path) -> None:
    """The log of predictions needs the sink, which only a cluster sets."""
    log = "predictions: {sink: {broker: a}, sample: 0.5}"
    events = f"{{target: on_event, replyType: none, window: 5m, buckets: [uploads], {log}}}"
    config = MANIFEST.replace("timeout:", f"events: {events}, timeout:")
    assert config != MANIFEST
    (folder / "model.yaml").write_text(config)
    settings = settings_for(folder, environ={"SCALEZERO_EVENT_WINDOW": "1m"})
    assert (settings.event_target, settings.event_reply_type) == ("on_event", None)
    assert (settings.event_buckets, settings.event_window) == (("uploads",), 60.0)
    assert (settings.prediction_log, settings.prediction_log_sample) == (None, 0.5)


def test_the_version_of_a_companion_cannot_be_chosen(folder: Path) -> None:
    (folder / "model.yaml").write_text(MANIFEST + COMPANION)
    (folder / "func.yaml").write_text(FUNC_YAML)
    with pytest.raises(BadSetting, match=r"model version='reader-v9': .* m-v1 \(1\.0\), m-v2 \(2\.0\)$"):
        settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": "reader-v9"})


@pytest.mark.parametrize("function", [None, "other"])
def test_a_function_with_several_models_needs_a_func_yaml_with_the_name_of_one(
    folder: Path, function: str | None
) -> None:
    (folder / ".git").mkdir()  # the search for func.yaml ends here
    (folder / "model.yaml").write_text(MANIFEST + COMPANION)
    if function:
        (folder / "func.yaml").write_text(FUNC_YAML.replace("name: m", f"name: {function}"))
    with pytest.raises(BadManifest, match=r"func\.yaml.*: name: got .*; expected .*one of m, reader"):
        settings_for(folder, environ={})


def test_without_a_main_py_each_model_is_on_its_own(folder: Path) -> None:
    (folder / "main.py").unlink()
    (folder / "model.yaml").write_text(MANIFEST + COMPANION)
    assert (settings_for(folder, environ={}).model_version, settings_for(folder, environ={}).companions) == ("1.0", ())
    assert settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": "reader-v9"}).model_name == "reader"


def test_the_variable_replaces_the_declared_companions(folder: Path) -> None:
    (folder / "model.yaml").write_text(MANIFEST + COMPANION)
    (folder / "func.yaml").write_text(FUNC_YAML)
    text = '[{"name": "reader", "version": "3", "uri": "reader.onnx"}]'
    environ = {"SCALEZERO_MODEL_URI": "m.onnx", "SCALEZERO_COMPANIONS": text}
    assert settings_for(folder, environ=environ).companions == (Companion("reader", "3", "reader.onnx"),)


def test_only_the_wrong_field_of_companions_is_in_the_error() -> None:
    text = '[{"name": "n", "version": "2", "uri": ""}]' + " " * 200
    with pytest.raises(BadSetting, match=r"got ''; expected s3://bucket/key, a file:// URI or a path") as caught:
        settings_from({"SCALEZERO_COMPANIONS": text})
    assert len(str(caught.value.details["value"])) < len(text)


def test_the_resources_of_a_folder_are_read_as_settings(folder: Path) -> None:
    settings = settings_for(folder, environ={})
    assert settings == settings_from(
        {},
        model_uri="s3://models/m-v1.onnx",
        model_name="m",
        model_version="1.0",
        batch_size=16,
        max_wait=0.05,
        timeout=2.0,
        function_source=folder / "main.py",
    )


@pytest.mark.parametrize("wanted", ["m-v2", "2.0"])
def test_a_version_is_selected_by_its_name_or_version(folder: Path, wanted: str) -> None:
    settings = settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": wanted})
    assert settings.model_version == "2.0"
    assert settings.model_uri == str(folder / "weights" / "m.onnx")


def test_an_undeclared_version_is_rejected_with_the_declared_ones(folder: Path) -> None:
    with pytest.raises(BadSetting, match=r"'3\.0'.*m-v1 \(1\.0\), m-v2 \(2\.0\)"):
        settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": "3.0"})


def test_a_variable_overrides_a_resource_and_a_resource_the_default(folder: Path) -> None:
    settings = settings_for(folder, environ={"SCALEZERO_BATCH_SIZE": "4"})
    assert (settings.batch_size, settings.max_wait, settings.queue_size) == (4, 0.05, 1024)


def test_another_artifact_has_the_settings_of_the_resources_but_its_own_version() -> None:
    declared = settings_for(PAYMENT_MODEL, environ={})
    other = settings_for(PAYMENT_MODEL, environ={"SCALEZERO_MODEL_URI": "s3://models/v3.onnx"})
    assert other == dataclasses.replace(declared, model_uri="s3://models/v3.onnx", model_version=None)
    named = {"SCALEZERO_MODEL_URI": "s3://models/v3.onnx", "SCALEZERO_MODEL_VERSION": "3.0.0"}
    assert settings_for(PAYMENT_MODEL, environ=named).model_version == "3.0.0"


@pytest.mark.parametrize("variable", ["SCALEZERO_MODEL_VERSION", "K_REVISION", "K_SERVICE", "SCALEZERO_MODEL_NAME"])
@pytest.mark.parametrize("value", ["1.0\n", "a/b", "", "\x00", " x"])
def test_names_and_versions_must_be_valid_in_headers_and_urls(variable: str, value: str) -> None:
    if value:
        with pytest.raises(BadSetting, match=variable):
            settings_from({variable: value})


def test_the_error_for_a_folder_without_a_function_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=str(tmp_path)):
        settings_for(tmp_path, environ={})


def test_without_resources_all_settings_are_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "main.py").touch()
    assert settings_for(tmp_path, environ={}) == settings_from({"FUNCTION_SOURCE": str(tmp_path / "main.py")})
    assert settings_for(None, environ={"PORT": "1"}) == settings_from({"PORT": "1"})


def test_a_guest_is_the_function_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "main.wasm").touch()
    settings = settings_for(tmp_path, environ={})
    assert settings == settings_from({"SCALEZERO_GUEST_URI": str(tmp_path / "main.wasm")})
    assert settings.has_function


def test_a_folder_with_two_functions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.wasm").touch()
    (tmp_path / "main.py").touch()
    with pytest.raises(BadSetting, match=r"a folder with a main\.py or a main\.wasm, not with both"):
        settings_for(tmp_path, environ={})
