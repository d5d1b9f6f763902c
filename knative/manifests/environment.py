"""The environment of a pod: the runtime's settings, from the user's resources, and the access to the registry.

The variables are those that `runtime.settings` reads. It parses everything that is rendered, so a pod never gets a
value that its start refuses.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from knative.manifests import names
from knative.manifests.options import ClusterVariable, DeploymentOptions, RegistryAccess
from knative.objects import Manifest
from knative.resources import InferenceConfig, ModelVersion, Resources, durations
from knative.resources.model_version import Storage
from runtime.configuration.companions import Companion, Companions
from runtime.configuration.guest_code import GuestCodes
from runtime.configuration.values import FRACTION, Parser
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from
from runtime.variants.pinned import PinnedModel, render

VERSION_ID: Final = "?versionId="  # in the URI of an S3 object; the runtime reads that version
MODEL_URI, MODEL_SHA256, COMPANIONS = "SCALEZERO_MODEL_URI", "SCALEZERO_MODEL_SHA256", "SCALEZERO_COMPANIONS"
GUEST_URI, GUEST_SHA256, GUEST_CODE = "SCALEZERO_GUEST_URI", "SCALEZERO_GUEST_SHA256", "SCALEZERO_GUEST_CODE"
GUEST_PINS = (GUEST_SHA256, GUEST_CODE)
_OF_CONFIG: Final = frozenset({"SCALEZERO_BATCH_SIZE", "SCALEZERO_MAX_WAIT_TIME", "SCALEZERO_TIMEOUT"})
_NO_TEXT: Final = (None, (), MISSING)
# A Secret may describe the whole registry.
_OPTIONAL_KEYS: Final = ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION")


class Pin(NamedTuple):
    """The object under the URI of a model or a guest in the registry. A revision with a pin serves these bytes."""

    sha256: str | None  # lower-case hex; None: not recorded
    version_id: str | None = None  # of the object; None: the bucket keeps no versions
    variants: PinnedModel | None = None  # what a pod may serve in its place; None: only the object
    codes: GuestCodes = GuestCodes()  # of a guest: its compiled code


def settings_of(
    version: ModelVersion,
    config: InferenceConfig | None,
    options: DeploymentOptions,
    companions: Sequence[Companion] = (),
) -> Settings:
    """Return the settings of a version's pods. Raises `BadSetting` for an artifact that no pod can read."""
    settings = replace(
        options.runtime,
        model_uri=_uri(version.spec.storage),
        model_name=version.spec.model_name,
        model_version=version.spec.version,
        model_sha256=None,  # it differs between versions; see `pinned`
        variants=None,
        companions=Companions(companions),
        cache_dir=Path(names.CACHE_PATH),
        load_failure="exit",  # the kubelet restarts it, and the revision's condition shows the reason
    )
    if config is None:
        return settings
    return replace(
        settings,
        batch_size=config.spec.batch_size,
        max_wait=config.spec.max_wait_seconds,
        timeout=config.spec.timeout_seconds,
        **_of_function(config),
    )


def _of_function(config: InferenceConfig) -> dict[str, Any]:
    """Return the declared settings of a function's events and of its guest."""
    events, guest = config.spec.events, config.spec.guest
    return {**(events.settings() if events else {}), **(guest.settings() if guest else {})}


def companions_of(resources: Resources, options: DeploymentOptions) -> tuple[Companion, ...]:
    """Return the companions that new revisions of the function serve, without pins. Raises as `settings_of` does."""
    return tuple(_companion(each, resources.config_of(each.spec.model_name), options) for each in resources.companions)


def _companion(version: ModelVersion, config: InferenceConfig | None, options: DeploymentOptions) -> Companion:
    """Return a companion with the batching that is declared for it, by its InferenceConfig or for all models."""
    settings = settings_of(version, config, options)
    defaults = Settings()
    batching: dict[str, Any] = {
        name: getattr(settings, name)
        for name in ("batch_size", "max_wait", "timeout")
        if config is not None or getattr(settings, name) != getattr(defaults, name)
    }
    return Companion(version.spec.model_name, version.spec.version, _uri(version.spec.storage), **batching)


def pinned(settings: Settings, pin: Pin | None) -> Settings:
    """Pin the settings to the current object in the registry. A version that is already in the URI is kept."""
    if pin is None or settings.model_uri is None:
        return settings
    uri = _uri_of(settings.model_uri, pin)
    return replace(settings, model_uri=uri, model_sha256=pin.sha256, variants=pin.variants)


def with_pinned_companions(settings: Settings, pins: Mapping[str, Pin]) -> Settings:
    """Pin the companions to the current objects in the registry; `pins` are by URI."""
    companions = (_pinned_companion(each, pins.get(each.uri)) for each in settings.companions)
    return replace(settings, companions=Companions(companions))


def with_pinned_guest(settings: Settings, pins: Mapping[str, Pin]) -> Settings:
    """Pin the guest to its current object and compiled code in the registry; `pins` are by URI."""
    pin = pins.get(settings.guest_uri) if settings.guest_uri else None
    if pin is None or settings.guest_uri is None:
        return settings
    uri = _uri_of(settings.guest_uri, pin)
    return replace(settings, guest_uri=uri, guest_sha256=pin.sha256, guest_code=pin.codes)


