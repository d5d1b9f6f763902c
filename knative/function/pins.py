"""What the registry holds for each model, looked up once per command, so that revisions are pinned to it."""

from collections.abc import Callable, Mapping
from typing import Final

from knative.manifests import Pin
from knative.resources import Resources
from runtime.errors import ScalezeroError
from runtime.registry import Published

_UNVERSIONED: Final = "null"  # what S3 calls an object of a bucket whose versioning is suspended; it can be replaced
Find = Callable[[str], Published | None]


def pins_of(resources: Resources, find: Find, *, report: Callable[[str], None]) -> Mapping[str, Pin]:
    """Return the pins of the models in S3 that exist, by URI.

    A registry that cannot be read is reported, and no further model is looked up: a plan needs no registry.
    """
    pins: dict[str, Pin] = {}
    for uri in dict.fromkeys(each.spec.storage.path for each in resources.model_versions):
        if not uri.lower().startswith("s3:"):
            continue  # a file of the image, which its digest pins
        try:
            found = find(uri)
        except ScalezeroError as error:
            report(f"the models are not pinned to their digest, because the registry could not be read: {error}")
            break
        if found is not None:
            version = None if found.version_id == _UNVERSIONED else found.version_id
            pins[uri] = Pin(found.sha256, version)
    return pins
