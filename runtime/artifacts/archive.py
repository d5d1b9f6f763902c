"""TorchServe's model archives: which model one holds, and its bytes. Nothing in an archive is executed.

    .mar              a zip file, as torch-model-archiver writes it
    .tar.gz, .tgz     its format "tgz": the same files below one folder
    a folder          its format "no-archive"

MAR-INF/MANIFEST.json names the model, its version and its file (`serializedFile`). A name in an archive never becomes a
path of this machine. Source: pytorch/serve, model-archiver.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from runtime.artifacts.archive_files import ECHOED, FREE, PIECE, RATIO, Archive, opened, readable
from runtime.artifacts.uris import MANIFEST, MODEL_SUFFIXES
from runtime.errors import InvalidModel

_LARGEST_MANIFEST: Final = 1 << 20  # bytes
_LISTED: Final = 10  # names that an error lists


class Manifest(NamedTuple):
    """What an archive says of its model."""

    name: str | None = None
    version: str | None = None
    file: str | None = None


def model_in_folder(folder: Path, *, uri: str) -> tuple[Path, Manifest]:
    """The ONNX file of a folder that an archive would be made of. Raises `InvalidModel`."""
    with readable(uri):
        manifest = _parsed((folder / MANIFEST).read_bytes(), uri)
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return folder / model_entry(names, manifest, uri=uri), manifest


def name_in(path: Path) -> str | None:
    """The name that a local archive gives its model; None where it gives none, or is no archive that can be read."""
    try:
        return manifest_of(path).name
    except (InvalidModel, OSError):
        return None


def manifest_of(path: Path) -> Manifest:
    """What a local archive, or a folder that one would be made of, says of its model. Raises `InvalidModel`."""
    uri = str(path)
    if path.is_dir():
        return model_in_folder(path, uri=uri)[1]
    with opened(path, uri=uri) as archive:
        return read_manifest(archive, uri=uri)


def read_manifest(archive: Archive, *, uri: str) -> Manifest:
    """What the archive says of its model; nothing where it has no manifest. Raises `InvalidModel`."""
    entry = archive.entries.get(MANIFEST)
    if entry is None:
        return Manifest()
    if entry.size > _LARGEST_MANIFEST:
        raise InvalidModel(uri, f"its {MANIFEST} has {entry.size} bytes; expected at most {_LARGEST_MANIFEST}")
    with archive.open(MANIFEST) as file:
        return _parsed(file.read(_LARGEST_MANIFEST), uri)


def model_entry(names: list[str], manifest: Manifest, *, uri: str) -> str:
    """The name of the one ONNX file. Raises `InvalidModel` where there is none, or where several could be meant."""
    models = [name for name in names if name[name.rfind(".") :].lower() in MODEL_SUFFIXES]
    if manifest.file in models:
        return str(manifest.file)
    if len(models) == 1:
        return models[0]
    serialized = f", of which its serializedFile is {manifest.file[:ECHOED]!r}" if manifest.file else ""
    if models:
        raise InvalidModel(
            uri, f"the archive holds several ONNX files: {_listed(models)}; expected one, or its name as serializedFile"
        )
    raise InvalidModel(
        uri,
        f"the archive holds no ONNX file; it holds {_listed(names)}{serialized}. Python in an archive is never run: "
        "export the model with torch.onnx.export, and archive the .onnx file with torch-model-archiver "
        "--serialized-file",
    )


def copy(archive: Archive, name: str, write: Callable[[bytes], object], *, uri: str) -> None:
    """Write an entry's bytes, piece by piece; never more than the archive says it has. Raises `InvalidModel`."""
    entry = archive.entries[name]
    if entry.size > max(FREE, RATIO * entry.packed):
        reason = f"its file {name[:ECHOED]!r} would inflate from {entry.packed} to {entry.size} bytes"
        raise InvalidModel(uri, f"{reason}; expected at most {RATIO} times its size")
    left = entry.size
    with archive.open(name) as source:
        while left and (piece := source.read(min(PIECE, left))):
            write(piece)
            left -= len(piece)
    if left:
        raise InvalidModel(uri, f"its file {name[:ECHOED]!r} is cut off: {left} of {entry.size} bytes are missing")


def _parsed(text: bytes, uri: str) -> Manifest:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidModel(uri, f"its {MANIFEST} is no JSON") from error
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise InvalidModel(uri, f'its {MANIFEST} has no object "model"')
    return Manifest(*(_text(model.get(key)) for key in ("modelName", "modelVersion", "serializedFile")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:ECHOED]) for name in names[:_LISTED]) or "nothing"
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
