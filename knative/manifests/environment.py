"""The environment of a pod: the runtime's settings, from the user's resources, and the access to the registry.

The variables are those that `runtime.settings` reads. It parses everything that is rendered, so a pod never gets a
value that its start refuses.
"""

from collections.abc import Container, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Final, NamedTuple

from knative.manifests import names
from knative.manifests.options import ClusterVariable, DeploymentOptions, RegistryAccess
from knative.resources import InferenceConfig, ModelVersion, durations
from knative.resources.model_version import Storage
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from

VERSION_ID: Final = "?versionId="  # in the URI of an S3 object; the runtime reads that version
MODEL_URI, MODEL_SHA256 = "SCALEZERO_MODEL_URI", "SCALEZERO_MODEL_SHA256"
_OF_CONFIG: Final = frozenset({"SCALEZERO_BATCH_SIZE", "SCALEZERO_MAX_WAIT_TIME", "SCALEZERO_TIMEOUT"})
_NO_TEXT: Final = (None, (), MISSING)
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_MAYBE: Final = ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION")  # a Secret may describe the whole registry


class Pin(NamedTuple):
    """What the registry has under a model's URI, for a revision that serves these bytes and no others."""

    sha256: str | None  # lower-case hex; None: not recorded
    version_id: str | None = None  # of the object; None: the bucket keeps no versions


def settings_of(version: ModelVersion, config: InferenceConfig | None, options: DeploymentOptions) -> Settings:
    """Return the settings of a version's pods. Raises `BadSetting` for an artifact that no pod can read."""
    settings = replace(
        options.runtime,
        model_uri=_uri(version.spec.storage),
        model_name=version.spec.model_name,
        model_version=version.spec.version,
        model_sha256=None,  # one for all versions could be right for one of them only; see `pinned`
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
    )


def pinned(settings: Settings, pin: Pin | None) -> Settings:
    """Serve exactly the object that the registry has now. A version that the URI names already stays."""
    if pin is None or settings.model_uri is None:
        return settings
    uri = settings.model_uri
    if pin.version_id is not None and VERSION_ID not in uri:
        uri = f"{uri}{VERSION_ID}{pin.version_id}"
    return replace(settings, model_uri=uri, model_sha256=pin.sha256)


def declaring(options: DeploymentOptions, config: InferenceConfig | None) -> DeploymentOptions:
    """Add the settings that an InferenceConfig declares to those of the options."""
    return options if config is None else replace(options, declared=options.declared | _OF_CONFIG)


def variables(settings: Settings, *, declared: Container[str]) -> dict[str, str]:
    """Return the variables that give the same settings back. Raises `BadSetting` where that is not possible.

    Settings with their default are left out, unless they are `declared`: so a command line with other defaults renders
    the same. Knative sets its own variables.
    """
    written = {
        each.metadata["env"]: _text(value)
        for each in fields(settings)
        if (value := getattr(settings, each.name)) not in {None, ()}
        and (value != each.default or each.metadata["env"] in declared)
        and each.metadata["env"] not in names.GIVEN_BY_KNATIVE
    }
    settings_from(written)
    return written


def default_variables() -> dict[str, str]:
    """Return the defaults that do not depend on the machine, by variable."""
    return {each.metadata["env"]: _text(each.default) for each in fields(Settings) if each.default not in _NO_TEXT}


def environment(settings: Settings, options: DeploymentOptions) -> list[dict[str, object]]:
    """Return the `env` of the container: the author's variables, the settings, the access to the registry."""
    plain = {**options.environment, **variables(settings, declared=options.declared), **_registry(options.s3)}
    single = [_from_cluster(each) for each in options.cluster_environment if each.name is not None]
    return [*_literal(plain), *single, *_from_secret(options.s3.secret, given=plain)]


def whole_sources(options: DeploymentOptions) -> list[dict[str, object]]:
    """Return the `envFrom` of the container: Secrets and ConfigMaps with a variable for each of their keys."""
    whole = (each for each in options.cluster_environment if each.name is None)
    return [{f"{each.kind}Ref": {"name": each.source}} for each in whole]


def _from_cluster(variable: ClusterVariable) -> dict[str, object]:
    reference = {"name": variable.source, "key": variable.key}
    return {"name": variable.name, "valueFrom": {f"{variable.kind}KeyRef": reference}}


def _registry(s3: RegistryAccess) -> dict[str, str]:
    given = {"AWS_ENDPOINT_URL": s3.endpoint_url, "AWS_REGION": s3.region}
    return {name: value for name, value in given.items() if value is not None}


def _literal(plain: Mapping[str, str]) -> list[dict[str, object]]:
    """Escape the values: the kubelet expands $(NAME) as a reference and $$ as a $."""
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in plain.items()]


def _from_secret(secret: str | None, *, given: Container[str]) -> list[dict[str, object]]:
    if secret is None:
        return []
    needed = [_of_secret(secret, key) for key in _KEYS]
    return [*needed, *(_of_secret(secret, key, optional=True) for key in _MAYBE if key not in given)]


def _of_secret(secret: str, key: str, **more: bool) -> dict[str, object]:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, **more}}}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return durations.written(value)
    if type(value) is tuple:
        return ",".join(map(str, value))
    return value.as_posix() if isinstance(value, Path) else str(value)


def _uri(storage: Storage) -> str:
    if storage.type == "file" and not storage.path.lower().startswith(("/", "file:///")):
        allowed = "s3://bucket/key, or an absolute path in the image; a pod does not have the manifest's folder"
        raise BadSetting("storage.path", value=storage.path, allowed=allowed)
    return storage.path
