"""The options of a deployment, from flags and func.yaml. func.yaml has the same meaning as for `func deploy`.

    func.yaml -> FunctionFile -> DeploymentOptions      a flag overrides func.yaml, func.yaml overrides the default

The func.yaml of a folder is the file in the folder. If there is none, it is the file in the closest parent folder
within the repository, provided that its name is the name of a model in the folder. So a func.yaml at the root of a
repository applies to one of its functions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from posixpath import normpath
from typing import Any, Final

from knative.function.variables import Variables, error_at, errors_at, resolve, variables_of
from knative.manifests import Compute, DeploymentOptions, RegistryAccess, Subscription, Volume
from knative.manifests.names import CACHE_PATH
from knative.manifests.quantities import cores, in_bytes
from knative.resources.documents import FieldPath
from knative.resources.errors import as_yaml
from knative.resources.expectations import suggest
from knative.resources.faults import bad_field
from knative.resources.func_yaml import Function, FunctionFile, read_function
from knative.resources.func_yaml import Volume as DeclaredVolume
from runtime.errors import BadSetting
from runtime.settings import FUNCTION, SOURCE, Settings

FUNCTIONS: Final = "functions"  # the folder of the image that contains all functions
_RESOURCES: Final[FieldPath] = ("deploy", "options", "resources")
_FIELDS: Final[Mapping[str, FieldPath]] = {  # the field of func.yaml for each option
    "image": ("image",),
    "namespace": ("namespace",),
    "service_account": ("deploy", "serviceAccountName"),
    "scale": ("deploy", "options", "scale"),
    "requests": _RESOURCES,
    "labels": ("deploy", "labels"),
    "annotations": ("deploy", "annotations"),
    "cache_size": ("run", "volumes"),
    "volumes": ("run", "volumes"),
    "secret": ("run", "envs"),
    "endpoint_url": ("run", "envs"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags of the command; None: not set."""

    image: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    s3_secret: str | None = None
    s3_endpoint: str | None = None


def func_yaml_of_folder(folder: Path, models: Collection[str]) -> FunctionFile | None:
    """Find and read the func.yaml of a folder with these models, or return None.

    Without models, as for a file with only a split, the name in the folder's own func.yaml is not checked.
    Raises `BadManifest`, also if the name in the folder's own func.yaml is not the name of one of the models.
    """
    for each in _folder_and_parents(folder):
        if (each / FUNCTION).is_file():
            func_yaml, is_own = read_function(each), each == folder
            if func_yaml.function.name in models or (is_own and not models):
                return func_yaml
            if is_own:
                name = as_yaml(func_yaml.function.name)
                raise bad_field(func_yaml.document, ("name",), value=name, allowed=suggest(name, sorted(models)))
            return None
    return None


def func_yaml_of(paths: Iterable[Path], models: Collection[str]) -> FunctionFile | None:
    """Return the func.yaml of manifests and folders of manifests, or None. Raises as `func_yaml_of_folder` does.

    Raises `BadSetting` for two files: they have different options, so they must be deployed one after the other.
    """
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    found = [func_yaml for folder in folders if (func_yaml := func_yaml_of_folder(folder, models))]
    others = [each for each in found if each.document.file != found[0].document.file]
    if others:
        files = f"the manifests of {found[0].document.file} and {others[0].document.file}"
        raise BadSetting("-f", value=files, allowed="the manifests of one func.yaml at a time")
    return found[0] if found else None


