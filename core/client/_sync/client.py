# Made by tools/unasync.py from core/client/_async/client.py. Change that file, then run the tool.
"""The client: services by name, from one configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import httpx

from ...clock import SYSTEM_CLOCK, Clock
from ...config.load import load_data, load_file
from ...config.model import Config, checked_config
from ...discovery.hub import DiscoveryHub, place_of, process_hub
from ...dispatch.succession import Succession
from ...errors import ClosedError, ConfigError, ConfigProblem, UnknownServiceError
from ...fields import parse_duration
from ...forks import on_fork
from ...plugins.registry import Registry, nearest
from ..file_watch import FileWatch, in_thread, stamp_of
from ..httpx2_extra import needs_httpx2
from ..locks import Lock
from . import httpx_door
from .service import Service

if TYPE_CHECKING:
    import httpx2

__all__ = ["Client"]


class Client:
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
        self.config: Config = checked_config(config)
        self._hub = hub
        self._clock = clock
        self._random = random if random is not None else Random()
        self._services: dict[str, Service] = {}
        self._is_closed = False
        self._read: Callable[[], Config] | None = None
        self._begin_watch: Callable[[Callable[[], None]], FileWatch] | None = None
        self._watch: FileWatch | None = None
        self._reloading = Lock()
        self.reload_error: ConfigError | None = None
        """Why the last reload was refused; None if there was none, or it went well."""
        on_fork(self)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        environment: Mapping[str, str] | None = None,
        registry: Registry | None = None,
        watch: float | str | None = None,
    ) -> Self:
        """A client for a configuration file.

        Args:
            path: A TOML, YAML or JSON file.
            environment: Values for `${NAME}`. Default: the environment of this process.
            registry: The plug-ins to use. Default: all that are installed.
            watch: Look at the file this often, in seconds or as a text such as "2s", and `reload` when it has changed.
                Begins when a service is first asked for (by an Client: in its event loop). Default: never.

        Raises:
            ConfigError: The configuration cannot be used; the text says what is wrong, where, and what to write.
            ValueError: `watch` is no duration above 0.
        """
        interval = None if watch is None else parse_duration(watch)
        if interval is not None and interval <= 0:
            raise ValueError("watch must be above 0 seconds, such as '2s'")
        values = os.environ if environment is None else environment
        file = Path(path)
        stamp = stamp_of(file)  # before it is read: a change in between must show
        read = partial(load_file, file, environment=values, registry=registry)
        client = cls(read())
        client._read = read
        if interval is not None:
            client._begin_watch = partial(FileWatch, file, stamp, interval)
        return client

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

    def service(self, name: str) -> Service:
        """The service of this name. Its discovery begins now, in the background.

        Raises:
            UnknownServiceError: The configuration has no such service.
            ClosedError: The client is closed.
        """
        if self._is_closed:
            raise ClosedError("the client is closed\nNext: make a new client.")
        if self._watch is None and self._begin_watch is not None:
            apply = in_thread(self.reload)
            if apply is not None:
                self._watch = self._begin_watch(apply)
        service = self._services.get(name)
        plan = self.config.services.get(name)
        if plan is None:
            raise UnknownServiceError(name, list(self.config.services), nearest(name, self.config.services))
        if service is None:
            hub = self._hub if self._hub is not None else process_hub()
            made = Service(plan, hub, self._clock, self._random, self.config.store)
            service = self._services.setdefault(name, made)
        _ = service.routes  # begins discovery
        return service

    def http(self, name: str, **options: Any) -> httpx.Client:  # httpx.Client's own options, whatever they are
        """An httpx client whose requests go to this service: our balancing and failover, httpx's features.

        Paths are relative to the service. Closing it does not close this client.

        Args:
            name: The service.
            options: Further arguments for the httpx client, such as `headers` or `timeout`.

        Raises:
            UnknownServiceError: The configuration has no such service.
        """
        return httpx_door.open(self.service(name), options)

    def httpx2(self, name: str, **options: Any) -> httpx2.Client:  # httpx2.Client's own options
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
        return httpx2_door.open(self.service(name), options)

    def reload(self, config: Config | None = None) -> None:
        """Take over another configuration without losing a call. All of it, or nothing.

        Services that you hold stay valid. Routes that did not change keep their endpoints, statistics and connections;
        new ones wait for their first list, `start_timeout` at most; the calls of those that go end, and then their
        connections are closed. So it is with a service that goes: new calls to it raise ClosedError.

        Args:
            config: The new one. Default: what the file says now, for a client that was made by `from_file`.

        Raises:
            ConfigError: It cannot be used, or it would leave a service that has endpoints without any. The old one
                stays in use.
            ClosedError: The client is closed.
        """
        with self._reloading:
            try:
                self._reload(self._reread() if config is None else config)
            except ConfigError as error:
                self.reload_error = error
                raise
            self.reload_error = None

    def _reread(self) -> Config:
        if self._read is None:
            raise ConfigError(
                self.config.source,
                [ConfigProblem("this client was not made from a file; give `reload` the new configuration")],
            )
        return self._read()

    def _reload(self, config: Config) -> None:
        if self._is_closed:
            raise ClosedError("the client is closed\nNext: make a new client.")
        if place_of(config.store) != place_of(self.config.store):
            problem = "`store` cannot be changed while the program runs; put it back, or start the program anew"
            raise ConfigError(config.source, [ConfigProblem(problem, "store")])
        prepared: dict[Service, Succession | None] = {}
        try:
            for name, service in list(self._services.items()):
                plan = config.services.get(name)
                if plan is not None:
                    prepared[service] = succession = service.prepare(plan)
                    if succession is not None and not succession.has_endpoints and service.endpoints():
                        problem = "none of the new routes has an endpoint; the old ones stay in use"
                        raise ConfigError(config.source, [ConfigProblem(problem, f"services.{name}.routes")])
        except BaseException:
            for succession in prepared.values():
                if succession is not None:
                    succession.abandon()
            raise
        self.config = config
        for name, service in list(self._services.items()):
            plan = config.services.get(name)
            if plan is None:
                service.remove()
            else:
                service.adopt(plan, prepared.get(service))

    def after_fork_in_child(self) -> None:
        """Another random sequence than the parent's and the sibling's: they must not all pick the same endpoint."""
        self._random.seed()
        self._watch = None
        self._reloading = Lock()

    def close(self) -> None:
        """Close every service. Calls that are open may fail. Harmless when called again."""
        self._is_closed = True
        self._begin_watch, watch = None, self._watch
        if watch is not None:
            watch.close()
        while self._services:
            _, service = self._services.popitem()
            service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it owns connections, and may hold secrets\n"
            "Next: hand over what it is made from, such as the path of the configuration, and make one in each process."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.source!r}, {len(self.config.services)} services>"
