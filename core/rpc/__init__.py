"""RPC over leases: gRPC, balanced per call. Needs `directlane[grpc]`, but only when a channel is made."""

from ._async.grpc_channel import AsyncGrpcChannel
from ._async.grpc_messages import AsyncGrpcMessages
from ._sync.grpc_channel import GrpcChannel
from ._sync.grpc_messages import GrpcMessages

__all__ = ["AsyncGrpcChannel", "AsyncGrpcMessages", "GrpcChannel", "GrpcMessages"]
