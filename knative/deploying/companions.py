"""The companions that a template or a revision serves beside the main model. Pure.

A companion changes only with a new revision, so a revision that serves another version than the files declare stays as
it is until a new version of the main model is declared.
"""

from collections.abc import Iterator

from knative.manifests.environment import COMPANIONS, VERSION_ID, unpinned, variable_in
from knative.manifests.variants import news
from knative.objects import Manifest
from runtime.configuration.companions import Companion, parse_companions


def companions_in(manifest: Manifest) -> tuple[Companion, ...]:
    """Return the companions of a revision, or of a Service's template; none if their JSON cannot be read."""
    text = variable_in(manifest, COMPANIONS)
    try:
        return parse_companions(text) if text else ()
    except ValueError:
        return ()


def declared_in(manifest: Manifest) -> list[dict[str, object]]:
    """Return the companions of a revision or a template as they were declared, without their pins."""
    return [unpinned(each)._asdict() for each in companions_in(manifest)]


def other_versions(template: Manifest, revision: Manifest) -> str:
    """Describe the companions that the revision serves in another version than the template; empty if there is none."""
    return "; ".join(_other_versions(template, revision))


def _other_versions(template: Manifest, revision: Manifest) -> Iterator[str]:
    declared, deployed = ({each.name: each.version for each in companions_in(it)} for it in (template, revision))
    for name in dict.fromkeys((*declared, *deployed)):
        now, before = declared.get(name), deployed.get(name)
        if now == before:
            continue
        if before is None:
            yield f"it does not serve the companion {name}, which the files declare in version {now}"
        elif now is None:
            yield f"it serves the companion {name} {before}, which the files no longer declare"
        else:
            yield f"it serves the companion {name} {before}, and the files declare {now}"


def replaced(template: Manifest, revision: Manifest) -> tuple[Companion, Companion] | None:
    """Return the first companion whose object in the registry has another SHA-256 than at the deployment: now, before.

    None: all are equal, or the digest of one is unknown.
    """
    now = {each.name: each for each in companions_in(template)}
    for before in companions_in(revision):
        current = now.get(before.name)
        if current is None or None in {current.sha256, before.sha256} or current.sha256 == before.sha256:
            continue
        if current.uri.partition(VERSION_ID)[0] == before.uri.partition(VERSION_ID)[0]:
            return current, before
    return None


def newer_variants(template: Manifest, revision: Manifest) -> Iterator[str]:
    """Say which variants of its companions were published after the revision was deployed."""
    now = {(each.name, each.version): each.variants for each in companions_in(template)}
    for before in companions_in(revision):
        for each in news(before.variants, now.get((before.name, before.version))):
            yield f"{before.name}: {each}"
