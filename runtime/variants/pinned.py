"""What a deploy pins of a model's variants into a revision: compact JSON in SCALEZERO_VARIANTS. Pure.

manifest and added assessments ──► pinned_from ──► render ──► the pod's environment ──► parse

A pod then chooses a variant without a request to the store, and a revision stays what it was when measurements are
added. URIs are relative to the folder of the original, because the values of all variables share the limits of a pod.

(The values are NamedTuples, and the values of publishing are not imported: a pod parses the JSON before its pull
starts, and the creation of as many frozen dataclasses takes some 10 ms.)
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from runtime.variants.json_fields import (
    amount,
    camel,
    digest,
    field,
    list_of,
    loads,
    mapping_of,
    one_of,
    optional,
    text,
    wrong,
)
from runtime.variants.names import ORIGINAL, RowsState

if TYPE_CHECKING:
    from runtime.variants.values import Assessment, PreparedForm, RowsProof, StoredFile, Variant

MAX_BYTES: Final = 32 * 2**10  # of the JSON. Linux allows 128 KiB for one variable; all variables of a pod share 2 MiB
_MAX_REASON: Final = 200  # characters of a reason for operators; the manifest has the whole text


class PinnedFile(NamedTuple):
    """One file of the external data of a model."""

    uri: str
    sha256: str  # lower-case hex


class PinnedForm(NamedTuple):
    """A variant in a form that opens faster than the variant's own file."""

    uri: str
    sha256: str
    files: tuple[PinnedFile, ...] = ()  # the external data
    cpu_class: str | None = None  # the only class that may use it; None: every class
    provider_version: str | None = None  # the only version that may use it; None: every version


class PinnedRows(NamedTuple):
    """Whether the rows of a request are independent of each other, so that requests may share a run."""

    state: RowsState
    reason: str  # for operators


class PinnedVariant(NamedTuple):
    """One form of the model that a pod can serve."""

    name: str
    provider: str  # ONNX Runtime's name of the execution provider
    precision: str | None  # element type of the weights, NumPy's name; None: unknown
    uri: str
    sha256: str
    files: tuple[PinnedFile, ...] = ()  # the external data
    prepared: tuple[PinnedForm, ...] = ()
    rows: PinnedRows | None = None  # None: not examined

    @property
    def objects(self) -> tuple[PinnedFile, ...]:
        """All objects of the variant; its own model file is the last."""
        forms = (each for form in self.prepared for each in (*form.files, PinnedFile(form.uri, form.sha256)))
        return (*forms, *self.files, PinnedFile(self.uri, self.sha256))


class PinnedCost(NamedTuple):
    """The duration of a run: seconds = per_row * rows + fixed."""

    fixed: float
    per_row: float


class PinnedClass(NamedTuple):
    """What was measured on one CPU class."""

    ranking: tuple[str, ...]  # names of variants, the best first, the original last
    costs: Mapping[str, PinnedCost] = {}  # by the name of a variant in the ranking


class PinnedModel(NamedTuple):
    """The variants that a revision may serve: the original first, then those of any ranking."""

    variants: tuple[PinnedVariant, ...]
    classes: Mapping[str, PinnedClass] = {}  # by CPU class

    @property
    def original(self) -> PinnedVariant:
        """The first variant."""
        return self.variants[0]

    def named(self, name: str) -> PinnedVariant | None:
        """Return the variant of this name, if it is pinned."""
        return next((each for each in self.variants if each.name == name), None)


def pinned_from(variants: Iterable["Variant"], assessments: Iterable["Assessment"]) -> PinnedModel:
    """Return what to pin: the original, and the variants that a ranking names.

    If a CPU class has several assessments, the newest counts. Raises ValueError without an original.
    """
    known: dict[str, PinnedVariant] = {}
    for each in map(_variant_of, variants):
        known.setdefault(each.name, each)
    if ORIGINAL not in known:
        raise ValueError(f"variants: got {', '.join(known) or 'none'}; expected one with the name {ORIGINAL}")
    newest = {each.cpu_class: each for each in sorted(assessments, key=lambda each: each.measured_at)}
    classes = {name: _class_of(each, known) for name, each in sorted(newest.items())}
    names = dict.fromkeys([ORIGINAL, *(name for each in classes.values() for name in each.ranking)])
    return PinnedModel(tuple(map(known.__getitem__, names)), classes)


