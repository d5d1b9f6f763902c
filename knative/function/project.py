"""The input of one command: the content of all files, each read once, and the options from the files and the flags.

    paths, flags -> load -> Project -> check, publish, plan, apply

`load` reads all files and records every error, so that `scalezero check` reports all of them. `Project.require_valid`
raises the first error, for commands that need valid files.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from knative.function.composition import compose
from knative.function.configuration import (
    FUNCTIONS,
    Flags,
    deployment_options,
    func_yaml_of,
    handler_for,
    in_image,
)
from knative.function.guests import guest_faults, guest_file
from knative.function.source import defined_names
from knative.function.training import TRAINER
from knative.manifests import DeploymentOptions
from knative.objects import Ref, ref_of
from knative.resources import BadManifest, ModelVersion, Resources
from knative.resources.documents import Document
from knative.resources.func_yaml import FunctionFile
from knative.resources.read import collect, documents_of, manifest_files
from runtime.errors import BadSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The valid resources of one command, its options, and the errors in its files."""

    resources: Resources
    options: DeploymentOptions
    image_named: bool = True  # False: neither a flag nor func.yaml names the image
    documents: Mapping[Ref, Document] = field(default_factory=dict)
    function: FunctionFile | None = None  # the func.yaml of these files
    handler: Path | None = None  # the author's main.py beside the manifests
    guest: Path | None = None  # the main.wasm beside the manifests
    defined: Collection[str] | None = None  # the names that main.py defines; None: unknown, or no main.py
    trained: Collection[str] = ()  # the manifest files that have a train.py beside them
    flags: Flags = field(default_factory=Flags)
    faults: tuple[BadManifest, ...] = ()  # the errors in the files
    publishing_endpoint: str | None = None  # of the S3 that this environment publishes to; None: AWS

    @property
    def namespace(self) -> str | None:
        """The namespace that a flag or func.yaml names; None: the context decides."""
        return self.flags.namespace or (self.function.function.target_namespace if self.function else None) or None

    def in_namespace(self, namespace: str) -> "Project":
        """Use the namespace of the context, unless a flag or func.yaml names one."""
        return replace(self, options=replace(self.options, namespace=self.namespace or namespace))

    def require_valid(self) -> None:
        """Raise the first `BadManifest`, or `BadSetting` for a function that is not in the image."""
        for fault in self.faults:
            raise fault
        if self.handler and self.options.runtime.function_source is None:
            allowed = (
                f"a folder in {FUNCTIONS}/, which the default image contains, or an image that contains the folder: "
                f"build it with scripts/image --function {self.handler.parent}, and set image in func.yaml or --image"
            )
            raise BadSetting("function", value=str(self.handler), allowed=allowed)


def load(paths: Sequence[Path], flags: Flags, *, environ: Mapping[str, str]) -> Project:
    """Read manifests and folders of manifests, and the func.yaml that applies to them.

    `environ` resolves `{{ env:NAME }}` in func.yaml. Raises `BadSetting` for a flag that is not allowed, and for paths
    that belong to two functions; every other error is in `Project.faults`.
    """
    faults: list[BadManifest] = []
    found = _consistent(_documents(paths, faults), faults)
    resources = collect(found)
    function = _function(paths, resources, faults)
    handler = handler_for(paths)
    guest = _guest(paths)
    home = handler or guest
    if home is not None:
        faults += _incomplete(paths, home.parent)
    if home is not None and (function is not None or not faults):
        resources = _composed(resources, found, home.parent, function, faults)
    faults += guest_faults(resources, guest=guest, handler=handler)
    image_named = bool(flags.image or (function and function.function.image))
    location = handler and in_image(handler, image_named=image_named)
    try:
        options = deployment_options(function, environ=environ, flags=flags, handler=location)
    except BadManifest as fault:
        faults.append(fault)
        function = None  # its values are unknown, so rules cannot compare them
        options = deployment_options(None, environ=environ, flags=flags, handler=location)
    return Project(
        resources=resources,
        options=options,
        image_named=image_named,
        documents={ref_of(each.data): each for each in found if isinstance(each.data, dict)},
        function=function,
        handler=handler,
        guest=guest,
        defined=None if handler is None else defined_names(handler),
        trained=frozenset(each.file for each in found if Path(each.file).with_name(TRAINER).is_file()),
        flags=flags,
        faults=tuple(faults),
        publishing_endpoint=environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"),
    )


def _guest(paths: Sequence[Path]) -> Path | None:
    """Return the guest in the folders of the manifests, or None; `handler_for` refuses two functions in Python."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    return next(filter(None, map(guest_file, folders)), None)


def _composed(
    resources: Resources,
    found: Sequence[Document],
    folder: Path,
    function: FunctionFile | None,
    faults: list[BadManifest],
) -> Resources:
    """Find the main model and the companions of the function in the folder. An error is added to `faults`."""
    declared = [each for each in found if _is_model(each) and Path(each.file).parent == folder]
    models = collect(declared).models
    try:
        return compose(resources, models=models, function=function.function.name if function else None, folder=folder)
    except BadManifest as fault:
        faults.append(fault)
        return resources


def _incomplete(paths: Sequence[Path], folder: Path) -> list[BadManifest]:
    """Return an error if a function with several models is declared by a part of its files.

    Its models belong together: a revision without the others would be another function.
    """
    declared = [each for each in _consistent(_documents([folder], []), []) if _is_model(each)]
    given = {file.resolve() for path in paths for file in (path.iterdir() if path.is_dir() else [path])}
    files = dict.fromkeys(each.file for each in declared)
    left = [each for each in files if Path(each).resolve() not in given]
    creates_revisions = len(left) < len(files)
    if not left or not creates_revisions or len(collect(declared).models) < 2:  # noqa: PLR2004 - one has no companions
        return []
    found = f"without the ModelVersions in {', '.join(left)}, whose models the function of this folder serves too"
    return [BadManifest(str(folder), None, "-f", value=found, allowed=f"the folder: -f {folder}")]


def _documents(paths: Sequence[Path], faults: list[BadManifest]) -> list[Document]:
    """Parse all files. The errors of invalid files are added to `faults`."""
    found: list[Document] = []
    for path in paths:
        try:
            files = manifest_files(path)
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
    """Return the documents that are valid together. Models are first, because other resources refer to them."""
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
    """Find the func.yaml. It is found by the name of a model, so it is skipped if all models have errors."""
    if faults and not resources.models:
        return None
    try:
        return func_yaml_of(paths, resources.models)
    except BadManifest as fault:
        faults.append(fault)
        return None
