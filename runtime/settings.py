"""All settings of the runtime: read once from the environment, frozen, and checked before the process opens anything.

In a pod, settings are environment variables. `scalezero serve FOLDER` also reads them from the user's resources; a
variable overrides a resource.
"""

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtime.configuration import companions, guest_code, guest_folders, listeners, values, version_policy
from runtime.configuration.companions import Companions
from runtime.configuration.guest_code import GuestCodes
from runtime.configuration.guest_folders import GuestFolders
from runtime.configuration.listeners import Listener
from runtime.configuration.values import Parser
from runtime.configuration.version_policy import VersionPolicy
from runtime.errors import BadSetting

if TYPE_CHECKING:
    from runtime.variants.pinned import PinnedModel

PREFIX: Final = "SCALEZERO_"
OPENVINO_LIBRARY: Final = (
    f"{PREFIX}OPENVINO_LIBRARY"  # read where the library is loaded, also by commands without settings
)
LIVE_PATH, READY_PATH = "/healthz/live", "/healthz/ready"  # for the probes of the kubelet and of Knative
# Files in a function's folder: its resources (further *.yaml too), its code in Python or as a WebAssembly guest, and
# the file of Knative's `func`.
MANIFEST, SOURCE, GUEST, FUNCTION = "model.yaml", "main.py", "main.wasm", "func.yaml"
_LISTENERS: Final = Parser(listeners.parse_listeners, listeners.ALLOWED)
_POLICY: Final = Parser(version_policy.parse_policy, version_policy.ALLOWED)
_SHOWN: Final = 80  # characters of a wrong value


def _parse_companions(text: str) -> Companions:
    try:
        return companions.parse_companions(text)
    except ValueError as error:
        raise _bad_json("SCALEZERO_COMPANIONS", text, companions.ALLOWED, error) from error


def _parse_guest_folders(text: str) -> GuestFolders:
    try:
        return guest_folders.parse_folders(text)
    except ValueError as error:
        raise _bad_json("SCALEZERO_GUEST_FOLDERS", text, guest_folders.ALLOWED, error) from error


def _parse_variants(text: str) -> "PinnedModel":
    from runtime.variants.pinned import parse

    try:
        return parse(text)
    except ValueError as error:
        raise _bad_json("SCALEZERO_VARIANTS", text, _VARIANTS.allowed, error) from error


def _bad_json(variable: str, text: str, allowed: str, error: ValueError) -> BadSetting:
    """Return the error for a text that may have many KiB, of which only one field is wrong."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return BadSetting(variable, value=shown, allowed=f"{allowed} ({error})")


_GUEST_FOLDERS: Final = Parser(_parse_guest_folders, guest_folders.ALLOWED)
_GUEST_CODE: Final = Parser(guest_code.parse_code, guest_code.ALLOWED)
_COMPANIONS: Final = Parser(_parse_companions, companions.ALLOWED)
DEFAULT_BATCH_SIZE: Final = 32  # rows; variants are measured with as many
_VARIANTS: Final = Parser(_parse_variants, "the JSON that `scalezero deploy` renders")


def _default_cache() -> Path:
    """Return the user's cache folder, or a temporary one without a writable home (a pod with a read-only root)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118 - pathlib raises without a home
    usable = os.access(base, os.W_OK) or (not os.path.exists(base) and os.access(os.path.dirname(base), os.W_OK))  # noqa: PTH110, PTH120 - as above
    return Path(base if usable else _temporary()) / "scalezero"


