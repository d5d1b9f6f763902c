"""The contents of an image, read from its archive in the format of `docker save`."""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from rich.console import Console
from rich.table import Table

from scripts.images.faults import CannotBuild

MIB: Final = 2**20
SHOWN: Final = 14  # rows; the last one sums up the rest
PACKAGES: Final = {"site-packages", "dist-packages"}
STANDARD_LIBRARY: Final = "the standard library"
METADATA: Final = ("packages' metadata", (".dist-info", ".egg-info"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: the instruction that made it, and the size of its files in bytes, by package."""

    made_by: str
    parts: Counter[str]


def layers(archive: Path) -> list[Layer]:
    """Read the layers of an archive, lowest first. Raises CannotBuild if it is not an image."""
    try:
        with tarfile.open(archive) as whole:
            manifest = json.load(_member(whole, "manifest.json"))[0]
            history = json.load(_member(whole, manifest["Config"]))["history"]
            made_by = [_instruction(each["created_by"]) for each in history if not each.get("empty_layer")]
            return [
                Layer(made_by=instruction, parts=_parts(_member(whole, name)))
                for instruction, name in zip(made_by, manifest["Layers"], strict=True)
            ]
    except (tarfile.TarError, LookupError, ValueError) as error:
        raise CannotBuild(f"{archive} is not an image in the format of docker save: {error}") from error


def belongs_to(path: str) -> str:
    """Return the Python package of a file, the standard library, or the first two folders of its path."""
    parts = PurePosixPath("/", path).parts[1:]
    for index, part in enumerate(parts[:-1]):
        if part in PACKAGES:
            return _package(parts[index + 1])
        if part.startswith("python3") and parts[index - 1] in {"lib", "lib64"} and parts[index + 1] not in PACKAGES:
            return STANDARD_LIBRARY
    return "/" + "/".join(parts[:2])


def tables(found: Sequence[Layer]) -> str:
    """Return tables of the layers and the largest parts, in MiB of files."""
    total = sum((layer.parts for layer in found), Counter[str]())
    by_size = total.most_common()
    rest = sum(size for _, size in by_size[SHOWN:])
    largest = [*by_size[:SHOWN], (f"{len(by_size) - SHOWN} more", rest)] if rest else by_size
    by_layer = [(layer.made_by, layer.parts.total()) for layer in found]
    return _render(_table("layer", by_layer), _table("package or folder", [*largest, ("total", total.total())]))


def _package(name: str) -> str:
    """Return the package of a file or folder in site-packages; numpy.libs belongs to numpy."""
    word, suffixes = METADATA
    return word if name.endswith(suffixes) else name.removesuffix(".libs").removesuffix(".py")


def _instruction(created_by: str) -> str:
    """Shorten the instruction of a layer. buildah writes `COPY dir:DIGEST in /opt` for `COPY packages:/opt /opt`."""
    written = created_by.removeprefix("/bin/sh -c ").removeprefix("#(nop) ")
    return re.sub(r"\b(dir|file|multi):[0-9a-f]+", r"\1", written)[:60].strip()


def _parts(layer: IO[bytes]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    with tarfile.open(fileobj=layer) as files:
        for each in _files(files):
            sizes[belongs_to(each.name)] += each.size
    return sizes


def _files(layer: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (each for each in layer if each.isfile())


def _member(whole: tarfile.TarFile, name: str) -> IO[bytes]:
    found = whole.extractfile(name)
    if found is None:
        raise LookupError(f"{name} is not a file")
    return found


def _table(title: str, rows: Sequence[tuple[str, int]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("MiB", justify="right")
    table.add_column(title, no_wrap=True)
    for name, size in rows:
        table.add_row(f"{size / MIB:.1f}", name)
    return table


def _render(*tables: Any) -> str:  # noqa: ANN401 - whatever rich renders
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(*tables, sep="\n")
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
