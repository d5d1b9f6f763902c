"""TorchServe: which models its container serves, and how it batches.

Source: pytorch/serve, docs/configuration.md (config.properties, and the TS_ variables that stand for its properties),
ts/arg_parser.py (the flags, which win over the file) and docker/ (the image starts with a config.properties of its own
unless TS_CONFIG_FILE or --ts-config names another).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from knative.importing.command_line import flags_of, value_of, words_of
from knative.importing.server import NOTHING_SAID, Batching, Files, Left, Model, Reader, Server, Url, model, told_apart
from knative.resources.pod import Container

_TITLE: Final = "TorchServe"
_IMAGE: Final = re.compile(r"(^|/)torchserve(-[a-z]+)*$")
_PROGRAM: Final = "torchserve"

_STORE: Final = "/home/model-server/model-store"  # of the image's own config.properties
_EVERYTHING: Final = frozenset({"", "all", "standalone"})
_READ: Final = frozenset({"--model-store", "--models", "--start", "--ts-config"})
_OF_THE_PROCESS: Final = frozenset({"--disable-token-auth", "--foreground", "--ncs", "--no-config-snapshots"})
_MILLI: Final = 1000  # us in a ms
_PORTS: Final = {"inference": 8080, "management": 8081, "metrics": 8082}
_CHANGES: Final = (
    "A prediction is what the ONNX model computes, as JSON with an entry for each row: no handler runs.",
    "What the handler did before and after the model goes into a main.py, on a path of its own such as /score.",
    "Requests hold the inputs as JSON, as a NumPy array (application/x-npy), as bytes, or in the fields of a form.",
    "Predictions need no token: whoever reaches the URL may ask.",
)


def read(container: Container, files: Files, fallback: str) -> Server:
    """Read the container; `fallback` names the model where nothing here does. Raises `FieldFault`."""
    flags = flags_of(words_of(container, _PROGRAM))
    known = {each.name: each.value for each in container.env if each.value}
    config = known.get("TS_CONFIG_FILE") or value_of(flags, "--ts-config")
    properties = _properties(files.get(config.rpartition("/")[2], "")) if config else {}
    said = {**properties, **{key[3:].lower(): value for key, value in known.items() if key.startswith("TS_")}}
    store = value_of(flags, "--model-store") or said.get("model_store") or known.get("MODEL_STORE", _STORE)
    named = " ".join(flags.get("--models", ())) or said.get("load_models", "")
    settings = _settings(said.get("models", ""))
    left = [Left(name, "a flag of TorchServe alone") for name in flags if name not in _READ | _OF_THE_PROCESS]
    if config and not properties:
        why = "no ConfigMap here holds it; its load_models names the models, its models their batching"
        left.append(Left(f"the configuration {config}", why))
    archives = _archives(named) or [(name, f"{name}.mar") for name in settings]
    if not archives:
        why = f"the models are those that lie in {store}: {fallback} was taken for the only one"
        left.append(Left("the names of the models", why))
    models = [
        model(name, origin=f"{store}/{archive}", batching=settings.get(name, NOTHING_SAID))
        for name, archive in archives or [(fallback, "MODEL.mar")]
    ]
    return Server(
        title=_TITLE,
        models=told_apart(models),
        urls=tuple(url for each in models for url in _urls(each, said)),
        conversions=tuple(_conversion(each) for each in models),
        left=tuple(left),
        protocol="torchserve",
        version="1.0",
        ports=", ".join(f":{_port(said, which)}" for which in _PORTS) + ", :7070, :7071",
        changes=_CHANGES,
        example="[[1.0, 2.0], [3.0, 4.0]]",
    )


READER: Final = Reader(_IMAGE, _PROGRAM, read)


def _urls(each: Model, said: Mapping[str, str]) -> Iterator[Url]:
    """Yield what clients asked, and what they ask now."""
    asked, managed, metrics = (_port(said, which) for which in _PORTS)
    yield Url(f"POST :{asked}/predictions/{each.called}", f"POST /predictions/{each.name}")
    yield Url(f"GET :{asked}/ping", "GET /ping")
    service = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
    yield Url(f"gRPC :7070 {service}", f"the same service, for the model {each.name}")
    yield Url(f"GET :{managed}/models/{each.called}", f"GET /api/v1/models/{each.name}, with another answer")
    yield Url(
        f"POST, PUT, DELETE :{managed}/models; gRPC :7071",
        "nothing: model.yaml declares the versions, `scalezero apply` makes them",
    )
    yield Url(f"GET :{metrics}/metrics", "GET /metrics, with other names")


def _port(said: Mapping[str, str], which: str) -> str:
    """Take the port out of an address such as http://0.0.0.0:8080."""
    port = said.get(f"{which}_address", "").rpartition(":")[2]
    return port if port.isdecimal() else str(_PORTS[which])


def _conversion(each: Model) -> tuple[str, ...]:
    """Write how ONNX is made of the model, as far as it can be known here."""
    return (
        f"unzip {each.origin}    # an archive that holds an ONNX file needs no more: publish that file",
        "# else in Python, with the model loaded as the handler does, and an example of its input:",
        f'torch.onnx.export(model, (example,), "{each.name}-v1.onnx", input_names=["input"], output_names=["output"],',
        '                  dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})  # so that batches form',
    )


def _properties(text: str) -> dict[str, str]:
    """Read Java properties as TorchServe writes them: key=value, a line ends with a backslash where it goes on."""
    lines = re.sub(r"\\\r?\n\s*", "", text).splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!")))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _archives(named: str) -> list[tuple[str, str]]:
    """Read the models to load: NAME=FILE or FILE alone, parted by commas or blanks."""
    if named.strip().lower() in _EVERYTHING:
        return []
    words = [each for each in re.split(r"[,\s]+", named.replace(" =", "=").replace("= ", "=")) if each]
    pairs = [(name, file) for name, equals, file in (each.partition("=") for each in words) if equals]
    alone = [(each.rpartition("/")[2].removesuffix(".mar"), each) for each in words if "=" not in each]
    return [*pairs, *alone]


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
