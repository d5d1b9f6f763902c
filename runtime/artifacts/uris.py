"""What a model's URI may be. Pure.

    s3://bucket/key             the object as it is now
    s3://bucket/key?versionId=v one version of it
    file:///path, a plain path  a file of this machine, served where it lies

An S3 key is taken as it is written, as the aws command line does: `%20` means these three characters. A file URI is
percent-decoded (RFC 8089).
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from runtime.errors import BadSetting

ALLOWED = "s3://bucket/key, file:///absolute/path or a path"
S3_ALLOWED = "s3://bucket/key, with no part of the key empty, '.' or '..'"
# What clients disagree about: some of them drop a leading slash or resolve the dots, and read another object.
UNCLEAR = frozenset({"", ".", ".."})
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}")
PASSWORD = re.compile(r"//[^/]*@")  # user and password in front of a host
VERSION = "?versionId="
MODEL_SUFFIXES = frozenset({".onnx", ".ort"})
ARCHIVE_SUFFIXES = (".mar", ".tar.gz", ".tgz")  # TorchServe's model archives
MANIFEST = "MAR-INF/MANIFEST.json"  # in such an archive, and in a folder that one would be made of


class S3Place(NamedTuple):
    """An object of an S3 bucket, at one version where `version_id` is given."""

    bucket: str
    key: str
    version_id: str | None = None


def parse_uri(uri: str) -> S3Place | Path:
    """Return the place that the URI names. Raises `BadSetting` where no such place can be."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return _path(uri, uri=uri)
    match scheme.lower():
        case "s3":
            return _s3(rest, uri=uri)
        case "file":
            host, slash, path = rest.partition("/")
            if host not in {"", "localhost"}:
                raise _bad(uri)
            return _path(unquote(slash + path), uri=uri)
    raise _bad(uri)


def suffix_of(place: S3Place) -> str:
    """Return the key's suffix where it means something: ONNX Runtime knows its `.ort` format by the name."""
    name = place.key.rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name[1:] else ""
    return suffix if suffix in MODEL_SUFFIXES else ""


def is_archive(name: str) -> bool:
    """Whether a file of that name is taken for a model archive."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_unpacked(path: Path) -> bool:
    """Whether the path is a folder that a model archive would be made of."""
    return (path / MANIFEST).is_file()


def model_name(place: S3Place | Path) -> str:
    """The name of the file, without the suffix of a model or of an archive."""
    name = place.name if isinstance(place, Path) else place.key.rpartition("/")[2]
    suffix = next((each for each in (*ARCHIVE_SUFFIXES, *MODEL_SUFFIXES) if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)] or name


def _path(text: str, *, uri: str) -> Path:
    if not text or "\0" in text:
        raise _bad(uri)
    return Path(text)


def _s3(rest: str, *, uri: str) -> S3Place:
    rest, _, version_id = rest.partition(VERSION)
    bucket, _, key = rest.partition("/")
    if not BUCKET.fullmatch(bucket) or CONTROL.search(key) or not UNCLEAR.isdisjoint(key.split("/")):
        raise BadSetting("model URI", value=PASSWORD.sub("//...@", uri), allowed=S3_ALLOWED)
    return S3Place(bucket, key, version_id or None)


def _bad(uri: str) -> BadSetting:
    return BadSetting("model URI", value=PASSWORD.sub("//...@", uri), allowed=ALLOWED)
