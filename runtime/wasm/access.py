"""What a guest reaches outside of its instance. Nothing is reached that is not declared."""

from collections.abc import Sequence
from typing import NamedTuple

from runtime.configuration.guest_folders import GuestFolder


class Access(NamedTuple):
    """The folders of a guest, and whether it may use the network."""

    folders: Sequence[GuestFolder] = ()
    network: bool = False


NOTHING = Access()
