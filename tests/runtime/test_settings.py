"""Settings are read once and checked: what is not allowed is named with its value and with what would be."""

import dataclasses
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.listeners import Listener
from runtime.configuration.version_policy import VersionPolicy
from runtime.declared import settings_for
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from, unknown_variables
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

PAYMENT_MODEL = ROOT / "functions" / "payment_model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text(MANIFEST)
    (tmp_path / "main.py").write_text("def handle(request): ...\n")
    return tmp_path


def test_an_empty_environment_gives_the_defaults() -> None:
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
        "SCALEZERO_PROTOCOLS": "ml.v1, open_inference",
        "SCALEZERO_CORS_ORIGINS": "https://app.example.com, http://localhost:3000",
        "FUNCTION_SOURCE": str(tmp_path / "main.py"),
        "FUNCTION_TARGET": "answer",
        "SCALEZERO_FUNCTION_THREADS": "4",
        "SCALEZERO_FUNCTION_TIMEOUT": "1m30s",
        "SCALEZERO_HOST": "::1",
        "PORT": "0",
        "SCALEZERO_LISTEN": "ml.v1@9000",
        "SCALEZERO_GRACE_PERIOD": "5s",
        "SCALEZERO_LOG_LEVEL": "debug",
        "SCALEZERO_ACCESS_LOG": "True",
        "K_SERVICE": "payment-model",
        "K_REVISION": "payment-model-v1",
        "MODEL_STORE": "/store",
        "LOAD_MODELS": "m.mar",
        "TS_MODELS": "{}",
        "SCALEZERO_MODEL_API": "true",
        "SCALEZERO_REGISTER_FROM": "s3://models/, file:///models/",
        "SCALEZERO_KEY_FILE": "/keys/key_file.json",
        "SCALEZERO_KEY_EXPIRATION": "30m",
        "SCALEZERO_MANAGEMENT_KEY": "a key of sixteen characters",
        "SCALEZERO_INFERENCE_KEYS": "false",
    }
    assert set(texts) == set(VARIABLES)
    settings = settings_from({**texts, "HOME": "/root", "OTHER": "x"})
    assert settings == Settings(
        model_uri="s3://b/m.onnx",
        model_name="payment-model",
        model_version="1.0.0",
        model_sha256="a" * 64,
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
        protocols=("ml.v1", "open_inference"),
        cors_origins=("https://app.example.com", "http://localhost:3000"),
        function_source=tmp_path / "main.py",
        function_target="answer",
        function_threads=4,
        function_timeout=90.0,
        host="::1",
        port=0,
        listen=(Listener(("ml.v1",), 9000),),
        grace_period=5.0,
        log_level="debug",
        access_log=True,
        service="payment-model",
        revision="payment-model-v1",
        model_store="/store",
        load_models="m.mar",
        store_batching="{}",
        model_api=True,
        register_from=("s3://models/", "file:///models/"),
        key_file=Path("/keys/key_file.json"),
        key_expiration=1800.0,
        management_key="a key of sixteen characters",
        inference_keys=False,
    )


