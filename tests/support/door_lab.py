"""For tests of the doors: a door of either library, and a language model to talk to through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import llm_app

from directlane import AsyncClient, Client
from directlane.core.emulation import HANG, ModelInstance, ProcessInstance, Rule, ThreadInstance, start_together

__all__ = ["TOKEN", "Llm", "answering", "llm_of", "open_door"]

TOKEN = "the-providers-token"


def open_door(library: Any, client: Client | AsyncClient, name: str, **options: Any) -> Any:
    """The client of `httpx` or `httpx2` for a service."""
    return (client.http if library.__name__ == "httpx" else client.httpx2)(name, **options)


@dataclass
class Llm:
    """A service `llm` of some instances."""

    instances: list[ModelInstance]

    def data(self, **service: object) -> dict[str, Any]:
        """A configuration with the service."""
        return {"services": {"llm": {"routes": [self.route()], "repeatable": True, "timeout": "30s", **service}}}

    def route(self) -> dict[str, object]:
        """The route of the service."""
        addresses = [instance.url for instance in self.instances]
        return {"provider": "static", "addresses": addresses, "token": TOKEN}

    def named(self, name: str) -> ModelInstance:
        """The instance of this name."""
        return next(instance for instance in self.instances if instance.name == name)

    @property
    def ran(self) -> int:
        """How many requests were run, the dead included."""
        return sum(instance.requests for instance in self.instances)

    @contextmanager
    def killing_who_gets_the_next(self) -> Generator[list[str]]:
        """In this block, the first request is held by whoever gets it, and that process is killed meanwhile.

        Gives a list in which the name of the dead will stand.
        """
        alive = [instance for instance in self.instances if instance.is_alive]
        before = {instance.name: instance.requests for instance in alive}
        for instance in alive:
            instance.set_fault(HANG, times=1)
        dead: list[str] = []
        is_over = threading.Event()

        def kill() -> None:
            while not is_over.wait(0.005):
                for instance in alive:
                    if instance.requests > before[instance.name]:
                        for other in alive:
                            if other is not instance:
                                other.set_fault(HANG, times=0)  # only one holds
                        dead.append(instance.name)
                        instance.kill()
                        return

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield dead
        finally:
            is_over.set()
            killer.join()


@contextmanager
def answering(answer: bytes) -> Generator[str]:
    """A server that answers its first request with these bytes. Gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                data = b""
                while not data.endswith(b"\r\n\r\n"):
                    data += connection.recv(65536)
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.join()


@contextmanager
def llm_of(count: int, *, processes: bool = False) -> Generator[Llm]:
    """Start a language model of this many instances: threads, or processes that can really be killed."""
    kind: type[ModelInstance] = ProcessInstance if processes else ThreadInstance
    names = [f"llm-{number}" for number in range(1, count + 1)]
    instances: list[ModelInstance] = [
        kind(name, application=Rule(f"{llm_app.__name__}:make", {"name": name, "token": TOKEN})) for name in names
    ]
    with ExitStack() as stack:
        for instance in instances:
            stack.callback(instance.stop)
        start_together(instances)
        yield Llm(instances)
