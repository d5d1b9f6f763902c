"""Which models a function consists of: its main model, and its companions. Pure.

A folder with a main.py is one function, which serves all models of its manifests. Its main model is the one that
func.yaml is named after, or the only one. The main model has the Knative Service, the revisions and the traffic. Every
other model is a companion: each revision serves its newest declared version.

Without a main.py there is no code that uses several models, so each model has a Service of its own.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from knative.resources import BadManifest, Resources
from runtime.settings import FUNCTION


def compose(resources: Resources, *, models: Collection[str], function: str | None, folder: Path) -> Resources:
    """Return the resources with the main model and the companions of the function in `folder`.

    `models` are those that the manifests of this folder declare, and `function` is the name in the func.yaml that
    applies to it. Raises `BadManifest` if there are several models, and no func.yaml has the name of one.
    """
    if len(models) < 2:  # noqa: PLR2004 - one model has no companions
        return resources
    if function not in models:
        found = f"no func.yaml for the models {', '.join(models)}"
        allowed = f"a func.yaml with the name of the main model, which has the revisions: one of {', '.join(models)}"
        raise BadManifest(str(folder / FUNCTION), None, "name", value=found, allowed=allowed)
    return replace(resources, companion_models=tuple(sorted(each for each in models if each != function)))
