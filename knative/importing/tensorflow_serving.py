"""The reader for containers of TensorFlow Serving: their models and their batching.

Source: tensorflow/serving, tensorflow_serving/model_servers/main.cc (the flags and their defaults) and
tools/docker/Dockerfile (the entry point of the image: --model_name=$MODEL_NAME and
--model_base_path=$MODEL_BASE_PATH/$MODEL_NAME, by default `model` and `/models`, followed by the arguments).
"""

import re
from collections.abc import Iterator
from typing import Final

from knative.importing.command_line import Flags, flags_of, value_of, words_of
from knative.importing.server import Batching, Files, Model, Omission, Reader, Server, Url, model, with_unique_names
from knative.resources.pod import Container

_TITLE: Final = "TensorFlow Serving"
_IMAGE: Final = re.compile(r"(^|/)tensorflow([/_-]model)?[/_-]serv(ing|er)$")
_PROGRAM: Final = "tensorflow_model_server"

_CONFIG: Final = re.compile(r"""\b(name|base_path)\s*:\s*(['"])(.*?)\2""")
_BATCHING: Final = re.compile(r"\b(max_batch_size|batch_timeout_micros)\s*:?\s*\{\s*value\s*:\s*(\d+)\s*\}")
_COPY: Final = {"gs": "gcloud storage rsync --recursive", "s3": "aws s3 sync"}
_CHANGES: Final = (
    "The model has one signature, serving_default, and one version, 1. Version labels are not supported.",
    "Inputs and outputs have the names that the ONNX model gives them.",
    "classify requires outputs with class scores or labels. regress requires an output with one value for each row.",
    "HandleReloadConfigRequest answers UNIMPLEMENTED. model.yaml declares the models; `scalezero apply` deploys them.",
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
    """Read the container; `fallback` is the name of a model without a name. Raises `FieldFault`."""
    flags = flags_of(words_of(container, _PROGRAM))
    batching, omitted_batching = _batching(flags, files)
    models, omitted_models = _models(container, flags, files, batching, fallback)
    others = (Omission(name, "scalezero has no equivalent") for name in flags if name not in _READ)
    timeout = value_of(flags, "--rest_api_timeout_in_ms") or ""
    return Server(
        title=_TITLE,
        models=with_unique_names(models),
        urls=tuple(url for each in models for url in _urls(each, flags)),
        conversions=tuple(_conversion(each) for each in models),
        omitted=(*omitted_models, *omitted_batching, *_enable_batching(flags), *others),
        protocol="tensorflow_serving",
        version="1",
        ports=", ".join(f":{port}" for port in _ports(flags)),
        changes=_CHANGES,
        example='{"instances": [[1.0, 2.0], [3.0, 4.0]]}',
        timeout=int(timeout) if timeout.isdecimal() else None,
    )


READER: Final = Reader(_IMAGE, _PROGRAM, read)


def _enable_batching(flags: Flags) -> Iterator[Omission]:
    if "--enable_batching" not in flags:
        return
    value = value_of(flags, "--enable_batching") or "true"
    if value in {"false", "0"}:
        yield Omission(
            f"--enable_batching={value}",
            "the function batches requests by default; to disable batching, set batchSize to 1 in model.yaml",
        )
    else:
        why = "the function batches requests by default; batchSize and maxWaitTime in model.yaml configure batching"
        yield Omission("--enable_batching", why)


def _urls(each: Model, flags: Flags) -> Iterator[Url]:
    """Yield the old and the new URL of each operation."""
    was, now = f"/v1/models/{each.called}", f"/v1/models/{each.name}"
    rest, grpc = _ports(flags)
    for verb in ("predict", "classify", "regress"):
        yield Url(f"POST :{rest}{was}:{verb}", f"POST {now}:{verb}")
    yield Url(f"GET :{rest}{was}", f"GET {now}")
    yield Url(f"GET :{rest}{was}/metadata", f"GET {now}/metadata")
    services = "tensorflow.serving.PredictionService, ModelService"
    yield Url(f"gRPC :{grpc} {services}", f"the same services, for the model {each.name}")
    yield Url(f"GET :{rest}/monitoring/prometheus/metrics", "GET /metrics, with the metrics of scalezero")


def _ports(flags: Flags) -> tuple[str, str]:
    """Return the ports of REST and gRPC."""
    return value_of(flags, "--rest_api_port") or "8501", value_of(flags, "--port") or "8500"


def _conversion(each: Model) -> tuple[str, ...]:
    """Return the commands that convert the model to ONNX. VERSION stands for the number of the version's folder."""
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
    """Return the commands that copy a saved model from its bucket, because tf2onnx needs a local folder."""
    command = _COPY.get(source.partition("://")[0])
    copy = f"{command} {source} {folder}" if command else f"# copy {source} into {folder}"
    return "# copy the model from its bucket", f"mkdir -p {folder}", copy


def _models(
    container: Container, flags: Flags, files: Files, batching: Batching, fallback: str
) -> tuple[tuple[Model, ...], tuple[Omission, ...]]:
    env = {each.name: each.value for each in container.env if each.value}
    config = value_of(flags, "--model_config_file")
    listed = _listed(files.get(config.rpartition("/")[2], "")) if config else []
    if listed:
        return tuple(model(name, origin=path, batching=batching) for name, path in listed), ()
    default = "default" if container.command else "model"
    name = value_of(flags, "--model_name") or env.get("MODEL_NAME") or (fallback if config else default)
    path = value_of(flags, "--model_base_path") or f"{env.get('MODEL_BASE_PATH', '/models')}/{name}"
    why = f"no ConfigMap in the manifests contains this file, which lists the models; import assumes one model, {name}"
    omitted = (Omission(f"--model_config_file={config}", why),) if config else ()
    return (model(name, origin=path, batching=batching),), omitted


def _listed(config: str) -> list[tuple[str, str]]:
    """Read the name and the base path of each model from a ModelServerConfig, in protobuf's text format."""
    found = [(each[1], each[3]) for each in _CONFIG.finditer(config)]
    names = [value for key, value in found if key == "name"]
    paths = [value for key, value in found if key == "base_path"]
    return list(zip(names, paths, strict=True)) if len(names) == len(paths) else []


def _batching(flags: Flags, files: Files) -> tuple[Batching, tuple[Omission, ...]]:
    file = value_of(flags, "--batching_parameters_file")
    if file is None:
        return Batching(), ()
    text = files.get(file.rpartition("/")[2])
    if text is None:
        why = (
            "no ConfigMap in the manifests contains this file; in model.yaml, set batchSize to its max_batch_size and "
            "maxWaitTime to its batch_timeout_micros"
        )
        return Batching(), (Omission(f"--batching_parameters_file={file}", why),)
    found = {key: int(value) for key, value in _BATCHING.findall(text)}
    return Batching(found.get("max_batch_size"), found.get("batch_timeout_micros")), ()