def _class_of(assessment: "Assessment", known: Mapping[str, PinnedVariant]) -> PinnedClass:
    ranking = tuple(name for name in assessment.ranking if name in known)
    costs = {each.variant: each.cost for each in assessment.measurements if each.cost and each.variant in ranking}
    return PinnedClass(ranking, {name: PinnedCost(each.fixed, each.per_row) for name, each in costs.items()})


def _variant_of(variant: "Variant") -> PinnedVariant:
    return PinnedVariant(
        variant.name,
        variant.provider,
        variant.precision,
        variant.uri,
        variant.sha256,
        _files_of(variant.files),
        tuple(map(_form_of, variant.prepared)),
        None if variant.rows is None else _rows_of(variant.rows),
    )


def _form_of(form: "PreparedForm") -> PinnedForm:
    return PinnedForm(form.uri, form.sha256, _files_of(form.files), form.cpu_class, form.provider_version)


def _files_of(files: Iterable["StoredFile"]) -> tuple[PinnedFile, ...]:
    return tuple(PinnedFile(each.uri, each.sha256) for each in files)


def _rows_of(rows: "RowsProof") -> PinnedRows:
    reason = rows.reason
    return PinnedRows(rows.state, reason if len(reason) <= _MAX_REASON else f"{reason[: _MAX_REASON - 3]}...")


def render(pinned: PinnedModel) -> str:
    """Return the JSON, of at most `MAX_BYTES` bytes in ASCII. Fields with their default values are left out.

    If it is longer, the least useful parts are left out, in this order: the variants in the last places of the
    rankings, the prepared forms of the original, the digests of its external data, the classes.
    """
    return _text(as_data(pinned))


def as_data(pinned: PinnedModel) -> dict[str, Any]:
    """Return the JSON values that `render` writes, for a JSON that has them as a part."""
    found = map(_data_of, _smaller_and_smaller(pinned))
    return next(data for data in found if len(_text(data)) <= MAX_BYTES)


def _smaller_and_smaller(pinned: PinnedModel) -> Iterator[PinnedModel]:
    yield pinned
    while len(pinned.variants) > 1:
        pinned = _without(pinned, _least_useful(pinned))
        yield pinned
    pinned = pinned._replace(variants=(pinned.original._replace(prepared=()),))
    yield pinned
    pinned = pinned._replace(variants=(pinned.original._replace(files=()),))
    yield pinned
    yield pinned._replace(classes={})


def _least_useful(pinned: PinnedModel) -> str:
    """Return the variant whose best place in a ranking is the worst; never the original."""

    def best_place(name: str) -> int:
        rankings = (each.ranking for each in pinned.classes.values())
        return min((ranking.index(name) for ranking in rankings if name in ranking), default=len(pinned.variants))

    return max((each.name for each in pinned.variants[1:]), key=best_place)


def _without(pinned: PinnedModel, name: str) -> PinnedModel:
    return PinnedModel(
        tuple(each for each in pinned.variants if each.name != name),
        {cpu: _class_without(each, name) for cpu, each in pinned.classes.items()},
    )


def _class_without(pinned: PinnedClass, name: str) -> PinnedClass:
    ranking = tuple(each for each in pinned.ranking if each != name)
    return PinnedClass(ranking, {each: cost for each, cost in pinned.costs.items() if each != name})


def _data_of(pinned: PinnedModel) -> dict[str, Any]:
    folder = _folder(pinned.original.uri)
    relative = pinned._replace(variants=_with_uris(pinned.variants, lambda uri: uri.removeprefix(folder)))
    data: dict[str, Any] = _data(relative)
    return data


def _text(data: Any) -> str:  # noqa: ANN401 - JSON values
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def _data(value: Any) -> Any:  # noqa: ANN401 - a value of any field
    """Return a value as JSON values; the names of the fields are in camel case, as in the manifest."""
    if isinstance(value, Mapping):
        return {name: _data(each) for name, each in value.items()}
    if not isinstance(value, tuple):
        return value
    if not hasattr(value, "_asdict"):
        return [*map(_data, value)]
    defaults = value._field_defaults  # type: ignore[attr-defined] # a NamedTuple
    return {camel(name): _data(each) for name, each in value._asdict().items() if each != defaults.get(name, ...)}


