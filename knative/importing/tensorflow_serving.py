"""TensorFlow Serving: which models its container serves, and how it batches.

Source: tensorflow/serving, tensorflow_serving/model_servers/main.cc (the flags and their defaults) and
tools/docker/Dockerfile (the image's entry point: --model_name=$MODEL_NAME and
--model_base_path=$MODEL_BASE_PATH/$MODEL_NAME, with `model` and `/models` where nothing is said; arguments come after).
"""

import re
from collections.abc import Iterator
from typing import Final

from knative.importing.command_line import Flags, flags_of, value_of, words_of
from knative.importing.server import Batching, Files, Left, Model, Reader, Server, Url, model, told_apart
from knative.resources.pod import Container

_TITLE: Final = "TensorFlow Serving"
_IMAGE: Final = re.compile(r"(^|/)tensorflow([/_-]model)?[/_-]serv(ing|er)$")
_PROGRAM: Final = "tensorflow_model_server"

_CONFIG: Final = re.compile(r"""\b(name|base_path)\s*:\s*(['"])(.*?)\2""")
_BATCHING: Final = re.compile(r"\b(max_batch_size|batch_timeout_micros)\s*:?\s*\{\s*value\s*:\s*(\d+)\s*\}")
_COPY: Final = {"gs": "gcloud storage rsync --recursive", "s3": "aws s3 sync"}
_CHANGES: Final = (
    "The model has one signature, serving_default, and version 1. No version has a label.",
    "The inputs and outputs have the names that the ONNX model gives them.",
    "classify and regress answer for a model whose outputs are scores of classes, labels or one value for each row.",
)
_READ: Final = frozenset(
    {
        "--batching_parameters_file",
        "--enable_batching",
        "--model_base_path",
        "--model_config_file",
        "--model_name",
        "--port",
        "--rest_api_port",
        "--rest_api_timeout_in_ms",
    }
)


def read(container: Container, files: Files, fallback: str) -> Server:
    """Read the container; `fallback` names the model where nothing here does. Raises `FieldFault`."""
    flags = flags_of(words_of(container, _PROGRAM))
    batching, of_batching = _batching(flags, files)
    models, of_models = _models(container, flags, files, batching, fallback)
    others = (Left(name, "a flag of TensorFlow Serving alone") for name in flags if name not in _READ)
    timeout = value_of(flags, "--rest_api_timeout_in_ms") or ""
    return Server(
        title=_TITLE,
        models=told_apart(models),
        urls=tuple(url for each in models for url in _urls(each, flags)),
        conversions=tuple(_conversion(each) for each in models),
        left=(*of_models, *of_batching, *_whether_batched(flags), *others),
        protocol="tensorflow_serving",
        version="1",
        ports=", ".join(f":{port}" for port in _ports(flags)),
        changes=_CHANGES,
        example='{"instances": [[1.0, 2.0], [3.0, 4.0]]}',
        timeout=int(timeout) if timeout.isdecimal() else None,
    )


READER: Final = Reader(_IMAGE, _PROGRAM, read)


def _whether_batched(flags: Flags) -> Iterator[Left]:
    if "--enable_batching" not in flags:
        return
    value = value_of(flags, "--enable_batching") or "true"
    if value in {"false", "0"}:
        yield Left(f"--enable_batching={value}", "requests are always batched here; a batchSize of 1 ends that")
    else:
        yield Left("--enable_batching", "nothing to switch on: batchSize and maxWaitTime in model.yaml stand for it")


def _urls(each: Model, flags: Flags) -> Iterator[Url]:
    """Yield what clients asked, and what they ask now."""
    was, now = f"/v1/models/{each.called}", f"/v1/models/{each.name}"
    rest, grpc = _ports(flags)
    for verb in ("predict", "classify", "regress"):
        yield Url(f"POST :{rest}{was}:{verb}", f"POST {now}:{verb}")
    yield Url(f"GET :{rest}{was}", f"GET {now}")
    yield Url(f"GET :{rest}{was}/metadata", f"GET {now}/metadata")
    services = "tensorflow.serving.PredictionService, ModelService"
    yield Url(f"gRPC :{grpc} {services}", f"the same services, for the model {each.name}")
    yield Url(f"GET :{rest}/monitoring/prometheus/metrics", "GET /metrics, with other names")


def _ports(flags: Flags) -> tuple[str, str]:
    """Give the ports of REST and gRPC."""
    return value_of(flags, "--rest_api_port") or "8501", value_of(flags, "--port") or "8500"


def _conversion(each: Model) -> tuple[str, ...]:
    """Write how ONNX is made of the model, as far as it can be known here."""
    saved = f"{each.origin.rstrip('/')}/VERSION"
    copying: tuple[str, ...] = ()
    if "://" in saved:
        source, saved = saved, f"{each.name}-saved"
        copying = _copying(source, saved)
    return (
        *copying,
        "pip install tf2onnx",
        f"python -m tf2onnx.convert --saved-model {saved} --output {each.name}-v1.onnx",
    )


def _copying(source: str, folder: str) -> tuple[str, ...]:
    """Write how a saved model comes out of its bucket: tf2onnx is given a folder."""
    command = _COPY.get(source.partition("://")[0])
    copy = f"{command} {source} {folder}" if command else f"# copy {source} into {folder}"
    return "# the model lies in a bucket: copy it first", f"mkdir -p {folder}", copy


def _models(
    container: Container, flags: Flags, files: Files, batching: Batching, fallback: str
) -> tuple[tuple[Model, ...], tuple[Left, ...]]:
    known = {each.name: each.value for each in container.env if each.value}
    config = value_of(flags, "--model_config_file")
    listed = _listed(files.get(config.rpartition("/")[2], "")) if config else []
    if listed:
        return tuple(model(name, origin=path, batching=batching) for name, path in listed), ()
    default = "default" if container.command else "model"
    name = value_of(flags, "--model_name") or known.get("MODEL_NAME") or (fallback if config else default)
    path = value_of(flags, "--model_base_path") or f"{known.get('MODEL_BASE_PATH', '/models')}/{name}"
    missing = f"it names the models, and no ConfigMap here holds it: {name} was taken for the only one"
    left = (Left(f"--model_config_file={config}", missing),) if config else ()
    return (model(name, origin=path, batching=batching),), left


def _listed(config: str) -> list[tuple[str, str]]:
    """Read name and base path of each model of a ModelServerConfig, which is protobuf's text format."""
    found = [(each[1], each[3]) for each in _CONFIG.finditer(config)]
    names = [value for key, value in found if key == "name"]
    paths = [value for key, value in found if key == "base_path"]
    return list(zip(names, paths, strict=True)) if len(names) == len(paths) else []


def _batching(flags: Flags, files: Files) -> tuple[Batching, tuple[Left, ...]]:
    file = value_of(flags, "--batching_parameters_file")
    if file is None:
        return Batching(), ()
    text = files.get(file.rpartition("/")[2])
    if text is None:
        why = "no ConfigMap here holds it; its max_batch_size is batchSize, its batch_timeout_micros maxWaitTime"
        return Batching(), (Left(f"--batching_parameters_file={file}", why),)
    found = {key: int(value) for key, value in _BATCHING.findall(text)}
    return Batching(found.get("max_batch_size"), found.get("batch_timeout_micros")), ()
