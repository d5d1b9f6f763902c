"""What one command deploys: every file read once, with the options that follow from the files and the flags.

    paths, flags -> load -> Project -> check, publish, plan, apply

`load` reads as much as it can and records every fault, so that `scalezero check` reports all of them.
`Project.require_valid` raises the first one for the commands that need all files to be right.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from knative.function.configuration import (
    FUNCTIONS,
    Flags,
    deployment_options,
    function_for,
    handler_for,
    in_image,
)
from knative.function.publishing import TRAINER
from knative.manifests import DeploymentOptions
from knative.objects import Ref, ref_of
from knative.resources import BadManifest, ModelVersion, Resources
from knative.resources.documents import Document
from knative.resources.func_yaml import FunctionFile
from knative.resources.read import collect, documents_of, files_of
from runtime.errors import BadSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The files of one command, as far as they can be read."""

    resources: Resources
    options: DeploymentOptions
    image_named: bool = True  # False: neither a flag nor func.yaml names the image
    documents: Mapping[Ref, Document] = field(default_factory=dict)
    function: FunctionFile | None = None  # the func.yaml of these files
    handler: Path | None = None  # the author's main.py beside the manifests
    trained: Collection[str] = ()  # the manifest files that have a train.py beside them
    flags: Flags = field(default_factory=Flags)
    faults: tuple[BadManifest, ...] = ()
    publishing_endpoint: str | None = None  # of the S3 that this environment publishes to; None: AWS

    @property
    def namespace(self) -> str | None:
        """The namespace that a flag or func.yaml names; None: the context decides."""
        return self.flags.namespace or (self.function.function.namespace if self.function else None) or None

    def within(self, namespace: str) -> "Project":
        """Use the namespace of the context, unless a flag or func.yaml names one."""
        return replace(self, options=replace(self.options, namespace=self.namespace or namespace))

    def require_valid(self) -> None:
        """Raise the first `BadManifest`, or `BadSetting` for a function that is not in the image."""
        for fault in self.faults:
            raise fault
        if self.handler and self.options.runtime.function_source is None:
            allowed = (
                f"an image that has it, as the default one has the folders in {FUNCTIONS}/: build one with "
                f"scripts/image --function {self.handler.parent}, and name it as image in func.yaml or by --image"
            )
            raise BadSetting("function", value=str(self.handler), allowed=allowed)


def load(paths: Sequence[Path], flags: Flags, *, environ: Mapping[str, str]) -> Project:
    """Read manifests and folders of manifests, and the func.yaml that applies to them.

    `environ` resolves `{{ env:NAME }}` in func.yaml. Raises `BadSetting` for a flag that is not allowed, and for paths
    that belong to two functions; every other fault is in `Project.faults`.
    """
    faults: list[BadManifest] = []
    found = _consistent(_documents(paths, faults), faults)
    resources = collect(found)
    function = _function(paths, resources, faults)
    handler = handler_for(paths)
    image_named = bool(flags.image or (function and function.function.image))
    location = handler and in_image(handler, image_named=image_named)
    try:
        options = deployment_options(function, environ=environ, flags=flags, handler=location)
    except BadManifest as fault:
        faults.append(fault)
        function = None  # nothing can be compared with it
        options = deployment_options(None, environ=environ, flags=flags, handler=location)
    return Project(
        resources=resources,
        options=options,
        image_named=image_named,
        documents={ref_of(each.data): each for each in found if isinstance(each.data, dict)},
        function=function,
        handler=handler,
        trained=frozenset(each.file for each in found if Path(each.file).with_name(TRAINER).is_file()),
        flags=flags,
        faults=tuple(faults),
        publishing_endpoint=environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"),
    )


def _documents(paths: Sequence[Path], faults: list[BadManifest]) -> list[Document]:
    """Parse all files; a file that cannot be parsed is a fault."""
    found: list[Document] = []
    for path in paths:
        try:
            files = files_of(path)
        except BadManifest as fault:
            faults.append(fault)
            continue
        for file in files:
            try:
                found += documents_of(file)
            except BadManifest as fault:
                faults.append(fault)
    return found


def _consistent(found: Sequence[Document], faults: list[BadManifest]) -> list[Document]:
    """Keep the documents that are valid together. Models come first, because others refer to them."""
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
    """Find the func.yaml. It is matched by a model's name, so it is skipped where all models have faults."""
    if faults and not resources.models:
        return None
    try:
        return function_for(paths, resources.models)
    except BadManifest as fault:
        faults.append(fault)
        return None
