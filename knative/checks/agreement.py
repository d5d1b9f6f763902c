"""Rules that func.yaml agrees with the resources, and that `scalezero deploy` can apply all of func.yaml.

`func deploy` reads only func.yaml. `scalezero deploy` reads the resources, and func.yaml for values that the resources
do not set. A value in both must be the same.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from knative.checks.finding import Finding, error
from knative.checks.subject import Subject
from knative.function.configuration import FUNCTIONS
from knative.manifests.environment import COMPANIONS, companions_of, unpinned
from knative.manifests.names import CACHE_PATH
from knative.manifests.trigger import subscription_of
from knative.resources import ModelVersion
from knative.resources.errors import as_yaml
from knative.resources.func_yaml import Function
from runtime.configuration.companions import render_companions
from runtime.errors import BadSetting
from runtime.settings import LIVE_PATH, READY_PATH

FUNC_YAML_DISAGREES: Final = error(
    "func-yaml-disagrees", "func deploy and scalezero deploy would deploy different functions under one name."
)
FUNC_YAML_UNUSED: Final = error("func-yaml-unused", "func deploy would apply it, but scalezero deploy cannot.")
FUNCTION_NOT_SERVED: Final = error(
    "function-not-served",
    "Pods would serve only the protocols, so deploy refuses a function that is not in the image.",
)

_EVENT_TARGET: Final = "SCALEZERO_EVENT_TARGET"
_SIGNATURE: Final = "FUNCTION_SIGNATURE_TYPE"  # functions-framework's
_HTTP: Final = "http"

RULES: Final = (FUNC_YAML_DISAGREES, FUNC_YAML_UNUSED, FUNCTION_NOT_SERVED)


def check(subject: Subject) -> Iterator[Finding]:
    """Compare func.yaml with the resources and with the rendered objects."""
    if subject.handler is not None and subject.options.runtime.function_source is None:
        what = f"{subject.handler} is not in the default image, which contains only folders in {FUNCTIONS}/"
        fix = (
            f"build an image that contains it with scripts/image --function {subject.handler.parent}, and set the "
            "image in func.yaml or with --image"
        )
        yield FUNCTION_NOT_SERVED.finding(what, fix=fix)
    if subject.function is not None:
        function = subject.function.function
        yield from _model(subject, function)
        yield from _batching(subject, function)
        yield from _companions(subject, function)
        yield from _events(subject, function)
        yield from _language(subject, function)
        yield from _derived(subject, function)
        yield from _unused(subject, function)


def _variables(function: Function) -> dict[str, str]:
    return {each.name: each.value or "" for each in function.run.envs if each.name is not None}


def _model(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare the name, the version and the artifact of the model."""
    variables = _variables(function)
    name = variables.get("SCALEZERO_MODEL_NAME", function.name)
    if name != function.name:
        yield _disagrees(subject, "SCALEZERO_MODEL_NAME", name, f"{function.name}, the name of the function")
        return
    versions = [each for each in subject.resources.model_versions if each.spec.model_name == name]
    wanted = variables.get("SCALEZERO_MODEL_VERSION")
    version = next((each for each in versions if wanted in {None, each.spec.version}), None)
    if version is None:
        declared = " or ".join(each.spec.version for each in versions)
        yield _disagrees(subject, "SCALEZERO_MODEL_VERSION", str(wanted), f"{declared}, as in the ModelVersions")
        return
    yield from _artifact(subject, variables, version)


def _artifact(subject: Subject, variables: dict[str, str], version: ModelVersion) -> Iterator[Finding]:
    path, name = version.spec.storage.path, version.metadata.name
    if variables.get("SCALEZERO_MODEL_URI", path) != path:
        yield _disagrees(subject, "SCALEZERO_MODEL_URI", variables["SCALEZERO_MODEL_URI"], f"{path}, as in {name}")


