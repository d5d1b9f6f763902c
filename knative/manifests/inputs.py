"""A digest of what the user declared for a revision, so that the same files keep it under any later command line.

The rendered template is no such record: a newer command line may render more, or render it differently. So the digest
covers declarations only: the model, the InferenceConfig, and the options and settings that differ from their defaults.
A new option, or a new default, changes no digest.
"""

import json
from dataclasses import asdict, fields, is_dataclass
from hashlib import sha256
from typing import Final

from knative.manifests.environment import declaring, settings_of, variables
from knative.manifests.options import DeploymentOptions
from knative.resources import InferenceConfig, ModelVersion

# The namespace is where the revision is, and the settings are covered as variables.
_LEFT_OUT: Final = frozenset({"declared", "namespace", "runtime"})
_NOT_DECLARED: Final = frozenset({"SCALEZERO_CACHE_DIR", "SCALEZERO_LOAD_FAILURE"})  # the same for every revision


def digest(version: ModelVersion, config: InferenceConfig | None, options: DeploymentOptions) -> str:
    """Return the SHA-256 of the declared inputs as canonical JSON, in hexadecimal. Raises as `settings_of` does."""
    settings = variables(settings_of(version, config, options), declared=declaring(options, config).declared)
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
