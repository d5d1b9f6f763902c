"""The YAML of resources for tests, and the resources of such documents."""

from knative.resources import Resources, parse_resources


def split(name: str, *targets: str) -> str:
    """Return the YAML of an A/B Service with equal shares."""
    shares = ", ".join(f"{{revisionName: {target}, percent: {100 // len(targets)}}}" for target in targets)
    head = f"---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{traffic: [{shares}]}}\n"


def version(name: str, model: str, *, path: str = "s3://models/a.onnx", number: str = "1") -> str:
    kind, _, _ = path.strip("'").partition(":/")
    storage = f"{{type: {kind if kind == 's3' else 'file'}, path: {path}}}"
    spec = f"{{modelName: {model}, version: '{number}', format: onnx, storage: {storage}}}"
    return f"---\napiVersion: ml.example.com/v1\nkind: ModelVersion\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def read(*documents: str) -> Resources:
    return parse_resources("".join(documents), file="test.yaml")


def config(events: str, model: str = "shop") -> str:
    """Return the YAML of an InferenceConfig with these events, in flow style."""
    head = f"---\napiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata: {{name: {model}-config}}\n"
    return f"{head}spec: {{events: {events}}}\n"
