"""TorchServe's management API: parsed requests, and the documents of the answers. Pure.

An invalid number in a query is ignored, as in TorchServe; in a JSON body it is refused.
Source: pytorch/serve, docs/management_api.md, and http/api/rest/ManagementRequestHandler.java.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import orjson

from runtime.errors import InvalidInput, PayloadTooLarge

T = TypeVar("T")

PAGE: Final = 100  # the most models of a list
LARGEST: Final = 64 * 1024  # bytes of a request's body or message
ALL: Final = "all"  # instead of a version
_MAX_FIELDS: Final = 1000  # of a query
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,10}")
_RUNTIMES: Final = frozenset({"python", "python2", "python3", "lsp", "lsp_batch"})
_DAY: Final = 24 * 3600  # seconds
NUMBERS: Final = {  # parameter -> its smallest and its largest value
    "batch_size": (1, 4096),
    "max_batch_delay": (0, _DAY * 1000),
    "initial_workers": (0, 2**31),
    "response_timeout": (1, _DAY),
    "startup_timeout": (1, _DAY),
}


class Registration(NamedTuple):
    """The parameters of `POST /models`; None: not given.

    `max_batch_delay` is in milliseconds, other times in seconds.
    """

    url: str
    model_name: str | None = None
    batch_size: int | None = None
    max_batch_delay: int | None = None
    initial_workers: int = 0
    response_timeout: int | None = None
    startup_timeout: int | None = None
    synchronous: bool = True


class Scaling(NamedTuple):
    """The parameters of `PUT /models/{model}`; `version` is that of the query, if any."""

    least: int = 1
    most: int = 1
    synchronous: bool = False
    version: str | None = None


class Worker(NamedTuple):
    """The session of a loaded model, described as TorchServe's worker process."""

    started: str  # ISO 8601, with milliseconds
    pid: int
    memory: int  # bytes of the process


class Description(NamedTuple):
    """The state and settings of one version of a model; times are in seconds."""

    model: str
    version: str
    url: str
    batch_size: int
    max_wait: float
    run_timeout: float
    load_timeout: float
    wanted: bool  # whether it is loaded without a request
    at_start: bool  # whether it is served since the start of the process
    worker: Worker | None
    queue_left: int
    queued: int


def query(text: bytes) -> dict[str, str]:
    """Return the fields of a query; the first of repeated ones. Raises `InvalidInput` if there are too many."""
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput("query", got="too many fields", expected=f"at most {_MAX_FIELDS}") from error
    return dict(reversed(pairs))


def registration(fields: Mapping[str, str]) -> Registration:
    """Parse the query of `POST /models`. Raises `InvalidInput`."""
    return registration_of(
        url=fields.get("url", ""),
        model_name=fields.get("model_name"),
        runtime=fields.get("runtime"),
        numbers={name: _number(fields.get(name)) for name in NUMBERS},
        synchronous=_is_true(fields.get("synchronous", "true")),
    )


def registration_of_json(body: bytes) -> Registration:
    """Parse the JSON body of `POST /models`. Raises `InvalidInput`, and `PayloadTooLarge` beyond 64 KiB."""
    if len(body) > LARGEST:
        raise PayloadTooLarge("registration", limit=LARGEST, unit="bytes", got=len(body))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("body", got=f"invalid JSON ({error})", expected="a JSON object") from None
    if not isinstance(document, dict):
        raise InvalidInput("body", got=type(document).__name__, expected="a JSON object")
    texts = {name: _typed(document, name, str, "a string") for name in ("url", "model_name", "runtime")}
    synchronous = _typed(document, "synchronous", bool, "true or false")
    return registration_of(
        url=texts["url"] or "",
        model_name=texts["model_name"],
        runtime=texts["runtime"],
        numbers={name: _typed(document, name, int, "a whole number") for name in NUMBERS},
        synchronous=True if synchronous is None else synchronous,
    )


def scaling(fields: Mapping[str, str]) -> Scaling:
    """Parse the query of `PUT /models/{model}`. Raises as `scaled` does."""
    least = _number(fields.get("min_worker"))
    most = _number(fields.get("max_worker"))
    return scaled(
        1 if least is None else least,
        most,
        synchronous=_is_true(fields.get("synchronous", "false")),
        version=fields.get("model_version"),
    )


def scaled(least: int, most: int | None, *, synchronous: bool, version: str | None) -> Scaling:
    """Return the checked parameters of a scaling. Raises `InvalidInput` if `most` is less than `least`."""
    most = least if most is None else most
    if most < least:
        raise InvalidInput("max_worker", got=str(most), expected=f"at least min_worker, {least}")
    return Scaling(least, most, synchronous, version)


