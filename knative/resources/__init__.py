"""The user's resources: one frozen model per kind, exactly as written, and the reading of manifests."""

from knative.resources.ab_service import ABService
from knative.resources.api_definition import APIDefinition
from knative.resources.deployment import ForeignDeployment
from knative.resources.errors import BadManifest
from knative.resources.inference_config import InferenceConfig
from knative.resources.model_optimization import ModelOptimization
from knative.resources.model_version import ModelVersion
from knative.resources.read import Resource, Resources, parse_resources, read_resources, render_resources

__all__ = [
    "ABService",
    "APIDefinition",
    "BadManifest",
    "ForeignDeployment",
    "InferenceConfig",
    "ModelOptimization",
    "ModelVersion",
    "Resource",
    "Resources",
    "parse_resources",
    "read_resources",
    "render_resources",
]
