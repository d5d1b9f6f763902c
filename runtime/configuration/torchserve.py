"""The configuration of TorchServe as settings of this runtime: config.properties and variables that begin with TS_.

    TS_CONFIG_FILE -> properties -> the variable of each setting, and the addresses of `scalezero serve --torchserve`

As in TorchServe, the variable `TS_X` takes precedence over the property `x`. A variable of this runtime takes
precedence over both. Source: pytorch/serve, docs/configuration.md and ConfigManager.java.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from runtime.errors import BadSetting

CONFIG_FILE: Final = "TS_CONFIG_FILE"
_MAX_FILE_BYTES: Final = 2**20  # read from the file
_MAX_PORT: Final = 65535
_URL: Final = re.compile(r"(?:http://)?(\[[0-9A-Fa-f:.]+\]|[^/:\s@]+):([0-9]{1,5})/?")
_HOST: Final = re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f:.]+")


class _Setting(NamedTuple):
    variable: str
    convert: Callable[[str], str] = str


class _Address(NamedTuple):
    """The properties and the default of one of TorchServe's addresses: one property `url`, or `host` and `port`."""

    protocol: str
    url: str | None  # the property with the complete address
    host: str | None  # the property with the host; its default is 127.0.0.1 if `is_local`, or the host of the main port
    port: str | None  # the property with the port
    default_port: int
    is_local: bool  # whether the default host is only reachable from this machine


def _negated(text: str) -> str:
    return {"true": "false", "false": "true"}.get(text.lower(), text)


_SETTINGS: Final = {
    "model_store": _Setting("MODEL_STORE"),
    "load_models": _Setting("LOAD_MODELS"),
    "models": _Setting("TS_MODELS"),
    "enable_model_api": _Setting("SCALEZERO_MODEL_API"),
    "token_expiration_min": _Setting("SCALEZERO_KEY_EXPIRATION", lambda text: f"{text}m"),
    "disable_token_authorization": _Setting("SCALEZERO_INFERENCE_KEYS", _negated),
    "default_response_timeout": _Setting("SCALEZERO_RUN_TIMEOUT", lambda text: f"{text}s"),
    "default_startup_timeout": _Setting("SCALEZERO_LOAD_TIMEOUT", lambda text: f"{text}s"),
    "job_queue_size": _Setting("SCALEZERO_QUEUE_SIZE"),
    "max_request_size": _Setting("SCALEZERO_MAX_BODY_BYTES"),
}
_ADDRESSES: Final = (
    _Address("torchserve", "inference_address", None, None, 8080, is_local=False),
    _Address("torchserve_management", "management_address", None, None, 8081, is_local=True),
    _Address("torchserve_metrics", "metrics_address", None, None, 8082, is_local=True),
    _Address("torchserve", None, "grpc_inference_address", "grpc_inference_port", 7070, is_local=False),
    _Address("torchserve_management", None, "grpc_management_address", "grpc_management_port", 7071, is_local=True),
)
_ADDRESS_PROPERTIES: Final = frozenset(
    name for each in _ADDRESSES for name in (each.url, each.host, each.port) if name is not None
)


class TorchServeConfiguration(NamedTuple):
    """The settings and the addresses of a TorchServe configuration."""

    environ: dict[str, str]  # the environment with TorchServe's settings as variables of this runtime
    properties: Mapping[str, str]  # the merged properties
    unused: tuple[str, ...]  # properties that this runtime does not support

    def listen(self) -> str:
        """Return TorchServe's addresses in the form of `SCALEZERO_LISTEN`. Raises `BadSetting` for an invalid one.

        Only `--torchserve` opens them. A function on Knative ignores them, invalid ones included.
        """
        return ",".join(_listener(each, self.properties) for each in _ADDRESSES)


def read_configuration(environ: Mapping[str, str]) -> TorchServeConfiguration:
    """Read TorchServe's variables and the file in TS_CONFIG_FILE, if it is set. Raises `BadSetting`."""
    path = environ.get(CONFIG_FILE)
    return merge_properties(environ, parse_properties(_read_file(Path(path))) if path else {})


def merge_properties(environ: Mapping[str, str], file_properties: Mapping[str, str]) -> TorchServeConfiguration:
    """Merge the properties of the file and TorchServe's variables into the environment. Raises `BadSetting`."""
    known = {*_SETTINGS, *_ADDRESS_PROPERTIES}
    variables = {name[3:].lower(): text for name, text in environ.items() if name.startswith("TS_")}
    values = {**file_properties, **{name: text for name, text in variables.items() if name in known}}
    settings = {each.variable: each.convert(values[name]) for name, each in _SETTINGS.items() if values.get(name)}
    return TorchServeConfiguration(
        environ={**settings, **{name: text for name, text in environ.items() if text}},
        properties=values,
        unused=tuple(sorted(set(file_properties) - known)),
    )


def parse_properties(text: str) -> dict[str, str]:
    """Parse Java properties: `key=value` or `key: value`. A backslash at the end of a line continues the line."""
    lines = re.sub(r"\\\r?\n[ \t]*", "", text).splitlines()
    pairs = (re.match(r"\s*([^#!\s=:][^\s=:]*)\s*[=:]\s*(.*?)\s*$", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def _listener(address: _Address, properties: Mapping[str, str]) -> str:
    """Return the address in the form of `SCALEZERO_LISTEN`."""
    host, port = "127.0.0.1" if address.is_local else "", str(address.default_port)
    url = properties.get(address.url or "")
    if url:
        match = _URL.fullmatch(url)
        if match is None:
            raise _invalid(address.url, url, "http://HOST:PORT; a gateway in front of this server handles TLS")
        host, port = match[1].strip("[]"), match[2]
    host = properties.get(address.host or "") or host
    port = properties.get(address.port or "") or port
    if host and not _HOST.fullmatch(host):
        raise _invalid(address.host, host, "a host name or an IP address")
    if not port.isdecimal() or int(port) > _MAX_PORT:
        raise _invalid(address.port or address.url, url or port, f"a port from 0 to {_MAX_PORT}")
    shown = f"[{host}]:" if ":" in host else f"{host}:" if host else ""
    return f"{address.protocol}@{shown}{port}"


def _invalid(name: str | None, value: str, allowed: str) -> BadSetting:
    return BadSetting(f"TS_{str(name).upper()}", value=value, allowed=allowed)


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode("latin-1")  # the encoding of Java properties
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadSetting(CONFIG_FILE, value=str(path), allowed=f"a readable file ({reason})") from error
