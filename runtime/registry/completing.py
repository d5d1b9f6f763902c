"""Manifests for models that were published without one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

from runtime.artifacts.external import model_locations
from runtime.artifacts.uris import S3Location, is_archive, parse_uri
from runtime.published import objects
from runtime.published.reading import read_manifest
from runtime.registry.describing import Publication
from runtime.registry.files import find, sibling_uri
from runtime.registry.making import Tell
from runtime.registry.publishing import check_manifest, check_version, publish_model

ManifestState: TypeAlias = Literal["exists", "upload", "none"]  # none: the object cannot have one


def complete_model(uri: str, publication: Publication, tell: Tell = print) -> bool:
    """Write the manifest of a model that was published without one. Return False if it has one, or cannot have one.

    An object without a recorded digest gets no manifest, because its publisher's bytes are unknown. A model in S3 is
    pulled to read its facts. `tell` gets a line about what is not done.

    Raises `OtherManifest` if the existing manifest has another name or version, the errors of `publish_model`,
    ModuleNotFoundError without ONNX Runtime, and OSError if the disk is full.
    """
    if manifest_state(uri, publication) != "upload":
        return False
    import runtime.model.session  # noqa: F401 - fails without ONNX Runtime, before the pull

    publication = publication._replace(source=publication.source or uri)
    location = parse_uri(uri)
    if isinstance(location, Path):
        publish_model(location, uri, publication, tell=tell)
        return True
    with TemporaryDirectory(prefix="scalezero-") as folder:
        publish_model(pull(uri, location, Path(folder)), uri, publication, tell=tell)
    return True


def manifest_state(uri: str, publication: Publication) -> ManifestState:
    """Return what `complete_model` does with the manifest of a published model. Changes nothing.

    Raises `OtherManifest` if the object or its manifest has another name or version, `InvalidManifest`, and
    `ModelUnavailable` errors.
    """
    location = parse_uri(uri)
    if isinstance(location, S3Location) and location.version_id is not None:
        return "none"  # a manifest describes an object, not one version of it
    if (existing := read_manifest(uri)) is not None:
        check_manifest(existing, existing, publication)
        if isinstance(location, S3Location):  # a file has no metadata, and would be hashed
            check_version(find(uri), existing)
        return "exists"
    found = find(uri)
    return "none" if found is None or found.sha256 is None else "upload"


def pull(uri: str, location: S3Location, folder: Path) -> Path:
    """Download the model and its external data, under the names that the model uses, and return the model."""
    source = objects.Objects(uri)
    model = folder / location.key.rpartition("/")[2]
    source.download(uri, model)
    for name in frozenset() if is_archive(model.name) else model_locations(model, uri=uri):
        source.download(sibling_uri(uri, name), folder / name)
    return model
