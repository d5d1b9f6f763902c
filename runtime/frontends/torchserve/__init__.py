"""TorchServe's protocol over REST; `frontends.grpc.torchserve` has its gRPC methods."""
