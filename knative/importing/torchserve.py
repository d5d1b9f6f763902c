"""The reader for containers of TorchServe: their models and their batching.

Source: pytorch/serve, docs/configuration.md (config.properties, and the TS_ variables that override its properties),
ts/arg_parser.py (the flags, which override the file) and docker/ (the image contains a config.properties, which is used
unless TS_CONFIG_FILE or --ts-config names another file).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from knative.importing.command_line import flags_of, value_of, words_of
from knative.importing.server import (
    NOT_CONFIGURED,
    Batching,
    Files,
    Model,
    Omission,
    Reader,
    Server,
    Url,
    model,
    with_unique_names,
)
from knative.resources.pod import Container

_TITLE: Final = "TorchServe"
_IMAGE: Final = re.compile(r"(^|/)torchserve(-[a-z]+)*$")
_PROGRAM: Final = "torchserve"

_STORE: Final = "/home/model-server/model-store"  # in the image's config.properties
_ALL_MODELS: Final = frozenset({"", "all", "standalone"})
_READ: Final = frozenset({"--model-store", "--models", "--start", "--ts-config"})
_IGNORED: Final = frozenset({"--disable-token-auth", "--foreground", "--ncs", "--no-config-snapshots"})
_PROPERTIES_READ: Final = frozenset(
    {"inference_address", "load_models", "management_address", "metrics_address", "model_store", "models"}
)
_PROPERTIES_REPLACED: Final = {  # by settings of the runtime, which func.yaml can set
    "default_response_timeout": "SCALEZERO_RUN_TIMEOUT",
    "default_startup_timeout": "SCALEZERO_LOAD_TIMEOUT",
    "job_queue_size": "SCALEZERO_QUEUE_SIZE",
    "max_request_size": "SCALEZERO_MAX_BODY_BYTES",
}
_MILLI: Final = 1000  # us in a ms
_PORTS: Final = {"inference": 8080, "management": 8081, "metrics": 8082}
_MANAGEMENT: Final = (
    "To serve the management API, add torchserve_management to `SCALEZERO_PROTOCOLS` in func.yaml, and set "
    "`SCALEZERO_MANAGEMENT_KEY` from a Secret. Every management request requires this key. To allow requests that "
    "register or unregister models, also set `SCALEZERO_MODEL_API=true`, and list the allowed URL prefixes "
    "in `SCALEZERO_REGISTER_FROM`. A registered model exists only in its pod, until the pod ends."
)
_METRICS: Final = (
    "`GET /metrics` returns the metrics of scalezero. To serve the metrics API of TorchServe on a port of the pod, set "
    "`SCALEZERO_LISTEN=torchserve_metrics@8082` in func.yaml. Knative routes no requests to this port: scrape the pods "
    "directly."
)
_CHANGES: Final = (
    "The function runs no handler. It returns the output of the ONNX model as JSON, with an entry for each row.",
    "If the handler preprocesses or postprocesses data, move that code to a main.py with its own path, such as /score.",
    "A request contains the inputs as JSON, as a NumPy array (application/x-npy), as bytes, or as fields of a form.",
    "Predictions require no key (token). Every client that can reach the URL can send requests.",
    "The management API is off: model.yaml declares the versions, and `scalezero apply` deploys them.",
    _MANAGEMENT,
    _METRICS,
)


def read(container: Container, files: Files, fallback: str) -> Server:
    """Read the container; `fallback` is the name of a model without a name. Raises `FieldFault`."""
    flags = flags_of(words_of(container, _PROGRAM))
    env = {each.name: each.value for each in container.env if each.value}
    config = env.get("TS_CONFIG_FILE") or value_of(flags, "--ts-config")
    properties = _properties(files.get(config.rpartition("/")[2], "")) if config else {}
    effective = {**properties, **{key[3:].lower(): value for key, value in env.items() if key.startswith("TS_")}}
    store = value_of(flags, "--model-store") or effective.get("model_store") or env.get("MODEL_STORE", _STORE)
    loaded = " ".join(flags.get("--models", ())) or effective.get("load_models", "")
    settings = _settings(effective.get("models", ""))
    omitted = [Omission(name, "scalezero has no equivalent") for name in flags if name not in _READ | _IGNORED]
    omitted += [_omitted_property(name) for name in properties if name not in _PROPERTIES_READ]
    if config and not properties:
        why = (
            "no ConfigMap in the manifests contains this file; its property load_models lists the models, and its "
            "property models configures their batching"
        )
        omitted.append(Omission(f"the configuration {config}", why))
    archives = _archives(loaded) or [(name, f"{name}.mar") for name in settings]
    if not archives:
        why = f"the server loads all models in {store}; import assumes one model, {fallback}"
        omitted.append(Omission("the names of the models", why))
    models = [
        model(name, origin=f"{store}/{archive}", batching=settings.get(name, NOT_CONFIGURED))
        for name, archive in archives or [(fallback, "MODEL.mar")]
    ]
    return Server(
        title=_TITLE,
        models=with_unique_names(models),
        urls=tuple(url for each in models for url in _urls(each, effective)),
        conversions=tuple(_conversion(each) for each in models),
        omitted=tuple(omitted),
        protocol="torchserve",
        version="1.0",
        ports=", ".join(f":{_port(effective, which)}" for which in _PORTS) + ", :7070, :7071",
        changes=_CHANGES,
        example="[[1.0, 2.0], [3.0, 4.0]]",
    )


READER: Final = Reader(_IMAGE, _PROGRAM, read)


def _urls(each: Model, properties: Mapping[str, str]) -> Iterator[Url]:
    """Yield the old and the new URL of each operation."""
    inference, management, metrics = (_port(properties, which) for which in _PORTS)
    yield Url(f"POST :{inference}/predictions/{each.called}", f"POST /predictions/{each.name}")
    yield Url(f"GET :{inference}/ping", "GET /ping")
    service = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
    yield Url(f"gRPC :7070 {service}", f"the same service, for the model {each.name}")
    yield Url(
        f"GET :{management}/models/{each.called}", f"GET /api/v1/models/{each.name}, with a description by scalezero"
    )
    yield Url(f"POST, PUT, DELETE :{management}/models; gRPC :7071", "404 or UNIMPLEMENTED: the management API is off")
    yield Url(f"GET :{metrics}/metrics", "GET /metrics, with the metrics of scalezero")


def _omitted_property(name: str) -> Omission:
    replacement = _PROPERTIES_REPLACED.get(name)
    why = f"set {replacement} in func.yaml instead" if replacement else "scalezero has no equivalent"
    return Omission(f"the property {name}", why)


def _port(properties: Mapping[str, str], which: str) -> str:
    """Return the port of an address such as http://0.0.0.0:8080, or the default port."""
    port = properties.get(f"{which}_address", "").rpartition(":")[2]
    return port if port.isdecimal() else str(_PORTS[which])