def _temporary() -> str:
    """Return the temporary folder, or /tmp if no folder is writable; only a pull needs it, and reports the error."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return "/tmp"  # noqa: S108 - only for the error message


def _setting(env: str, parser: Parser, doc: str, **default: Any) -> Any:  # noqa: ANN401 - used in place of a default value
    return field(metadata={"env": env, "parser": parser, "doc": doc}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process. Durations are in seconds; the text of a field states the meaning of None."""

    model_uri: str | None = _setting(
        "SCALEZERO_MODEL_URI",
        values.TEXT,
        "s3://bucket/key, file:// URI or path of the ONNX file or TorchServe archive; none: no model",
        default=None,
    )
    model_name: str | None = _setting(
        "SCALEZERO_MODEL_NAME",
        values.NAME,
        "name in the URLs; none: the name in a local archive, else the file's name without .onnx",
        default=None,
    )
    model_version: str | None = _setting(
        "SCALEZERO_MODEL_VERSION",
        values.VERSION,
        "version in answers; none: the version in the artifact, else 1",
        default=None,
    )
    model_sha256: str | None = _setting(
        "SCALEZERO_MODEL_SHA256",
        values.DIGEST,
        "required digest of the artifact; none: the digest that the publisher recorded",
        default=None,
    )
    companions: Companions = _setting(
        "SCALEZERO_COMPANIONS",
        _COMPANIONS,
        "other models of the function, as JSON, which a deploy sets; none: only the model of SCALEZERO_MODEL_URI",
        default=Companions(),
    )
    variants: "PinnedModel | None" = _setting(
        "SCALEZERO_VARIANTS",
        _VARIANTS,
        "variants of the model, as JSON, which a deploy sets; none: the artifact, and locally what its manifest has",
        default=None,
    )
    variant: str = _setting(
        "SCALEZERO_VARIANT",
        values.TEXT,
        "auto serves the best measured variant for this CPU, original the artifact itself; or the name of a variant",
        default="auto",
    )
    manifest: str = _setting(
        "SCALEZERO_MANIFEST",
        values.choice("read", "ignore"),
        "read uses the variants in the manifest beside the artifact; `scalezero serve` does so unless it is in a pod",
        default="ignore",
    )
    base_path: str | None = _setting(
        "MODEL_BASE_PATH",
        values.TEXT,
        "folder or s3:// prefix of MODEL_NAME/N/model.onnx, where N is a version, as in TensorFlow Serving's container",
        default=None,
    )
    base_name: str | None = _setting(
        "MODEL_NAME", values.TEXT, "name of the model below MODEL_BASE_PATH; none: model", default=None
    )
    model_versions: VersionPolicy | None = _setting(
        "SCALEZERO_MODEL_VERSIONS",
        _POLICY,
        "versions below MODEL_BASE_PATH/MODEL_NAME: latest, latest:N, all, or numbers such as 1,3; none: latest",
        default=None,
    )
    load: str = _setting(
        "SCALEZERO_LOAD",
        values.choice("prefetch", "lazy"),
        "prefetch pulls while the process starts; lazy pulls at the first request",
        default="prefetch",
    )
    load_failure: str = _setting(
        "SCALEZERO_LOAD_FAILURE",
        values.choice("stay", "exit"),
        "stay reports the error and retries; exit ends the process if the error is permanent",
        default="stay",
    )
    load_timeout: float = _setting(
        "SCALEZERO_LOAD_TIMEOUT",
        values.TIMEOUT,
        "longest time of one attempt to pull and open the model",
        default=300.0,
    )
    stall_timeout: float = _setting(
        "SCALEZERO_STALL_TIMEOUT",
        values.TIMEOUT,
        "a pull is aborted if it receives no byte for this long",
        default=10.0,
    )
    cache_dir: Path = _setting(
        "SCALEZERO_CACHE_DIR",
        values.PATH,
        "folder for verified artifacts, the newest of each URI; no other user may own it or write to it",
        default_factory=_default_cache,
    )
    max_artifact_bytes: int = _setting(
        "SCALEZERO_MAX_ARTIFACT_BYTES",
        values.integer(1, 2**44),
        "largest model from S3 in bytes, including its external data",
        default=64 * 2**30,
    )
    batch_size: int = _setting(
        "SCALEZERO_BATCH_SIZE", values.integer(1, 4096), "largest number of rows in one run", default=DEFAULT_BATCH_SIZE
    )
    batching: str = _setting(
        "SCALEZERO_BATCHING",
        values.choice("auto", "always", "never"),
        "auto shares runs among callers after their rows are proven independent; always and never override it",
        default="auto",
    )
    max_wait: float = _setting(
        "SCALEZERO_MAX_WAIT_TIME",
        values.DURATION,
        "longest time that a run waits for more requests; it waits only if that saves time",
        default=0.1,
    )
    timeout: float = _setting(
        "SCALEZERO_TIMEOUT",
        values.TIMEOUT,
        "longest wait of one request in the queue, after the model is loaded",
        default=30.0,
    )
    run_timeout: float = _setting(
        "SCALEZERO_RUN_TIMEOUT",
        values.TIMEOUT,
        "longest run of the model; a longer one is stopped (504)",
        default=60.0,
    )
    queue_size: int = _setting(
        "SCALEZERO_QUEUE_SIZE",
        values.integer(1, 1_000_000),
        "largest number of waiting requests; further requests get 429",
        default=1024,
    )
    max_body_bytes: int = _setting(
        "SCALEZERO_MAX_BODY_BYTES", values.integer(1, 2**31), "largest request body", default=32 * 2**20
    )
    max_buffered_bytes: int = _setting(
        "SCALEZERO_MAX_BUFFERED_BYTES",
        values.integer(1, 2**40),
        "largest total size of the bodies of unanswered requests; further requests get 503 with Retry-After",
        default=256 * 2**20,
    )
    threads: int | None = _setting(
        "SCALEZERO_THREADS",
        values.integer(1, 1024),
        "threads of ONNX Runtime's pool for each model; none: the cgroup's CPU quota, rounded up",
        default=None,
    )
    openvino_library: Path | None = _setting(
        OPENVINO_LIBRARY,
        values.PATH,
        "ONNX Runtime's plugin library of OpenVINO, such as your own build; none: that of scalezero[openvino]",
        default=None,
    )
    protocols: tuple[str, ...] | None = _setting(
        "SCALEZERO_PROTOCOLS",
        values.LIST,
        "protocols in addition to the predict API, such as open_inference,ml.v1; none: all",
        default=None,
    )
    cors_origins: tuple[str, ...] = _setting(
        "SCALEZERO_CORS_ORIGINS",
        values.ORIGINS,
        "origins whose pages may call this server, such as https://app.example.com, or * for all; none: no origin",
        default=(),
    )
    function_source: Path | None = _setting(
        "FUNCTION_SOURCE", values.PATH, "the author's main.py; none: no function, only the protocols", default=None
    )
    function_target: str = _setting(
        "FUNCTION_TARGET",
        values.TEXT,
        "name of the function in FUNCTION_SOURCE (functions-framework's contract)",
        default="handle",
    )
    guest_uri: str | None = _setting(
        "SCALEZERO_GUEST_URI",
        values.TEXT,
        "WebAssembly guest that is the function, in place of FUNCTION_SOURCE: s3://bucket/key or a path; none: none",
        default=None,
    )
    guest_sha256: str | None = _setting(
        "SCALEZERO_GUEST_SHA256",
        values.DIGEST,
        "required digest of the guest; none: the digest that the publisher recorded",
        default=None,
    )
    guest_code: GuestCodes = _setting(
        "SCALEZERO_GUEST_CODE",
        _GUEST_CODE,
        "compiled code of the guest, as JSON, which a deploy sets; none: the process compiles the guest",
        default=GuestCodes(),
    )
    guest_memory: int = _setting(
        "SCALEZERO_GUEST_MEMORY",
        values.integer(2**16, 2**32),
        "largest memory of a guest's instance in bytes; each of SCALEZERO_FUNCTION_THREADS calls has an instance",
        default=32 * 2**20,  # with 8 threads half of the memory limit that pods have by default
    )
    guest_output: int = _setting(
        "SCALEZERO_GUEST_OUTPUT",
        values.integer(1, 2**31),
        "largest output of one call of a guest in bytes, with the head of the response; more is answered with 502",
        default=32 * 2**20,
    )
    guest_folders: GuestFolders = _setting(
        "SCALEZERO_GUEST_FOLDERS",
        _GUEST_FOLDERS,
        "folders that a guest sees, as JSON, which a deploy sets; none: a guest has no files",
        default=GuestFolders(),
    )
    guest_network: bool = _setting(
        "SCALEZERO_GUEST_NETWORK",
        values.SWITCH,
        "true lets a guest send HTTP requests and look up names of hosts; false: a guest has no network",
        default=False,
    )
    event_target: str | None = _setting(
        "SCALEZERO_EVENT_TARGET",
        values.TEXT,
        "name of the function in FUNCTION_SOURCE that gets CloudEvents; none: FUNCTION_TARGET if it takes events",
        default=None,
    )
    event_buckets: tuple[str, ...] = _setting(
        "SCALEZERO_EVENT_BUCKETS",
        values.BUCKETS,
        "S3 buckets whose objects may be fetched if an event names them, such as uploads,images; none: no bucket",
        default=(),
    )
    event_object_bytes: int = _setting(
        "SCALEZERO_EVENT_OBJECT_BYTES",
        values.integer(1, 2**31),
        "largest object that is fetched for an event",
        default=16 * 2**20,
    )
    function_threads: int = _setting(
        "SCALEZERO_FUNCTION_THREADS",
        values.integer(1, 256),
        "largest number of concurrent calls of the author's function",
        default=8,
    )
    # A call may wait for the model's first pull, so the limit is not below the longest pull.
    function_timeout: float = _setting(
        "SCALEZERO_FUNCTION_TIMEOUT",
        values.TIMEOUT,
        "longest time in which a function call sends no part of its response; then 504",
        default=300.0,
    )
    event_reply_type: str | None = _setting(
        "SCALEZERO_EVENT_REPLY_TYPE",
        values.REPLY_TYPE,
        "type of the event that answers an event; none: an empty answer (204)",
        default="ml.prediction.v1",
    )
    event_batches: bool = _setting(
        "SCALEZERO_EVENT_BATCHES",
        values.SWITCH,
        "true accepts several events in one request (batched mode); false refuses them (415)",
        default=False,
    )
    event_window: float = _setting(
        "SCALEZERO_EVENT_WINDOW",
        values.DURATION,
        "how long an event that is delivered again gets the same reply without another inference; 0s: it is not kept",
        default=600.0,
    )
    event_window_size: int = _setting(
        "SCALEZERO_EVENT_WINDOW_SIZE",
        values.integer(1, 10_000_000),
        "largest number of events whose replies are kept; the oldest is forgotten first",
        default=10_000,
    )
    host: str = _setting("SCALEZERO_HOST", values.TEXT, "address to listen on", default="0.0.0.0")  # noqa: S104 - a pod must accept requests from outside
    port: int = _setting(
        "PORT", values.integer(0, 65535), "the main port (Knative sets it); 0: any free port", default=8080
    )
    listen: tuple[Listener, ...] = _setting(
        "SCALEZERO_LISTEN",
        _LISTENERS,
        "additional ports, each for its protocols only, such as tensorflow_serving@8500 or ml.v1@127.0.0.1:9000",
        default=(),
    )
    grace_period: float = _setting(
        "SCALEZERO_GRACE_PERIOD",
        values.DURATION,
        "longest time to finish requests after SIGTERM",
        default=30.0,
    )
    log_level: str = _setting(
        "SCALEZERO_LOG_LEVEL",
        values.choice("debug", "info", "warning", "error"),
        "lowest level that is logged",
        default="info",
    )
    access_log: bool = _setting(
        "SCALEZERO_ACCESS_LOG",
        values.SWITCH,
        "one log line per request; Knative's queue-proxy can write them too",
        default=False,
    )
    service: str | None = _setting("K_SERVICE", values.VERSION, "the Knative Service (Knative sets it)", default=None)
    revision: str | None = _setting(
        "K_REVISION", values.VERSION, "the Knative revision (Knative sets it)", default=None
    )
    prediction_log: str | None = _setting(
        "SCALEZERO_PREDICTION_LOG",
        values.LOG,
        "sink posts each prediction as a CloudEvent to K_SINK; a path appends them to that file; none or off: no log",
        default=None,
    )
    prediction_log_sample: float = _setting(
        "SCALEZERO_PREDICTION_LOG_SAMPLE", values.FRACTION, "share of the requests that are logged", default=1.0
    )
    prediction_log_type: str = _setting(
        "SCALEZERO_PREDICTION_LOG_TYPE",
        values.TEXT,
        "type of the logged events, for the filters of Triggers",
        default="ml.prediction.logged.v1",
    )
    prediction_log_batch: int = _setting(
        "SCALEZERO_PREDICTION_LOG_BATCH",
        values.integer(1, 1000),
        "events in one POST; more than 1 needs a sink that accepts batched events, which a Broker does not",
        default=1,
    )
    prediction_log_queue: int = _setting(
        "SCALEZERO_PREDICTION_LOG_QUEUE",
        values.integer(1, 1_000_000),
        "largest number of predictions that wait for the log; further ones are dropped and counted",
        default=2048,
    )
    prediction_log_connections: int = _setting(
        "SCALEZERO_PREDICTION_LOG_CONNECTIONS",
        values.integer(1, 256),
        "largest number of connections to K_SINK; each has one event in flight",
        default=32,
    )
    prediction_log_event_bytes: int = _setting(
        "SCALEZERO_PREDICTION_LOG_EVENT_BYTES",
        values.integer(1024, 2**20),
        "largest data of a logged event; tensors that do not fit are left out, the largest first",
        default=60_000,  # with its attributes at most 64 KiB, which every intermediary must forward (CloudEvents)
    )
    sink: str | None = _setting("K_SINK", values.TEXT, "URL that gets the events (a SinkBinding sets it)", default=None)
    sink_overrides: str | None = _setting(
        "K_CE_OVERRIDES",
        values.TEXT,
        "JSON with `extensions` for the logged events (a SinkBinding sets it); none: no extensions",
        default=None,
    )
    sink_certificates: str | None = _setting(
        "K_CA_CERTS",
        values.TEXT,
        "PEM certificates of the authority of K_SINK (a SinkBinding sets it); none: those of the system",
        default=None,
    )
    model_store: str | None = _setting(
        "MODEL_STORE",
        values.TEXT,
        "TorchServe's model store: a folder or s3://bucket/prefix/ with .mar and .onnx files; none: no store",
        default=None,
    )
    load_models: str = _setting(
        "LOAD_MODELS",
        values.TEXT,
        "models of the store to load at the start: all, none, or a comma-separated list of file.mar and name=file.mar",
        default="all",
    )
    store_batching: str | None = _setting(
        "TS_MODELS",
        values.TEXT,
        "TorchServe's property `models`: JSON, name -> version -> batchSize, maxBatchDelay, responseTimeout",
        default=None,
    )
    model_api: bool = _setting(
        "SCALEZERO_MODEL_API",
        values.SWITCH,
        "true lets TorchServe's management API register and unregister models, also on the main port",
        default=False,
    )
    register_from: tuple[str, ...] = _setting(
        "SCALEZERO_REGISTER_FROM",
        values.PREFIXES,
        "URL prefixes of models to register, such as s3://models/team/,file:///models/; none: only the model store",
        default=(),
    )
    key_file: Path | None = _setting(
        "SCALEZERO_KEY_FILE",
        values.PATH,
        "file for TorchServe's keys, new at each start; none: key_file.json, or no file if your own key is enough",
        default=None,
    )
    key_expiration: float = _setting(
        "SCALEZERO_KEY_EXPIRATION", values.TIMEOUT, "how long a key of SCALEZERO_KEY_FILE is valid", default=3600.0
    )
    management_key: str | None = _setting(
        "SCALEZERO_MANAGEMENT_KEY",
        values.TEXT,
        "your own management key, from a Secret, 16 characters or more; none: only the key in SCALEZERO_KEY_FILE",
        default=None,
    )
    inference_keys: bool = _setting(
        "SCALEZERO_INFERENCE_KEYS",
        values.SWITCH,
        "false lets TorchServe's ports predict without a key; the main port never requires one",
        default=True,
    )

    @property
    def has_function(self) -> bool:
        """Whether the process has a function, in Python or as a guest."""
        return self.function_source is not None or self.guest_uri is not None


