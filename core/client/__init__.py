"""The clients: two thin shells, async and sync, over the same decisions. The sync one is made from the async one."""

from ._async.client import AsyncClient
from ._async.service import AsyncService
from ._async.stream import AsyncReplyStream
from ._sync.client import Client
from ._sync.service import Service
from ._sync.stream import ReplyStream
from .door_words import RepeatedRetriesWarning
from .doors import httpx2_transport, httpx_transport

__all__ = [
    "AsyncClient",
    "AsyncReplyStream",
    "AsyncService",
    "Client",
    "RepeatedRetriesWarning",
    "ReplyStream",
    "Service",
    "httpx2_transport",
    "httpx_transport",
]
