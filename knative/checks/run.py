"""From files to findings: read what can be read, look up what can be looked up, apply the rules.

    paths -> documents -> Subject -> facts -> findings

What stops other verbs is a finding here, and the reading goes on with the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from knative.checks.facts import Find, Objects, with_artifacts, with_objects
from knative.checks.finding import Finding, Severity
from knative.checks.reading import refused
from knative.checks.rules import findings
from knative.checks.subject import Subject
from knative.function.options import Flags, deployment, function_for, handler_for
from knative.function.placing import in_image
from knative.function.publishing import TRAINER
from knative.objects import ref_of
from knative.resources import BadManifest, ModelVersion, Resources
from knative.resources.documents import Document, documents
from knative.resources.func_yaml import FunctionFile
from knative.resources.read import collect, content, files_of

_UNNAMED: Final = "dev.local/unnamed:0"  # stands for an image that nobody names
_ORDER: Final = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, the worst first, and what could not be looked up."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def passes(self, *, strict: bool = False) -> bool:
        """Tell whether there is no error, and with `strict` no warning either."""
        bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
        return not any(each.severity in bad for each in self.findings)

    def as_data(self) -> dict[str, object]:
        """Give it as plain values."""
        return {"findings": [{**asdict(each), "severity": str(each.severity)} for each in self.findings]} | {
            "notes": list(self.notes)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where facts come from; None: nobody is asked."""

    find: Find | None = None  # of the registry
    cluster: Callable[[str], Objects] | None = None  # by the namespace


def examine(
    paths: Sequence[Path],
    *,
    flags: Flags,
    environ: Mapping[str, str],
    namespace: str = "default",
    sources: Sources = Sources(),
) -> Report:
    """Check manifests and folders of manifests, with the func.yaml that speaks for them.

    `namespace` holds where neither a flag nor func.yaml says another. Raises `BadSetting` for bad flags alone.
    """
    subject, told = subject_of(paths, flags=flags, environ=environ, namespace=namespace)
    notes: list[str] = []
    if sources.find is not None:
        subject = with_artifacts(subject, sources.find, notes)
    if sources.cluster is not None:
        subject = with_objects(subject, sources.cluster(subject.options.namespace), notes)
    found = [*told, *findings(subject)]
    unique = dict.fromkeys(sorted(found, key=_order))
    return Report(findings=tuple(unique), notes=tuple(notes))


def _order(each: Finding) -> tuple[int, str, int, str]:
    """Put the worst first, and of those the first in a file."""
    file, _, line = (each.where or "").rpartition(":")
    if not line.isdecimal():
        file, line = each.where or "", "0"
    return _ORDER.index(each.severity), file, int(line), each.code


def subject_of(
    paths: Sequence[Path], *, flags: Flags, environ: Mapping[str, str], namespace: str
) -> tuple[Subject, list[Finding]]:
    """Read everything that can be read; what cannot is a finding."""
    faults: list[BadManifest] = []
    found = _collected(_documents(paths, faults), faults)
    resources = collect(found)
    function = _function(paths, resources, faults)
    handler = handler_for(paths)
    place = handler and in_image(handler)
    image = flags.image or (function.function.image if function else None)
    known = replace(flags, image=image or _UNNAMED)
    try:
        options = deployment(function, environ=environ, flags=known, handler=place, namespace=namespace)
    except BadManifest as fault:
        faults.append(fault)
        function = None  # what it says cannot be compared with anything then
        options = deployment(
            None, environ=environ, flags=replace(flags, image=_UNNAMED), handler=place, namespace=namespace
        )
    subject = Subject(
        resources=resources,
        options=options,
        image_named=image is not None,
        documents={ref_of(document.data): document for document in found if isinstance(document.data, dict)},
        function=function,
        handler=handler,
        trained=frozenset(each.file for each in found if Path(each.file).with_name(TRAINER).is_file()),
        flags=flags,
    )
    return subject, [refused(fault) for fault in faults]


def _documents(paths: Sequence[Path], faults: list[BadManifest]) -> list[Document]:
    found: list[Document] = []
    for path in paths:
        try:
            files = files_of(path)
        except BadManifest as fault:
            faults.append(fault)
            continue
        for file in files:
            try:
                found += documents(content(file), file=str(file))
            except BadManifest as fault:
                faults.append(fault)
    return found


def _collected(found: Sequence[Document], faults: list[BadManifest]) -> list[Document]:
    """Leave out what cannot be read, or not beside what is read already. Models come first, as others refer to them."""
    kept: list[Document] = []
    for document in sorted(found, key=lambda each: not _is_model(each)):
        try:
            collect([*kept, document])
        except BadManifest as fault:
            faults.append(fault)
        else:
            kept.append(document)
    return kept


def _is_model(document: Document) -> bool:
    return isinstance(document.data, dict) and document.data.get("kind") == ModelVersion.__name__


def _function(paths: Sequence[Path], resources: Resources, faults: list[BadManifest]) -> FunctionFile | None:
    try:
        return function_for(paths, resources.models) if resources.models else None
    except BadManifest as fault:
        faults.append(fault)
        return None
