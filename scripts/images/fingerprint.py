"""The key of an image: a digest of all inputs of its build, except for the versions of downloaded packages."""

import hashlib
from collections.abc import Iterator
from pathlib import Path


def key(context: Path, *others: str) -> str:
    """Return the digest of the folder's files and the other inputs, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for other in others:
        _add(digest, other.encode())
    for path in _files(context):
        _add(digest, path.relative_to(context).as_posix().encode())
        _add(digest, path.read_bytes())
    return digest.hexdigest()[:16]


def _files(context: Path) -> Iterator[Path]:
    return (each for each in sorted(context.rglob("*")) if each.is_file())


def _add(digest: "hashlib._Hash", part: bytes) -> None:
    """Add a part with its length as a prefix, so that different lists of parts never have the same bytes."""
    digest.update(b"%d:" % len(part))
    digest.update(part)
