"""Model archives as torch-model-archiver writes them, and as nobody should."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

MANIFEST = "MAR-INF/MANIFEST.json"


def manifest(*, file: str | None = "m.onnx", name: str = "named", version: str = "1.5") -> bytes:
    model = {"modelName": name, "modelVersion": version, "handler": "handler.py", "serializedFile": file}
    return json.dumps({"runtime": "python", "model": model, "archiverVersion": "0.12.0"}).encode()


def zipped(
    path: Path, files: Mapping[str, bytes], *, said: bytes | None = None, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    """A .mar file; `said` is its manifest, by default one that names m.onnx."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(MANIFEST, manifest() if said is None else said)
    return path


def tarred(path: Path, files: Mapping[str, bytes], *, root: str = "named/") -> Path:
    """A .tar.gz file, with all files below one folder."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**files, MANIFEST: manifest()}.items():
            info = tarfile.TarInfo(root + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def unpacked(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder of the format "no-archive"."""
    for name, content in {**files, MANIFEST: manifest()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
