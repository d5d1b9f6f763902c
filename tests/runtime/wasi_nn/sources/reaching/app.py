"""A guest that reaches what its arguments name, and answers with what it got, or with the error, as JSON.

read=PATH, write=PATH, name=HOST, tcp=ADDRESS:PORT, listen=ADDRESS
"""

import encodings.idna  # noqa: F401 - a name of a host needs it, and the guest has no folder to import it from
import json
import socket
import sys
from pathlib import Path

from wit_world import exports


def reach(what: str, where: str) -> object:
    if what == "read":
        return Path(where).read_text()
    if what == "write":
        return Path(where).write_text("changed")
    if what == "name":
        return sorted({each[4][0] for each in socket.getaddrinfo(where, 80)})
    stream = socket.socket()
    if what == "listen":
        stream.bind((where, 0))
        return stream.listen(1)
    host, port = where.split(":")
    return stream.connect((host, int(port)))


class Run(exports.Run):
    def run(self) -> None:
        answer = []
        for each in sys.argv[1:]:
            what, _, where = each.partition("=")
            try:
                answer.append(reach(what, where))
            except OSError as error:
                answer.append({"error": type(error).__name__, "errno": error.errno})
        sys.stdout.write(f"Content-Type: application/json\n\n{json.dumps(answer)}")
        sys.stdout.flush()
