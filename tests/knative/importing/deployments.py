"""Minimal Deployments to import."""

from typing import Any

import yaml

from knative.resources import ForeignDeployment, parse_resources
from knative.resources.pod import Container


def container(image: str = "tensorflow/serving", **fields: object) -> dict[str, Any]:
    return {"name": "serving", "image": image, **fields}


def deployment(*containers: dict[str, Any], name: str = "old", **pod: object) -> ForeignDeployment:
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 3, "template": {"spec": {"containers": list(containers), **pod}}},
    }
    (read,) = parse_resources(yaml.safe_dump(document), file="old.yaml").deployments
    return read


def one(image: str = "tensorflow/serving", **fields: object) -> Container:
    (found,) = deployment(container(image, **fields)).spec.template.spec.containers
    return found


def env(**variables: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]
