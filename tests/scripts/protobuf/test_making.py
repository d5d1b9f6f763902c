"""How the modules of runtime/protocols/protos are written. tests/runtime/protocols/test_protos.py checks the result."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.protobuf.making import descriptor, module, types

SOURCE = 'syntax = "proto3";\n\nimport "google/protobuf/any.proto";\nimport "other.proto";\n\nmessage M {}\n'


@given(st.binary(min_size=1, max_size=2000))
def test_a_descriptor_survives_being_written_in_short_lines(serialized: bytes) -> None:
    text = module("some", SOURCE, serialized)
    assert max(map(len, text.splitlines())) <= 120
    (call,) = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Call) and len(each.args) == 2]
    assert ast.literal_eval(call.args[1]) == serialized


def test_a_module_imports_what_its_file_imports() -> None:
    text = module("some", SOURCE, b"x")
    assert "from google.protobuf import any_pb2\nfrom runtime.protocols.protos import other_pb2\n" in text
    assert "imports=[any_pb2.DESCRIPTOR, other_pb2.DESCRIPTOR]," in text
    assert "imports=[]," in module("some", 'syntax = "proto3";\n', b"x")


def test_types_import_ours_from_their_package_and_leave_the_rest() -> None:
    protoc = "from google.protobuf import any_pb2 as _any_pb2\nimport other_pb2 as _other_pb2\nimport datetime\n"
    assert types(protoc) == protoc.replace("import other_pb2", "from runtime.protocols.protos import other_pb2")


def test_types_say_what_a_mapping_holds() -> None:
    written = types("a: _Union[M, _Mapping]\nb: _Mapping[str, bytes]\n")
    assert written == "a: _Union[M, _Mapping[str, object]]\nb: _Mapping[str, bytes]\n"


def test_the_descriptor_is_what_protoc_hands_to_its_pool() -> None:
    assert descriptor("D = _descriptor_pool.Default().AddSerializedFile(b'\\n\\x01x')\n") == b"\n\x01x"


@pytest.mark.parametrize("text", ["", "D = pool.AddSerializedFile(data)\n", "D = pool.Add(b'x')\n"])
def test_the_error_for_another_form_of_protocs_module_names_what_is_missing(text: str) -> None:
    with pytest.raises(ValueError, match="AddSerializedFile"):
        descriptor(text)
