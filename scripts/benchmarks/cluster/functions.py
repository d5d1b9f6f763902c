"""Pure: the functions that are deployed in addition to payment-model, for the cold start and the scale-out."""

from typing import Any, Final

from knative.manifests import Compute, DeploymentOptions

HELLO: Final = "hello-world"
# Only Python's own server. Process 1 needs a handler for SIGTERM; otherwise its pod takes minutes to terminate.
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
BURST_PODS: Final = 4  # the maximum scale
BURST_TARGET: Final = 2  # concurrent requests per pod (two batches of one), so that a bounded burst needs several pods
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
    """Return the Service: the Python of the base image, with the default resources of our functions.

    It runs on our image, which has the base as its lowest layer. The PATH has only programs of the base.
    """
    options = DeploymentOptions(image=image)
    container = {
        "image": image,
        "command": ["python3", "-c", HELLO_SOURCE],
        "env": [{"name": "PATH", "value": "/usr/local/bin:/usr/bin:/bin"}],
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": _quantities(options.requests), "limits": _quantities(options.limits)},
    }
    template = {"metadata": {"name": f"{HELLO}-v1"}, "spec": {"enableServiceLinks": False, "containers": [container]}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": HELLO},
        "spec": {"template": template},
    }


def burst_function(image: str) -> dict[str, str]:
    """Return the files of a function's folder: payment-model under another name, with limits that a burst reaches."""
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


def _quantities(compute: Compute) -> dict[str, str]:
    return {"cpu": compute.cpu, "memory": compute.memory}
