"""Prints Knative's own YAML from its modules, with changes for a cluster of one small node.

usage: manifests.py UPSTREAM DOMAIN TAG PART     UPSTREAM has a folder for each module (build.sh); PART is one of PARTS
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Manifest = dict[str, Any]

# The files that are applied together, in this order. Each pattern must match a file; otherwise upstream has moved it.
PARTS: Mapping[str, Sequence[str]] = {
    "definitions": (
        "serving/config/core/300-resources/*.yaml",
        "networking/config/certificate.yaml",
        "networking/config/domain-claim.yaml",
        "networking/config/ingress.yaml",
        "networking/config/serverlessservice.yaml",
        "caching/config/image.yaml",
    ),
    "serving": (
        "serving/config/core/100-namespace.yaml",
        "serving/config/core/200-roles/*.yaml",
        "serving/config/core/200-serviceaccount.yaml",
        "serving/config/core/configmaps/*.yaml",
        "networking/config/config-network.yaml",
        "serving/config/core/webhooks/*.yaml",
        "serving/config/core/deployments/*.yaml",
        "serving/config/core/999-cache.yaml",
        "kourier/config/*.yaml",
    ),
    "eventing-definitions": (
        "eventing/config/core/resources/*.yaml",
        "eventing/config/channels/in-memory-channel/resources/*.yaml",
    ),
    "eventing": (
        "eventing/config/core/100-namespace.yaml",
        "eventing/config/core/200-*.yaml",
        "eventing/config/core/roles/*.yaml",
        "eventing/config/core/configmaps/*.yaml",
        "eventing/config/core/webhooks/*.yaml",
        "eventing/eventing-integrations-latest/*-images.yaml",
        "eventing/config/core/deployments/controller.yaml",
        "eventing/config/core/deployments/webhook.yaml",
        "eventing/config/channels/in-memory-channel/200-*.yaml",
        "eventing/config/channels/in-memory-channel/roles/*.yaml",
        "eventing/config/channels/in-memory-channel/configmaps/*.yaml",
        "eventing/config/channels/in-memory-channel/webhooks/*.yaml",
        "eventing/config/channels/in-memory-channel/deployments/*.yaml",
        "eventing/config/brokers/mt-channel-broker/roles/*.yaml",
        "eventing/config/brokers/mt-channel-broker/deployments/broker-*.yaml",
        "eventing/config/brokers/mt-channel-broker/deployments/controller.yaml",
    ),
}

# Shorter than in a real cluster, because tests wait for scale to zero. 6 s is the minimum that Knative allows.
AUTOSCALER = {"scale-to-zero-grace-period": "6s", "stable-window": "6s"}
INGRESS_CLASS = "kourier.ingress.networking.knative.dev"
# Kinds that are only useful with several nodes.
LEFT_OUT = frozenset({"HorizontalPodAutoscaler", "PodDisruptionBudget"})
REQUESTS = {"cpu": "25m", "memory": "50Mi"}
GATEWAY_PORT = 80  # on the node's address, so that a function's URL works without a port


class Cluster(NamedTuple):
    """The values that upstream's YAML does not set."""

    domain: str
    tag: str


def main(arguments: Sequence[str]) -> int:
    """Print the part of the command line."""
    upstream, domain, tag, part = arguments
    texts = (path.read_text() for pattern in PARTS[part] for path in matching(Path(upstream), pattern))
    yaml.dump_all(rendered(texts, Cluster(domain, tag)), sys.stdout, Dumper=yaml.CSafeDumper)
    return 0


def matching(upstream: Path, pattern: str) -> list[Path]:
    """Return the files that match a pattern, in the order of their names.

    Raises:
        FileNotFoundError: no file matches, because upstream has moved it.
    """
    found = sorted(upstream.glob(pattern))
    if not found:
        raise FileNotFoundError(f"{upstream} has no {pattern}; upstream has moved it, so update PARTS")
    return found


def rendered(texts: Iterable[str], cluster: Cluster) -> Iterator[Manifest]:
    """Yield the objects in the files, with our images and the changes for this cluster."""
    for text in texts:
        for manifest in yaml.load_all(with_images(text, cluster.tag), Loader=yaml.CSafeLoader):
            if manifest and manifest["kind"] not in LEFT_OUT:
                change(manifest, cluster)
                yield manifest


def with_images(text: str, tag: str) -> str:
    """Replace Go packages (in the format of `ko`) and Envoy's image with the images that build.sh writes."""

    def image(found: re.Match[str]) -> str:
        module, path = found.groups()
        name = path.rpartition("/")[2].replace("_", "-")
        return f"dev.local/{'eventing-' if module == 'eventing' else ''}{name}:{tag}"

    text = re.sub(r"ko://knative\.dev/([a-z-]+)/cmd/([a-z_/-]+)", image, text)
    return re.sub(r"image: \S*envoy\S*", f"image: dev.local/envoy:{tag}", text)


def change(manifest: Manifest, cluster: Cluster) -> None:
    """Change the object for a cluster of one small node."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "ConfigMap":
        manifest.setdefault("data", {}).update(settings(name, cluster))
    elif kind == "Deployment":
        for container in manifest["spec"]["template"]["spec"]["containers"]:
            reduce_requests(container)
    elif (kind, name) == ("Service", "kourier"):
        port = {"name": "http2", "port": 80, "targetPort": 8080, "nodePort": GATEWAY_PORT}
        manifest["spec"].update(type="NodePort", ports=[port])


def settings(config_map: str, cluster: Cluster) -> Mapping[str, str]:
    """Return the settings of this cluster in one of Knative's config maps."""
    chosen: Mapping[str, Mapping[str, str]] = {
        "config-network": {"ingress-class": INGRESS_CLASS},
        "config-domain": {cluster.domain: ""},
        "config-autoscaler": AUTOSCALER,
    }
    return chosen.get(config_map, {})


def reduce_requests(container: Manifest) -> None:
    """Reduce the resource requests, probe readiness every second, and drop hooks, because our images have no shell."""
    container.setdefault("resources", {})["requests"] = dict(REQUESTS)
    container.pop("lifecycle", None)
    if "readinessProbe" in container:
        container["readinessProbe"] |= {"periodSeconds": 1, "initialDelaySeconds": 0}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
