"""The variants that a revision pins: which of the published ones, and what a deployed revision lacks of them.

published variants and assessments ──► choose ──► Pin ──► SCALEZERO_VARIANTS ──► pinned_of ──► news, rankings

Pure. A pod chooses by the class of its CPU, so a revision pins the ranking of every measured class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from knative.manifests.environment import variable_in
from knative.objects import Manifest
from knative.resources import ModelOptimization
from runtime.variants.pinned import PinnedModel, parse, pinned_from
from runtime.variants.values import ORIGINAL, Assessment, Variant

VARIANTS: Final = "SCALEZERO_VARIANTS"
_ORIGINAL_ONLY: Final = (ORIGINAL,)


def choose(
    variants: Sequence[Variant], assessments: Sequence[Assessment], optimization: ModelOptimization | None
) -> PinnedModel | None:
    """Return what to pin of the published variants; None if a pod would learn nothing from it.

    A ModelOptimization that is not enabled leaves only the original, with its prepared forms. Without the resource, the
    choice of the publisher counts.
    """
    if optimization is not None and not optimization.spec.quantization.enabled:
        variants = [each for each in variants if each.name == ORIGINAL]
        assessments = [_of_original(each) for each in assessments]
    if not any(each.name == ORIGINAL for each in variants):
        return None
    pinned = pinned_from(variants, assessments)
    is_useful = len(pinned.variants) > 1 or pinned.original.prepared or pinned.original.rows
    return pinned if is_useful or any(each.costs for each in pinned.classes.values()) else None


def _of_original(assessment: Assessment) -> Assessment:
    measured = tuple(each for each in assessment.measurements if each.variant == ORIGINAL)
    return replace(assessment, chosen=ORIGINAL, measurements=measured)


def pinned_of(revision: Manifest) -> PinnedModel | None:
    """Return what a revision, or the template of one, pins; None if it pins nothing that this version can read."""
    text = variable_in(revision, VARIANTS)
    if not text:
        return None
    try:
        return parse(text)
    except ValueError:  # of another version of scalezero
        return None


def rankings(pinned: PinnedModel | None) -> Mapping[str, tuple[str, ...]]:
    """Return the variants that a pod tries, in their order, by CPU class."""
    return {} if pinned is None else {name: each.ranking for name, each in pinned.classes.items()}


def first_choices(variants: Sequence[Variant], pinned: PinnedModel | None) -> tuple[Variant, ...]:
    """Return the variants that pods of some measured class serve, if their image can open them."""
    firsts = {ranking[0] for ranking in rankings(pinned).values()}
    return tuple(each for each in variants if each.name in firsts)


def objects_of(pinned: PinnedModel) -> Iterator[str]:
    """Yield the URIs of all objects of the pinned variants."""
    for variant in pinned.variants:
        yield from (each.uri for each in variant.objects)


def news(deployed: PinnedModel | None, now: PinnedModel | None) -> tuple[str, ...]:
    """Say what a revision would gain if it pinned what is published now; empty if nothing.

    A variant that is no longer published is not reported, because the deployed revision keeps it.
    """
    if now is None:
        return ()
    return (*_other_choices(deployed, now), *_prepared_forms(deployed, now))


def _other_choices(deployed: PinnedModel | None, now: PinnedModel) -> Iterator[str]:
    before = rankings(deployed)
    for cpu_class, ranking in rankings(now).items():
        first, old = ranking[0], before.get(cpu_class, _ORIGINAL_ONLY)[0]
        if first != old:
            yield f"{first} instead of {old} on {cpu_class}"
        elif _digest(deployed, first) not in {None, _digest(now, first)}:
            yield f"another file of {first} on {cpu_class}"


def _prepared_forms(deployed: PinnedModel | None, now: PinnedModel) -> Iterator[str]:
    for variant in now.variants:
        before = deployed and deployed.named(variant.name)
        if before is None and variant.name != ORIGINAL:
            continue  # a new variant comes with its forms
        known = {each.uri for each in before.prepared} if before else set()
        if any(each.uri not in known for each in variant.prepared):
            yield f"a prepared form of {variant.name}"


def _digest(pinned: PinnedModel | None, name: str) -> str | None:
    found = pinned.named(name) if pinned else None
    return found.sha256 if found else None