def _conversion(each: Model) -> tuple[str, ...]:
    """Return the commands and the Python code that convert the model to ONNX."""
    return (
        f"unzip {each.origin}    # if the archive contains an ONNX file, publish that file",
        "# otherwise, in Python: load the model as the handler does, and use an example of its input",
        f'torch.onnx.export(model, (example,), "{each.name}-v1.onnx", input_names=["input"], output_names=["output"],',
        '                  dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})  # allows batches',
    )


def _properties(text: str) -> dict[str, str]:
    """Parse Java properties in TorchServe's style: key=value, and a backslash at the end continues a line."""
    lines = re.sub(r"\\\r?\n\s*", "", text).splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!")))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _archives(loaded: str) -> list[tuple[str, str]]:
    """Parse the list of models to load: NAME=FILE or FILE, separated by commas or whitespace."""
    if loaded.strip().lower() in _ALL_MODELS:
        return []
    words = [each for each in re.split(r"[,\s]+", loaded.replace(" =", "=").replace("= ", "=")) if each]
    with_names = [(name, file) for name, equals, file in (each.partition("=") for each in words) if equals]
    without_names = [(each.rpartition("/")[2].removesuffix(".mar"), each) for each in words if "=" not in each]
    return [*with_names, *without_names]


def _settings(models: str) -> dict[str, Batching]:
    """Read the batching of each model from the property `models`, which is JSON: name -> version -> settings."""
    try:
        read = json.loads(models) if models else {}
    except ValueError:
        return {}
    versions: Mapping[str, Any] = read if isinstance(read, dict) else {}
    return {
        name: _batching(next(iter(each.values()))) for name, each in versions.items() if isinstance(each, dict) and each
    }


def _batching(settings: Any) -> Batching:  # noqa: ANN401 - JSON
    size, delay = (
        (settings.get(key) for key in ("batchSize", "maxBatchDelay")) if isinstance(settings, dict) else (0, 0)
    )
    return Batching(
        size if isinstance(size, int) and size else None, delay * _MILLI if isinstance(delay, int) and delay else None
    )
