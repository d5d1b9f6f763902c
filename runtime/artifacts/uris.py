"""The URIs of models. Pure.

    s3://bucket/key             the current version of an object
    s3://bucket/key?versionId=v one version of it
    file:///path, a plain path  a local file, used in place

An S3 key is not decoded: `%20` means these three characters, as in the aws command line. A file URI is percent-decoded
(RFC 8089).
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from runtime.errors import BadSetting

ALLOWED = "s3://bucket/key, file:///absolute/path or a path"
S3_ALLOWED = (
    "s3://bucket/key, with a bucket of 3 to 63 letters, digits, '.', '_' and '-', and a key in which no part is empty, "
    "'.' or '..'"
)
# Some clients drop a leading slash or resolve the dots, and read another object.
AMBIGUOUS_SEGMENTS = frozenset({"", ".", ".."})
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}")
USER_INFO = re.compile(r"//[^/]*@")  # user and password before a host
VERSION_QUERY = "?versionId="
MODEL_SUFFIXES = frozenset({".onnx", ".ort"})
ARCHIVE_SUFFIXES = (".mar", ".tar.gz", ".tgz")  # TorchServe's model archives
MANIFEST = "MAR-INF/MANIFEST.json"  # in an archive, and in a folder with the contents of an archive


class S3Location(NamedTuple):
    """An object of an S3 bucket."""

    bucket: str
    key: str
    version_id: str | None = None  # None: the current version

    @property
    def uri(self) -> str:
        """The URI; a key with a `?` in it has no URI that can be parsed."""
        version = f"{VERSION_QUERY}{self.version_id}" if self.version_id is not None else ""
        return f"s3://{self.bucket}/{self.key}{version}"

    @property
    def is_valid(self) -> bool:
        """Whether every client reads the same object: some resolve dots in a path, and could leave the bucket."""
        valid = BUCKET.fullmatch(self.bucket) and not CONTROL.search(self.key)
        return bool(valid) and AMBIGUOUS_SEGMENTS.isdisjoint(self.key.split("/"))


def parse_uri(uri: str) -> S3Location | Path:
    """Return the location that the URI names. Raises `BadSetting` for an invalid URI."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return _parse_path(uri, uri=uri)
    match scheme.lower():
        case "s3":
            return _parse_s3(rest, uri=uri)
        case "file":
            host, slash, path = rest.partition("/")
            if host not in {"", "localhost"}:
                raise _invalid_uri(uri)
            return _parse_path(unquote(slash + path), uri=uri)
    raise _invalid_uri(uri)


def suffix_of(location: S3Location) -> str:
    """Return the key's suffix if it is a model's, otherwise "". ONNX Runtime detects its `.ort` format by the name."""
    name = location.key.rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name[1:] else ""
    return suffix if suffix in MODEL_SUFFIXES else ""


def is_archive(name: str) -> bool:
    """Whether a file of this name is handled as a model archive."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_unpacked(path: Path) -> bool:
    """Whether the path is a folder with the contents of a model archive."""
    return (path / MANIFEST).is_file()


def model_name(location: S3Location | Path) -> str:
    """Return the name of the file without the suffix of a model or of an archive."""
    name = location.name if isinstance(location, Path) else location.key.rpartition("/")[2]
    suffix = next((each for each in (*ARCHIVE_SUFFIXES, *MODEL_SUFFIXES) if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)] or name


def _parse_path(text: str, *, uri: str) -> Path:
    if not text or "\0" in text:
        raise _invalid_uri(uri)
    return Path(text)


def _parse_s3(rest: str, *, uri: str) -> S3Location:
    rest, _, version_id = rest.partition(VERSION_QUERY)
    bucket, _, key = rest.partition("/")
    location = S3Location(bucket, key, version_id or None)
    if not location.is_valid:
        raise BadSetting("model URI", value=USER_INFO.sub("//...@", uri), allowed=S3_ALLOWED)
    return location


def _invalid_uri(uri: str) -> BadSetting:
    return BadSetting("model URI", value=USER_INFO.sub("//...@", uri), allowed=ALLOWED)
