"""Reading containers of TorchServe with TorchServe's precedence: variables, flags, configuration file."""

from typing import Any

import pytest

from knative.importing.server import Server
from knative.importing.torchserve import READER
from tests.knative.importing.deployments import env, one

PROPERTIES = """\
# a comment with model_store=/no
inference_address=http://0.0.0.0:9080
model_store=/mnt/store
load_models=vgg16.mar, noop = other.mar
models={\\
  "noop": {\\
    "1.0": {"marName": "noop.mar", "batchSize": 4, "maxBatchDelay": 50}\\
  }\\
}
"""
CONFIG = "/home/model-server/mounted.properties"


def read(files: dict[str, str] | None = None, **fields: Any) -> Server:  # noqa: ANN401 - of a container
    return READER.read(one("pytorch/torchserve", **fields), files or {}, "old")


def models(server: Server) -> list[tuple[str, str]]:
    return sorted((each.name, each.origin) for each in server.models)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"args": ["torchserve", "--start", "--models", "a=x.mar", "b.mar"]}, ("a", "b")),
        ({"command": ["sh", "-c", "torchserve --models a.mar --model-store /s && tail -f /dev/null"]}, ("a",)),
        ({"env": env(TS_LOAD_MODELS="b.mar, c=d.mar")}, ("b", "c")),
        ({"env": env(TS_LOAD_MODELS="all")}, ("old",)),
        ({"env": env(TS_MODELS='{"x": {"1.0": {}}}')}, ("x",)),
        ({}, ("old",)),
    ],
)
def test_the_models_are_those_that_the_server_loads(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert tuple(name for name, _ in models(read(**fields))) == expected


def test_a_store_without_model_names_is_reported() -> None:
    server = read(env=env(MODEL_STORE="/models"))
    assert [each.why for each in server.omitted] == [
        "the server loads all models in /models; import assumes one model, old"
    ]
    assert models(server) == [("old", "/models/MODEL.mar")]


@pytest.mark.parametrize(
    "fields", [{"env": env(TS_CONFIG_FILE=CONFIG)}, {"args": ["torchserve", "--start", "--ts-config", CONFIG]}]
)
def test_the_configuration_is_found_in_a_config_map(fields: dict[str, Any]) -> None:
    server = read({"mounted.properties": PROPERTIES}, **fields)
    assert models(server) == [("noop", "/mnt/store/other.mar"), ("vgg16", "/mnt/store/vgg16.mar")]
    assert {each.name: (each.batch_size, each.max_wait) for each in server.models} == {
        "noop": (4, 50_000),
        "vgg16": (None, None),
    }
    assert any(":9080/predictions/noop" in each.before for each in server.urls)
    assert server.omitted == ()


def test_a_missing_configuration_is_reported() -> None:
    left = read(args=["--ts-config", CONFIG, "--models", "a.mar"]).omitted
    assert [each.what for each in left] == [f"the configuration {CONFIG}"]


@pytest.mark.parametrize(
    "written", ["{", "[]", '{"a": 1}', '{"a": {}}', '{"a": {"1": [1]}}', '{"a": {"1": {"batchSize": "4"}}}']
)
def test_invalid_model_settings_are_ignored(written: str) -> None:
    server = read(args=["--models", "a.mar"], env=env(TS_MODELS=written))
    assert [(each.batch_size, each.max_wait) for each in server.models] == [(None, None)]


def test_a_flag_without_an_equivalent_is_reported() -> None:
    server = read(args=["torchserve", "--start", "--ncs", "--models", "a.mar", "--workflow-store", "/w"])
    assert [each.what for each in server.omitted] == ["--workflow-store"]


@pytest.mark.parametrize(
    ("name", "fact"),
    [("job_queue_size", "SCALEZERO_QUEUE_SIZE"), ("netty_client_threads", "no equivalent")],
)
def test_a_property_that_is_not_carried_over_is_reported(name: str, fact: str) -> None:
    server = read({"mounted.properties": f"{PROPERTIES}{name}=7\n"}, env=env(TS_CONFIG_FILE=CONFIG))
    assert [(each.what, fact in each.why) for each in server.omitted] == [(f"the property {name}", True)]
