"""Made by scripts/protos from ml_v1.proto; a change here is lost when it runs again."""

from runtime.protocols.protos.pool import define

DESCRIPTOR = define(
    globals(),
    b'\n\x0bml_v1.proto\x12\x05ml.v1"4\n\x0ePredictRequest\x12\x12\n\nmodel_name\x18\x01 \x01(\t\x12\x0e\n\x06inp'
    b'uts\x18\x02 \x03(\x02"6\n\x0fPredictResponse\x12\x0f\n\x07outputs\x18\x01 \x03(\x02\x12\x12\n\nlatency_ms'
    b'\x18\x02 \x01(\x02">\n\x13BatchPredictRequest\x12\'\n\x08requests\x18\x01 \x03(\x0b2\x15.ml.v1.PredictReque'
    b'st">\n\x14BatchPredictResponse\x12&\n\x05items\x18\x01 \x03(\x0b2\x17.ml.v1.BatchPredictItem"n\n\x10BatchPr'
    b'edictItem\x12*\n\x08response\x18\x01 \x01(\x0b2\x16.ml.v1.PredictResponseH\x00\x12$\n\x05error\x18\x02 \x01'
    b'(\x0b2\x13.ml.v1.PredictErrorH\x00B\x08\n\x06result"-\n\x0cPredictError\x12\x0c\n\x04code\x18\x01 \x01(\t'
    b'\x12\x0f\n\x07message\x18\x02 \x01(\t2\x95\x01\n\x10InferenceService\x128\n\x07Predict\x12\x15.ml.v1.Predic'
    b'tRequest\x1a\x16.ml.v1.PredictResponse\x12G\n\x0cBatchPredict\x12\x1a.ml.v1.BatchPredictRequest\x1a\x1b.ml.'
    b'v1.BatchPredictResponseb\x06proto3',
    imports=[],
)
