"""A digest of what the user declared for a revision, so that a later command line keeps the revision.

The rendered template cannot serve as this record, because a newer command line may render it differently. So the digest
covers declarations only: the model, its companions, the InferenceConfigs, and the options and settings that differ
from their defaults. A new option or a new default does not change it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from hashlib import sha256
from typing import Final

from knative.manifests.environment import settings_of, variables, with_declared
from knative.manifests.options import DeploymentOptions
from knative.resources import InferenceConfig, ModelVersion
from runtime.configuration.companions import Companion

# The namespace is where the revision is, and the settings are covered as variables.
# The subscriptions are no part of a revision.
_LEFT_OUT: Final = frozenset({"declared", "function", "namespace", "runtime", "subscriptions"})
_NOT_DECLARED: Final = frozenset({"SCALEZERO_CACHE_DIR", "SCALEZERO_LOAD_FAILURE"})  # the same for every revision


def digest(
    version: ModelVersion,
    config: InferenceConfig | None,
    options: DeploymentOptions,
    companions: Sequence[Companion] = (),
) -> str:
    """Return the SHA-256 of the declared inputs as canonical JSON, in hexadecimal. Raises as `settings_of` does.

    `companions` are without pins.
    """
    declares = with_declared(options, config).declared
    settings = variables(settings_of(version, config, options, companions), declared=declares)
    declared = {
        "settings": {name: value for name, value in settings.items() if name not in _NOT_DECLARED},
        "options": {
            each.name: _plain(value)
            for each in fields(options)
            if each.name not in _LEFT_OUT and (value := getattr(options, each.name)) != _default(each.name)
        },
    }
    text = json.dumps(declared, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return sha256(text.encode()).hexdigest()


def _default(name: str) -> object:
    return getattr(DeploymentOptions(), name)


def _plain(value: object) -> object:
    """Return JSON values. The fields of an option that are not set are left out, so that new ones change nothing."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: each for name, each in asdict(value).items() if each is not None}
    return value
