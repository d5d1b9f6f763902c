"""The model and the manifest of TorchServe's model archives. Nothing in an archive is executed.

    .mar              a zip file, the default format of torch-model-archiver
    .tar.gz, .tgz     its format "tgz": the same files in one folder
    a folder          its format "no-archive"

MAR-INF/MANIFEST.json has the name of the model, its version and its file (`serializedFile`). A name in an archive is
never used as a local path. Source: pytorch/serve, model-archiver.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from runtime.artifacts.archive_files import (
    MAX_RATIO,
    MAX_SHOWN_NAME,
    PIECE_BYTES,
    UNCHECKED_BYTES,
    Archive,
    open_archive,
    translate_errors,
)
from runtime.artifacts.uris import MANIFEST, MODEL_SUFFIXES
from runtime.errors import InvalidModel

_MAX_MANIFEST_BYTES: Final = 1 << 20
_MAX_LISTED_NAMES: Final = 10  # in an error


class Manifest(NamedTuple):
    """The fields of a manifest; None if missing."""

    name: str | None = None
    version: str | None = None
    file: str | None = None


def model_in_folder(folder: Path, *, uri: str) -> tuple[Path, Manifest]:
    """Return the ONNX file and the manifest of a folder with an archive's contents. Raises `InvalidModel`."""
    with translate_errors(uri):
        manifest = _parse_manifest((folder / MANIFEST).read_bytes(), uri)
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return folder / model_entry(names, manifest, uri=uri), manifest


def archived_model_name(path: Path) -> str | None:
    """Return the model's name in the manifest of a local archive. None: it has no name, or it cannot be read."""
    try:
        return manifest_of(path).name
    except (InvalidModel, OSError):
        return None


def manifest_of(path: Path) -> Manifest:
    """Return the manifest of a local archive, or of a folder with an archive's contents. Raises `InvalidModel`."""
    uri = str(path)
    if path.is_dir():
        return model_in_folder(path, uri=uri)[1]
    with open_archive(path, uri=uri) as archive:
        return read_manifest(archive, uri=uri)


def read_manifest(archive: Archive, *, uri: str) -> Manifest:
    """Return the archive's manifest, an empty one if it has none. Raises `InvalidModel`."""
    entry = archive.entries.get(MANIFEST)
    if entry is None:
        return Manifest()
    if entry.size > _MAX_MANIFEST_BYTES:
        raise InvalidModel(uri, f"its {MANIFEST} has {entry.size} bytes; expected at most {_MAX_MANIFEST_BYTES}")
    with archive.open(MANIFEST) as file:
        return _parse_manifest(file.read(_MAX_MANIFEST_BYTES), uri)


def model_entry(names: list[str], manifest: Manifest, *, uri: str) -> str:
    """Return the name of the ONNX file. Raises `InvalidModel` if there is none, or several and none is named."""
    models = [name for name in names if name[name.rfind(".") :].lower() in MODEL_SUFFIXES]
    if manifest.file in models:
        return str(manifest.file)
    if len(models) == 1:
        return models[0]
    serialized = f"; its serializedFile is {manifest.file[:MAX_SHOWN_NAME]!r}" if manifest.file else ""
    if models:
        raise InvalidModel(
            uri,
            f"the archive contains several ONNX files: {_list_names(models)}; "
            "expected one file, or its name as serializedFile",
        )
    raise InvalidModel(
        uri,
        f"the archive contains no ONNX file; it contains {_list_names(names)}{serialized}. Python in an archive is "
        "never run: export the model with torch.onnx.export, and archive the .onnx file with torch-model-archiver "
        "--serialized-file",
    )


def copy_entry(archive: Archive, name: str, write: Callable[[bytes], object], *, uri: str) -> None:
    """Write an entry's bytes in pieces, at most as many as the archive declares. Raises `InvalidModel`."""
    entry = archive.entries[name]
    if entry.size > max(UNCHECKED_BYTES, MAX_RATIO * entry.compressed_size):
        reason = f"its file {name[:MAX_SHOWN_NAME]!r} would inflate from {entry.compressed_size} to {entry.size} bytes"
        raise InvalidModel(uri, f"{reason}; expected at most {MAX_RATIO} times its size")
    left = entry.size
    with archive.open(name) as source:
        while left and (piece := source.read(min(PIECE_BYTES, left))):
            write(piece)
            left -= len(piece)
    if left:
        raise InvalidModel(
            uri, f"its file {name[:MAX_SHOWN_NAME]!r} is cut off: {left} of {entry.size} bytes are missing"
        )


def _parse_manifest(text: bytes, uri: str) -> Manifest:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidModel(uri, f"its {MANIFEST} is not valid JSON") from error
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise InvalidModel(uri, f'its {MANIFEST} has no "model"; expected an object')
    return Manifest(*(_text(model.get(key)) for key in ("modelName", "modelVersion", "serializedFile")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _list_names(names: list[str]) -> str:
    shown = ", ".join(repr(name[:MAX_SHOWN_NAME]) for name in names[:_MAX_LISTED_NAMES]) or "nothing"
    return shown + (f" and {len(names) - _MAX_LISTED_NAMES} more" if len(names) > _MAX_LISTED_NAMES else "")
