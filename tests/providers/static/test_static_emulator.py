"""Instances at fixed addresses, over real sockets."""

from __future__ import annotations

from string import Template

import httpx
import pytest

from directlane.core.interfaces import ControlFault, Emulator
from directlane.providers.static import StaticProvider
from directlane.providers.static.emulator import StaticEmulator


def provider_of(emulator: Emulator) -> StaticProvider:
    """As the configuration would make it from the emulator's route."""
    route = dict(emulator.route())
    assert route.pop("provider") == "static"
    if "token" in route:
        route["token"] = Template(str(route["token"])).substitute(emulator.environment)
    return StaticProvider.model_validate(route)


def test_every_address_of_the_route_answers() -> None:
    with StaticEmulator(2) as emulator, httpx.Client(trust_env=False) as client:
        provider = provider_of(emulator)
        names = [
            client.post(endpoint.url, headers=list(provider.wire(endpoint).headers)).json()["instance"]
            for endpoint in provider.endpoints()
        ]
        assert names == ["static-1", "static-2"]
        assert client.post(emulator.instances[0].url).status_code == 401


def test_list_follows_additions_and_removals() -> None:
    with StaticEmulator(2, token=None) as emulator, httpx.Client(trust_env=False) as client:
        emulator.remove_instance(emulator.instances[0])
        emulator.add_instance(weight=7)
        emulator.break_control_plane(ControlFault.ERROR_500)
        endpoints = provider_of(emulator).endpoints()
        assert [endpoint.weight for endpoint in endpoints] == [None, 7]
        assert [client.get(endpoint.url).json()["instance"] for endpoint in endpoints] == ["static-2", "static-3"]
        emulator.instances[0].kill()
        with pytest.raises(httpx.ConnectError):
            client.get(endpoints[0].url)
