"""Rules that pods can pull the guest of a function, and that it is the one in the folder."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, warning
from knative.checks.subject import Guest, Subject
from knative.function.guests import CHANGED, changed_guest
from runtime.settings import GUEST

GUEST_CHANGED: Final = warning(
    "guest-changed", "A published guest never changes: deploy refuses the new one, and pods run the published one."
)
GUEST_MISSING: Final = warning("guest-missing", "A revision without its guest never becomes Ready.")
GUEST_UNDIGESTED: Final = warning(
    "guest-undigested", "Without a digest, a pod cannot verify that the file is the published guest."
)

RULES: Final = (GUEST_CHANGED, GUEST_MISSING, GUEST_UNDIGESTED)


def check(subject: Subject) -> Iterator[Finding]:
    """Check the published guest of each model with a Service, if the registry was queried."""
    for service in subject.resources.services:
        config = subject.resources.config_of(service)
        declared = config.spec.guest if config else None
        if config is None or declared is None or declared.path not in subject.facts.guests:
            continue
        where = subject.place(config, "spec", "guest", "path")
        yield from _published(subject, declared.path, subject.facts.guests[declared.path], where)


def _published(subject: Subject, uri: str, guest: Guest | None, where: str | None) -> Iterator[Finding]:
    if guest is None:
        fix = "run scalezero publish with the folder, or deploy, which also publishes it"
        if subject.guest is None:
            fix = f"put {GUEST} into the folder, and run scalezero publish with the folder"
        yield GUEST_MISSING.finding(f"{uri} does not exist", fix=fix, where=where)
    elif guest.sha256 is None:
        fix = f"set guest.path to an unused URI, and run scalezero publish with a folder that has the {GUEST}"
        yield GUEST_UNDIGESTED.finding(f"{uri} has no recorded digest", fix=fix, where=where)
    elif changed := changed_guest(uri, published=guest.sha256, here=subject.facts.guest_here):
        yield GUEST_CHANGED.finding(changed, fix=CHANGED, where=where)
