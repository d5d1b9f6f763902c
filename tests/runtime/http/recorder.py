"""A transport that records writes, because a socket does not show their number and times."""

import asyncio
import socket
from types import SimpleNamespace


class Recorder(asyncio.Transport):
    """Accepts every write at once."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: object = None) -> object:
        return SimpleNamespace(family=socket.AF_UNIX) if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def write_eof(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass
