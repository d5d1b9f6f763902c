"""Every setting of the runtime: read once from the environment, frozen, checked before anything opens.

A pod gets these as environment variables. `scalezero serve FOLDER` derives them from the user's resources instead, and
a variable that is set wins over a resource.
"""

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from runtime.configuration import listeners, values, version_policy
from runtime.configuration.listeners import Listener
from runtime.configuration.values import Parser
from runtime.configuration.version_policy import VersionPolicy
from runtime.errors import BadSetting

PREFIX: Final = "SCALEZERO_"
LIVE_PATH, READY_PATH = "/healthz/live", "/healthz/ready"  # what the kubelet and Knative probe
# In a function's folder: its resources (other *.yaml too), its code, and the file of Knative's `func`.
MANIFEST, SOURCE, FUNCTION = "model.yaml", "main.py", "func.yaml"
_LISTENERS: Final = Parser(listeners.parse_listeners, listeners.ALLOWED)
_POLICY: Final = Parser(version_policy.parse_policy, version_policy.ALLOWED)


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


def _setting(env: str, parser: Parser, doc: str, **default: Any) -> Any:  # noqa: ANN401 - stands where a default stands
    return field(metadata={"env": env, "parser": parser, "doc": doc}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one process serves, and how. Durations are in seconds; None means what the field's text says."""

    model_uri: str | None = _setting(
        "SCALEZERO_MODEL_URI",
        values.TEXT,
        "s3://bucket/key, file:// URI or path of the ONNX file or TorchServe archive; none: no model",
        default=None,
    )
    model_name: str | None = _setting(
        "SCALEZERO_MODEL_NAME",
        values.NAME,
        "name in the URLs; none: what a local archive says, else the file's name without .onnx",
        default=None,
    )
    model_version: str | None = _setting(
        "SCALEZERO_MODEL_VERSION",
        values.VERSION,
        "version named in answers; none: what the artifact says, else 1",
        default=None,
    )
    model_sha256: str | None = _setting(
        "SCALEZERO_MODEL_SHA256",
        values.DIGEST,
        "digest the artifact must have; none: what the publisher recorded",
        default=None,
    )
    base_path: str | None = _setting(
        "MODEL_BASE_PATH",
        values.TEXT,
        "folder or s3:// place of MODEL_NAME/N/model.onnx, N a version, as in TensorFlow Serving's container",
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
        "stay reports the error and tries again; exit ends a process that no retry can make ready",
        default="stay",
    )
    load_timeout: float = _setting(
        "SCALEZERO_LOAD_TIMEOUT", values.TIMEOUT, "bound on one attempt to pull the model and open it", default=300.0
    )
    stall_timeout: float = _setting(
        "SCALEZERO_STALL_TIMEOUT", values.TIMEOUT, "a pull that receives no byte for this long is aborted", default=10.0
    )
    cache_dir: Path = _setting(
        "SCALEZERO_CACHE_DIR",
        values.PATH,
        "verified artifacts are kept here, the newest of each URI; no other user may own or write it",
        default_factory=_default_cache,
    )
    max_artifact_bytes: int = _setting(
        "SCALEZERO_MAX_ARTIFACT_BYTES",
        values.whole(1, 2**44),
        "most bytes of a model from S3, its external data included",
        default=64 * 2**30,
    )
    batch_size: int = _setting("SCALEZERO_BATCH_SIZE", values.whole(1, 4096), "most rows of one run", default=32)
    batching: str = _setting(
        "SCALEZERO_BATCHING",
        values.choice("auto", "always", "never"),
        "auto shares runs among callers once their rows are proven independent; always and never override it",
        default="auto",
    )
    max_wait: float = _setting(
        "SCALEZERO_MAX_WAIT_TIME",
        values.DURATION,
        "longest time that a run waits for more requests; it waits only where that saves time",
        default=0.1,
    )
    timeout: float = _setting(
        "SCALEZERO_TIMEOUT",
        values.TIMEOUT,
        "longest wait of one request in the queue, once the model is loaded",
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
        values.whole(1, 1_000_000),
        "requests that may wait; beyond it the answer is 429 at once",
        default=1024,
    )
    max_body_bytes: int = _setting(
        "SCALEZERO_MAX_BODY_BYTES", values.whole(1, 2**31), "largest request body", default=32 * 2**20
    )
    max_buffered_bytes: int = _setting(
        "SCALEZERO_MAX_BUFFERED_BYTES",
        values.whole(1, 2**40),
        "bodies of unanswered requests that the process holds; beyond it the answer is 503 with Retry-After",
        default=256 * 2**20,
    )
    threads: int | None = _setting(
        "SCALEZERO_THREADS",
        values.whole(1, 1024),
        "ONNX Runtime's pool; none: the cgroup's CPU quota, rounded up",
        default=None,
    )
    protocols: tuple[str, ...] | None = _setting(
        "SCALEZERO_PROTOCOLS",
        values.LIST,
        "protocols beside the predict API, such as open_inference,ml.v1; none: all",
        default=None,
    )
    cors_origins: tuple[str, ...] = _setting(
        "SCALEZERO_CORS_ORIGINS",
        values.ORIGINS,
        "origins whose pages may call from a browser, such as https://app.example.com, or *; none: no origin",
        default=(),
    )
    function_source: Path | None = _setting(
        "FUNCTION_SOURCE", values.PATH, "the author's main.py; none: no function, only the protocols", default=None
    )
    function_target: str = _setting(
        "FUNCTION_TARGET", values.TEXT, "name of the function in it (functions-framework's contract)", default="handle"
    )
    function_threads: int = _setting(
        "SCALEZERO_FUNCTION_THREADS", values.whole(1, 256), "calls of the author's function that run at once", default=8
    )
    # A call may wait for the model's first pull, so the limit is not below the longest pull.
    function_timeout: float = _setting(
        "SCALEZERO_FUNCTION_TIMEOUT",
        values.TIMEOUT,
        "longest time in which a call of the function gives no part of its answer; then 504",
        default=300.0,
    )
    host: str = _setting("SCALEZERO_HOST", values.TEXT, "address to listen on", default="0.0.0.0")  # noqa: S104 - a pod is reached from outside
    port: int = _setting(
        "PORT", values.whole(0, 65535), "the one port (Knative sets it); 0: any free one", default=8080
    )
    listen: tuple[Listener, ...] = _setting(
        "SCALEZERO_LISTEN",
        _LISTENERS,
        "further ports, each for its protocols alone, such as tensorflow_serving@8500; HOST: may stand before the port",
        default=(),
    )
    grace_period: float = _setting(
        "SCALEZERO_GRACE_PERIOD",
        values.DURATION,
        "longest time to finish what is in flight after SIGTERM",
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
    model_store: str | None = _setting(
        "MODEL_STORE",
        values.TEXT,
        "TorchServe's model store: a folder or s3://bucket/prefix/ with .mar and .onnx files; none: no store",
        default=None,
    )
    load_models: str = _setting(
        "LOAD_MODELS",
        values.TEXT,
        "models of the store to serve from the start: all, none, or file.mar and name=file.mar, comma-separated",
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
        "true lets TorchServe's management API register and unregister models, and puts it on the one port too",
        default=False,
    )
    register_from: tuple[str, ...] = _setting(
        "SCALEZERO_REGISTER_FROM",
        values.PREFIXES,
        "where models may be registered from, such as s3://models/team/,file:///models/; none: the model store only",
        default=(),
    )
    key_file: Path | None = _setting(
        "SCALEZERO_KEY_FILE",
        values.PATH,
        "file for TorchServe's keys, new at each start; none: key_file.json, or no file where your own key is enough",
        default=None,
    )
    key_expiration: float = _setting(
        "SCALEZERO_KEY_EXPIRATION", values.TIMEOUT, "how long a key of that file is good", default=3600.0
    )
    management_key: str | None = _setting(
        "SCALEZERO_MANAGEMENT_KEY",
        values.TEXT,
        "a management key of your own, from a Secret, 16 characters or more; none: only that of the key file",
        default=None,
    )
    inference_keys: bool = _setting(
        "SCALEZERO_INFERENCE_KEYS",
        values.SWITCH,
        "false lets TorchServe's ports predict without a key; the one port never asks for one to predict",
        default=True,
    )


def is_manifest(path: Path) -> bool:
    """Whether a file of a function's folder contains resources."""
    return path.suffix in {".yaml", ".yml"} and path.name != FUNCTION


def settings_from(environ: Mapping[str, str], **declared: object) -> Settings:
    """Read the settings: a variable wins over what a resource declared, which wins over the default.

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
    """Whether the process runs in a pod: Kubernetes sets the one variable in every container, Knative the other."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST") or environ.get("K_REVISION"))


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """List the `SCALEZERO_` variables that are no setting, each with what is allowed instead.

    On a command line they are refused, as a misspelled setting has no effect. A pod starts and logs a warning: its
    image may be older than the command line that rendered its variables.
    """
    known = [each.metadata["env"] for each in fields(Settings)]
    return {each: _instead_of(each, known) for each in environ if each.startswith(PREFIX) and each not in known}


def _instead_of(variable: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(variable, known, 1)
    return f"one of the settings in docs/settings.md{f', perhaps {nearest[0]}' if nearest else ''}"


def _read(variable: str, each: "Field[Any]", text: str) -> object:
    parser: Parser = each.metadata["parser"]
    try:
        return parser.parse(text)
    except (ValueError, KeyError) as error:
        raise BadSetting(variable, value=text, allowed=parser.allowed) from error
