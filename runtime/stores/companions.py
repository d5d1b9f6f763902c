"""The companions of a function's main model: the other models that its process serves, each in one version.

    settings of the main model + SCALEZERO_COMPANIONS -> settings of each companion

A companion has its own artifact and batching. All other settings are those of the process: each model has a queue of
SCALEZERO_QUEUE_SIZE requests, and a pool of SCALEZERO_THREADS threads.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from runtime.configuration.companions import Companion, Companions
from runtime.errors import BadSetting
from runtime.settings import Settings
from runtime.variants.choosing import AUTO, OPENVINO
from runtime.variants.names import ORIGINAL


def settings_of_companions(settings: Settings, main: str | None) -> Iterator[Settings]:
    """Yield the settings of each companion; `main` is the name of the main model, None without one.

    Raises `BadSetting` without a main model, and for a companion with its name.
    """
    for each in settings.companions:
        if main is None:
            allowed = "no companions without a main model in SCALEZERO_MODEL_URI"
            raise BadSetting("SCALEZERO_COMPANIONS", value=each.name, allowed=allowed)
        if each.name == main:
            allowed = f"other models than {main}, which is the main model"
            raise BadSetting("SCALEZERO_COMPANIONS", value=each.name, allowed=allowed)
        yield _settings_of(each, settings)


def _settings_of(companion: Companion, settings: Settings) -> Settings:
    defaults = {each.name: each.default for each in fields(Settings)}
    stated = {name: getattr(companion, name) for name in ("batch_size", "max_wait", "timeout")}
    batching: dict[str, Any] = {name: defaults[name] if value is None else value for name, value in stated.items()}
    return replace(
        settings,
        model_uri=companion.uri,
        model_name=companion.name,
        model_version=companion.version,
        model_sha256=companion.sha256,
        variants=companion.variants,
        variant=_variant(companion, settings.variant),
        companions=Companions(),
        **batching,
    )


def _variant(companion: Companion, wanted: str) -> str:
    """Return the variant of SCALEZERO_VARIANT if the companion has it, as every model has `original` and `openvino`."""
    has = companion.variants is not None and companion.variants.named(wanted) is not None
    return wanted if has or wanted in {ORIGINAL, OPENVINO} else AUTO
