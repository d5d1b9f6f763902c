"""The WebAssembly guest of a function's folder: which file it is, whether its resources name its place, publishing."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from knative.resources import BadManifest, Resources
from runtime.errors import BadSetting, ScalezeroError
from runtime.registry import CHANGED_STEP, PublishedGuest, add_code, find_guest, missing_code, publish_guest
from runtime.settings import GUEST

FindGuest = Callable[[str], PublishedGuest | None]
CHANGED: Final = f"{CHANGED_STEP}, or build the published {GUEST} again"  # the next step
_EXAMPLE: Final = "s3://models/NAME/guest/1.0.0/main.wasm"


def guest_file(folder: Path) -> Path | None:
    """Return the guest in a function's folder, or None."""
    path = folder / GUEST
    return path if path.is_file() else None


def guest_uris(resources: Resources) -> tuple[str, ...]:
    """Return where the guests of the models with a Service are published, each place once."""
    configs = filter(None, map(resources.config_of, resources.services))
    return tuple(dict.fromkeys(each.spec.guest.path for each in configs if each.spec.guest))


def guest_faults(resources: Resources, *, guest: Path | None, handler: Path | None) -> Iterator[BadManifest]:
    """Yield the contradictions between the files of a folder and the guests that its resources name."""
    places = guest_uris(resources)
    if handler and (guest or places):
        found = str(guest) if guest else f"guest: {{path: {places[0]}}}"
        yield BadManifest(
            str(handler), None, "main.py", value=f"a second function beside {found}", allowed="one of them"
        )
    elif guest and not places and resources.models:
        allowed = f"guest: {{path: {_EXAMPLE}}} in the spec of an InferenceConfig: pods pull the guest from there"
        yield BadManifest(str(guest), None, GUEST, value="a guest without a place in the registry", allowed=allowed)


def sha256_of(guest: Path | None) -> str | None:
    """Return the SHA-256 of the guest in a folder, in lower-case hex; None: it has none, or it cannot be read."""
    try:
        return None if guest is None else sha256(guest.read_bytes()).hexdigest()
    except OSError:
        return None


def changed_guest(uri: str, *, published: str | None, here: str | None) -> str | None:
    """Say that the guest in the folder is not the published one; None: it is, or one of the digests is unknown."""
    if published is None or here is None or published == here:
        return None
    return f"the {GUEST} of the folder (SHA-256 {here}) is not the guest at {uri} (SHA-256 {published}), which pods run"


def publish_guests(resources: Resources, folder: Path, *, report: Callable[[str], None]) -> bool:
    """Publish the folder's guest, with its compiled code, to each place that the resources name.

    The code for this machine is also added to a guest that is published already, with or without a file in the folder.
    Return whether something was uploaded. Raises `BadSetting` if the guest is neither published nor in the folder, and
    what `publish_guest` raises.
    """
    path, uploaded = guest_file(folder), False
    for uri in guest_uris(resources):
        if path is None:
            is_new, added_for = False, _add_code(uri, folder, report=report)
        else:
            published = publish_guest(path, uri, tell=report)
            is_new, added_for = published.uploaded and not published.added_for, published.added_for
        state = f"published to {uri}" if is_new else f"already at {uri}"
        report(f"{GUEST}: {state}{f'; its code for {added_for} was added' if added_for else ''}")
        uploaded |= is_new or added_for is not None
    return uploaded


def _add_code(uri: str, folder: Path, *, report: Callable[[str], None]) -> str | None:
    """Add the code for this machine to a published guest. Return its CPU class; None: nothing was added.

    A failure is only reported, because pods can compile the guest. Raises `BadSetting` without a published guest.
    """
    if find_guest(uri) is None:
        raise BadSetting("guest.path", value=uri, allowed=f"a published guest, or a {GUEST} in {folder}")
    try:
        added = add_code(uri) if missing_code(uri) else None
    except (ScalezeroError, OSError) as error:
        report(f"{GUEST}: its code for this machine was not added, so pods of its CPU class compile it: {error}")
        return None
    return added.code.cpu if added and added.uploaded else None
