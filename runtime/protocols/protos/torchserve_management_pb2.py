"""Made by scripts/protos from torchserve_management.proto; a change here is lost when it runs again."""

from runtime.protocols.protos.pool import define

DESCRIPTOR = define(
    globals(),
    b'\n\x1btorchserve_management.proto\x12!org.pytorch.serve.grpc.management"!\n\x12ManagementResponse\x12\x0b\n'
    b'\x03msg\x18\x01 \x01(\t"U\n\x14DescribeModelRequest\x12\x12\n\nmodel_name\x18\x01 \x01(\t\x12\x15\n\rmodel_'
    b'version\x18\x02 \x01(\t\x12\x12\n\ncustomized\x18\x03 \x01(\x08";\n\x11ListModelsRequest\x12\r\n\x05limit'
    b'\x18\x01 \x01(\x05\x12\x17\n\x0fnext_page_token\x18\x02 \x01(\x05"\xfb\x01\n\x14RegisterModelRequest\x12'
    b'\x12\n\nbatch_size\x18\x01 \x01(\x05\x12\x0f\n\x07handler\x18\x02 \x01(\t\x12\x17\n\x0finitial_workers\x18'
    b'\x03 \x01(\x05\x12\x17\n\x0fmax_batch_delay\x18\x04 \x01(\x05\x12\x12\n\nmodel_name\x18\x05 \x01(\t\x12\x18'
    b'\n\x10response_timeout\x18\x06 \x01(\x05\x12\x0f\n\x07runtime\x18\x07 \x01(\t\x12\x13\n\x0bsynchronous\x18'
    b'\x08 \x01(\x08\x12\x0b\n\x03url\x18\t \x01(\t\x12\x12\n\ns3_sse_kms\x18\n \x01(\x08\x12\x17\n\x0fstartup_ti'
    b'meout\x18\x0b \x01(\x05"\xa1\x01\n\x12ScaleWorkerRequest\x12\x12\n\nmodel_name\x18\x01 \x01(\t\x12\x15\n\rm'
    b'odel_version\x18\x02 \x01(\t\x12\x12\n\nmax_worker\x18\x03 \x01(\x05\x12\x12\n\nmin_worker\x18\x04 \x01('
    b'\x05\x12\x12\n\nnumber_gpu\x18\x05 \x01(\x05\x12\x13\n\x0bsynchronous\x18\x06 \x01(\x08\x12\x0f\n\x07timeou'
    b't\x18\x07 \x01(\x05">\n\x11SetDefaultRequest\x12\x12\n\nmodel_name\x18\x01 \x01(\t\x12\x15\n\rmodel_version'
    b'\x18\x02 \x01(\t"C\n\x16UnregisterModelRequest\x12\x12\n\nmodel_name\x18\x01 \x01(\t\x12\x15\n\rmodel_versi'
    b'on\x18\x02 \x01(\t2\x92\x06\n\x15ManagementAPIsService\x12\x7f\n\rDescribeModel\x127.org.pytorch.serve.grpc'
    b'.management.DescribeModelRequest\x1a5.org.pytorch.serve.grpc.management.ManagementResponse\x12y\n\nListMode'
    b'ls\x124.org.pytorch.serve.grpc.management.ListModelsRequest\x1a5.org.pytorch.serve.grpc.management.Manageme'
    b'ntResponse\x12\x7f\n\rRegisterModel\x127.org.pytorch.serve.grpc.management.RegisterModelRequest\x1a5.org.py'
    b'torch.serve.grpc.management.ManagementResponse\x12{\n\x0bScaleWorker\x125.org.pytorch.serve.grpc.management'
    b'.ScaleWorkerRequest\x1a5.org.pytorch.serve.grpc.management.ManagementResponse\x12y\n\nSetDefault\x124.org.p'
    b'ytorch.serve.grpc.management.SetDefaultRequest\x1a5.org.pytorch.serve.grpc.management.ManagementResponse'
    b'\x12\x83\x01\n\x0fUnregisterModel\x129.org.pytorch.serve.grpc.management.UnregisterModelRequest\x1a5.org.py'
    b'torch.serve.grpc.management.ManagementResponseb\x06proto3',
    imports=[],
)
