"""The manifests of a deployment as plain data: pure functions of the user's resources, one file per kind.

    Resources, DeploymentOptions -> steps.desired -> Step(manifest) ...   ServiceAccount, a Service per revision, Route,
                                                                          Broker, SinkBinding, Sequence, Trigger

Nothing here reads a cluster, a file or a clock; a manifest is JSON values.
"""

from knative.manifests.environment import Pin
from knative.manifests.options import ClusterVariable, Compute, DeploymentOptions, RegistryAccess, Subscription, Volume
from knative.manifests.steps import Pins, Step, desired

__all__ = [
    "ClusterVariable",
    "Compute",
    "DeploymentOptions",
    "Pin",
    "Pins",
    "RegistryAccess",
    "Step",
    "Subscription",
    "Volume",
    "desired",
]
