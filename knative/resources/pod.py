"""A pod as Kubernetes takes it (core/v1 PodTemplateSpec), as far as a foreign Deployment is understood here.

What is read for its meaning is typed: names, images, ports, environment, compute. The pod's other well-known fields
are kept as they are, and one that Kubernetes does not know is refused, as most often it is a slip of the pen.
"""

from collections.abc import Hashable, Iterable
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Name, Part, Text, Texts

Kept = Annotated[Any, Meta(description="what Kubernetes takes there")]
Seconds = Annotated[int, Meta(ge=0, description="a whole number of seconds from 0")]
Count = Annotated[int, Meta(ge=0, description="a whole number from 0")]
PortNumber = Annotated[int, Meta(ge=1, le=65535, description="a port from 1 to 65535")]
Flag = Annotated[bool, Meta(description="true or false")]
Words = Annotated[tuple[Text, ...], Meta(description="a list of texts; quote a number or true")]
Quantity = Annotated[
    int
    | float
    | Annotated[
        str, Meta(pattern=r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?\Z", max_length=32)
    ],
    Meta(description='a quantity, such as "200m" or "256Mi"'),
]
Quantities = Annotated[dict[str, Quantity], Meta(description='a mapping of resources to quantities, such as cpu: "1"')]


class Port(Part, frozen=True, kw_only=True):
    """One port of a container."""

    container_port: PortNumber
    name: Text | None = None
    protocol: Annotated[Literal["TCP", "UDP", "SCTP"], Meta(description="TCP, UDP or SCTP")] = "TCP"
    host_port: PortNumber | None = None
    host_ip: Text | None = field(name="hostIP", default=None)


class KeyOf(Part, frozen=True, kw_only=True):
    """One key of a Secret or a ConfigMap."""

    name: Text
    key: Text
    optional: Flag | None = None


class EnvSource(Part, frozen=True, kw_only=True):
    """Where a variable takes its value from."""

    secret_key_ref: KeyOf | None = None
    config_map_key_ref: KeyOf | None = None
    field_ref: Kept | None = None
    resource_field_ref: Kept | None = None
    file_key_ref: Kept | None = None


class EnvVar(Part, frozen=True, kw_only=True):
    """One variable of a container's environment."""

    name: Annotated[str, Meta(pattern=r"^[^=\s]+\Z", description="the name of a variable, without = and blanks")]
    value: Text | None = None
    value_from: EnvSource | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` where the value is said twice."""
        if self.value and self.value_from is not None:
            raise FieldFault("valueFrom", value="a second value", allowed="value or valueFrom, not both")


class NamedSource(Part, frozen=True, kw_only=True):
    """A Secret or a ConfigMap, all of whose keys become variables."""

    name: Text
    optional: Flag | None = None


class EnvFrom(Part, frozen=True, kw_only=True):
    """Variables by the dozen."""

    prefix: Text | None = None
    config_map_ref: NamedSource | None = None
    secret_ref: NamedSource | None = None


class ComputeResources(Part, frozen=True, kw_only=True):
    """The share of a node that a container asks for, and the most it gets."""

    requests: Quantities = field(default_factory=dict)
    limits: Quantities = field(default_factory=dict)
    claims: Kept | None = None


class Probe(Part, frozen=True, kw_only=True):
    """How the kubelet asks a container."""

    exec: Kept | None = None
    http_get: Kept | None = None
    tcp_socket: Kept | None = None
    grpc: Kept | None = None
    initial_delay_seconds: Seconds | None = None
    timeout_seconds: Seconds | None = None
    period_seconds: Seconds | None = None
    success_threshold: Count | None = None
    failure_threshold: Count | None = None
    termination_grace_period_seconds: Seconds | None = None


class Container(Part, frozen=True, kw_only=True):
    """One container."""

    name: Name
    image: Annotated[str, Meta(min_length=1, description="the reference of an image")]
    command: Words = ()
    args: Words = ()
    working_dir: Text | None = None
    ports: Annotated[tuple[Port, ...], Meta(description="a list of ports, each with containerPort")] = ()
    env_from: Annotated[tuple[EnvFrom, ...], Meta(description="a list, each with secretRef or configMapRef")] = ()
    env: Annotated[tuple[EnvVar, ...], Meta(description="a list of variables, each with name and value")] = ()
    resources: ComputeResources | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    volume_mounts: Kept | None = None
    volume_devices: Kept | None = None
    resize_policy: Kept | None = None
    restart_policy: Kept | None = None
    restart_policy_rules: Kept | None = None
    lifecycle: Kept | None = None
    termination_message_path: Kept | None = None
    termination_message_policy: Kept | None = None
    image_pull_policy: Kept | None = None
    security_context: Kept | None = None
    stdin: Kept | None = None
    stdin_once: Kept | None = None
    tty: Kept | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` where a variable or a port comes twice: server-side apply knows them by these keys."""
        _once("env", "name", [each.name for each in self.env])
        _once("ports", "containerPort", [(each.container_port, each.protocol) for each in self.ports])


class PodSpec(Part, frozen=True, kw_only=True):
    """What runs in the pod."""

    containers: Annotated[
        tuple[Container, ...], Meta(min_length=1, description="a list of at least one container, with name and image")
    ]
    init_containers: Annotated[tuple[Container, ...], Meta(description="a list of containers")] = ()
    runtime_class_name: Text | None = None
    service_account_name: Text | None = None
    service_account: Text | None = None
    automount_service_account_token: Flag | None = None
    node_selector: Texts = field(default_factory=dict)
    volumes: Kept | None = None
    image_pull_secrets: Kept | None = None
    termination_grace_period_seconds: Seconds | None = None
    active_deadline_seconds: Seconds | None = None
    security_context: Kept | None = None
    affinity: Kept | None = None
    tolerations: Kept | None = None
    topology_spread_constraints: Kept | None = None
    scheduler_name: Kept | None = None
    scheduling_gates: Kept | None = None
    priority_class_name: Kept | None = None
    priority: Kept | None = None
    preemption_policy: Kept | None = None
    overhead: Kept | None = None
    resources: Kept | None = None
    resource_claims: Kept | None = None
    readiness_gates: Kept | None = None
    restart_policy: Kept | None = None
    dns_policy: Kept | None = None
    dns_config: Kept | None = None
    host_aliases: Kept | None = None
    host_network: Kept | None = None
    host_users: Kept | None = None
    host_pid: Kept | None = field(name="hostPID", default=None)
    host_ipc: Kept | None = field(name="hostIPC", default=None)
    share_process_namespace: Kept | None = None
    hostname: Kept | None = None
    hostname_override: Kept | None = None
    subdomain: Kept | None = None
    set_hostname_as_fqdn: Kept | None = field(name="setHostnameAsFQDN", default=None)
    node_name: Kept | None = None
    enable_service_links: Kept | None = None
    os: Kept | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` where two containers have one name."""
        _once("containers", "name", [each.name for each in self.containers])


class PodMetadata(Part, frozen=True, kw_only=True):
    """What a template says about its pods."""

    name: Text | None = None
    namespace: Text | None = None
    labels: Texts = field(default_factory=dict)
    annotations: Texts = field(default_factory=dict)
    finalizers: Kept | None = None
    creation_timestamp: Kept | None = None  # null, where kubectl wrote the file


class PodTemplate(Part, frozen=True, kw_only=True):
    """The pod of which there shall be replicas."""

    metadata: PodMetadata | None = None
    spec: PodSpec


def _once(items: str, key: str, keys: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for index, each in enumerate(keys):
        if each in seen:
            value = as_yaml(each[0] if isinstance(each, tuple) else each)
            raise FieldFault(items, index, key, value=value, allowed=f"each {key} of {items} once")
        seen.add(each)
