"""Generate the modules of runtime/protocols/protos from its .proto files; scripts/protos installs the compiler."""

import argparse
from pathlib import Path

import runtime.protocols.protos
from scripts.protobuf.making import generate

PROTOS = Path(runtime.protocols.protos.__file__).parent

parser = argparse.ArgumentParser(prog="scripts/protos", description=__doc__)
parser.add_argument("--compiler", type=Path, required=True, help=argparse.SUPPRESS)
parser.add_argument(
    "--into", type=Path, default=PROTOS, help="the folder to write to (default: that of the .proto files)"
)
options = parser.parse_args()
generated = generate(PROTOS, compiler=options.compiler)
for name, text in generated.items():
    (options.into / name).write_text(text, "utf-8")
for stale in {path.name for path in options.into.glob("*_pb2.py*")} - set(generated):
    (options.into / stale).unlink()
