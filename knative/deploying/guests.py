"""The WebAssembly guest that a template or a revision pins, beside what the registry has now. Pure.

Compiled code is only ever added to a guest. A revision keeps the code that it was deployed with, so code that was added
later is a note, and no difference.
"""

from knative.deploying.differences import Difference
from knative.manifests import names
from knative.manifests.environment import GUEST_CODE, GUEST_SHA256, GUEST_URI, VERSION_ID, variable_in
from knative.objects import Manifest
from runtime.configuration.guest_code import GuestCodes, parse_code


def guest_in(manifest: Manifest) -> str | None:
    """Return the declared URI of the guest of a revision, or of a Service's template; None: it has no guest."""
    uri = variable_in(manifest, GUEST_URI)
    return uri and uri.partition(VERSION_ID)[0]


def codes_in(manifest: Manifest) -> GuestCodes:
    """Return the compiled code that a revision or a template pins; none if its JSON cannot be read."""
    text = variable_in(manifest, GUEST_CODE)
    try:
        return parse_code(text) if text else GuestCodes()
    except ValueError:
        return GuestCodes()


def newer_code(template: Manifest, revision: Manifest) -> str:
    """Say which compiled code of its guest a revision does not pin; empty if there is none, or it has another guest."""
    if guest_in(template) != guest_in(revision):
        return ""
    pinned = codes_in(revision)
    found = [f"{each.cpu} ({each.compiler})" for each in codes_in(template) if each not in pinned]
    if not found:
        return ""
    return (
        f"the registry now has compiled code of the guest for {', '.join(found)}; a revision keeps the code that it "
        "pins, so declare another ModelVersion of the same storage.path to use this"
    )


def replaced(template: Manifest, revision: Manifest) -> Difference | None:
    """Compare the SHA-256 of the guest in the registry with that of the revision.

    None: they are equal, one of the two is unknown, or the revision has another guest.
    """
    now, before = (variable_in(each, GUEST_SHA256) for each in (template, revision))
    if now is None or before is None or now == before or guest_in(template) != guest_in(revision):
        return None
    return Difference(f"spec.containers[{names.CONTAINER}].env[{GUEST_SHA256}]", before, now)


def why_replaced(revision: Manifest) -> str:
    """Return what a replaced guest means for the revision, and what to do."""
    uri = variable_in(revision, GUEST_URI) or ""
    if VERSION_ID in uri:  # a later upload does not replace this version of the object
        effect = "this revision still runs its own version of it"
    else:
        effect = "a pod of this revision fails, unless it pins compiled code for the CPU class of the pod"
    return (
        f"the guest {uri} was replaced after the deployment, and {effect}; publish the new guest under another URI and "
        "declare it as guest.path, with another ModelVersion, or restore the object"
    )