def test_an_empty_variable_counts_as_none() -> None:
    """`env: {name: X, value: ""}` in a manifest is how people unset."""
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
        ("SCALEZERO_MODEL_NAME", "."),
        ("SCALEZERO_MODEL_NAME", ".."),
        ("PORT", "65536"),
        ("PORT", "http"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(variable: str, text: str) -> None:
    with pytest.raises(BadSetting) as refused:
        settings_from({variable: text})
    details = refused.value.details
    assert details["name"] == variable
    assert details["value"] == text
    assert details["allowed"]
    assert str(refused.value) == f"{variable}={text!r}: expected {details['allowed']}"


@given(variable=st.sampled_from(sorted(VARIABLES)), text=st.text(max_size=12))
def test_any_text_is_a_value_or_is_refused(variable: str, text: str) -> None:
    try:
        settings_from({variable: text})
    except BadSetting as refused:
        assert refused.details["name"] == variable  # noqa: PT017 - either is right


@given(seconds=st.integers(1, 86_400), unit=st.sampled_from([("s", 1), ("ms", 1000)]))
def test_durations_are_kubernetes_own(seconds: int, unit: tuple[str, int]) -> None:
    name, per_second = unit
    assert settings_from({"SCALEZERO_TIMEOUT": f"{seconds}{name}"}).timeout == pytest.approx(seconds / per_second)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [("SCALEZERO_BATCHSIZE", "SCALEZERO_BATCH_SIZE"), ("SCALEZERO_MODEL_URL", "SCALEZERO_MODEL_URI")],
)
def test_an_unknown_variable_of_ours_is_refused_with_the_nearest(variable: str, nearest: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{variable}='8': .*, perhaps {nearest}$"):
        settings_from({variable: "8"})


def test_an_unknown_variable_unlike_any_is_refused_without_a_guess() -> None:
    with pytest.raises(BadSetting) as refused:
        settings_from({"SCALEZERO_": "8"})
    assert "SCALEZERO_='8'" in str(refused.value)


@pytest.mark.parametrize("pod", ["KUBERNETES_SERVICE_HOST", "K_REVISION"])
def test_in_a_pod_an_unknown_variable_is_reported_and_the_others_hold(pod: str) -> None:
    """An older image must start with the variables of a newer command line."""
    environ = {pod: "x", "SCALEZERO_FROM_A_LATER_VERSION": "8", "SCALEZERO_BATCH_SIZE": "8"}
    assert settings_from(environ).batch_size == 8
    assert list(unknown_variables(environ)) == ["SCALEZERO_FROM_A_LATER_VERSION"]


def test_in_a_pod_a_bad_value_is_still_refused() -> None:
    with pytest.raises(BadSetting):
        settings_from({"K_REVISION": "x", "SCALEZERO_BATCH_SIZE": "0"})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings_from({}).port = 1  # type: ignore[misc] # that is the rule


def test_every_setting_says_what_it_is() -> None:
    for each in VARIABLES.values():
        assert len(each.metadata["doc"]) > 10


def test_the_cache_is_the_users_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings_from({}).cache_dir == tmp_path / ".cache" / "scalezero"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert settings_from({}).cache_dir == tmp_path / "scalezero"


def test_without_a_usable_home_the_cache_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert settings_from({}).cache_dir == tmp_path / "temporary" / "scalezero"


def test_where_nothing_may_be_written_the_settings_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only root without /tmp: a local model needs no cache, and a pull is refused by the folder's name."""

    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert settings_from({}).cache_dir == Path("/tmp/scalezero")  # noqa: S108 - where it would be


# What the resources in a function's folder declare.


def test_the_resources_of_a_folder_are_settings(folder: Path) -> None:
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
def test_a_version_is_chosen_by_its_name_or_number(folder: Path, wanted: str) -> None:
    settings = settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": wanted})
    assert settings.model_version == "2.0"
    assert settings.model_uri == str(folder / "weights" / "m.onnx")


def test_a_version_that_is_not_declared_is_refused_with_those_that_are(folder: Path) -> None:
    with pytest.raises(BadSetting, match=r"'3\.0'.*m-v1 \(1\.0\), m-v2 \(2\.0\)"):
        settings_for(folder, environ={"SCALEZERO_MODEL_VERSION": "3.0"})


def test_a_variable_wins_over_a_resource_and_a_resource_over_the_default(folder: Path) -> None:
    settings = settings_for(folder, environ={"SCALEZERO_BATCH_SIZE": "4"})
    assert (settings.batch_size, settings.max_wait, settings.queue_size) == (4, 0.05, 1024)


def test_another_artifact_is_served_as_the_resources_say_but_under_its_own_version() -> None:
    declared = settings_for(PAYMENT_MODEL, environ={})
    other = settings_for(PAYMENT_MODEL, environ={"SCALEZERO_MODEL_URI": "s3://models/v3.onnx"})
    assert other == dataclasses.replace(declared, model_uri="s3://models/v3.onnx", model_version=None)
    named = {"SCALEZERO_MODEL_URI": "s3://models/v3.onnx", "SCALEZERO_MODEL_VERSION": "3.0.0"}
    assert settings_for(PAYMENT_MODEL, environ=named).model_version == "3.0.0"


@pytest.mark.parametrize("variable", ["SCALEZERO_MODEL_VERSION", "K_REVISION", "K_SERVICE", "SCALEZERO_MODEL_NAME"])
@pytest.mark.parametrize("value", ["1.0\n", "a/b", "", "\x00", " x"])
def test_what_goes_into_headers_and_urls_is_fit_for_them(variable: str, value: str) -> None:
    if value:
        with pytest.raises(BadSetting, match=variable):
            settings_from({variable: value})


def test_a_folder_with_nothing_to_serve_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=str(tmp_path)):
        settings_for(tmp_path, environ={})


def test_a_folder_without_resources_leaves_all_to_the_environment(tmp_path: Path) -> None:
    (tmp_path / "main.py").touch()
    assert settings_for(tmp_path, environ={}) == settings_from({"FUNCTION_SOURCE": str(tmp_path / "main.py")})
    assert settings_for(None, environ={"PORT": "1"}) == settings_from({"PORT": "1"})
