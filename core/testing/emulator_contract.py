"""What every emulator keeps to.

    class TestAcmeEmulator(EmulatorContract):
        def emulator(self, instances, *, processes=False):
            return AcmeEmulator(instances, processes=processes)

Each test starts one on loopback and meets it as users do: with a client that is configured by the emulator's own
`route`. So the provider must be installed (`pip install -e .`).
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from ..client import Client, Service
from ..errors import DirectlaneError
from ..interfaces.emulator import ControlFault, Emulator
from ..plugins.registry import load_plugins

__all__ = ["EmulatorContract"]


class EmulatorContract:
    """The contract of `Emulator`, as tests."""

    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        """A new emulator that is not started.

        Args:
            instances: How many instances it starts.
            processes: Whether each is a process of its own.
        """
        raise NotImplementedError("write `emulator`: it returns your emulator, not started")

    @pytest.fixture
    def cloud(self) -> Iterator[Emulator]:
        """It, started, with two instances."""
        with self.emulator(2) as made:
            yield made

    def test_route_leads_to_every_instance(self, cloud: Emulator) -> None:
        """What `route` says is a route of a configuration file, and calls reach all that is listed."""
        with _service(cloud) as service:
            replies = [service.send(b"[]") for _ in range(6)]
        assert all(reply.ok for reply in replies), f"a call got the status {[reply.status for reply in replies]}"
        reached = {reply.endpoint.port for reply in replies if reply.endpoint is not None}
        assert reached == _ports(cloud), "not every instance is reached"

    def test_secrets_stand_in_the_environment(self, cloud: Emulator) -> None:
        """`route` refers to them as `${NAME}`, so that it can be written into a file and shown."""
        text, variables = json.dumps(dict(cloud.route())), cloud.environment
        missing = set(re.findall(r"\$\{(\w+)\}", text)) - variables.keys()
        assert not missing, f"`route` refers to {sorted(missing)}, and `environment` does not have it"
        shown = [name for name, value in variables.items() if value in text]
        assert not shown, f"the value of {shown} stands in `route`"

    def test_list_follows_what_is_added_and_removed(self, cloud: Emulator) -> None:
        """A removed instance is not listed, and goes on serving the calls that it has."""
        removed = cloud.instances[0]
        added = cloud.add_instance()
        assert added.port in _ports(cloud), "an instance was added, and `instances` does not have it"
        assert _listed(cloud) == _ports(cloud), "an instance was added, and the list does not have it"
        cloud.remove_instance(removed)
        assert removed.port not in _ports(cloud), "an instance was removed, and `instances` has it still"
        assert _listed(cloud) == _ports(cloud), "an instance was removed, and the list has it still"
        assert _answers(removed.port), "an instance was removed, and it serves no longer"

    def test_killed_instance_is_gone_and_still_listed(self, cloud: Emulator) -> None:
        """As after a crash: nobody answers there, and no control plane notices at once. Calls go elsewhere."""
        victim = cloud.instances[0]
        victim.kill()
        assert not _answers(victim.port), "an instance was killed, and it answers"
        assert victim.port in _listed(cloud), "an instance was killed, and the list knows at once"
        with _service(cloud) as service:
            assert all(service.send(b"[]").ok for _ in range(4)), "an instance was killed, and calls fail"

    def test_broken_control_plane_gives_no_list_until_it_is_mended(self) -> None:
        """Whoever asks the first time gets no list, in each of the ways there are (`ControlFault`)."""
        for fault in ControlFault:
            if fault is ControlFault.NONE:
                continue
            with self.emulator(1) as cloud:  # a new one each time: clients remember who refused them
                if not _asks(cloud):
                    pytest.skip("there is no control plane: `discovery` is not claimed")
                cloud.break_control_plane(fault)
                with _service(cloud, discovery={"timeout": "200ms"}, timeout="400ms") as service:
                    try:
                        service.send(b"[]")
                    except DirectlaneError:
                        pass
                    else:
                        raise AssertionError(f"the control plane is broken ({fault.value}), and a list comes")
                cloud.break_control_plane(ControlFault.NONE)
                assert _listed(cloud) == _ports(cloud), f"mended after {fault.value}, and no list comes"

    def test_nothing_is_left_after_the_stop(self) -> None:
        """No port, no thread, whoever was added or removed; a second stop does no harm."""
        before = set(threading.enumerate())
        cloud = self.emulator(1)
        cloud.start()
        cloud.add_instance()
        ports = _ports(cloud) | {
            int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", json.dumps(dict(cloud.route())))
        }
        cloud.remove_instance(cloud.instances[0])
        cloud.stop()
        cloud.stop()
        left = sorted(port for port in ports if _answers(port))
        assert not left, f"stopped, and the ports {left} answer"
        threads = {thread.name for thread in set(threading.enumerate()) - before}
        assert not threads, f"stopped, and these threads run: {sorted(threads)}"

    def test_instances_can_be_processes(self) -> None:
        """A crash of one is a real one then."""
        with self.emulator(1, processes=True) as cloud:
            ports = _ports(cloud)
            assert _listed(cloud) == ports
        assert not any(_answers(port) for port in ports), "stopped, and a process answers"


@contextmanager
def _service(cloud: Emulator, **settings: object) -> Generator[Service]:
    """A client of its own: what others were told is not known to it."""
    service = {"repeatable": True, "routes": [dict(cloud.route())], "timeout": "20s", **settings}
    with Client.from_data({"services": {"kit": service}}, environment=cloud.environment) as client:
        yield client.service("kit")


def _listed(cloud: Emulator) -> set[int]:
    """The ports that a new client is told."""
    with _service(cloud) as service:
        try:
            reply = service.send(b"[]")
        except DirectlaneError as error:
            raise AssertionError(f"a call fails: {error}") from None
        assert reply.ok, f"a call gets the status {reply.status}"
        return {view.endpoint.port for view in service.endpoints()}


def _asks(cloud: Emulator) -> bool:
    provider = load_plugins().providers[str(cloud.route()["provider"])]
    return "discovery" in provider.model.facts.capabilities


def _ports(cloud: Emulator) -> set[int]:
    return {instance.port for instance in cloud.instances}


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False
