"""Every setting of the runtime: read once from the environment, frozen, checked before anything opens.

A pod gets these as environment variables. `scalezero serve FOLDER` derives them from the user's resources instead, and
a variable that is set wins over a resource.
"""

import difflib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from runtime.errors import BadSetting
from runtime.listeners import ALLOWED as LISTENERS
from runtime.listeners import Listener, parse_listeners
from runtime.version_policy import ALLOWED as POLICIES
from runtime.version_policy import VersionPolicy, parse_policy

PREFIX = "SCALEZERO_"


class _Parser(NamedTuple):
    """How a setting is read from text; `parse` raises ValueError, `allowed` says what it would take."""

    parse: Callable[[str], object]
    allowed: str


def _seconds(text: str) -> float:
    import durationpy

    try:
        seconds = durationpy.from_str(text).total_seconds()
    except (durationpy.DurationError, OverflowError) as error:
        raise ValueError(text) from error
    if not 0 <= seconds <= _LONGEST:
        raise ValueError(text)
    return float(seconds)


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds < _SHORTEST:
        raise ValueError(text)
    return seconds


def _whole(low: int, high: int) -> _Parser:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return _Parser(parse, f"a whole number from {low} to {high}")


def _choice(*words: str) -> _Parser:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return _Parser(parse, " or ".join(words))


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise ValueError(text)
    return words


def _matching(pattern: str, allowed: str) -> _Parser:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return _Parser(parse, allowed)


def _hex_digest(text: str) -> str:
    if len(text) != _SHA256_DIGITS or set(text.lower()) - set("0123456789abcdef"):
        raise ValueError(text)
    return text.lower()


def _prefixes(text: str) -> tuple[str, ...]:
    prefixes = tuple(prefix.strip() for prefix in text.split(","))
    if not all(re.match(r"(s3|file)://", prefix, re.IGNORECASE) for prefix in prefixes):
        raise ValueError(text)
    return prefixes


_LONGEST = 24 * 3600.0
_SHORTEST = 0.001
_SHA256_DIGITS = 64
_TEXT = _Parser(str, "text")
WORD = "at most 63 letters, digits and . + _ -, as it goes into a header"
_WORD_PATTERN = r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,62}"
SEGMENT = "one segment of a URL's path, without / and control characters, and neither . nor .."
_SEGMENT_PATTERN = r"(?!\.{1,2}$)[^/\s\x00-\x1f\x7f]([^/\x00-\x1f\x7f]*[^/\s\x00-\x1f\x7f])?"
_SEGMENT = _matching(_SEGMENT_PATTERN, SEGMENT)
_WORD = _matching(_WORD_PATTERN, WORD)
_LIST = _Parser(_words, "a comma-separated list")
_LISTENERS = _Parser(parse_listeners, LISTENERS)
_POLICY = _Parser(parse_policy, POLICIES)
_PATH = _Parser(Path, "a path")
_DIGEST = _Parser(_hex_digest, "64 hexadecimal digits")
_PREFIXES = _Parser(_prefixes, "a comma-separated list of prefixes such as s3://models/ and file:///models/")
_SWITCH = _Parser(lambda text: {"true": True, "false": False}[text.lower()], "true or false")
_TIMEOUT = _Parser(_positive_seconds, "a duration from 1ms to 24h, such as 100ms, 1s or 1m30s")
_DURATION = _Parser(_seconds, "a duration from 0s to 24h, such as 100ms, 1s or 1m30s")


def _default_cache() -> Path:
    """The user's cache folder, or a temporary one where there is no home (a pod with a read-only root)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118 - pathlib raises without a home
    usable = os.access(base, os.W_OK) or (not os.path.exists(base) and os.access(os.path.dirname(base), os.W_OK))  # noqa: PTH110, PTH120 - as above
    return Path(base if usable else _temporary()) / "scalezero"


def _temporary() -> str:
    """The temporary folder, or its usual place where nothing may be written: only a pull needs it, and will say so."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return "/tmp"  # noqa: S108 - named in a refusal


