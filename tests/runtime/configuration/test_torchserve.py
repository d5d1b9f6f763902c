"""Tests of TorchServe's configuration as settings of this runtime."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.torchserve import merge_properties, parse_properties, read_configuration
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from

FILE = r"""
# A comment, and another form of it in Java:
! a comment
inference_address=http://0.0.0.0:8080
management_address = http://[::1]:8181
metrics_address=http://127.0.0.1:8282/
grpc_inference_address=0.0.0.0
grpc_inference_port=7000
model_store=/home/model-server/model-store
load_models=m=m.mar,n=n.mar
models={\
  "m": {"1.0": {"batchSize": 4}}\
}
enable_model_api=true
token_expiration_min=30
disable_token_authorization=true
default_response_timeout=20
default_startup_timeout=40
job_queue_size=100
max_request_size=1000
number_of_netty_threads=32
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.properties"
    path.write_text(FILE)
    return path


def test_the_properties_of_a_file_become_settings(file: Path) -> None:
    configuration = read_configuration({"TS_CONFIG_FILE": str(file)})
    assert settings_from(configuration.environ) == Settings(
        model_store="/home/model-server/model-store",
        load_models="m=m.mar,n=n.mar",
        store_batching='{"m": {"1.0": {"batchSize": 4}}}',
        model_api=True,
        key_expiration=1800.0,
        inference_keys=False,
        run_timeout=20.0,
        load_timeout=40.0,
        queue_size=100,
        max_body_bytes=1000,
    )
    assert configuration.listen().split(",") == [
        "torchserve@0.0.0.0:8080",
        "torchserve_management@[::1]:8181",
        "torchserve_metrics@127.0.0.1:8282",
        "torchserve@0.0.0.0:7000",
        "torchserve_management@127.0.0.1:7071",
    ]
    assert configuration.unused == ("number_of_netty_threads",)


def test_torchserves_variables_take_precedence_over_the_file_and_ours_over_both(file: Path) -> None:
    environ = {
        "TS_CONFIG_FILE": str(file),
        "TS_LOAD_MODELS": "all",
        "TS_JOB_QUEUE_SIZE": "7",
        "SCALEZERO_QUEUE_SIZE": "9",
        "MODEL_STORE": "/store",
    }
    settings = settings_from(read_configuration(environ).environ)
    assert (settings.load_models, settings.queue_size, settings.model_store) == ("all", 9, "/store")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert merge_properties({"MODEL_STORE": ""}, {"model_store": "/store"}).environ["MODEL_STORE"] == "/store"


def test_without_a_file_the_environment_is_unchanged() -> None:
    environ = {"PATH": "/bin", "TS_OTHER": "x"}
    configuration = read_configuration(environ)
    assert (configuration.environ, configuration.unused) == (environ, ())


def test_management_and_metrics_are_only_reachable_from_this_machine_by_default() -> None:
    assert read_configuration({}).listen().split(",") == [
        "torchserve@8080",
        "torchserve_management@127.0.0.1:8081",
        "torchserve_metrics@127.0.0.1:8082",
        "torchserve@7070",
        "torchserve_management@127.0.0.1:7071",
    ]


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^TS_CONFIG_FILE=.*No such file"):
        read_configuration({"TS_CONFIG_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TS_INFERENCE_ADDRESS", "https://0.0.0.0:8443"),
        ("TS_INFERENCE_ADDRESS", "unix:/tmp/socket"),
        ("TS_METRICS_ADDRESS", "http://0.0.0.0:65536"),
        ("TS_MANAGEMENT_ADDRESS", "http://0.0.0.0"),
        ("TS_GRPC_INFERENCE_PORT", "70700"),
        ("TS_GRPC_INFERENCE_PORT", "x"),
        ("TS_GRPC_MANAGEMENT_ADDRESS", "a b"),
        ("TS_GRPC_MANAGEMENT_ADDRESS", "x,open_inference@1"),
    ],
)
def test_an_invalid_address_is_refused_if_it_is_opened(variable: str, text: str) -> None:
    configuration = read_configuration({variable: text})
    with pytest.raises(BadSetting, match=f"^{variable}="):
        configuration.listen()


@pytest.mark.parametrize("text", ["models/", "https://models/", "s3://models/,"])
def test_a_prefix_to_register_from_must_be_a_uri_of_s3_or_of_a_file(text: str) -> None:
    with pytest.raises(BadSetting, match=r"^SCALEZERO_REGISTER_FROM="):
        settings_from({"SCALEZERO_REGISTER_FROM": text})


KEYS = st.from_regex(r"[a-z_]{1,20}", fullmatch=True)
VALUES = st.from_regex(r"([!-~]([ -~]*[!-~])?)?", fullmatch=True).filter(lambda text: not text.startswith(("=", ":")))


@given(st.dictionaries(KEYS, VALUES.filter(lambda text: not text.endswith("\\"))))
def test_rendered_properties_are_parsed_to_the_same_values(properties: dict[str, str]) -> None:
    assert parse_properties("\n".join(f"{key}={value}" for key, value in properties.items())) == properties
