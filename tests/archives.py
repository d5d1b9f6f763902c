"""Model archives for tests, in the formats of torch-model-archiver."""

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
    path: Path, files: Mapping[str, bytes], *, manifest_text: bytes | None = None, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Write a .mar file. `manifest_text` is its manifest; the default names m.onnx."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(MANIFEST, manifest() if manifest_text is None else manifest_text)
    return path


def tarred(path: Path, files: Mapping[str, bytes], *, root: str = "named/") -> Path:
    """Write a .tar.gz file with all files below one folder."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**files, MANIFEST: manifest()}.items():
            info = tarfile.TarInfo(root + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def unpacked(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder in the format "no-archive"."""
    for name, content in {**files, MANIFEST: manifest()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