def _setting(env: str, parser: _Parser, doc: str, **default: Any) -> Any:  # noqa: ANN401 - stands where a default stands
    return field(metadata={"env": env, "parser": parser, "doc": doc}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one process serves, and how. Durations are in seconds; None means what the field's text says."""

    model_uri: str | None = _setting(
        "SCALEZERO_MODEL_URI",
        _TEXT,
        "s3://bucket/key, file:// URI or path of the ONNX file or TorchServe archive; none: no model",
        default=None,
    )
    model_name: str | None = _setting(
        "SCALEZERO_MODEL_NAME",
        _SEGMENT,
        "name in the URLs; none: what a local archive says, else the file's name without .onnx",
        default=None,
    )
    model_version: str | None = _setting(
        "SCALEZERO_MODEL_VERSION", _WORD, "version named in answers; none: what the artifact says, else 1", default=None
    )
    model_sha256: str | None = _setting(
        "SCALEZERO_MODEL_SHA256",
        _DIGEST,
        "digest the artifact must have; none: what the publisher recorded",
        default=None,
    )
    base_path: str | None = _setting(
        "MODEL_BASE_PATH",
        _TEXT,
        "folder or s3:// place of MODEL_NAME/N/model.onnx, N a version, as in TensorFlow Serving's container",
        default=None,
    )
    base_name: str | None = _setting(
        "MODEL_NAME", _TEXT, "name of the model below MODEL_BASE_PATH; none: model", default=None
    )
    model_versions: VersionPolicy | None = _setting(
        "SCALEZERO_MODEL_VERSIONS",
        _POLICY,
        "versions below MODEL_BASE_PATH/MODEL_NAME: latest, latest:N, all, or numbers such as 1,3; none: latest",
        default=None,
    )
    load: str = _setting(
        "SCALEZERO_LOAD",
        _choice("prefetch", "lazy"),
        "prefetch pulls while the process starts; lazy pulls at the first request",
        default="prefetch",
    )
    load_failure: str = _setting(
        "SCALEZERO_LOAD_FAILURE",
        _choice("stay", "exit"),
        "stay reports the error and tries again; exit ends a process that no retry can make ready",
        default="stay",
    )
    load_timeout: float = _setting(
        "SCALEZERO_LOAD_TIMEOUT", _TIMEOUT, "bound on one attempt to pull the model and open it", default=300.0
    )
    stall_timeout: float = _setting(
        "SCALEZERO_STALL_TIMEOUT", _TIMEOUT, "a pull that receives no byte for this long is aborted", default=10.0
    )
    cache_dir: Path = _setting(
        "SCALEZERO_CACHE_DIR",
        _PATH,
        "verified artifacts are kept here, the newest of each URI; no other user may own or write it",
        default_factory=_default_cache,
    )
    max_artifact_bytes: int = _setting(
        "SCALEZERO_MAX_ARTIFACT_BYTES",
        _whole(1, 2**44),
        "most bytes of a model from S3, its external data included",
        default=64 * 2**30,
    )
    batch_size: int = _setting("SCALEZERO_BATCH_SIZE", _whole(1, 4096), "most rows of one run", default=32)
    batching: str = _setting(
        "SCALEZERO_BATCHING",
        _choice("auto", "always", "never"),
        "auto shares runs among callers once their rows are proven independent; always and never override it",
        default="auto",
    )
    max_wait: float = _setting(
        "SCALEZERO_MAX_WAIT_TIME",
        _DURATION,
        "longest time that a run waits for more requests; it waits only where that saves time",
        default=0.1,
    )
    timeout: float = _setting(
        "SCALEZERO_TIMEOUT",
        _TIMEOUT,
        "longest wait of one request in the queue, once the model is loaded",
        default=30.0,
    )
    run_timeout: float = _setting(
        "SCALEZERO_RUN_TIMEOUT",
        _TIMEOUT,
        "longest run of the model; a longer one is stopped (504)",
        default=60.0,
    )
    queue_size: int = _setting(
        "SCALEZERO_QUEUE_SIZE",
        _whole(1, 1_000_000),
        "requests that may wait; beyond it the answer is 429 at once",
        default=1024,
    )
    max_body_bytes: int = _setting(
        "SCALEZERO_MAX_BODY_BYTES", _whole(1, 2**31), "largest request body", default=32 * 2**20
    )
    max_buffered_bytes: int = _setting(
        "SCALEZERO_MAX_BUFFERED_BYTES",
        _whole(1, 2**40),
        "bodies of unanswered requests that the process holds; beyond it the answer is 503 with Retry-After",
        default=256 * 2**20,
    )
    threads: int | None = _setting(
        "SCALEZERO_THREADS",
        _whole(1, 1024),
        "ONNX Runtime's pool; none: the cgroup's CPU quota, rounded up",
        default=None,
    )
    protocols: tuple[str, ...] | None = _setting(
        "SCALEZERO_PROTOCOLS",
        _LIST,
        "protocols beside the predict API, such as open_inference,ml.v1; none: all",
        default=None,
    )
    function_source: Path | None = _setting(
        "FUNCTION_SOURCE", _PATH, "the author's main.py; none: no function, only the protocols", default=None
    )
    function_target: str = _setting(
        "FUNCTION_TARGET", _TEXT, "name of the function in it (functions-framework's contract)", default="handle"
    )
    function_threads: int = _setting(
        "SCALEZERO_FUNCTION_THREADS", _whole(1, 256), "calls of the author's function that run at once", default=8
    )
    # A call may wait for the model's first pull, so the limit is not below the longest pull.
    function_timeout: float = _setting(
        "SCALEZERO_FUNCTION_TIMEOUT",
        _TIMEOUT,
        "longest time in which a call of the function gives no part of its answer; then 504",
        default=300.0,
    )
    host: str = _setting("SCALEZERO_HOST", _TEXT, "address to listen on", default="0.0.0.0")  # noqa: S104 - a pod is reached from outside
    port: int = _setting("PORT", _whole(0, 65535), "the one port (Knative sets it); 0: any free one", default=8080)
    listen: tuple[Listener, ...] = _setting(
        "SCALEZERO_LISTEN",
        _LISTENERS,
        "further ports, each for its protocols alone, such as tensorflow_serving@8500; HOST: may stand before the port",
        default=(),
    )
    grace_period: float = _setting(
        "SCALEZERO_GRACE_PERIOD", _DURATION, "longest time to finish what is in flight after SIGTERM", default=30.0
    )
    log_level: str = _setting(
        "SCALEZERO_LOG_LEVEL",
        _choice("debug", "info", "warning", "error"),
        "lowest level that is logged",
        default="info",
    )
    access_log: bool = _setting(
        "SCALEZERO_ACCESS_LOG",
        _SWITCH,
        "one log line per request; Knative's queue-proxy can write them too",
        default=False,
    )
    service: str | None = _setting("K_SERVICE", _WORD, "the Knative Service (Knative sets it)", default=None)
    revision: str | None = _setting("K_REVISION", _WORD, "the Knative revision (Knative sets it)", default=None)
    model_store: str | None = _setting(
        "MODEL_STORE",
        _TEXT,
        "TorchServe's model store: a folder or s3://bucket/prefix/ with .mar and .onnx files; none: no store",
        default=None,
    )
    load_models: str = _setting(
        "LOAD_MODELS",
        _TEXT,
        "models of the store to serve from the start: all, none, or file.mar and name=file.mar, comma-separated",
        default="all",
    )
    store_batching: str | None = _setting(
        "TS_MODELS",
        _TEXT,
        "TorchServe's property `models`: JSON, name -> version -> batchSize, maxBatchDelay, responseTimeout",
        default=None,
    )
    model_api: bool = _setting(
        "SCALEZERO_MODEL_API",
        _SWITCH,
        "true lets TorchServe's management API register and unregister models, and puts it on the one port too",
        default=False,
    )
    register_from: tuple[str, ...] = _setting(
        "SCALEZERO_REGISTER_FROM",
        _PREFIXES,
        "where models may be registered from, such as s3://models/team/,file:///models/; none: the model store only",
        default=(),
    )
    key_file: Path | None = _setting(
        "SCALEZERO_KEY_FILE",
        _PATH,
        "file for TorchServe's keys, new at each start; none: key_file.json, or no file where your own key is enough",
        default=None,
    )
    key_expiration: float = _setting(
        "SCALEZERO_KEY_EXPIRATION", _TIMEOUT, "how long a key of that file is good", default=3600.0
    )
    management_key: str | None = _setting(
        "SCALEZERO_MANAGEMENT_KEY",
        _TEXT,
        "a management key of your own, from a Secret, 16 characters or more; none: only that of the key file",
        default=None,
    )
    inference_keys: bool = _setting(
        "SCALEZERO_INFERENCE_KEYS",
        _SWITCH,
        "false lets TorchServe's ports predict without a key; the one port never asks for one to predict",
        default=True,
    )


def settings_from(environ: Mapping[str, str], **declared: object) -> Settings:
    """Read the settings: a variable wins over what a resource declared, which wins over the default.

    Raises `BadSetting` for a value that is not allowed, and for an unknown `SCALEZERO_` variable.
    """
    known: dict[str, Field[Any]] = {each.metadata["env"]: each for each in fields(Settings)}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in known:
            nearest = difflib.get_close_matches(variable, known, 1)
            hint = f", perhaps {nearest[0]}" if nearest else ""
            raise BadSetting(
                variable, value=environ[variable], allowed=f"one of the settings in docs/settings.md{hint}"
            )
    read = {
        each.name: _read(variable, each, environ[variable]) for variable, each in known.items() if environ.get(variable)
    }
    return Settings(**{**declared, **read})  # type: ignore[arg-type]


def is_word(text: str) -> bool:
    """Whether the text may be a version or a revision: it goes into headers, labels and URLs."""
    return re.fullmatch(_WORD_PATTERN, text) is not None


def is_segment(text: str) -> bool:
    """Whether the text may be a model's name: it is one segment of a URL's path."""
    return re.fullmatch(_SEGMENT_PATTERN, text) is not None


def _read(variable: str, each: "Field[Any]", text: str) -> object:
    parser: _Parser = each.metadata["parser"]
    try:
        return parser.parse(text)
    except (ValueError, KeyError) as error:
        raise BadSetting(variable, value=text, allowed=parser.allowed) from error