def unpinned(companion: Companion) -> Companion:
    """Return the companion as it is declared: without the version and the digest of its object, and its variants."""
    return companion._replace(uri=companion.uri.partition(VERSION_ID)[0], sha256=None, variants=None)


def _pinned_companion(companion: Companion, pin: Pin | None) -> Companion:
    if pin is None:
        return companion
    return companion._replace(uri=_uri_of(companion.uri, pin), sha256=pin.sha256, variants=pin.variants)


def _uri_of(uri: str, pin: Pin) -> str:
    return uri if pin.version_id is None or VERSION_ID in uri else f"{uri}{VERSION_ID}{pin.version_id}"


def with_declared(options: DeploymentOptions, config: InferenceConfig | None) -> DeploymentOptions:
    """Add the settings that an InferenceConfig declares to those of the options."""
    if config is None:
        return options
    of_function = {each.metadata["env"] for each in fields(Settings) if each.name in _of_function(config)}
    return replace(options, declared=options.declared | _OF_CONFIG | of_function)


def variables(settings: Settings, *, declared: Container[str]) -> dict[str, str]:
    """Return the variables from which `settings_from` reads the same settings. Raises `BadSetting` if there are none.

    Settings with their default are left out, unless they are `declared`, so a command line with other defaults renders
    the same. Knative sets its own variables.
    """
    written = {
        each.metadata["env"]: _text(value, each.metadata["parser"])
        for each in fields(settings)
        if ((value := getattr(settings, each.name)) not in (None, ()) or each.default not in _NO_TEXT)
        and (value != each.default or each.metadata["env"] in declared)
        and each.metadata["env"] not in names.SET_BY_KNATIVE
    }
    settings_from(written)
    return written


def default_variables() -> dict[str, str]:
    """Return the defaults that do not depend on the machine, by variable."""
    return {
        each.metadata["env"]: _text(each.default, each.metadata["parser"])
        for each in fields(Settings)
        if each.default not in _NO_TEXT
    }


def environment(settings: Settings, options: DeploymentOptions) -> list[dict[str, object]]:
    """Return the `env` of the container: the author's variables, the settings, the access to the registry."""
    plain = {**options.environment, **variables(settings, declared=options.declared), **_registry(options.s3)}
    single = [_from_cluster(each) for each in options.cluster_environment if each.name is not None]
    return [*_literal(plain), *single, *_from_secret(options.s3.secret, existing=plain)]


def variable_in(manifest: Manifest, name: str) -> str | None:
    """Return the value of a variable of the model's container, in a revision or the template of a Service.

    None: it has no such variable, or its value comes from a Secret or a ConfigMap.
    """
    containers = (each for each in manifest["spec"]["containers"] if each.get("name") == names.CONTAINER)
    variables = (each for container in containers for each in container.get("env") or () if each["name"] == name)
    value: str | None = next((each.get("value") for each in variables), None)
    return None if value is None else value.replace("$$", "$")


def whole_sources(options: DeploymentOptions) -> list[dict[str, object]]:
    """Return the `envFrom` of the container: Secrets and ConfigMaps with a variable for each of their keys."""
    whole = (each for each in options.cluster_environment if each.name is None)
    return [{f"{each.kind}Ref": {"name": each.source}} for each in whole]


def _from_cluster(variable: ClusterVariable) -> dict[str, object]:
    reference = {"name": variable.source, "key": variable.key}
    return {"name": variable.name, "valueFrom": {f"{variable.kind}KeyRef": reference}}


def _registry(s3: RegistryAccess) -> dict[str, str]:
    values = {"AWS_ENDPOINT_URL": s3.endpoint_url, "AWS_REGION": s3.region}
    return {name: value for name, value in values.items() if value is not None}


def _literal(plain: Mapping[str, str]) -> list[dict[str, object]]:
    """Escape the values: the kubelet expands $(NAME) as a reference and $$ as a $."""
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in plain.items()]


def _from_secret(secret: str | None, *, existing: Container[str]) -> list[dict[str, object]]:
    if secret is None:
        return []
    needed = [_of_secret(secret, key) for key in names.REGISTRY_KEYS]
    return [*needed, *(_of_secret(secret, key, optional=True) for key in _OPTIONAL_KEYS if key not in existing)]


def _of_secret(secret: str, key: str, **more: bool) -> dict[str, object]:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, **more}}}


def _text(value: object, parser: Parser) -> str:
    if value is None:
        return "none"  # of a setting that has another default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and parser is not FRACTION:
        return durations.format_duration(value)
    if type(value) is tuple:
        return ",".join(map(str, value))
    if isinstance(value, PinnedModel):
        return render(value)
    return value.as_posix() if isinstance(value, Path) else str(value)


def _uri(storage: Storage) -> str:
    if storage.type == "file" and not storage.path.lower().startswith(("/", "file:///")):
        allowed = "s3://bucket/key, or an absolute path in the image; a pod does not have the manifest's folder"
        raise BadSetting("storage.path", value=storage.path, allowed=allowed)
    return storage.path
