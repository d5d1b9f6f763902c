"""The prepared forms of a variant: files that open faster than its own, made on the publisher's machine.

ONNX Runtime's CPU provider: the optimized graph, with its weights in one mapped file. A plugin provider: the compiled
model. A form that cannot be made is only reported, because a pod can open the variant's own file.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.errors import ScalezeroError
from runtime.registry.forms import Form, form_of
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import CPU_PROVIDER, PreparedForm, Variant

if TYPE_CHECKING:
    import numpy as np

_THREADS: Final = 1  # of the compilation


class PreparedVariant(NamedTuple):
    """One prepared form, as the manifest records it, and its files."""

    prepared: PreparedForm
    form: Form


def prepared_forms(
    variant: Variant,
    path: Path,
    folder: Path,
    *,
    uri: str,
    rows: "Sequence[Sequence[np.ndarray]]",
    tell: Callable[[str], None],
    only_faster: bool = True,
) -> list[PreparedVariant]:
    """Return the forms that this machine can make of a variant, if it has none for this CPU class and version.

    `uri` is that of the artifact, `rows` are inputs for the comparison of the outputs. The files are written to
    `folder`. `tell` gets a line about each form that cannot be made. Without `only_faster`, a form of the CPU provider
    is made even if it does not open faster here. Raises OSError.
    """
    from runtime.model.providers import version_of

    version = version_of(variant.provider)
    if _has_form(variant, version):
        return []
    out = folder / "prepared" / variant.name
    known = {each.uri for each in variant.prepared}  # the general form has equal bytes on each class
    try:
        if variant.provider == CPU_PROVIDER:
            made = list(_optimized(variant, path, out, uri=uri, rows=rows, tell=tell, only_faster=only_faster))
        else:
            made = list(_compiled(variant, path, out, uri=uri, version=version, rows=rows))
    except ScalezeroError as error:
        tell(f"{variant.name}: no prepared form was made: {error}")
        return []
    return [each for each in made if each.prepared.uri not in known]


def _has_form(variant: Variant, version: str | None) -> bool:
    """Whether pods of this CPU class with this version of the provider have the form that this machine would make.

    A general form beside those of other classes is not that: the graph depends on the class.
    """
    classes = {each.cpu_class for each in variant.prepared if each.provider_version in {None, version}}
    return cpu_class() in classes or classes == {None}


def _optimized(
    variant: Variant,
    path: Path,
    out: Path,
    *,
    uri: str,
    rows: "Sequence[Sequence[np.ndarray]]",
    tell: Callable[[str], None],
    only_faster: bool,
) -> Iterator[PreparedVariant]:
    from runtime.model.preparing import prepare

    found = prepare(path, out, name=variant.name, rows=rows, only_faster=only_faster)
    for reason in found.failures:
        tell(f"{variant.name}: a prepared form was not made: {reason}")
    for each in found.forms:
        others = [] if each.data is None else [each.data]
        name = _name(variant, "prepared", each.cpu_class)
        yield _prepared(form_of(each.model, uri, name, others), each.cpu_class, each.provider_version)


def _compiled(
    variant: Variant, path: Path, out: Path, *, uri: str, version: str | None, rows: "Sequence[Sequence[np.ndarray]]"
) -> Iterator[PreparedVariant]:
    """Yield the compiled model, unless the provider's version is unknown: it is valid for one version only."""
    from runtime.model.compiling import compile_model

    if version is None:
        return
    out.mkdir(parents=True)
    target = out / f"{variant.name}.onnx"
    made = compile_model(path, target, uri=variant.name, provider=variant.provider, threads=_THREADS, rows=rows)
    name = _name(variant, "compiled", cpu_class())
    yield _prepared(form_of(made.model, uri, name, made.files), cpu_class(), version)


def _name(variant: Variant, kind: str, only: str | None) -> str:
    return "-".join(filter(None, (variant.name, kind, only)))


def _prepared(form: Form, only: str | None, version: str | None) -> PreparedVariant:
    model = form.model
    prepared = PreparedForm(
        uri=model.uri,
        sha256=model.sha256,
        size=model.size,
        files=form.files,
        cpu_class=only,
        provider_version=version,
    )
    return PreparedVariant(prepared, form)
