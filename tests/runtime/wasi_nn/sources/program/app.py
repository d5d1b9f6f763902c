"""Reads float32 rows from the standard input, and writes the first output: app NAME WIDTH."""

import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import errors, graph, inference, tensor  # noqa: F401 - all of them are in the component


class Run(exports.Run):
    def run(self) -> None:
        _, name, width = sys.argv
        rows = sys.stdin.buffer.read()
        sizes = [len(rows) // 4 // int(width), int(width)]
        try:
            context = graph.load_by_name(name).init_execution_context()
            outputs = context.compute([("x", tensor.Tensor(sizes, tensor.TensorType.FP32, rows))])
        except Err as error:
            sys.stderr.write(f"{error.value.code().name}: {error.value.data()}\n")
            raise Err(None) from error
        sys.stdout.buffer.write(outputs[0][1].data())
        sys.stdout.flush()
