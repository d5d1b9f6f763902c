"""`scalezero import`: a Deployment of TensorFlow Serving, TorchServe or WasmEdge becomes a function's folder."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, cast

import click

from knative.commands import arguments
from knative.importing import Files, Folder, Project, files_of_pod, import_deployment
from knative.resources import BadManifest, ForeignDeployment
from knative.resources.documents import Document, documents
from knative.resources.errors import FieldFault
from knative.resources.faults import bad_field
from knative.resources.model_version import Storage
from knative.resources.read import manifest_files, read_text, resource_of
from runtime.errors import BadSetting
from runtime.settings import GUEST

_MAGIC: Final = b"\0asm"  # the first bytes of a WebAssembly binary


@click.command("import")
@arguments.files
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--image", help="Image of the runtime.  [default: the one that scripts/image builds]")
@click.option("--registry", default="s3://models", show_default=True, help="Where the models will be published.")
@click.option(
    "--wasm", metavar="FILE|S3", help="The WebAssembly module of a Deployment of WasmEdge: a file or s3://..."
)
def command(paths: tuple[Path, ...], out: Path, image: str | None, registry: str, wasm: str | None) -> None:
    """Write a function's folder to OUT for each Deployment of TensorFlow Serving, TorchServe or WasmEdge.

    Configuration files that its command line names are read from the ConfigMaps that its pod mounts. If it mounts none
    of them, all ConfigMaps in PATH are searched. Other kinds are ignored.
    """
    _check_registry(registry)
    _check_wasm(wasm)
    found = [
        each for path in paths for file in manifest_files(path) for each in documents(read_text(file), file=str(file))
    ]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    default = f"dev.local/scalezero:{version('scalezero')}"
    project = Project(image or default, registry, now, wasm, guest_image=image or f"{default}-wasm")
    config_maps = _config_maps(found)
    folders = [_import(each, config_maps, project) for each in found if _kind(each) == "Deployment"]
    if not folders:
        raise BadManifest(str(paths[0]), None, "document", value="no Deployment", allowed="at least one")
    _refuse_conflicts(out, folders)
    for folder in folders:
        _write(out / folder.name, folder)


def _check_registry(registry: str) -> None:
    try:
        Storage(type="s3", path=f"{registry.rstrip('/')}/model.onnx")
    except FieldFault as error:
        raise BadSetting("--registry", value=registry, allowed="s3://bucket or s3://bucket/prefix") from error


def _check_wasm(wasm: str | None) -> None:
    """Raise `BadSetting` for a module that does not exist, or is none."""
    if wasm is None:
        return
    if "://" in wasm:
        try:
            Storage(type="s3", path=wasm)
        except FieldFault as error:
            raise BadSetting("--wasm", value=wasm, allowed="a file, or s3://bucket/key") from error
        return
    try:
        with Path(wasm).open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise BadSetting("--wasm", value=wasm, allowed=f"a file that can be read ({error.strerror})") from error
    if magic != _MAGIC:
        raise BadSetting("--wasm", value=wasm, allowed=f"a WebAssembly binary; this file starts with {magic!r}")


def _kind(document: Document) -> object:
    return document.data.get("kind") if isinstance(document.data, dict) else None


def _config_maps(found: Iterable[Document]) -> dict[str, Files]:
    """Return the files of the ConfigMaps: the contents by file name, by the name of the ConfigMap."""
    maps: dict[str, Files] = {}
    for data in (each.data for each in found if _kind(each) == "ConfigMap"):
        if isinstance(data, dict) and isinstance(files := data.get("data"), dict):
            metadata = data.get("metadata")
            name = str(metadata.get("name")) if isinstance(metadata, dict) else ""
            maps[name] = {str(file): text for file, text in files.items() if isinstance(text, str)}
    return maps


def _import(document: Document, config_maps: Mapping[str, Files], project: Project) -> Folder:
    deployment = cast("ForeignDeployment", resource_of(document))  # its kind is Deployment
    try:
        return import_deployment(deployment, files_of_pod(deployment, config_maps), project)
    except FieldFault as error:
        raise bad_field(document, error.field, value=error.value, allowed=error.allowed) from error


def _refuse_conflicts(out: Path, folders: Sequence[Folder]) -> None:
    """Raise `BadSetting` if two folders have the same name or a file exists already, before any file is written."""
    name, count = Counter(each.name for each in folders).most_common(1)[0]
    if count > 1:
        raise BadSetting(
            "OUT", value=str(out), allowed=f"Deployments with different names; {count} have the name {name}"
        )
    for folder in folders:
        for name in _names(folder):
            if (file := out / folder.name / name).exists():
                raise BadSetting(
                    "OUT", value=str(out), allowed=f"a folder without the file {file}, which exists already"
                )


def _names(folder: Folder) -> tuple[str, ...]:
    return (*folder.files, *(() if folder.guest is None else (GUEST,)))


def _write(path: Path, folder: Folder) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in folder.files.items():
        (path / name).write_text(text, "utf-8")
    if folder.guest is not None:
        shutil.copyfile(folder.guest, path / GUEST)
    click.echo(f"{path}: {', '.join(_names(folder))} written; README.md lists the remaining steps")
