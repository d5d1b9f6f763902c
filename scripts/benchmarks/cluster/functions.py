"""Pure: what is deployed beside payment-model, to compare it with and to make it scale."""

from typing import Any, Final

from knative.manifests import Compute, DeploymentOptions

HELLO: Final = "hello-world"
# Python's own server and nothing else. Process 1 has to say that it ends on SIGTERM; else its pod stays for minutes.
HELLO_SOURCE: Final = """
import http.server, os, signal

class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Hello).serve_forever()
"""

BURST: Final = "burst-model"
BURST_PODS: Final = 4  # at most
BURST_TARGET: Final = 2  # requests at once that a pod is worth, two batches of one: a bounded burst needs several
BURST_RESOURCES: Final = """\
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata:
  name: burst-model-v1
spec:
  modelName: burst-model
  version: "1.0.0"
  format: onnx
  storage:
    type: s3
    path: s3://models/payment-model-v1.onnx
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata:
  name: burst-model-config
spec:
  batchSize: 1
  maxWaitTime: "10ms"
  timeout: "30s"
"""


def hello_world(image: str) -> dict[str, Any]:
    """Write the Service: the base image's own Python, with the share of a node that our functions have by default.

    It runs on our image, whose lowest layer the base is; the PATH hides all that lies above it.
    """
    share = DeploymentOptions(image=image)
    container = {
        "image": image,
        "command": ["python3", "-c", HELLO_SOURCE],
        "env": [{"name": "PATH", "value": "/usr/local/bin:/usr/bin:/bin"}],
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": _quantities(share.requests), "limits": _quantities(share.limits)},
    }
    template = {"metadata": {"name": f"{HELLO}-v1"}, "spec": {"enableServiceLinks": False, "containers": [container]}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": HELLO},
        "spec": {"template": template},
    }


def burst_function(image: str) -> dict[str, str]:
    """Write the files of a function's folder: payment-model under another name, with bounds that a burst reaches."""
    func = f"""\
specVersion: 0.36.0
name: {BURST}
runtime: python
image: {image}
created: 2026-11-23T00:00:00Z
run:
  envs:
    - name: AWS_ACCESS_KEY_ID
      value: "{{{{ secret:scalezero-s3:AWS_ACCESS_KEY_ID }}}}"
    - name: AWS_SECRET_ACCESS_KEY
      value: "{{{{ secret:scalezero-s3:AWS_SECRET_ACCESS_KEY }}}}"
deploy:
  options:
    scale:
      min: 0
      max: {BURST_PODS}
      metric: concurrency
      target: {BURST_TARGET}
    resources:
      requests:
        cpu: 50m
        memory: 128Mi
      limits:
        cpu: "1"
        memory: 512Mi
"""
    return {"func.yaml": func, "model.yaml": BURST_RESOURCES}


def _quantities(share: Compute) -> dict[str, str]:
    return {"cpu": share.cpu, "memory": share.memory}
