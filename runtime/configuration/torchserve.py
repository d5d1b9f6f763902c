"""TorchServe's configuration as settings of this runtime: config.properties, and variables that begin with TS_.

    TS_CONFIG_FILE -> properties -> the variable of each setting, and the addresses of `scalezero serve --torchserve`

TorchServe reads a property `x` also from the variable `TS_X`, which wins. A variable of this runtime wins over both.
Source: pytorch/serve, docs/configuration.md and ConfigManager.java.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from runtime.errors import BadSetting

CONFIG_FILE: Final = "TS_CONFIG_FILE"
_LARGEST: Final = 2**20  # bytes of a file
_PORTS: Final = 65536
_URL: Final = re.compile(r"(?:http://)?(\[[0-9A-Fa-f:.]+\]|[^/:\s@]+):([0-9]{1,5})/?")
_HOST: Final = re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f:.]+")


class _Setting(NamedTuple):
    variable: str
    convert: Callable[[str], str] = str


class _Address(NamedTuple):
    """One of TorchServe's ports. `url`: one property has all of the address; else host and port have one each."""

    protocol: str
    url: str | None
    host: str | None  # the property; where none says it, and there is no `local`, it is the host of the main port
    port: str | None  # likewise
    usual: int
    local: bool  # only this machine reaches it, where no property says otherwise


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
    _Address("torchserve", "inference_address", None, None, 8080, local=False),
    _Address("torchserve_management", "management_address", None, None, 8081, local=True),
    _Address("torchserve_metrics", "metrics_address", None, None, 8082, local=True),
    _Address("torchserve", None, "grpc_inference_address", "grpc_inference_port", 7070, local=False),
    _Address("torchserve_management", None, "grpc_management_address", "grpc_management_port", 7071, local=True),
)
_OF_ADDRESSES: Final = frozenset(
    name for each in _ADDRESSES for name in (each.url, each.host, each.port) if name is not None
)


class Configured(NamedTuple):
    """The environment with TorchServe's settings in it, its addresses, and the properties that nothing here uses."""

    environ: dict[str, str]
    listen: str  # as `SCALEZERO_LISTEN` has it; for those who want TorchServe's ports
    unused: tuple[str, ...]


def configured(environ: Mapping[str, str]) -> Configured:
    """Read the file that TS_CONFIG_FILE names, if any, and TorchServe's variables. Raises `BadSetting`."""
    place = environ.get(CONFIG_FILE)
    return merged(environ, properties(_text(Path(place))) if place else {})


def merged(environ: Mapping[str, str], said: Mapping[str, str]) -> Configured:
    """The environment with what the properties say; `said` are those of the file. Raises `BadSetting`."""
    known = {*_SETTINGS, *_OF_ADDRESSES}
    variables = {name[3:].lower(): text for name, text in environ.items() if name.startswith("TS_")}
    both = {**said, **{name: text for name, text in variables.items() if name in known}}
    found = {each.variable: each.convert(both[name]) for name, each in _SETTINGS.items() if both.get(name)}
    return Configured(
        environ={**found, **{name: text for name, text in environ.items() if text}},
        listen=",".join(_listener(each, both) for each in _ADDRESSES),
        unused=tuple(sorted(set(said) - known)),
    )


def properties(text: str) -> dict[str, str]:
    """Java properties: `key=value` or `key: value`; a backslash at a line's end joins the next one to it."""
    lines = re.sub(r"\\\r?\n[ \t]*", "", text).splitlines()
    pairs = (re.match(r"\s*([^#!\s=:][^\s=:]*)\s*[=:]\s*(.*?)\s*$", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def _listener(address: _Address, said: Mapping[str, str]) -> str:
    """The address as `SCALEZERO_LISTEN` has it."""
    host, port = "127.0.0.1" if address.local else "", str(address.usual)
    url = said.get(address.url or "")
    if url:
        found = _URL.fullmatch(url)
        if found is None:
            raise _bad(address.url, url, "http://HOST:PORT; TLS is for the gateway in front of this server")
        host, port = found[1].strip("[]"), found[2]
    host = said.get(address.host or "") or host
    port = said.get(address.port or "") or port
    if host and not _HOST.fullmatch(host):
        raise _bad(address.host, host, "a host's name or address")
    if not port.isdecimal() or int(port) >= _PORTS:
        raise _bad(address.port or address.url, url or port, f"a port below {_PORTS}")
    shown = f"[{host}]:" if ":" in host else f"{host}:" if host else ""
    return f"{address.protocol}@{shown}{port}"


def _bad(name: str | None, value: str, allowed: str) -> BadSetting:
    return BadSetting(f"TS_{str(name).upper()}", value=value, allowed=allowed)


def _text(place: Path) -> str:
    try:
        with place.open("rb") as file:
            return file.read(_LARGEST).decode("latin-1")  # as Java reads properties
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadSetting(CONFIG_FILE, value=str(place), allowed=f"a file that can be read ({reason})") from error