def is_manifest(path: Path) -> bool:
    """Return whether a file of a function's folder contains resources."""
    return path.suffix in {".yaml", ".yml"} and path.name != FUNCTION


def settings_from(environ: Mapping[str, str], **declared: object) -> Settings:
    """Read the settings: a variable overrides a value from a resource (`declared`), which overrides the default.

    Raises `BadSetting` for a value that is not allowed, and for an unknown `SCALEZERO_` variable outside of a pod.
    """
    known: dict[str, Field[Any]] = {each.metadata["env"]: each for each in fields(Settings)}
    unknown = unknown_variables(environ)
    if unknown and not in_pod(environ):
        variable, allowed = next(iter(unknown.items()))
        raise BadSetting(variable, value=environ[variable], allowed=allowed)
    read = {
        each.name: _read(variable, each, environ[variable]) for variable, each in known.items() if environ.get(variable)
    }
    return Settings(**{**declared, **read})  # type: ignore[arg-type]


def in_pod(environ: Mapping[str, str]) -> bool:
    """Return whether the process runs in a pod: Kubernetes sets one of these variables in a container, Knative one."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST") or environ.get("K_REVISION"))


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the `SCALEZERO_` variables that are not settings, each with a text that states what is allowed.

    On a command line they are errors, because a misspelled setting has no effect. A pod starts and logs a warning: its
    image may be older than the command line that rendered its variables.
    """
    known = [each.metadata["env"] for each in fields(Settings)]
    return {each: _suggestion(each, known) for each in environ if each.startswith(PREFIX) and each not in known}


def _suggestion(variable: str, known: list[str]) -> str:
    # The common prefix would make all names similar.
    names = {each.removeprefix(PREFIX): each for each in known}
    nearest = difflib.get_close_matches(variable.removeprefix(PREFIX), names, 1)
    return f"one of the settings in docs/settings.md{f', perhaps {names[nearest[0]]}' if nearest else ''}"


def _read(variable: str, each: "Field[Any]", text: str) -> object:
    parser: Parser = each.metadata["parser"]
    try:
        return parser.parse(text)
    except (ValueError, KeyError) as error:
        raise BadSetting(variable, value=text, allowed=parser.allowed) from error
