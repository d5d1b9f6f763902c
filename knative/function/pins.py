"""What the registry has of each model and guest, looked up once per command, to pin revisions to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from knative.function.guests import FindGuest, guest_uris
from knative.manifests import Pin
from knative.manifests.environment import VERSION_ID
from knative.manifests.variants import choose
from knative.resources import Resources
from runtime.errors import ScalezeroError
from runtime.registry import Published, find_guest, published_variants
from runtime.variants.values import ORIGINAL, Assessment, Variant

_UNVERSIONED: Final = "null"  # S3's version ID in a bucket with suspended versioning; such an object can be replaced
Find = Callable[[str], Published | None]
PublishedVariants = tuple[Sequence[Variant], Sequence[Assessment]]
ReadVariants = Callable[[str], PublishedVariants]  # of the model at a URI; empty without a manifest


def pins_of(
    resources: Resources,
    find: Find,
    *,
    variants: ReadVariants = published_variants,
    guests: FindGuest = find_guest,
    report: Callable[[str], None],
) -> Mapping[str, Pin]:
    """Return the pins of the models in S3 that exist, and of the guests, by URI.

    If the registry cannot be read, this is reported and no further model is looked up, because pins are optional. So
    are the variants of a model.
    """
    pins: dict[str, Pin] = {}
    for version in resources.model_versions:
        uri, model = version.spec.storage.path, version.spec.model_name
        if uri in pins or not uri.lower().startswith("s3:"):
            continue  # a file of the image, which the digest of the image pins
        try:
            found = find(uri)
        except ScalezeroError as error:
            report(f"the models are not pinned to their digest, because the registry could not be read: {error}")
            return pins
        if found is not None:
            version_id = None if found.version_id == _UNVERSIONED else found.version_id
            published = read_variants(uri, found, variants, report=report)
            pinned = published and choose(*published, resources.optimization_of(model))
            pins[uri] = Pin(found.sha256, version_id, pinned)
    return {**pins, **_pins_of_guests(resources, guests, report=report)}


def _pins_of_guests(resources: Resources, find: FindGuest, *, report: Callable[[str], None]) -> Mapping[str, Pin]:
    pins: dict[str, Pin] = {}
    for uri in guest_uris(resources):
        try:
            found = find(uri)
        except ScalezeroError as error:
            report(f"{uri}: the guest is not pinned to its digest, because the registry could not be read: {error}")
            continue
        if found is not None:
            version_id = None if found.version_id == _UNVERSIONED else found.version_id
            pins[uri] = Pin(found.sha256, version_id, codes=found.codes)
    return pins


def read_variants(
    uri: str, found: Published, read: ReadVariants, *, report: Callable[[str], None]
) -> PublishedVariants | None:
    """Return the variants and the assessments of a published model; None if they cannot be read, which is reported.

    None also for an object that cannot have a manifest. A manifest of another object than the one that was found counts
    for nothing, and is reported.
    """
    if found.sha256 is None or VERSION_ID in uri:
        return None
    try:
        published, assessments = read(uri)
    except ScalezeroError as error:
        report(f"{uri}: its variants are not pinned, because they could not be read: {error}")
        return None
    described = next((each.sha256 for each in published if each.name == ORIGINAL), found.sha256)
    if described != found.sha256:
        report(f"{uri}: its variants are not pinned, because its manifest is that of another object ({described})")
        return None
    return published, assessments
