"""README.md of an imported function: what was translated, what was not, what is left to do."""

from collections.abc import Sequence
from typing import Final

from knative.importing.files import SECRET, VERSION, Project, is_aliased, uri
from knative.importing.server import Body, Left, Server, Url
from knative.resources import ForeignDeployment

_PORTS: Final = (
    "A function has one port. REST over HTTP/1.1 and over HTTP/2 without TLS (h2c) answer on it; the URL is what "
    "`scalezero status` prints."
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
        "## What callers ask\n\n" + _PORTS + "\n\n| before | now |\n|---|---|\n" + _rows(server.urls),
        _bodies(server),
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
        "- The container's environment is in func.yaml; the author's code reads it, the runtime itself does not.",
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
            + _code([f"kubectl create secret generic {SECRET} {keys}"])
        )
    steps.append("See what would happen, and do it:\n\n" + _code(["scalezero plan -f .", "scalezero apply -f ."]))
    steps.append("Send the callers over (below), then delete the Deployment.")
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _code(lines: Sequence[str]) -> str:
    return "\n".join(f"       {line}" for line in lines) + "\n"


def _rows(urls: Sequence[Url]) -> str:
    return "\n".join(f"| `{each.before}` | {each.now} |" for each in urls)


def _bodies(server: Server) -> str:
    """Write the same request to a model of one input, as it was and as it is."""
    if server.before is None:
        return ""
    model = server.models[0].name
    now = Body(
        '{"inputs": [[1.0, 2.0], [3.0, 4.0]]}',
        f'{{"model_name": "{model}", "model_version": "{VERSION}", "outputs": [[0.1], [0.9]], "latency_ms": 1.8}}',
    )
    rows = (
        f"| {when} | `{each.request}` | `{each.answer}` |" for when, each in (("before", server.before), ("now", now))
    )
    several = 'A model of several inputs takes them by name: `{"inputs": {"a": [[1.0]], "b": [[2.0]]}}`.'
    table = "|  | request | answer |\n|---|---|---|\n" + "\n".join(rows)
    return f"Two rows, asked of a model with one input:\n\n{table}\n\n{several}"


def _left(left: Sequence[Left]) -> str:
    if not left:
        return ""
    return "## What was left out\n\n" + "\n".join(f"- {each.what}: {each.why}" for each in left)