def _batching(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare with the InferenceConfig, by value: 1s equals 1000ms."""
    config = subject.resources.config_of(function.name)
    variables, runtime = _variables(function), subject.options.runtime
    if config is not None:
        spec = config.spec
        for variable, func_yaml_value, resource_value, text in (
            ("SCALEZERO_BATCH_SIZE", runtime.batch_size, spec.batch_size, str(spec.batch_size)),
            ("SCALEZERO_MAX_WAIT_TIME", runtime.max_wait, spec.max_wait_seconds, spec.max_wait_time),
            ("SCALEZERO_TIMEOUT", runtime.timeout, spec.timeout_seconds, spec.timeout),
        ):
            if variable in variables and func_yaml_value != resource_value:
                yield _disagrees(subject, variable, variables[variable], f"{text}, as in {config.metadata.name}")
    cache = variables.get("SCALEZERO_CACHE_DIR", CACHE_PATH)
    if cache.rstrip("/") != CACHE_PATH:
        yield _disagrees(subject, "SCALEZERO_CACHE_DIR", cache, f"{CACHE_PATH}, where the cache volume is mounted")


def _companions(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare the companions for `func deploy` with the declared ones; pins may differ."""
    text = _variables(function).get(COMPANIONS)
    if text is None:
        return
    with suppress(BadSetting):  # artifacts.py reports it
        declared = [*map(unpinned, companions_of(subject.resources, subject.options))]
        if [*map(unpinned, subject.options.runtime.companions)] != declared:
            right = f"{render_companions(declared)}, as in the ModelVersions" if declared else "no companions"
            yield _disagrees(subject, COMPANIONS, text, right)


def _events(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare the events: the same triggers, the same target, and a signature that takes events."""
    events, variables = subject.resources.events_of(function.name), _variables(function)
    signature = variables.get(_SIGNATURE, _HTTP)
    if function.invoke == "cloudevent" and _SIGNATURE in variables and signature == _HTTP:
        yield _disagrees(subject, _SIGNATURE, signature, "cloudevent or event, as invoke is cloudevent")
    if events is None:
        return
    target = variables.get(_EVENT_TARGET)
    if target is not None and events.target is not None and target != events.target:
        yield _disagrees(subject, _EVENT_TARGET, target, f"{events.target}, as in the events of model.yaml")
    subscriptions = subject.options.subscriptions_of(function.name)
    declared = [subscription_of(each, events) for each in events.triggers]
    if not subscriptions or not declared:
        return
    path = ("deploy", "subscriptions")
    for index, each in enumerate(subscriptions):
        if each not in declared:
            what = f"{'.'.join(path)}[{index}]: no trigger of model.yaml has this source and these filters"
            fix = "remove the subscriptions, which func deploy needs, or add the same to triggers"
            yield FUNC_YAML_DISAGREES.finding(what, fix=fix, where=subject.place_in_function(*path, index))
    if missing := sum(each not in subscriptions for each in declared):
        what = f"{'.'.join(path)}: {missing} of the triggers of model.yaml are not among them"
        fix = "add a source and filters for each trigger, or remove the subscriptions"
        yield FUNC_YAML_DISAGREES.finding(what, fix=fix, where=subject.place_in_function(*path))


def _language(subject: Subject, function: Function) -> Iterator[Finding]:
    if function.runtime not in {None, "python"}:
        what = f"runtime: func.yaml has {as_yaml(function.runtime)}"
        yield FUNC_YAML_DISAGREES.finding(what, fix="write python", where=subject.place_in_function("runtime"))


def _disagrees(subject: Subject, variable: str, value: str, right: str) -> Finding:
    where = subject.place_of_variable(variable)
    return FUNC_YAML_DISAGREES.finding(f"{variable}: func.yaml has {as_yaml(value)}", fix=f"write {right}", where=where)


def _derived(subject: Subject, function: Function) -> Iterator[Finding]:
    """Compare with the paths that the image fixes."""
    health = function.deploy.health_endpoints
    for value, right, path in (
        (health.liveness, LIVE_PATH, ("deploy", "healthEndpoints", "liveness")),
        (health.readiness, READY_PATH, ("deploy", "healthEndpoints", "readiness")),
    ):
        if value not in {None, right}:
            what = f"{'.'.join(path)}: func.yaml has {value}, but the image serves it at {right}"
            yield FUNC_YAML_UNUSED.finding(what, fix=f"write {right}", where=subject.place_in_function(*path))


def _unused(subject: Subject, function: Function) -> Iterator[Finding]:
    """Find fields that `scalezero deploy` cannot apply."""
    claims = [index for index, each in enumerate(function.run.volumes) if each.persistent_volume_claim]
    for is_set, path in (
        (function.domain, ("domain",)),
        ("SCALEZERO_MODEL_SHA256" in _variables(function), ("run", "envs")),
        *((True, ("run", "volumes", index)) for index in claims),
    ):
        if is_set:
            what = f"{'.'.join(map(str, path))}: scalezero deploy cannot apply it"
            yield FUNC_YAML_UNUSED.finding(
                what, fix="remove it, or deploy with func", where=subject.place_in_function(*path)
            )
