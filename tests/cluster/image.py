"""Writes an OCI image archive with one layer that contains only the given files, without an operating system.

usage: image.py OUT.tar NAME:TAG SOURCE=DESTINATION ...      the first file is the program of the container
"""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

USER = "65532"  # Knative requires the number of a user that is not root
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the names of Go, which OCI uses
MEDIA = "application/vnd.oci.image"


class Blob(NamedTuple):
    """Bytes, and their media type."""

    kind: str
    content: bytes

    @property
    def digest(self) -> str:
        """The digest, which is the content's name in the archive (OCI image spec, descriptor: digest)."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    def descriptor(self, **more: object) -> dict[str, Any]:
        """Return the descriptor of these bytes (OCI image spec, descriptor)."""
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.content), **more}


def main(arguments: list[str]) -> int:
    """Write the archive of the command line."""
    out, name, *pairs = arguments
    files = {destination: Path(source) for source, _, destination in (pair.partition("=") for pair in pairs)}
    Path(out).write_bytes(archive(name, layer(files), next(iter(files))))
    return 0


def layer(files: Mapping[str, Path]) -> bytes:
    """Return a layer with the files and the folders above them. Links are followed; everyone may write to /tmp."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in folders(files):
            entry = tarfile.TarInfo(folder + "/")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for destination, source in files.items():
            content = source.read_bytes()
            entry = tarfile.TarInfo(destination)
            entry.size, entry.mode = len(content), 0o755 if os.access(source, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def folders(files: Iterable[str]) -> list[str]:
    """Return every folder above the files and /tmp, outer folders first."""
    above = {str(parent) for file in files for parent in PurePosixPath(file).parents} - {"."}
    return sorted(above | {"tmp"})


def archive(name: str, content: bytes, program: str) -> bytes:
    """Return an image layout with the layer (OCI image spec, image-layout); containerd imports it under this name."""
    packed = Blob(f"{MEDIA}.layer.v1.tar", content)
    config = Blob(f"{MEDIA}.config.v1+json", as_json(configuration(program, packed.digest)))
    parts = {"schemaVersion": 2, "config": config.descriptor(), "layers": [packed.descriptor()]}
    manifest = Blob(f"{MEDIA}.manifest.v1+json", as_json(parts | {"mediaType": f"{MEDIA}.manifest.v1+json"}))
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = {"schemaVersion": 2, "manifests": [manifest.descriptor(annotations=names)]}
    return tarred(
        {
            "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
            "index.json": as_json(index),
            **{"blobs/" + blob.digest.replace(":", "/"): blob.content for blob in (manifest, config, packed)},
        }
    )


def configuration(program: str, layer_digest: str) -> dict[str, Any]:
    """Return the configuration: the program and the user of the container (OCI image spec, config)."""
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "User": USER,
            "Entrypoint": ["/" + program],
            "WorkingDir": "/",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    }


def as_json(value: object) -> bytes:
    """Encode the value as deterministic JSON."""
    return json.dumps(value, sort_keys=True).encode()


def tarred(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of the files, without times and owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
