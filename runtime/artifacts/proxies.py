"""The proxy for a server, from the variables that curl and the AWS SDKs read. Pure.

HTTPS_PROXY, HTTP_PROXY and ALL_PROXY have the URL of a proxy. Names in lower case take precedence. NO_PROXY lists the
servers that need no proxy: host names, which include their subdomains, IP addresses, networks such as 10.0.0.0/8, or
`*`.
"""

from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from runtime.errors import BadSetting


class Proxy(NamedTuple):
    """A proxy whose own URL is http."""

    host: str
    port: int
    authorization: str | None = None  # the value of Proxy-Authorization

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request to the proxy."""
        return {"proxy-authorization": self.authorization} if self.authorization else {}


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a server, or None for a direct connection. Raises `BadSetting` for an invalid proxy."""
    names = (f"{scheme}_proxy", "all_proxy")
    name = next((each for low in names for each in (low, low.upper()) if environ.get(each)), None)
    if name is None or _is_excluded(host, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    return _proxy(name, environ[name])


def _proxy(name: str, value: str) -> Proxy:
    try:
        url = urlsplit(value if "://" in value else f"http://{value}")
        host, port = url.hostname, url.port or 80
        is_valid = url.scheme == "http" and bool(host) and value.isascii() and value.isprintable()
    except ValueError:
        is_valid = False
    if not is_valid or host is None:
        raise BadSetting(name, value=value, allowed="http://[USER:PASSWORD@]HOST[:PORT]", hidden=True)
    if url.username is None:
        return Proxy(host, port)
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return Proxy(host, port, f"Basic {b64encode(pair.encode()).decode()}")


def _is_excluded(host: str, excluded: str) -> bool:
    return any(_matches(host.lower(), entry.strip().lower()) for entry in excluded.split(","))


def _matches(host: str, entry: str) -> bool:
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # the host or the entry is a name
        name = entry.removeprefix(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
