"""The WebAssembly guest of a function's folder: which file it is, whether its resources name its place, publishing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from knative.resources import BadManifest, Resources
from runtime.errors import BadSetting
from runtime.registry import PublishedGuest, find_guest, publish_guest
from runtime.settings import GUEST

FindGuest = Callable[[str], PublishedGuest | None]
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


def publish_guests(resources: Resources, folder: Path, *, report: Callable[[str], None]) -> bool:
    """Publish the folder's guest, with its compiled code, to each place that the resources name.

    Return whether something was uploaded. Raises `BadSetting` if the guest is neither published nor in the folder, and
    what `publish_guest` raises.
    """
    path, uploaded = guest_file(folder), False
    for uri in guest_uris(resources):
        if path is None:
            if find_guest(uri) is None:
                raise BadSetting("guest.path", value=uri, allowed=f"a published guest, or a {GUEST} in {folder}")
            report(f"{GUEST}: already at {uri}")
            continue
        published = publish_guest(path, uri, tell=report)
        report(f"{GUEST}: {'published to' if published.uploaded else 'already at'} {uri}")
        uploaded |= published.uploaded
    return uploaded
