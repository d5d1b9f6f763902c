"""The termination message of a container: why it ended, as shown for the pod and the revision.

Source: Kubernetes, "Determine the Reason for Pod Failure". The kubelet mounts the file, which is writable even with a
read-only root, and reads at most 4096 bytes of it. Knative shows them in the revision's condition ContainerHealthy.
"""

import os
from pathlib import Path
from typing import Final

PATH: Final = Path("/dev/termination-log")
_MAX_SIZE: Final = 4096  # bytes; of a longer message the kubelet would keep only the end


def write_termination_message(message: str, path: Path = PATH) -> None:
    """Write the message to the kubelet's file, as one line. Do nothing outside a pod, where the file does not exist."""
    text = " ".join(message.split()).encode()[:_MAX_SIZE]
    try:
        file = os.open(path, os.O_WRONLY | os.O_TRUNC)  # not O_CREAT: the file exists only if the kubelet reads it
    except OSError:
        return
    with os.fdopen(file, "wb") as log:
        log.write(text)