def handler_for(paths: Iterable[Path]) -> Path | None:
    """Return the author's main.py in the folders of the manifests, or None. Raises `BadSetting` for two of them."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    found = [folder / SOURCE for folder in folders if (folder / SOURCE).is_file()]
    if len(found) > 1:
        raise BadSetting("-f", value=" and ".join(map(str, found)), allowed="the manifests of one function at a time")
    return found[0] if found else None


def in_image(handler: Path, *, image_named: bool) -> Path | None:
    """Return the path of an author's main.py in the image, functions/NAME/main.py, or None if it is not in the image.

    The default image contains the folders in functions/. An image that the user names (`image_named`) may contain any
    folder: `scripts/image --function` copies each of them into functions/.
    """
    folder = handler.resolve().parent
    present = image_named or folder.parent.name == FUNCTIONS
    return Path(FUNCTIONS, folder.name, handler.name) if present else None


def _folder_and_parents(folder: Path) -> Iterator[Path]:
    """Yield the folder and its parents up to the root of the repository; without a repository, of the file system."""
    yield folder
    current, working = folder.resolve(), Path.cwd()
    while not (current / ".git").exists() and current != current.parent:
        current = current.parent
        yield current.relative_to(working) if current.is_relative_to(working) else current


def deployment_options(
    func_yaml: FunctionFile | None,
    *,
    environ: Mapping[str, str],
    flags: Flags,
    handler: Path | None = None,
    namespace: str = "default",
) -> DeploymentOptions:
    """Return the options of the deployment.

    `environ` resolves `{{ env:NAME }}`. `namespace` is the default for the namespace. If func.yaml has no
    FUNCTION_SOURCE, it is `handler`, provided that this path can exist in the image, whose working directory is the
    root of the repository.

    Raises `BadManifest` for values of func.yaml that cannot be deployed, `BadSetting` for flags.
    """
    if func_yaml:
        variables = variables_of(func_yaml, environ)
    else:
        variables = Variables(Settings(cache_dir=Path(CACHE_PATH)), {}, {})
    function = func_yaml.function if func_yaml else None
    options = {
        "image": flags.image or (function.image if function else None) or None,
        "namespace": flags.namespace or (function.target_namespace if function else None) or namespace,
        "service_account": flags.service_account or (function.deploy.service_account_name if function else None),
        **(_options(func_yaml) if func_yaml else {}),
    }
    with _errors_at_fields(func_yaml, flags):
        s3 = RegistryAccess(
            secret=flags.s3_secret or variables.registry.get("secret"),
            endpoint_url=flags.s3_endpoint or variables.registry.get("AWS_ENDPOINT_URL"),
            region=variables.registry.get("AWS_REGION"),
        )
        return DeploymentOptions(
            s3=s3,
            environment=variables.plain,
            cluster_environment=variables.cluster,
            labels=_labels(func_yaml, environ) if func_yaml else {},
            annotations=function.deploy.annotations if function else {},
            runtime=_with_handler(variables.runtime, handler),
            declared=variables.declared,
            function=function.name if function else None,
            subscriptions=_subscriptions(function) if function else (),
            volumes=_volumes(function) if function else (),
            **options,
        )


def _subscriptions(function: Function) -> tuple[Subscription, ...]:
    """Return the subscriptions; their `source` is the name of a Broker, as for `func deploy`."""
    return tuple(Subscription(each.source, each.filters) for each in function.deploy.subscriptions)


def _volumes(function: Function) -> tuple[Volume, ...]:
    """Return the volumes other than the cache, in the order of their paths. Knative has no claims by default."""
    found = (_volume(each, normpath(each.path)) for each in function.run.volumes if not _is_cache(each.path))
    return tuple(sorted(filter(None, found), key=lambda each: each.path))


def _volume(declared: DeclaredVolume, path: str) -> Volume | None:
    if declared.secret is not None:
        return Volume(path, "secret", declared.secret)
    if declared.config_map is not None:
        return Volume(path, "configMap", declared.config_map)
    if declared.empty_dir is not None:
        size, medium = declared.empty_dir.size_limit, declared.empty_dir.medium
        return Volume(path, "emptyDir", size_limit=size, medium=medium)
    return None  # a claim, which agreement.py reports


def _with_handler(runtime: Settings, handler: Path | None) -> Settings:
    in_image = handler is not None and not handler.is_absolute() and ".." not in handler.parts
    return replace(runtime, function_source=handler) if in_image and runtime.function_source is None else runtime


def _options(func_yaml: FunctionFile) -> dict[str, Any]:
    """Return the values that func.yaml sets for scale, compute resources and the cache."""
    options = func_yaml.function.deploy.options
    sizes = [
        each.empty_dir.size_limit for each in func_yaml.function.run.volumes if each.empty_dir and _is_cache(each.path)
    ]
    values = {
        "min_scale": options.scale.min,
        "max_scale": options.scale.max,
        "metric": options.scale.metric,
        "target": options.scale.target,
        "utilization": options.scale.utilization,
        "concurrency": options.resources.limits.concurrency,
        "cache_size": next(iter(sizes), None),
    }
    return {**{name: value for name, value in values.items() if value is not None}, **_compute(func_yaml)}


def _labels(func_yaml: FunctionFile, environ: Mapping[str, str]) -> dict[str, str]:
    return {  # a label allows no reference except `{{ env:NAME }}`, so each value is a string
        each.key: str(resolve(func_yaml, ("deploy", "labels", index), each.value or "", environ))
        for index, each in enumerate(func_yaml.function.deploy.labels)
    }


def _is_cache(path: str) -> bool:
    return path.rstrip("/") == CACHE_PATH


def _compute(func_yaml: FunctionFile) -> dict[str, Compute]:
    """Return requests and limits. If only one of a pair is set, the default of the other is adapted to it."""
    cpu = _request_and_limit(func_yaml, "cpu", cores)
    memory = _request_and_limit(func_yaml, "memory", lambda text: in_bytes("memory", text))
    (cpu_request, cpu_limit), (memory_request, memory_limit) = cpu, memory
    return {
        "requests": _compute_at(func_yaml, "requests", cpu_request, memory_request),
        "limits": _compute_at(func_yaml, "limits", cpu_limit, memory_limit),
    }


def _request_and_limit(func_yaml: FunctionFile, name: str, amount: Callable[[str], Decimal | int]) -> tuple[str, str]:
    resources = func_yaml.function.deploy.options.resources
    request, limit = getattr(resources.requests, name), getattr(resources.limits, name)
    for field, text in (("requests", request), ("limits", limit)):
        if text is not None:
            with errors_at(func_yaml, (*_RESOURCES, field, name)):
                amount(text)
    defaults = {each.name: each.default for each in fields(DeploymentOptions)}
    default_request, default_limit = getattr(defaults["requests"], name), getattr(defaults["limits"], name)
    return (
        request or (min(default_request, limit, key=amount) if limit else default_request),
        limit or (max(default_limit, request, key=amount) if request else default_limit),
    )


def _compute_at(func_yaml: FunctionFile, name: str, cpu: str, memory: str) -> Compute:
    with errors_at(func_yaml, (*_RESOURCES, name)):
        return Compute(cpu=cpu, memory=memory)


@contextmanager
def _errors_at_fields(func_yaml: FunctionFile | None, flags: Flags) -> Iterator[None]:
    """Convert the error of an option to that of its field in func.yaml, unless a flag sets the option."""
    try:
        yield
    except BadSetting as error:
        option = str(error.details["name"])
        flag = {"secret": "s3_secret", "endpoint_url": "s3_endpoint"}.get(option, option)
        if func_yaml is None or getattr(flags, flag, None) is not None or option not in _FIELDS:
            raise
        raise error_at(func_yaml, _FIELDS[option], error) from error
