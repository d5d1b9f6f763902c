"""Made by scripts/protos from google_rpc.proto; a change here is lost when it runs again."""

from google.protobuf import any_pb2
from google.protobuf import duration_pb2
from runtime.protocols.protos.pool import define

DESCRIPTOR = define(
    globals(),
    b'\n\x10google_rpc.proto\x12\ngoogle.rpc\x1a\x19google/protobuf/any.proto\x1a\x1egoogle/protobuf/duration.pro'
    b'to"N\n\x06Status\x12\x0c\n\x04code\x18\x01 \x01(\x05\x12\x0f\n\x07message\x18\x02 \x01(\t\x12%\n\x07details'
    b'\x18\x03 \x03(\x0b2\x14.google.protobuf.Any"\xcc\x01\n\nBadRequest\x12?\n\x10field_violations\x18\x01 \x03('
    b'\x0b2%.google.rpc.BadRequest.FieldViolation\x1a}\n\x0eFieldViolation\x12\r\n\x05field\x18\x01 \x01(\t\x12'
    b'\x13\n\x0bdescription\x18\x02 \x01(\t\x12\x0e\n\x06reason\x18\x03 \x01(\t\x127\n\x11localized_message\x18'
    b'\x04 \x01(\x0b2\x1c.google.rpc.LocalizedMessage"\x93\x01\n\tErrorInfo\x12\x0e\n\x06reason\x18\x01 \x01(\t'
    b'\x12\x0e\n\x06domain\x18\x02 \x01(\t\x125\n\x08metadata\x18\x03 \x03(\x0b2#.google.rpc.ErrorInfo.MetadataEn'
    b'try\x1a/\n\rMetadataEntry\x12\x0b\n\x03key\x18\x01 \x01(\t\x12\r\n\x05value\x18\x02 \x01(\t:\x028\x01"3\n'
    b'\x10LocalizedMessage\x12\x0e\n\x06locale\x18\x01 \x01(\t\x12\x0f\n\x07message\x18\x02 \x01(\t";\n\tRetryInf'
    b'o\x12.\n\x0bretry_delay\x18\x01 \x01(\x0b2\x19.google.protobuf.Duration*\xb7\x02\n\x04Code\x12\x06\n\x02OK'
    b'\x10\x00\x12\r\n\tCANCELLED\x10\x01\x12\x0b\n\x07UNKNOWN\x10\x02\x12\x14\n\x10INVALID_ARGUMENT\x10\x03\x12'
    b'\x15\n\x11DEADLINE_EXCEEDED\x10\x04\x12\r\n\tNOT_FOUND\x10\x05\x12\x12\n\x0eALREADY_EXISTS\x10\x06\x12\x15'
    b'\n\x11PERMISSION_DENIED\x10\x07\x12\x16\n\x12RESOURCE_EXHAUSTED\x10\x08\x12\x17\n\x13FAILED_PRECONDITION'
    b'\x10\t\x12\x0b\n\x07ABORTED\x10\n\x12\x10\n\x0cOUT_OF_RANGE\x10\x0b\x12\x11\n\rUNIMPLEMENTED\x10\x0c\x12'
    b'\x0c\n\x08INTERNAL\x10\r\x12\x0f\n\x0bUNAVAILABLE\x10\x0e\x12\r\n\tDATA_LOSS\x10\x0f\x12\x13\n\x0fUNAUTHENT'
    b'ICATED\x10\x10b\x06proto3',
    imports=[any_pb2.DESCRIPTOR, duration_pb2.DESCRIPTOR],
)
