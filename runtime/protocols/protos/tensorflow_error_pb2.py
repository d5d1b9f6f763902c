"""Made by scripts/protos from tensorflow_error.proto; a change here is lost when it runs again."""

from runtime.protocols.protos.pool import define

DESCRIPTOR = define(
    globals(),
    b'\n\x16tensorflow_error.proto\x12\x10tensorflow.error*\xb7\x02\n\x04Code\x12\x06\n\x02OK\x10\x00\x12\r\n\tCA'
    b'NCELLED\x10\x01\x12\x0b\n\x07UNKNOWN\x10\x02\x12\x14\n\x10INVALID_ARGUMENT\x10\x03\x12\x15\n\x11DEADLINE_EX'
    b'CEEDED\x10\x04\x12\r\n\tNOT_FOUND\x10\x05\x12\x12\n\x0eALREADY_EXISTS\x10\x06\x12\x15\n\x11PERMISSION_DENIE'
    b'D\x10\x07\x12\x16\n\x12RESOURCE_EXHAUSTED\x10\x08\x12\x17\n\x13FAILED_PRECONDITION\x10\t\x12\x0b\n\x07ABORT'
    b'ED\x10\n\x12\x10\n\x0cOUT_OF_RANGE\x10\x0b\x12\x11\n\rUNIMPLEMENTED\x10\x0c\x12\x0c\n\x08INTERNAL\x10\r\x12'
    b'\x0f\n\x0bUNAVAILABLE\x10\x0e\x12\r\n\tDATA_LOSS\x10\x0f\x12\x13\n\x0fUNAUTHENTICATED\x10\x10b\x06proto3',
    imports=[],
)
