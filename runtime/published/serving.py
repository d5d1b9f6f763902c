"""The variants of a model as its manifest and the added assessments have them, for `scalezero serve` outside of a pod.

    s3://models/m.onnx.manifest.json ─┬─► pinned, as a deploy pins it
    s3://models/m.onnx.assessments/*  ┘

A model without a manifest costs one request, and does not import the values of publishing. Whatever cannot be read is
ignored and logged: an assessment by itself; without the manifest, the artifact is served as it is.
"""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import S3Location, is_archive, parse_uri
from runtime.errors import ArtifactMissing, ScalezeroError
from runtime.published.objects import Objects
from runtime.published.places import MAX_BYTES, assessments_folder, manifest_uri

if TYPE_CHECKING:
    from runtime.published.manifest import Manifest
    from runtime.published.reading import Added
    from runtime.variants.pinned import PinnedModel

_log: Final = logging.getLogger("scalezero.model")
_NO_RETRY: Final = 1e-3  # seconds: the pull of the artifact is retried, and says what is wrong with the store


class PublishedVariants(NamedTuple):
    """What is published about an artifact."""

    version: str
    pinned: "PinnedModel"


def read(uri: str, policy: PullPolicy) -> PublishedVariants | None:
    """Return what is published about the artifact at the URI; None if it says no more than the artifact does.

    It is also None, with a warning in the log, for documents that cannot be read.
    """
    try:
        location = parse_uri(uri)
        if is_archive(uri) or (isinstance(location, S3Location) and location.version_id):
            return None
        return _read(uri, Objects(uri, policy=replace(policy, progress_timeout=_NO_RETRY)))
    except ArtifactMissing:  # the artifact, and the pull says so
        return None
    except (ScalezeroError, OSError, ValueError) as error:
        _log.warning("what is published about the model is ignored", extra={"uri": uri, "reason": str(error)})
        return None


def _read(uri: str, source: Objects) -> PublishedVariants | None:
    body = source.read(manifest_uri(uri), max_bytes=MAX_BYTES)
    if body is None:
        return None
    from runtime.published.reading import assessments_of, manifest_in, variants_of
    from runtime.variants.pinned import pinned_from

    manifest = manifest_in(body, uri)
    found = _assessments(manifest, source)
    pinned = pinned_from(variants_of(manifest, found), assessments_of(manifest, found))
    if len(pinned.variants) == 1 and not pinned.original.prepared and pinned.original.rows is None:
        return None
    if source.recorded_digest(uri) != manifest.sha256:  # another tool may have written the object again
        reason = "it describes another file; publish the model again to use its variants"
        raise ValueError(f"{manifest_uri(uri)}: {reason}")
    return PublishedVariants(manifest.version, pinned)


def _assessments(manifest: "Manifest", source: Objects) -> "tuple[Added, ...]":
    """Return the added assessments that can be read; log the others, and a listing that the store refuses."""
    from runtime.published.reading import read_assessments

    try:
        found = read_assessments(manifest, source=source)
    except ScalezeroError as error:
        _warn(assessments_folder(manifest.uri), str(error))
        return ()
    for each in found:
        if each.document is None:
            _warn(each.place, each.problem)
    return found


def _warn(uri: str, reason: str) -> None:
    _log.warning("an assessment of the model is ignored", extra={"uri": uri, "reason": reason})
