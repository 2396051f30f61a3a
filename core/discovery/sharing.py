"""Which questions processes share, and under which name: what is settled once, before `shared_polling` begins."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Hashable
from random import Random

from ..config.model import DiscoverySettings
from ..interfaces.discovery import Discovery
from ..interfaces.sharing import HasCredential, MayBeLocal
from .asking import Asker
from .link import StoreLink
from .local import LocalRunner
from .logins import Logins
from .poller import Poller
from .shared_polling import SharedPolling

__all__ = ["is_shared", "run_shared", "shared_identity"]


async def run_shared(
    poller: Poller, link: StoreLink, tls: ssl.SSLContext, local: LocalRunner, random: Random, logins: Logins
) -> None:
    """Ask the poller's question together with all processes that share the store, until that is hopeless.

    A question that has no name, or whose answer is true for this machine only, is asked by each for itself; its rate
    limits are shared all the same.
    """
    discovery = poller.discovery
    credential: Hashable | None = discovery.credential if isinstance(discovery, HasCredential) else None
    loop = asyncio.get_running_loop()
    identity = shared_identity(discovery, poller.settings)
    name = await loop.run_in_executor(None, link.name_of, identity) if is_shared(discovery) else None
    secret = None
    if credential is not None:
        secret = await loop.run_in_executor(None, link.name_of, ("credential", credential))
    polling = SharedPolling(poller, link, name, secret, random)
    asker = Asker(discovery.identity, tls, polling.keeper, local, poller.settings.timeout, logins)
    try:
        await polling.run(asker)
    finally:
        await asker.close()


def shared_identity(discovery: Discovery, settings: DiscoverySettings) -> Hashable:
    """What all must agree in who share the answers of one question: also which addresses they let in."""
    return discovery.identity, tuple(map(str, settings.allow_networks))


def is_shared(discovery: Discovery) -> bool:
    """Whether the answer is true for other machines too."""
    return not (isinstance(discovery, MayBeLocal) and discovery.is_local)
