"""Rules that an image is configured and has what the function needs, and that its reference always means the same."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, advice, warning
from knative.checks.flavours import WASM
from knative.checks.subject import Subject
from knative.function.guests import guest_uris

IMAGE_LATEST: Final = warning("image-latest", "A new image with the same tag does not create a new revision.")
IMAGE_UNNAMED: Final = advice("image-unnamed", "deploy, plan and apply need the image of the pods.")
IMAGE_UNPINNED: Final = advice(
    "image-unpinned", "A tag can be moved, so revisions of one tag may run different images."
)

WASMTIME_NOT_IN_IMAGE: Final = warning(
    "wasmtime-not-in-image", "A pod without wasmtime cannot run its guest, and never becomes ready."
)

RULES: Final = (IMAGE_LATEST, IMAGE_UNNAMED, IMAGE_UNPINNED, WASMTIME_NOT_IN_IMAGE)

# Knative resolves no digest for these registries, because the images exist only on the node (config-deployment,
# registries-skipping-tag-resolving).
_LOCAL: Final = frozenset({"dev.local", "kind.local", "ko.local"})


def check(subject: Subject) -> Iterator[Finding]:
    """Check the image."""
    if not subject.resources.model_versions:
        return  # a Deployment of another server has its own image
    image = subject.options.image or ""
    where = subject.place_of_image()
    if guest_uris(subject.resources) and WASM.is_another(subject):
        what = f"the function is a guest, which needs wasmtime, and the name of the image {image} does not say wasm"
        yield WASMTIME_NOT_IN_IMAGE.finding(what, fix=WASM.fix, where=where)
    if not subject.image_named:
        yield IMAGE_UNNAMED.finding("no image is configured", fix="set --image, or `image` in func.yaml", where=where)
    elif "@" in image:
        return
    elif _tag(image) in {None, "latest"}:
        what = f"the image {image} has {'no tag, which means latest' if _tag(image) is None else 'the tag latest'}"
        yield IMAGE_LATEST.finding(what, fix="use a new tag for each build, such as :0.1.0", where=where)
    elif image.split("/", 1)[0] not in _LOCAL:
        fix = f"use {image}@sha256:..., with the digest that docker push printed"
        yield IMAGE_UNPINNED.finding(f"the image {image} has no digest", fix=fix, where=where)


def _tag(image: str) -> str | None:
    """Return the tag of an image reference, or None. A colon before the last slash separates a port."""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return tag if colon else None
