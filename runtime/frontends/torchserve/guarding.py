"""TorchServe's keys and registry.

The keys are created at the start of the process, because the key file must exist before the first request.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.errors import InvalidKey
from runtime.frontends.torchserve.registry import Registry
from runtime.frontends.torchserve.tokens import Tokens

if TYPE_CHECKING:
    from runtime.service import Service

_KEY_FILE: Final = Path("key_file.json")  # in the working directory, as in TorchServe
AUTHORIZATION: Final = b"authorization"  # the HTTP header and the gRPC metadata key


class TorchServe(NamedTuple):
    """TorchServe's keys and registry, which the ports of a process share."""

    tokens: Tokens
    registry: Registry


def torchserve(service: "Service", *, inference: bool) -> TorchServe:
    """Create the keys and the registry.

    `inference`: whether a port requires the inference key, which clients read from the key file. Raises `BadSetting`
    for a key file that cannot be written, and for an invalid store or prefix.
    """
    settings = service.settings
    needed = inference or settings.management_key is None
    file = settings.key_file or (_KEY_FILE if needed else None)
    tokens = Tokens(file, expiration=settings.key_expiration, management=settings.management_key)
    return TorchServe(tokens, Registry(service))


def require_torchserve(torchserve: TorchServe | None) -> TorchServe:
    """Return the keys and the registry. Raises `InvalidKey` if the process has none, because then no key is valid."""
    if torchserve is None:
        raise InvalidKey
    return torchserve
