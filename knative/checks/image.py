"""Which image runs, and whether it stays the same one."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, advice, warning
from knative.checks.subject import Subject

IMAGE_LATEST: Final = warning("image-latest", "Another image under the same tag does not make a new revision.")
IMAGE_UNNAMED: Final = advice("image-unnamed", "deploy, plan and apply need to know what the pods run.")
IMAGE_UNPINNED: Final = advice(
    "image-unpinned", "A tag can be moved; two revisions of one tag may run different images."
)

RULES: Final = (IMAGE_LATEST, IMAGE_UNNAMED, IMAGE_UNPINNED)

# Knative looks up no digest for these: they lie on the node and in no registry (config-deployment,
# registries-skipping-tag-resolving).
_LOCAL: Final = frozenset({"dev.local", "kind.local", "ko.local"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the image."""
    if not subject.resources.model_versions:
        return  # a Deployment that is taken as it is names its own
    image = subject.options.image or ""
    where = subject.place_unless(subject.flags.image, subject.place_in_function("image"))
    if not subject.image_named:
        yield IMAGE_UNNAMED.found("no image is named", fix="--image, or `image` in func.yaml", where=where)
    elif "@" in image:
        return
    elif _tag(image) in {None, "latest"}:
        what = f"the image {image} has {'no tag, which means latest' if _tag(image) is None else 'the tag latest'}"
        yield IMAGE_LATEST.found(what, fix="a tag of its own for each build, such as :0.1.0", where=where)
    elif image.split("/", 1)[0] not in _LOCAL:
        fix = f"{image}@sha256:..., the digest that the push printed"
        yield IMAGE_UNPINNED.found(f"the image {image} has no digest", fix=fix, where=where)


def _tag(image: str) -> str | None:
    """Read the tag; a colon before the last slash is a port."""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return tag if colon else None
