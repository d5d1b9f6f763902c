"""The runtime's settings, from the user's resources into the pod's environment.

The names of the variables are those that `runtime.settings` reads, and what is rendered is read back by it before it
leaves: a pod cannot be sent what its start would refuse.
"""

from collections.abc import Container, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from knative.manifests import names
from knative.manifests.options import DeploymentOptions, RegistryAccess
from knative.resources import InferenceConfig, ModelVersion, durations
from knative.resources.model_version import Storage
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from

_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_MAYBE: Final = ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION")  # so that a Secret can say all of its registry


def settings_of(version: ModelVersion, config: InferenceConfig | None, options: DeploymentOptions) -> Settings:
    """Put together what the pods of a version serve, and how. Raises `BadSetting` for an artifact that no pod sees."""
    settings = replace(
        options.runtime,
        model_uri=_uri(version.spec.storage),
        model_name=version.spec.model_name,
        model_version=version.spec.version,
        model_sha256=None,  # what the publisher recorded; an option for all versions could be right for one at most
        cache_dir=Path(names.CACHE_PATH),
        load_failure="exit",  # the kubelet starts it again, later each time, and the revision's condition shows why
    )
    if config is None:
        return settings
    return replace(
        settings,
        batch_size=config.spec.batch_size,
        max_wait=config.spec.max_wait_seconds,
        timeout=config.spec.timeout_seconds,
    )


def variables(settings: Settings) -> dict[str, str]:
    """Write settings as the variables that give the same settings back. Raises `BadSetting` where that cannot be.

    All are written, defaults too: timeouts and concurrency of the revision are derived from them, and an
    image with other defaults must not change that. What Knative sets is left to it.
    """
    written = {
        each.metadata["env"]: _text(value)
        for each in fields(Settings)
        if (value := getattr(settings, each.name)) not in {None, ()}
        and each.metadata["env"] not in names.GIVEN_BY_KNATIVE
    }
    settings_from(written)
    return written


def environment(settings: Settings, options: DeploymentOptions) -> list[dict[str, object]]:
    """Write the `env` of the container: the author's own variables, the settings, then the way to the registry."""
    plain = {**options.environment, **variables(settings), **_registry(options.s3)}
    return [*_literal(plain), *_from_secret(options.s3.secret, said=plain)]


def _registry(s3: RegistryAccess) -> dict[str, str]:
    said = {"AWS_ENDPOINT_URL": s3.endpoint_url, "AWS_REGION": s3.region}
    return {name: value for name, value in said.items() if value is not None}


def _literal(plain: Mapping[str, str]) -> list[dict[str, object]]:
    """Write the values so that they arrive as they are: the kubelet reads $(NAME) as a reference and $$ as a $."""
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in plain.items()]


def _from_secret(secret: str | None, *, said: Container[str]) -> list[dict[str, object]]:
    if secret is None:
        return []
    needed = [_of_secret(secret, key) for key in _KEYS]
    return [*needed, *(_of_secret(secret, key, optional=True) for key in _MAYBE if key not in said)]


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
        allowed = "s3://bucket/key, or an absolute path in the image: a pod knows nothing of the manifest's folder"
        raise BadSetting("storage.path", value=storage.path, allowed=allowed)
    return storage.path
