"""Whether func.yaml and the resources say the same, and whether all that func.yaml says comes to pass.

`func deploy` goes by func.yaml alone, `scalezero deploy` by the resources and what they leave open. Where both say the
same thing they must say it alike.
"""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, error
from knative.checks.subject import Subject
from knative.function.configuration import FUNCTIONS
from knative.manifests.names import CACHE_PATH
from knative.resources import ModelVersion
from knative.resources.errors import as_yaml
from knative.resources.func_yaml import Function
from runtime.settings import LIVE_PATH, READY_PATH

FUNC_YAML_DISAGREES: Final = error(
    "func-yaml-disagrees", "func deploy and scalezero deploy would run different things under one name."
)
FUNC_YAML_UNUSED: Final = error("func-yaml-unused", "func deploy would apply it, and scalezero deploy cannot.")
FUNCTION_NOT_SERVED: Final = error(
    "function-not-served",
    "Pods would answer only the protocols, so deploy refuses a function that is not in the image.",
)

RULES: Final = (FUNC_YAML_DISAGREES, FUNC_YAML_UNUSED, FUNCTION_NOT_SERVED)


def check(subject: Subject) -> Iterator[Finding]:
    """Compare func.yaml with the resources and with what is rendered."""
    if subject.handler is not None and subject.options.runtime.function_source is None:
        what = f"{subject.handler} is not in the default image, which has the folders in {FUNCTIONS}/"
        fix = (
            f"build an image that has it with scripts/image --function {subject.handler.parent}, and name the image in "
            "func.yaml or by --image"
        )
        yield FUNCTION_NOT_SERVED.found(what, fix=fix)
    if subject.function is not None:
        function = subject.function.function
        yield from _model(subject, function)
        yield from _batching(subject, function)
        yield from _language(subject, function)
        yield from _derived(subject, function)
        yield from _unused(subject, function)


def _said(function: Function) -> dict[str, str]:
    return {each.name: each.value or "" for each in function.run.envs if each.name is not None}


def _model(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare which model, which version and which artifact."""
    said = _said(function)
    name = said.get("SCALEZERO_MODEL_NAME", function.name)
    if name != function.name:
        yield _disagrees(subject, "SCALEZERO_MODEL_NAME", name, f"{function.name}, the name of the function")
        return
    versions = [each for each in subject.resources.model_versions if each.spec.model_name == name]
    wanted = said.get("SCALEZERO_MODEL_VERSION")
    version = next((each for each in versions if wanted in {None, each.spec.version}), None)
    if version is None:
        declared = " or ".join(each.spec.version for each in versions)
        yield _disagrees(subject, "SCALEZERO_MODEL_VERSION", str(wanted), f"{declared}, as declared")
        return
    yield from _artifact(subject, said, version)


def _artifact(subject: Subject, said: dict[str, str], version: ModelVersion) -> Iterator[Finding]:
    path, name = version.spec.storage.path, version.metadata.name
    if said.get("SCALEZERO_MODEL_URI", path) != path:
        yield _disagrees(subject, "SCALEZERO_MODEL_URI", said["SCALEZERO_MODEL_URI"], f"{path}, as {name} has it")


def _batching(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare with the InferenceConfig, by value: 1s is 1000ms."""
    config = subject.resources.config_of(function.name)
    said, runtime = _said(function), subject.options.runtime
    if config is not None:
        spec = config.spec
        for variable, here, there, text in (
            ("SCALEZERO_BATCH_SIZE", runtime.batch_size, spec.batch_size, str(spec.batch_size)),
            ("SCALEZERO_MAX_WAIT_TIME", runtime.max_wait, spec.max_wait_seconds, spec.max_wait_time),
            ("SCALEZERO_TIMEOUT", runtime.timeout, spec.timeout_seconds, spec.timeout),
        ):
            if variable in said and here != there:
                yield _disagrees(subject, variable, said[variable], f"{text}, as {config.metadata.name} has it")
    cache = said.get("SCALEZERO_CACHE_DIR", CACHE_PATH)
    if cache.rstrip("/") != CACHE_PATH:
        yield _disagrees(subject, "SCALEZERO_CACHE_DIR", cache, f"{CACHE_PATH}, where pods have the cache's volume")


def _language(subject: Subject, function: Function) -> Iterator[Finding]:
    if function.runtime not in {None, "python"}:
        what = f"runtime: func.yaml has {as_yaml(function.runtime)}"
        yield FUNC_YAML_DISAGREES.found(what, fix="write python", where=subject.place_in_function("runtime"))


def _disagrees(subject: Subject, variable: str, value: str, right: str) -> Finding:
    where = subject.place_of_variable(variable)
    return FUNC_YAML_DISAGREES.found(f"{variable}: func.yaml has {as_yaml(value)}", fix=f"write {right}", where=where)


def _derived(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare what the image fixes."""
    health = function.deploy.health_endpoints
    for value, right, path in (
        (health.liveness, LIVE_PATH, ("deploy", "healthEndpoints", "liveness")),
        (health.readiness, READY_PATH, ("deploy", "healthEndpoints", "readiness")),
    ):
        if value not in {None, right}:
            what = f"{'.'.join(path)}: func.yaml has {value}, and the image answers at {right}"
            yield FUNC_YAML_UNUSED.found(what, fix=f"write {right}", where=subject.place_in_function(*path))


def _unused(subject: Subject, function: Function) -> Iterator[Finding]:
    """Find what is not carried out at all."""
    deploy = function.deploy
    volumes = [index for index, each in enumerate(function.run.volumes) if each.path.rstrip("/") != CACHE_PATH]
    for there, path in (
        (function.domain, ("domain",)),
        (deploy.subscriptions, ("deploy", "subscriptions")),
        ("SCALEZERO_MODEL_SHA256" in _said(function), ("run", "envs")),
        *((True, ("run", "volumes", index)) for index in volumes),
    ):
        if there:
            what = f"{'.'.join(map(str, path))}: scalezero deploy cannot apply it"
            yield FUNC_YAML_UNUSED.found(
                what, fix="take it out, or deploy with func", where=subject.place_in_function(*path)
            )
