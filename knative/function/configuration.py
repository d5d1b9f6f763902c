"""The options of a deployment, from flags and func.yaml, which means here what it means for `func deploy`.

    func.yaml -> FunctionFile -> DeploymentOptions      a flag overrides func.yaml, func.yaml overrides the default

The func.yaml of a folder is the one in it, or else the nearest one above it within the repository, if its name is
the name of a model in the folder. So a func.yaml at the root of a repository applies to one of its functions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from knative.function.variables import Variables, moved, resolved, told_at, variables_of
from knative.manifests import Compute, DeploymentOptions, RegistryAccess
from knative.manifests.names import CACHE_PATH
from knative.manifests.quantities import cores, in_bytes
from knative.resources.documents import FieldPath
from knative.resources.errors import as_yaml
from knative.resources.expectations import nearest_of
from knative.resources.faults import bad_field
from knative.resources.func_yaml import FunctionFile, read_function
from knative.resources.read import FUNCTION
from runtime.errors import BadSetting
from runtime.settings import SOURCE, Settings

FUNCTIONS: Final = "functions"  # the folder of the image that contains all functions
_SHARES: Final[FieldPath] = ("deploy", "options", "resources")
_OPTION: Final[Mapping[str, FieldPath]] = {  # where func.yaml has what an option is called
    "image": ("image",),
    "namespace": ("namespace",),
    "service_account": ("deploy", "serviceAccountName"),
    "scale": ("deploy", "options", "scale"),
    "requests": _SHARES,
    "labels": ("deploy", "labels"),
    "annotations": ("deploy", "annotations"),
    "cache_size": ("run", "volumes"),
    "secret": ("run", "envs"),
    "endpoint_url": ("run", "envs"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the call itself says; None says nothing."""

    image: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    s3_secret: str | None = None
    s3_endpoint: str | None = None


def function_of(folder: Path, models: Collection[str]) -> FunctionFile | None:
    """Find and read the func.yaml of a function's folder with these models, or None.

    Where no model is read, as from a file that holds a split alone, the folder's own has no name to be compared with.
    Raises `BadManifest`, also where the folder's own func.yaml is that of something else.
    """
    for each in _upwards(folder):
        if (each / FUNCTION).is_file():
            written, own = read_function(each), each == folder
            if written.function.name in models or (own and not models):
                return written
            if own:
                name = as_yaml(written.function.name)
                raise bad_field(written.document, ("name",), value=name, allowed=nearest_of(name, sorted(models)))
            return None
    return None


def function_for(paths: Iterable[Path], models: Collection[str]) -> FunctionFile | None:
    """Find the one func.yaml that speaks for manifests and folders of manifests. Raises as `function_of` does.

    Raises `BadSetting` where there are two: each has options of its own, so they are deployed one by one.
    """
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    found = [written for folder in folders if (written := function_of(folder, models))]
    others = [each for each in found if each.document.file != found[0].document.file]
    if others:
        files = f"the manifests of {found[0].document.file} and {others[0].document.file}"
        raise BadSetting("-f", value=files, allowed="those of one func.yaml at a time")
    return found[0] if found else None


