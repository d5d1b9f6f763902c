"""README.md of an imported function: what was translated, what was not, what is left to do."""

from collections.abc import Sequence
from typing import Final

from knative.importing.files import Project, is_aliased, uri
from knative.importing.server import Left, Model, Server, Url
from knative.manifests.names import REGISTRY_SECRET
from knative.resources import ForeignDeployment

_ONE_PORT: Final = (
    "One port in place of several ({ports}): REST and gRPC answer at the function's URL, which `scalezero status` "
    "prints. gRPC needs HTTP/2 without TLS (h2c) inside the cluster."
)


def text(
    deployment: ForeignDeployment,
    server: Server,
    *,
    left: Sequence[Left],
    project: Project,
    secret: str | None,
) -> str:
    """Write the page."""
    name = deployment.metadata.name
    sections = (
        f"# {name}\n\nA function in place of the Deployment {name}, which ran {server.title}.",
        _names(deployment, server),
        "## What to do next\n\n" + _steps(server, project, secret=secret),
        _changes(server),
        _stays(server),
        _left(left),
    )
    return "\n\n".join(each for each in sections if each) + "\n"


def _names(deployment: ForeignDeployment, server: Server) -> str:
    name, (first, *others) = deployment.metadata.name, server.models
    lines = [f"- The model {each.called} is {each.name} here." for each in server.models if each.called != each.name]
    if others:
        models = ", ".join(each.name for each in server.models)
        lines.append(f"- Each model is a Knative Service of its own: {models}. The name {name} is none of them.")
    elif is_aliased(deployment, server):
        lines.append(
            f"- The Knative Service has the model's name, {first.name}. The Route {name} keeps the old one: all of it "
            f"goes to {first.name}-v1 until model.yaml says otherwise. If a Service of Kubernetes called {name} stands "
            "before the Deployment, it has to go first: Knative makes one of that name."
        )
    elif name != first.name:
        lines.append(f"- The Knative Service has the model's name, {first.name}: Knative takes no name like {name}.")
    lines += [
        "- The container's environment is in func.yaml. Where it says what to serve, model.yaml has the last word.",
        f"- {_pods(deployment)} come and go with the requests: func.yaml has `scale.min` and `scale.max` of them.",
    ]
    return "\n".join(lines)


def _pods(deployment: ForeignDeployment) -> str:
    replicas = deployment.spec.replicas
    return "The pods" if replicas is None else f"In place of `replicas: {replicas}`, pods"


def _steps(server: Server, project: Project, *, secret: str | None) -> str:
    steps = []
    for each, lines in zip(server.models, server.conversions, strict=True):
        publish = f"scalezero publish {each.name}-v1.onnx {uri(each, project.registry)}"
        steps.append(f"Make ONNX of {each.called}, and publish it:\n\n" + _code([*lines, publish]))
    if secret is None:
        keys = "--from-literal=AWS_ACCESS_KEY_ID=... --from-literal=AWS_SECRET_ACCESS_KEY=..."
        steps.append(
            "Give the pods the registry's keys, unless the namespace has them:\n\n"
            + _code([f"kubectl create secret generic {REGISTRY_SECRET} {keys}"])
        )
    steps.append("See what would happen, and do it:\n\n" + _code(["scalezero plan -f .", "scalezero apply -f ."]))
    steps.append("Point the clients to the function's URL (below), then delete the Deployment.")
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _code(lines: Sequence[str]) -> str:
    return "\n".join(f"       {line}" for line in lines) + "\n"


def _rows(urls: Sequence[Url]) -> str:
    return "\n".join(f"| `{each.before}` | {each.now} |" for each in urls)


def _changes(server: Server) -> str:
    lines = [_ONE_PORT.format(ports=server.ports)]
    lines += [
        f"The model {each.called} is {each.name} in paths and messages." for each in server.models if _renamed(each)
    ]
    if len(server.models) > 1:
        lines.append("Each model has a URL of its own.")
    lines += server.changes
    return "## What changes for a client\n\n" + "\n".join(f"- {each}" for each in lines)


def _renamed(model: Model) -> bool:
    return model.called != model.name


def _stays(server: Server) -> str:
    """Write what a client asks as before, and where."""
    model = server.models[0]
    path = next(each.now for each in server.urls if each.now.startswith("POST ")).removeprefix("POST ")
    curl = f"curl -s URL{path} -H 'content-type: application/json' -d '{server.example}'"
    return (
        "## What does not change\n\n"
        f"The function answers {server.title}'s protocol: its paths, bodies, answers and errors. SCALEZERO_PROTOCOLS "
        "in func.yaml names it; without that variable the function answers every protocol that scalezero has. "
        "Scalezero's page on the protocol lists the differences.\n\n"
        "| before | now |\n|---|---|\n"
        + _rows(server.urls)
        + f"\n\nTwo rows, asked of {model.name} with one input:\n\n"
        + _code([curl])
    ).rstrip("\n")


def _left(left: Sequence[Left]) -> str:
    if not left:
        return ""
    return "## What was left out\n\n" + "\n".join(f"- {each.what}: {each.why}" for each in left)
