"""What goes into the image, as a key: the same key is the same image, but for newer packages of others."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# What the Containerfile copies, and itself. A test holds it to that.
SOURCES: Final = ("Containerfile", "LICENSE", "functions", "knative", "pyproject.toml", "runtime")


def key(root: Path, *others: str) -> str:
    """Digest the sources below `root` and what else decides; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for other in others:
        _add(digest, other.encode())
    for path in files(root, SOURCES):
        _add(digest, path.relative_to(root).as_posix().encode())
        _add(digest, path.read_bytes())
    return digest.hexdigest()[:16]


def files(root: Path, sources: Iterable[str]) -> Iterator[Path]:
    """Every file below the sources, in order, but for bytecode."""
    for source in sources:
        place = root / source
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (each for each in found if each.is_file() and "__pycache__" not in each.parts)


def _add(digest: "hashlib._Hash", part: bytes) -> None:
    """Add a part with its length, so that no two lists of parts are one text."""
    digest.update(b"%d:" % len(part))
    digest.update(part)
