"""The pod template (core/v1 PodTemplateSpec) of a Deployment of another server.

The fields that scalezero uses are typed: names, images, ports, environment, compute. The pod's other fields are kept
unchanged. A field that Kubernetes does not have is refused, because it is most often a typing error.
"""

from collections.abc import Hashable, Iterable
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Name, Part, Text, TextMap

Untyped = Annotated[Any, Meta(description="any value that Kubernetes allows")]
Seconds = Annotated[int, Meta(ge=0, description="a whole number of seconds, at least 0")]
Count = Annotated[int, Meta(ge=0, description="a whole number of at least 0")]
PortNumber = Annotated[int, Meta(ge=1, le=65535, description="a port from 1 to 65535")]
Flag = Annotated[bool, Meta(description="true or false")]
TextList = Annotated[tuple[Text, ...], Meta(description="a list of strings; quote numbers and booleans")]
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


class KeySelector(Part, frozen=True, kw_only=True):
    """One key of a Secret or a ConfigMap."""

    name: Text
    key: Text
    optional: Flag | None = None


class EnvSource(Part, frozen=True, kw_only=True):
    """The source of a variable's value."""

    secret_key_ref: KeySelector | None = None
    config_map_key_ref: KeySelector | None = None
    field_ref: Untyped | None = None
    resource_field_ref: Untyped | None = None
    file_key_ref: Untyped | None = None


class EnvVar(Part, frozen=True, kw_only=True):
    """One variable of a container's environment."""

    name: Annotated[str, Meta(pattern=r"^[^=\s]+\Z", description="the name of a variable, without = and whitespace")]
    value: Text | None = None
    value_from: EnvSource | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` if the variable has both value and valueFrom."""
        if self.value and self.value_from is not None:
            raise FieldFault("valueFrom", value="a second value", allowed="value or valueFrom, not both")


class NamedSource(Part, frozen=True, kw_only=True):
    """A Secret or a ConfigMap. Each of its keys becomes a variable."""

    name: Text
    optional: Flag | None = None


class EnvFrom(Part, frozen=True, kw_only=True):
    """Variables from all keys of a Secret or a ConfigMap."""

    prefix: Text | None = None
    config_map_ref: NamedSource | None = None
    secret_ref: NamedSource | None = None


class ComputeResources(Part, frozen=True, kw_only=True):
    """The compute resources that are reserved for a container, and their maximum."""

    requests: Quantities = field(default_factory=dict)
    limits: Quantities = field(default_factory=dict)
    claims: Untyped | None = None


class Probe(Part, frozen=True, kw_only=True):
    """How the kubelet probes a container."""

    exec: Untyped | None = None
    http_get: Untyped | None = None
    tcp_socket: Untyped | None = None
    grpc: Untyped | None = None
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
    command: TextList = ()
    args: TextList = ()
    working_dir: Text | None = None
    ports: Annotated[tuple[Port, ...], Meta(description="a list of ports, each with containerPort")] = ()
    env_from: Annotated[tuple[EnvFrom, ...], Meta(description="a list, each with secretRef or configMapRef")] = ()
    env: Annotated[tuple[EnvVar, ...], Meta(description="a list of variables, each with name and value")] = ()
    resources: ComputeResources | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    volume_mounts: Untyped | None = None
    volume_devices: Untyped | None = None
    resize_policy: Untyped | None = None
    restart_policy: Untyped | None = None
    restart_policy_rules: Untyped | None = None
    lifecycle: Untyped | None = None
    termination_message_path: Untyped | None = None
    termination_message_policy: Untyped | None = None
    image_pull_policy: Untyped | None = None
    security_context: Untyped | None = None
    stdin: Untyped | None = None
    stdin_once: Untyped | None = None
    tty: Untyped | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a duplicate variable or port: they are the list map keys of server-side apply."""
        _refuse_duplicates("env", "name", [each.name for each in self.env])
        _refuse_duplicates("ports", "containerPort", [(each.container_port, each.protocol) for each in self.ports])


class PodSpec(Part, frozen=True, kw_only=True):
    """The containers of the pod and its settings."""

    containers: Annotated[
        tuple[Container, ...], Meta(min_length=1, description="a list of at least one container, with name and image")
    ]
    init_containers: Annotated[tuple[Container, ...], Meta(description="a list of containers")] = ()
    runtime_class_name: Text | None = None
    service_account_name: Text | None = None
    service_account: Text | None = None
    automount_service_account_token: Flag | None = None
    node_selector: TextMap = field(default_factory=dict)
    volumes: Untyped | None = None
    image_pull_secrets: Untyped | None = None
    termination_grace_period_seconds: Seconds | None = None
    active_deadline_seconds: Seconds | None = None
    security_context: Untyped | None = None
    affinity: Untyped | None = None
    tolerations: Untyped | None = None
    topology_spread_constraints: Untyped | None = None
    scheduler_name: Untyped | None = None
    scheduling_gates: Untyped | None = None
    priority_class_name: Untyped | None = None
    priority: Untyped | None = None
    preemption_policy: Untyped | None = None
    overhead: Untyped | None = None
    resources: Untyped | None = None
    resource_claims: Untyped | None = None
    readiness_gates: Untyped | None = None
    restart_policy: Untyped | None = None
    dns_policy: Untyped | None = None
    dns_config: Untyped | None = None
    host_aliases: Untyped | None = None
    host_network: Untyped | None = None
    host_users: Untyped | None = None
    host_pid: Untyped | None = field(name="hostPID", default=None)
    host_ipc: Untyped | None = field(name="hostIPC", default=None)
    share_process_namespace: Untyped | None = None
    hostname: Untyped | None = None
    hostname_override: Untyped | None = None
    subdomain: Untyped | None = None
    set_hostname_as_fqdn: Untyped | None = field(name="setHostnameAsFQDN", default=None)
    node_name: Untyped | None = None
    enable_service_links: Untyped | None = None
    os: Untyped | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` if two containers have the same name."""
        _refuse_duplicates("containers", "name", [each.name for each in self.containers])


class PodMetadata(Part, frozen=True, kw_only=True):
    """The metadata of the pods."""

    name: Text | None = None
    namespace: Text | None = None
    labels: TextMap = field(default_factory=dict)
    annotations: TextMap = field(default_factory=dict)
    finalizers: Untyped | None = None
    creation_timestamp: Untyped | None = None  # null in the output of kubectl


class PodTemplate(Part, frozen=True, kw_only=True):
    """The template of each replica."""

    metadata: PodMetadata | None = None
    spec: PodSpec


def _refuse_duplicates(items: str, key: str, keys: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for index, each in enumerate(keys):
        if each in seen:
            value = as_yaml(each[0] if isinstance(each, tuple) else each)
            raise FieldFault(items, index, key, value=value, allowed=f"each {key} of {items} once")
        seen.add(each)
