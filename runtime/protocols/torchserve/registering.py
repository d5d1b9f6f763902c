"""The URLs that models may be registered from: files of the model store, and URLs below configured prefixes. Pure.

    m.mar, m.onnx           a file of the model store: only its name, without a folder
    s3://bucket/key         below an `s3://` prefix
    file:///folder/m.mar    below a `file:///` prefix

Every other URL is refused, including http and https. Otherwise a caller could make this server fetch any URL
(CVE-2023-43654). A prefix is compared by whole segments of the path, after the URL is parsed by the code that later
opens it. The file may still be a link: `Place.root` is the folder that must contain the file after links are resolved;
`runtime.stores.model_store.resolve` checks that.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

from runtime.artifacts.uris import S3Location, parse_uri
from runtime.errors import BadSetting, UrlNotRegistrable

_ROUNDS: Final = 3  # of percent-decoding; no real file name needs more
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\]")


class Allowed(NamedTuple):
    """The places that models may be registered from."""

    store: Path | S3Location | None  # a folder or an S3 prefix; None: there is no model store
    prefixes: tuple[Path | S3Location, ...] = ()


class Place(NamedTuple):
    """A model that may be registered."""

    uri: str
    root: Path | None  # the folder that must contain a local file after links are resolved


def allowed(store: str | None, prefixes: Sequence[str]) -> Allowed:
    """Parse the settings. Raises `BadSetting` for a prefix that is neither `s3://bucket/...` nor `file:///folder/`."""
    return Allowed(
        None if store is None else _folder(store, setting="MODEL_STORE"),
        tuple(_folder(each, setting="SCALEZERO_REGISTER_FROM") for each in prefixes),
    )


def place(url: str, allowed: Allowed) -> Place:
    """Return the place of the model at a URL. Raises `UrlNotRegistrable`."""
    if not url:
        raise UrlNotRegistrable(url, "missing")
    if _has_two_dots(url):
        raise UrlNotRegistrable(url, "relative")
    if _UNSAFE.search(url):
        raise UrlNotRegistrable(url, "not allowed")
    return _below_prefix(url, allowed.prefixes) if "://" in url else _in_store(url, allowed.store)


def _in_store(name: str, store: Path | S3Location | None) -> Place:
    if store is None:
        raise UrlNotRegistrable(name, "no store")
    if "/" in name or name.startswith("."):
        raise UrlNotRegistrable(name, "not found")
    if isinstance(store, Path):
        return Place(str(store / name), store)
    return Place(f"s3://{store.bucket}/{'/'.join([*_parts(store.key), name])}", None)


def _below_prefix(url: str, prefixes: Sequence[Path | S3Location]) -> Place:
    try:
        where = parse_uri(url)
    except BadSetting:
        raise UrlNotRegistrable(url, "not allowed") from None
    for prefix in prefixes:
        if isinstance(where, Path) and isinstance(prefix, Path) and prefix in where.parents:
            return Place(str(where), prefix)
        if isinstance(where, S3Location) and isinstance(prefix, S3Location) and _is_below(where, prefix):
            return Place(url, None)
    raise UrlNotRegistrable(url, "not allowed")


def _is_below(where: S3Location, prefix: S3Location) -> bool:
    above, parts = _parts(prefix.key), where.key.split("/")
    return where.bucket == prefix.bucket and len(parts) > len(above) and parts[: len(above)] == above


def _has_two_dots(url: str) -> bool:
    """Return whether the URL has two dots in a row, percent-encoded up to three times."""
    for _ in range(_ROUNDS):
        if ".." in url:
            return True
        url = unquote(url)
    return ".." in url


def _folder(text: str, *, setting: str) -> Path | S3Location:
    """Parse an absolute local folder, or a prefix of an S3 bucket, possibly with an empty key. Raises `BadSetting`."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() == "s3":
        bucket, _, key = rest.partition("/")
        try:
            read = parse_uri(f"s3://{bucket}/{key.strip('/') or 'x'}")
        except BadSetting:
            raise _bad(setting, text) from None
        return S3Location(bucket, read.key if key.strip("/") else "")  # type: ignore[union-attr] # of S3
    if not separator and setting == "SCALEZERO_REGISTER_FROM":
        raise _bad(setting, text)
    try:
        folder = parse_uri(text)
    except BadSetting:
        raise _bad(setting, text) from None
    if not isinstance(folder, Path) or ".." in folder.parts:
        raise _bad(setting, text)
    return folder.absolute()


def _parts(key: str) -> list[str]:
    return key.split("/") if key else []


def _bad(setting: str, text: str) -> BadSetting:
    return BadSetting(setting, value=text, allowed="s3://bucket/prefix/ or file:///absolute/folder/")
