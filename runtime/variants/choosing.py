"""The order in which a pod tries the variants of its model. Pure.

    pinned variants, CPU class, versions of providers ──► candidates ──► the first one that can be pulled and opened

Measurements hold for one CPU class. On a class that was never measured, only the original is certain to be right and
not slower than itself, so a pod serves that. Within a variant, the prepared forms that fit this machine come before its
own file. The last candidate is always the artifact itself, on ONNX Runtime's CPU provider.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from runtime.errors import BadSetting, public_uri
from runtime.variants.names import CPU_PROVIDER, OPENVINO_PROVIDER, ORIGINAL

if TYPE_CHECKING:
    from runtime.variants.pinned import PinnedCost, PinnedForm, PinnedModel, PinnedRows, PinnedVariant

AUTO: Final = "auto"  # value of SCALEZERO_VARIANT
OPENVINO: Final = "openvino"  # the original's file on OpenVINO: it needs no object of its own, so every model has it

VersionOf: TypeAlias = Callable[[str], str | None]  # provider -> its version; None: unknown or not installed


class LoadCandidate(NamedTuple):
    """One file that a pod can open, and how. Without arguments: the artifact itself."""

    variant: str = ORIGINAL
    provider: str = CPU_PROVIDER  # ONNX Runtime's name of the execution provider
    precision: str | None = None  # element type of the weights; None: unknown
    uri: str | None = None  # None: that of the artifact, in the settings
    sha256: str | None = None  # None: as the settings say
    files: Mapping[str, str] = {}  # digests of the external data, by its location in the model's folder
    prepared: bool = False  # the variant's prepared form
    rows: "PinnedRows | None" = None  # whether its rows are independent; None: not examined
    cost: "PinnedCost | None" = None  # of its runs on this CPU class; None: not measured

    @property
    def title(self) -> str:
        """The name for logs and errors."""
        return _title(self.variant, prepared=self.prepared)


class Passed(NamedTuple):
    """A candidate that is not served, although it comes before the one that is."""

    variant: str
    prepared: bool
    reason: str

    @property
    def title(self) -> str:
        """The name for logs."""
        return _title(self.variant, prepared=self.prepared)


class LoadOrder(NamedTuple):
    """The candidates, the best first, and why they have this order."""

    candidates: tuple[LoadCandidate, ...] = (LoadCandidate(),)
    reason: str = ""  # empty: there was nothing to choose
    artifact_sha256: str | None = None  # None: unknown


class Serving(NamedTuple):
    """The candidate that a pod serves, and why not a better one."""

    candidate: LoadCandidate = LoadCandidate()
    reason: str = ""  # of the order of the candidates; empty: there was nothing to choose
    passed: tuple[Passed, ...] = ()
    artifact_sha256: str | None = None  # None: unknown, or the served file is the artifact

    @property
    def facts(self) -> dict[str, object]:
        """What logs and descriptions say; unknown facts are left out."""
        candidate = self.candidate
        facts = {
            "variant": candidate.variant,
            "provider": candidate.provider,
            "precision": candidate.precision,
            "prepared": candidate.prepared,
            "file": candidate.uri and public_uri(candidate.uri),
            "choice": self.reason or None,
            "not_served": _reasons(self.passed) or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


def _reasons(passed: tuple[Passed, ...]) -> dict[str, str]:
    """Return the reasons by title. A variant may have several prepared forms, whose titles are equal."""
    reasons: dict[str, str] = {}
    for each in passed:
        reasons[each.title] = f"{reasons[each.title]}; {each.reason}" if each.title in reasons else each.reason
    return reasons


def _title(variant: str, *, prepared: bool) -> str:
    return f"{variant} (prepared)" if prepared else variant


def choose(pinned: "PinnedModel", *, cpu_class: str, version_of: VersionOf, wanted: str = AUTO) -> LoadOrder:
    """Return the candidates in the order in which to try them.

    `wanted` is the value of SCALEZERO_VARIANT. Raises `BadSetting` if it names a variant that the model does not have.
    """
    if wanted == ORIGINAL:
        return LoadOrder((_own(pinned, pinned.original, cpu_class),), "SCALEZERO_VARIANT is original")
    variants, reason = _measured(pinned, cpu_class) if wanted == AUTO else _wanted(pinned, wanted)
    tried = [
        each for variant in (*variants, pinned.original) for each in _candidates(pinned, variant, cpu_class, version_of)
    ]
    return LoadOrder(tuple(tried), reason, pinned.original.sha256 or None)


def _measured(pinned: "PinnedModel", cpu_class: str) -> "tuple[list[PinnedVariant], str]":
    """Return the variants of the ranking before the original, and the reason."""
    measured = pinned.classes.get(cpu_class)
    if not pinned.classes:
        return [], "no CPU class was measured"
    if measured is None:
        return [], f"the CPU class {cpu_class} was not measured; measured: {', '.join(sorted(pinned.classes))}"
    before = measured.ranking[: measured.ranking.index(ORIGINAL)] if ORIGINAL in measured.ranking else measured.ranking
    found = (pinned.named(name) for name in before)
    return [each for each in found if each is not None], f"the fastest first, as measured on {cpu_class}"


def _wanted(pinned: "PinnedModel", name: str) -> "tuple[list[PinnedVariant], str]":
    variant = pinned.named(name)
    if variant is None and name == OPENVINO:
        variant = pinned.original._replace(name=OPENVINO, provider=OPENVINO_PROVIDER, prepared=(), rows=None)
    if variant is None:
        names = dict.fromkeys([AUTO, *(each.name for each in pinned.variants), OPENVINO])
        raise BadSetting("SCALEZERO_VARIANT", value=name, allowed=f"one of {', '.join(names)}")
    return [variant], f"SCALEZERO_VARIANT is {name}"


def _candidates(
    pinned: "PinnedModel", variant: "PinnedVariant", cpu_class: str, version_of: VersionOf
) -> Iterator[LoadCandidate]:
    """Yield the prepared forms that fit this machine, those for its class first, then the variant's own file."""
    own = _own(pinned, variant, cpu_class)
    fitting = [each for each in variant.prepared if _fits(each, cpu_class, lambda: version_of(variant.provider))]
    for form in sorted(fitting, key=lambda each: each.cpu_class is None):
        yield own._replace(uri=form.uri, sha256=form.sha256, files=_digests(form), prepared=True)
    yield own


def _own(pinned: "PinnedModel", variant: "PinnedVariant", cpu_class: str) -> LoadCandidate:
    """Return the candidate of the variant's own file. The settings have the URI and the digest of the artifact."""
    is_artifact = variant.uri == pinned.original.uri
    measured = pinned.classes.get(cpu_class)
    return LoadCandidate(
        variant=variant.name,
        provider=variant.provider,
        precision=variant.precision,
        uri=None if is_artifact else variant.uri,
        sha256=None if is_artifact else variant.sha256,
        files=_digests(variant),
        rows=variant.rows,
        cost=measured.costs.get(variant.name) if measured else None,
    )


def _fits(form: "PinnedForm", cpu_class: str, version: Callable[[], str | None]) -> bool:
    return form.cpu_class in {None, cpu_class} and (form.provider_version is None or form.provider_version == version())


def _digests(model: "PinnedVariant | PinnedForm") -> dict[str, str]:
    """Return the digests of the external data by its location, which the URI of a file has percent-encoded."""
    folder = model.uri[: model.uri.rfind("/") + 1]
    locations = ((each.uri.removeprefix(folder), each.sha256) for each in model.files)
    is_encoded = model.uri.startswith("file:")
    return {unquote(location) if is_encoded else location: digest for location, digest in locations}
