"""The client: services by name, from one configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from ...clock import SYSTEM_CLOCK, Clock
from ...config.load import load_data, load_file
from ...config.model import Config
from ...discovery.hub import DiscoveryHub, process_hub
from ...errors import ClosedError, UnknownServiceError
from ...forks import on_fork
from ...plugins.registry import Registry, nearest
from ..httpx2_extra import needs_httpx2
from . import httpx_door
from .service import AsyncService

if TYPE_CHECKING:
    import httpx2

__all__ = ["AsyncClient"]


class AsyncClient:
    """Calls the services of one configuration. Use it as a context manager, or close it.

    Discovery begins when a service is first asked for; the first call waits for the first list. One client serves the
    whole program.

    Args:
        config: The configuration; see `from_file`.
        hub: Where pollers are shared. Default: with every client of this process.
        clock: Source of time.
        random: Source of chance.
    """

    def __init__(
        self,
        config: Config,
        *,
        hub: DiscoveryHub | None = None,
        clock: Clock = SYSTEM_CLOCK,
        random: Random | None = None,
    ) -> None:
        self.config = config
        self._hub = hub
        self._clock = clock
        self._random = random if random is not None else Random()
        self._services: dict[str, AsyncService] = {}
        self._is_closed = False
        on_fork(self)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        environment: Mapping[str, str] | None = None,
        registry: Registry | None = None,
    ) -> Self:
        """A client for a configuration file.

        Args:
            path: A TOML, YAML or JSON file.
            environment: Values for `${NAME}`. Default: the environment of this process.
            registry: The plug-ins to use. Default: all that are installed.

        Raises:
            ConfigError: The configuration cannot be used; the text says what is wrong, where, and what to write.
        """
        values = os.environ if environment is None else environment
        return cls(load_file(Path(path), environment=values, registry=registry))

    @classmethod
    def from_data(
        cls,
        data: Mapping[str, Any],  # as TOML and JSON give it: the loader checks every value
        *,
        environment: Mapping[str, str] | None = None,
        registry: Registry | None = None,
    ) -> Self:
        """A client for a configuration that is already in memory, in the form of a file.

        Raises:
            ConfigError: As for `from_file`.
        """
        values = os.environ if environment is None else environment
        return cls(load_data(data, source="configuration", environment=values, registry=registry))

    def service(self, name: str) -> AsyncService:
        """The service of this name. Its discovery begins now, in the background.

        Raises:
            UnknownServiceError: The configuration has no such service.
            ClosedError: The client is closed.
        """
        if self._is_closed:
            raise ClosedError("the client is closed\nNext: make a new client.")
        service = self._services.get(name)
        if service is None:
            plan = self.config.services.get(name)
            if plan is None:
                raise UnknownServiceError(name, list(self.config.services), nearest(name, self.config.services))
            hub = self._hub if self._hub is not None else process_hub()
            service = self._services.setdefault(name, AsyncService(plan, hub, self._clock, self._random))
        _ = service.routes  # begins discovery
        return service

    def http(self, name: str, **options: Any) -> httpx.AsyncClient:  # httpx.Client's own options, whatever they are
        """An httpx client whose requests go to this service: our balancing and failover, httpx's features.

        Paths are relative to the service. Closing it does not close this client.

        Args:
            name: The service.
            options: Further arguments for the httpx client, such as `headers` or `timeout`.

        Raises:
            UnknownServiceError: The configuration has no such service.
        """
        return httpx_door.open_async(self.service(name), options)

    def httpx2(self, name: str, **options: Any) -> httpx2.AsyncClient:  # httpx2.Client's own options
        """As `http`, for httpx2: the client that newer SDKs take, such as those of OpenAI and Anthropic.

        Args:
            name: The service.
            options: Further arguments for the httpx2 client.

        Raises:
            UnknownServiceError: The configuration has no such service.
            ImportError: httpx2 is not installed; the text says how to get it.
        """
        with needs_httpx2():
            from . import httpx2_door
        return httpx2_door.open_async(self.service(name), options)

    def after_fork_in_child(self) -> None:
        """Another random sequence than the parent's and the sibling's: they must not all pick the same endpoint."""
        self._random.seed()

    async def aclose(self) -> None:
        """Close every service. Calls that are open may fail. Harmless when called again."""
        self._is_closed = True
        while self._services:
            _, service = self._services.popitem()
            await service.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.source!r}, {len(self.config.services)} services>"
