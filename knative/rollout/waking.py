"""Waking a revision by its tag's URL, as any caller would: for who may not ask the activator through the API server."""

from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen


def wake(url: str, *, timeout: float) -> bool:
    """Ask for the pod's readiness, which starts a pod; False where nothing answers there from here.

    Any status is an answer: whether a pod is up, its own conditions say. `timeout` is in seconds; one that is over is
    a pod that takes longer.
    """
    try:
        with urlopen(f"{url}/healthz/ready", timeout=timeout):  # noqa: S310 - Knative's own URL, from the status
            return True
    except (HTTPError, TimeoutError):
        return True
    except (OSError, HTTPException):
        return False