def page(fields: Mapping[str, str]) -> tuple[int, int]:
    """Return the requested length of a list of models, and the index of its first one. Invalid numbers are ignored."""
    limit, first = _number(fields.get("limit")), _number(fields.get("next_page_token"))
    return PAGE if limit is None else limit, first or 0


def listing(models: Sequence[tuple[str, str]], *, limit: int, first: int) -> bytes:
    """Return the list of (name, URL) by name, from `first` on; a full page has the token of the next one."""
    limit = limit if 0 <= limit <= PAGE else PAGE
    first = max(first, 0)
    last = first + limit
    document: dict[str, object] = {} if last > len(models) else {"nextPageToken": str(last)}
    shown = sorted(models)[first:last]
    document["models"] = [{"modelName": name, "modelUrl": url} for name, url in shown]
    return pretty(document)


def descriptions(versions: Sequence[Description]) -> bytes:
    """Return the list that describes one or all versions of a model."""
    return pretty([_description(each) for each in versions])


def registered(model: str, version: str, *, workers: int) -> str:
    """Return the status of a finished registration."""
    text = f'Model "{model}" Version: {version} registered with {workers} initial workers'
    return text if workers else f"{text}. Use scale workers API to add workers for the model."


def workers_scaled(model: str, version: str | None) -> str:
    """Return the status of a finished scaling."""
    return f"Workers scaled to 1 for model: {model}" + (f", version: {version}" if version else "")


def unregistered(model: str) -> str:
    """Return the status of a finished removal."""
    return f'Model "{model}" unregistered'


def default_set(model: str, version: str) -> str:
    """Return the status of a changed default version."""
    return f'Default version successfully updated for model "{model}" to "{version}"'


PROCESSING: Final = "Processing worker updates..."


def status(text: str) -> bytes:
    """Return the answer with a status text."""
    return pretty({"status": text})


def pretty(document: object) -> bytes:
    """Return JSON as TorchServe writes it: indented with two spaces."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def registration_of(
    *,
    url: str,
    model_name: str | None,
    runtime: str | None,
    numbers: Mapping[str, int | None],
    synchronous: bool,
) -> Registration:
    """Return a checked registration; a negative number is ignored. Raises `InvalidInput`."""
    if runtime and runtime.lower() not in _RUNTIMES:
        raise InvalidInput("runtime", got=repr(runtime[:40]), expected="python or python3, or no runtime")
    given = {name: number for name, number in numbers.items() if number is not None and number >= 0}
    for name, number in given.items():
        least, most = NUMBERS[name]
        if not least <= number <= most:
            raise InvalidInput(name, got=str(number), expected=f"a whole number from {least} to {most}")
    return Registration(url=url, model_name=model_name or None, synchronous=synchronous, **given)


def _number(text: str | None) -> int | None:
    """Parse a number as Java's parseInt does; None if it is invalid."""
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**31) <= number < 2**31 else None


def _is_true(text: str) -> bool:
    return text.lower() == "true"


def _typed(document: Mapping[str, object], name: str, kind: type[T], expected: str) -> T | None:
    value = document.get(name)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise InvalidInput(name, got=type(value).__name__, expected=expected)
    return value


def _description(each: Description) -> dict[str, object]:
    workers = 1 if each.wanted or each.worker else 0
    return {
        "modelName": each.model,
        "modelVersion": each.version,
        "modelUrl": each.url,
        "runtime": "python",
        "minWorkers": workers,
        "maxWorkers": workers,
        "batchSize": each.batch_size,
        "maxBatchDelay": round(each.max_wait * 1000),
        "responseTimeout": round(each.run_timeout),
        "startupTimeout": round(each.load_timeout),
        "maxRetryTimeoutInSec": 0,
        "clientTimeoutInMills": 0,
        "parallelType": "",
        "parallelLevel": 0,
        "deviceType": "cpu",
        "continuousBatching": False,
        "useJobTicket": False,
        "useVenv": False,
        "stateful": False,
        "sequenceMaxIdleMSec": 0,
        "sequenceTimeoutMSec": 0,
        "maxNumSequence": 0,
        "maxSequenceJobQueueSize": 0,
        "loadedAtStartup": each.at_start,
        "workers": [_worker(each.worker)] if each.worker else [],
        "jobQueueStatus": {"remainingCapacity": each.queue_left, "pendingRequests": each.queued},
    }


def _worker(worker: Worker) -> dict[str, object]:
    return {
        "id": "9000",
        "startTime": worker.started,
        "status": "READY",
        "memoryUsage": worker.memory,
        "pid": worker.pid,
        "gpu": False,
        "gpuUsage": "gpuId::-1 utilization.gpu [%]::N/A utilization.memory [%]::N/A memory.used [MiB]::N/A",
    }
