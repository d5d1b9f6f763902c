"""What the cluster shall hold, as plain data: pure functions from the user's resources to manifests, one file per kind.

    Resources + Deployment -> steps.desired -> Step(manifest) ...   ServiceAccount, Service once per revision, Route

Nothing here reads a cluster, a file or a clock; a manifest is what `json.dumps` takes.
"""

from knative.manifests.options import Compute, DeploymentOptions, RegistryAccess
from knative.manifests.steps import Step, desired

__all__ = ["Compute", "DeploymentOptions", "RegistryAccess", "Step", "desired"]
