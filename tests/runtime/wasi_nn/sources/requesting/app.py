"""A guest that sends a GET request to AUTHORITY PATH. It answers with the status and the body, or the error."""

import json
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import outgoing_handler, types


def get(authority: str, path: str) -> object:
    request = types.OutgoingRequest(types.Fields())
    request.set_scheme(types.Scheme_Http())
    request.set_authority(authority)
    request.set_path_with_query(path)
    with outgoing_handler.handle(request, None) as future:
        with future.subscribe() as pollable:
            pollable.block()
        result = future.get().value
        if isinstance(result, Err):
            return type(result.value).__name__
        with result.value as response, response.consume() as body, body.stream() as stream:
            return [response.status(), stream.blocking_read(1000).decode()]


class Run(exports.Run):
    def run(self) -> None:
        sys.stdout.write(f"Content-Type: application/json\n\n{json.dumps(get(*sys.argv[1:]))}")
        sys.stdout.flush()