def handler_for(paths: Iterable[Path]) -> Path | None:
    """Find the author's main.py beside the manifests, if there is one. Raises `BadSetting` where there are two."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    found = [folder / SOURCE for folder in folders if (folder / SOURCE).is_file()]
    if len(found) > 1:
        raise BadSetting("-f", value=" and ".join(map(str, found)), allowed="the manifests of one function at a time")
    return found[0] if found else None


def in_image(handler: Path, *, image_named: bool) -> Path | None:
    """Return the path of an author's main.py in the image, functions/NAME/main.py; None: the image does not have it.

    The default image has the folders in functions/. One that is named (`image_named`) may have any folder:
    `scripts/image --function` puts each of them into functions/.
    """
    folder = handler.resolve().parent
    present = image_named or folder.parent.name == FUNCTIONS
    return Path(FUNCTIONS, folder.name, handler.name) if present else None


def _upwards(folder: Path) -> Iterator[Path]:
    """Yield the folder, and those above it up to the repository's root; outside of one, up to the file system's."""
    yield folder
    here, working = folder.resolve(), Path.cwd()
    while not (here / ".git").exists() and here != here.parent:
        here = here.parent
        yield here.relative_to(working) if here.is_relative_to(working) else here


def deployment_options(
    written: FunctionFile | None,
    *,
    environ: Mapping[str, str],
    flags: Flags,
    handler: Path | None = None,
    namespace: str = "default",
) -> DeploymentOptions:
    """Work out the options. `environ` gives what `{{ env:NAME }}` names; `namespace` holds where nobody says another.

    Where func.yaml names no FUNCTION_SOURCE it is `handler`, if its path can be one in the image, where the working
    directory is the repository's root.

    Raises `BadManifest` for what func.yaml says and no deployment of ours can do, `BadSetting` for the flags.
    """
    variables = variables_of(written, environ) if written else Variables(Settings(cache_dir=Path(CACHE_PATH)), {}, {})
    function = written.function if written else None
    said = {
        "image": flags.image or (function.image if function else None) or None,
        "namespace": flags.namespace or (function.namespace if function else None) or namespace,
        "service_account": flags.service_account or (function.deploy.service_account_name if function else None),
        **(_options(written) if written else {}),
    }
    with _placed(written, flags):
        s3 = RegistryAccess(
            secret=flags.s3_secret or variables.registry.get("secret"),
            endpoint_url=flags.s3_endpoint or variables.registry.get("AWS_ENDPOINT_URL"),
            region=variables.registry.get("AWS_REGION"),
        )
        return DeploymentOptions(
            s3=s3,
            environment=variables.plain,
            cluster_environment=variables.cluster,
            labels=_labels(written, environ) if written else {},
            annotations=function.deploy.annotations if function else {},
            runtime=_with_handler(variables.runtime, handler),
            declared=variables.declared,
            **said,
        )


def _with_handler(runtime: Settings, handler: Path | None) -> Settings:
    in_image = handler is not None and not handler.is_absolute() and ".." not in handler.parts
    return replace(runtime, function_source=handler) if in_image and runtime.function_source is None else runtime


def _options(written: FunctionFile) -> dict[str, Any]:
    """Collect what func.yaml says of scale, shares and the cache; what it leaves open is left out."""
    options = written.function.deploy.options
    sizes = [
        each.empty_dir.size_limit for each in written.function.run.volumes if each.empty_dir and _is_cache(each.path)
    ]
    said = {
        "min_scale": options.scale.min,
        "max_scale": options.scale.max,
        "metric": options.scale.metric,
        "target": options.scale.target,
        "utilization": options.scale.utilization,
        "concurrency": options.resources.limits.concurrency,
        "cache_size": next(iter(sizes), None),
    }
    return {**{name: value for name, value in said.items() if value is not None}, **_shares(written)}


def _labels(written: FunctionFile, environ: Mapping[str, str]) -> dict[str, str]:
    return {  # a label takes no form but `{{ env:NAME }}`, so each value is a text
        each.key: str(resolved(written, ("deploy", "labels", index), each.value or "", environ))
        for index, each in enumerate(written.function.deploy.labels)
    }


def _is_cache(path: str) -> bool:
    return path.rstrip("/") == CACHE_PATH


def _shares(written: FunctionFile) -> dict[str, Compute]:
    """Read requests and limits. Where one of a pair is left open, its default gives way to the other."""
    cpu = _pair(written, "cpu", cores)
    memory = _pair(written, "memory", lambda text: in_bytes("memory", text))
    shares = dict(zip(("requests", "limits"), zip(cpu, memory, strict=True), strict=True))
    return {name: _placed_compute(written, name, *each) for name, each in shares.items()}


def _pair(written: FunctionFile, name: str, amount: Callable[[str], Decimal | int]) -> tuple[str, str]:
    resources = written.function.deploy.options.resources
    request, limit = getattr(resources.requests, name), getattr(resources.limits, name)
    for field, text in (("requests", request), ("limits", limit)):
        if text is not None:
            with told_at(written, (*_SHARES, field, name)):
                amount(text)
    usual = {each.name: each.default for each in fields(DeploymentOptions)}
    least, most = getattr(usual["requests"], name), getattr(usual["limits"], name)
    return (
        request or (min(least, limit, key=amount) if limit else least),
        limit or (max(most, request, key=amount) if request else most),
    )


def _placed_compute(written: FunctionFile, name: str, cpu: str, memory: str) -> Compute:
    with told_at(written, (*_SHARES, name)):
        return Compute(cpu=cpu, memory=memory)


@contextmanager
def _placed(written: FunctionFile | None, flags: Flags) -> Iterator[None]:
    """Tell what is wrong with an option at its place in func.yaml, unless a flag said it."""
    try:
        yield
    except BadSetting as error:
        option = str(error.details["name"])
        flag = {"secret": "s3_secret", "endpoint_url": "s3_endpoint"}.get(option, option)
        if written is None or getattr(flags, flag, None) is not None or option not in _OPTION:
            raise
        raise moved(written, _OPTION[option], error) from error
