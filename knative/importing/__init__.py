"""A Deployment of TensorFlow Serving or TorchServe, as the folder of a scalezero function: pure.

    ForeignDeployment -> Server (which models, how batched) -> model.yaml, func.yaml, README.md

The function answers the server's own protocol. The model keeps the name that its URLs had, as far as Knative takes it,
and a model's Knative Service has the model's name. Where the Deployment has another name, that one answers too: as a
Route to the same revision. The container's environment stays the pod's environment.
"""

from knative.importing.config_maps import files_of_pod
from knative.importing.files import Project
from knative.importing.folder import Folder, imported
from knative.importing.server import Files

__all__ = ["Files", "Folder", "Project", "files_of_pod", "imported"]
