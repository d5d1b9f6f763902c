"""The conversion of a Deployment of TensorFlow Serving or TorchServe to the folder of a scalezero function. Pure.

    ForeignDeployment -> Server (its models and their batching) -> model.yaml, func.yaml, README.md

The function serves the protocol of the server. A model keeps its name if Knative allows it, and its Knative Service has
the name of the model. If the Deployment has another name, a Route with that name leads to the same revision. The
environment of the container becomes the environment of the pod.
"""

from knative.importing.config_maps import files_of_pod
from knative.importing.files import Project
from knative.importing.folder import Folder, import_deployment
from knative.importing.server import Files

__all__ = ["Files", "Folder", "Project", "files_of_pod", "import_deployment"]