def parse(rendered: str) -> PinnedModel:
    """Read what `render` returned; unknown fields are ignored. Raises ValueError with the path of the field."""
    return from_data(loads(rendered))


def from_data(data: Any) -> PinnedModel:  # noqa: ANN401 - a JSON value
    """Read what `as_data` returned, as `parse` does."""
    variants = field(data, "", "variants", list_of(_pinned_variant))
    classes: dict[str, PinnedClass] = field(data, "", "classes", mapping_of(_pinned_class), default={})
    _check_names(variants, classes)
    folder = _folder(variants[0].uri)
    return PinnedModel(_with_uris(variants, lambda uri: _absolute(uri, folder)), classes)


def _pinned_variant(data: Any, at: str) -> PinnedVariant:  # noqa: ANN401
    return PinnedVariant(
        field(data, at, "name", text),
        field(data, at, "provider", text),
        field(data, at, "precision", optional(text)),
        field(data, at, "uri", text),
        field(data, at, "sha256", digest),
        field(data, at, "files", list_of(_pinned_file), default=()),
        field(data, at, "prepared", list_of(_pinned_form), default=()),
        field(data, at, "rows", optional(_pinned_rows), default=None),
    )


def _pinned_form(data: Any, at: str) -> PinnedForm:  # noqa: ANN401
    return PinnedForm(
        field(data, at, "uri", text),
        field(data, at, "sha256", digest),
        field(data, at, "files", list_of(_pinned_file), default=()),
        field(data, at, "cpuClass", optional(text), default=None),
        field(data, at, "providerVersion", optional(text), default=None),
    )


def _pinned_file(data: Any, at: str) -> PinnedFile:  # noqa: ANN401
    return PinnedFile(field(data, at, "uri", text), field(data, at, "sha256", digest))


def _pinned_rows(data: Any, at: str) -> PinnedRows:  # noqa: ANN401
    return PinnedRows(field(data, at, "state", one_of(get_args(RowsState))), field(data, at, "reason", text))


def _pinned_class(data: Any, at: str) -> PinnedClass:  # noqa: ANN401
    return PinnedClass(
        field(data, at, "ranking", list_of(text)),
        field(data, at, "costs", mapping_of(_pinned_cost), default={}),
    )


def _pinned_cost(data: Any, at: str) -> PinnedCost:  # noqa: ANN401
    return PinnedCost(field(data, at, "fixed", amount), field(data, at, "perRow", amount))


def _check_names(variants: Sequence[PinnedVariant], classes: Mapping[str, PinnedClass]) -> None:
    names = [each.name for each in variants]
    if names[:1] != [ORIGINAL]:
        raise wrong("variants[0].name", names[0] if names else None, repr(ORIGINAL))
    if len(set(names)) < len(names):
        raise wrong("variants", names, "each name once")
    for cpu, each in classes.items():
        for place, name in enumerate(each.ranking):
            if name not in names:
                raise wrong(f"classes.{cpu}.ranking[{place}]", name, f"one of {', '.join(names)}")


def _folder(uri: str) -> str:
    return uri[: uri.partition("?")[0].rfind("/") + 1]


def _absolute(uri: str, folder: str) -> str:
    return uri if "://" in uri or uri.startswith("/") else folder + uri


def _with_uris(variants: Sequence[PinnedVariant], change: Callable[[str], str]) -> tuple[PinnedVariant, ...]:
    """Change the URIs of all objects, except that of the original, which the others are relative to."""

    def files(stored: Sequence[PinnedFile]) -> tuple[PinnedFile, ...]:
        return tuple(each._replace(uri=change(each.uri)) for each in stored)

    def form(prepared: PinnedForm) -> PinnedForm:
        return prepared._replace(uri=change(prepared.uri), files=files(prepared.files))

    def changed(each: PinnedVariant, uri: str) -> PinnedVariant:
        return each._replace(uri=uri, files=files(each.files), prepared=tuple(map(form, each.prepared)))

    original, *others = variants
    return (changed(original, original.uri), *(changed(each, change(each.uri)) for each in others))
