"""README.md of an imported function: its names, the next steps, the URLs, the changes for clients, omitted fields."""

from collections.abc import Sequence
from typing import Final

from knative.importing.files import Project, is_aliased, uri
from knative.importing.server import Model, Omission, Server, Url
from knative.manifests.names import REGISTRY_KEYS, REGISTRY_SECRET
from knative.resources import ForeignDeployment

_ONE_PORT: Final = (
    "The function has one port instead of {ports}. Its URL serves REST and gRPC. `scalezero status` prints the URL.",
    "Inside the cluster, gRPC clients use HTTP/2 without TLS (h2c).",
)


def text(
    deployment: ForeignDeployment,
    server: Server,
    *,
    omitted: Sequence[Omission],
    project: Project,
    secret: str | None,
) -> str:
    """Return the text of README.md."""
    name = deployment.metadata.name
    sections = (
        f"# {name}\n\nThis function replaces the Deployment {name}, which ran {server.title}.",
        _names(deployment, server),
        "## Next steps\n\n" + _steps(server, project, secret=secret),
        _urls(server) if server.urls else "",
        _changes(server),
        _omitted(omitted),
    )
    return "\n\n".join(each for each in sections if each) + "\n"


def _names(deployment: ForeignDeployment, server: Server) -> str:
    name, (first, *others) = deployment.metadata.name, server.models
    lines = [f"- The model {each.called} has the new name {each.name}." for each in server.models if _is_renamed(each)]
    if others:
        models = ", ".join(each.name for each in server.models)
        lines.append(f"- Each model has its own Knative Service: {models}. The name {name} is no longer used.")
    elif is_aliased(deployment, server):
        lines.append(
            f"- The Knative Service has the name of the model, {first.name}. The Route {name} has the name of the "
            f"Deployment. model.yaml sends all traffic of this Route to {first.name}-v1."
        )
    elif name != first.name:
        lines.append(
            f"- The Knative Service has the name of the model, {first.name}: Knative does not allow the name {name}."
        )
    if is_aliased(deployment, server) or name in {each.name for each in server.models}:
        lines.append(
            f"- Knative creates a Kubernetes Service with the name {name}. If the Deployment has a Service with this "
            "name, delete that Service before you apply."
        )
    lines += [
        "- func.yaml contains the container's environment. model.yaml overrides the variables that name models.",
        f"- {_pods(deployment)} `scale.min` and `scale.max` in func.yaml limit it.",
    ]
    return "\n".join(lines)


def _pods(deployment: ForeignDeployment) -> str:
    replicas = deployment.spec.replicas
    before = "" if replicas is None else f" The Deployment had `replicas: {replicas}`."
    return f"Knative adjusts the number of pods to the number of requests.{before}"


def _steps(server: Server, project: Project, *, secret: str | None) -> str:
    steps = []
    for each, lines in zip(server.models, server.conversions, strict=True):
        publish = f"scalezero publish {each.name}-v1.onnx {uri(each, project.registry)}"
        steps.append(f"Convert the model {each.called} to ONNX and publish it:\n\n" + _code([*lines, publish]))
    if server.guest is not None:
        steps.append(
            f"Publish main.wasm, if this folder has it, with its compiled code to {server.guest}:\n\n"
            + _code(["scalezero publish ."])
        )
    if secret is None:
        keys = " ".join(f"--from-literal={key}=..." for key in REGISTRY_KEYS)
        steps.append(
            f"If the namespace has no Secret {REGISTRY_SECRET}, create it with the keys of the registry:\n\n"
            + _code([f"kubectl create secret generic {REGISTRY_SECRET} {keys}"])
        )
    steps.append("Print the plan and apply it:\n\n" + _code(["scalezero plan -f .", "scalezero apply -f ."]))
    steps.append("Configure the clients to use the URL of the function. Then delete the Deployment.")
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _code(lines: Sequence[str]) -> str:
    return "\n".join(f"       {line}" for line in lines) + "\n"


def _rows(urls: Sequence[Url]) -> str:
    return "\n".join(f"| `{each.before}` | {each.now} |" for each in dict.fromkeys(urls))  # models share some rows


def _changes(server: Server) -> str:
    lines = [each.format(ports=server.ports) for each in _ONE_PORT] if server.ports else []
    lines += [
        f"Paths and messages use the name {each.name} instead of {each.called}."
        for each in server.models
        if _is_renamed(each)
    ]
    if len(server.models) > 1:
        lines.append("Each model has its own URL.")
    lines += server.changes
    return "## Changes for clients\n\n" + "\n".join(f"- {each}" for each in lines)


def _is_renamed(model: Model) -> bool:
    return model.called != model.name


def _urls(server: Server) -> str:
    """Return the section about the protocol, which does not change, with the old and the new URLs."""
    model = server.models[0]
    path = next(each.now for each in server.urls if each.now.startswith("POST ")).removeprefix("POST ")
    curl = f"curl -s URL{path} -H 'content-type: application/json' -d '{server.example}'"
    return (
        "## Protocol and URLs\n\n"
        f"The function serves the protocol of {server.title}. Inference requests keep their paths, bodies, answers and "
        f"errors. The documentation of scalezero lists the differences from {server.title}. `SCALEZERO_PROTOCOLS` in "
        "func.yaml selects the protocol. Without this variable, the function serves the other inference protocols "
        "too.\n\n"
        "| before | now |\n|---|---|\n"
        + _rows(server.urls)
        + f"\n\nAn example request to {model.name}, with two rows for a model with one input:\n\n"
        + _code([curl])
    ).rstrip("\n")


def _omitted(omitted: Sequence[Omission]) -> str:
    if not omitted:
        return ""
    return "## Not imported\n\n" + "\n".join(f"- {each.what}: {each.why}" for each in omitted)
