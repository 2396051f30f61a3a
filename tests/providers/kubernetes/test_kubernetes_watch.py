"""The API server is watched, over real sockets: changes, bookmarks, old versions, ends, breaks, restarts, tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from typing import Any, Self

import pytest
from discovery_lab import Told, hub_threads, quick
from pydantic import ValidationError

from directlane import Client, load_data
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.discovery.subscription import Subscription
from directlane.core.interfaces import ControlFault
from directlane.providers.kubernetes import KubernetesProvider
from directlane.providers.kubernetes.auth import SERVICE_ACCOUNT
from directlane.providers.kubernetes.emulator import KubernetesEmulator

NEVER = 3600.0


@pytest.fixture
def cloud() -> Iterator[KubernetesEmulator]:
    with KubernetesEmulator(2) as emulator:
        yield emulator
    assert hub_threads() == []


def provider_of(cloud: KubernetesEmulator, **changes: Any) -> KubernetesProvider:
    route = {**cloud.route(), **changes}
    assert route.pop("provider") == "kubernetes"
    route["token"] = Template(str(route["token"])).substitute(cloud.environment)
    return KubernetesProvider.model_validate(route)


class Watched:
    """A client's share in the watch of a service."""

    def __init__(self, cloud: KubernetesEmulator, interval: float = NEVER) -> None:
        self.cloud = cloud
        self.told = Told()
        self.share: Subscription = DiscoveryHub().subscribe(
            "svc/route", provider_of(cloud).discovery(), quick(interval=interval, timeout=30.0), self.told
        )
        assert self.share.wait_ready(30)
        until(lambda: cloud.watches > 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.share.release()

    @property
    def ports(self) -> set[int]:
        return {endpoint.port for endpoint in self.share.belief.endpoints}

    @property
    def version(self) -> str | None:
        snapshot = self.share.belief.snapshot
        return snapshot.version if snapshot is not None else None

    @property
    def is_true(self) -> bool:
        """Whether the list is the cloud's."""
        return self.ports == {instance.port for instance in self.cloud.instances}


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


def wait_watches(cloud: KubernetesEmulator, number: int) -> None:
    until(lambda: cloud.watches == number)


def test_changes_are_told_by_the_watch_and_nothing_is_polled(cloud: KubernetesEmulator) -> None:
    with Watched(cloud) as watched:
        cloud.add_instance()
        until(lambda: len(watched.ports) == 3)
        assert watched.is_true
        cloud.remove_instance(cloud.instances[0])
        until(lambda: len(watched.ports) == 2)
        assert watched.is_true
    assert (cloud.lists, cloud.watches) == (1, 1)


def test_a_pod_that_ends_is_drained_and_then_gone(cloud: KubernetesEmulator) -> None:
    with Watched(cloud) as watched:
        leaving = cloud.instances[0]
        cloud.set_conditions(leaving, ready=False, serving=True, terminating=True)
        until(lambda: any(endpoint.is_draining for endpoint in watched.share.belief.endpoints))
        assert [e.port for e in watched.share.belief.endpoints if e.is_draining] == [leaving.port]
        cloud.set_conditions(leaving, serving=False)
        until(lambda: watched.ports == {cloud.instances[1].port})
        cloud.set_conditions(leaving, ready=True)
        until(lambda: watched.is_true)


def test_a_bookmark_confirms_the_list(cloud: KubernetesEmulator) -> None:
    with Watched(cloud) as watched:
        before = watched.share.belief.confirmed_at
        cloud.bookmark()
        until(lambda: watched.share.belief.confirmed_at != before)
    assert len(watched.told.lists) == 1, "the same list is told once"


def test_the_next_watch_goes_on_from_the_last_version_without_a_list(cloud: KubernetesEmulator) -> None:
    with Watched(cloud) as watched:
        for number in range(3):
            cloud.bookmark()
            until(lambda: watched.share.belief.snapshot and watched.share.belief.snapshot.version == cloud.version)
            cloud.disconnect_watches()
            wait_watches(cloud, number + 2)
        cloud.add_instance()
        until(lambda: len(watched.ports) == 3)
    assert cloud.lists == 1


def test_a_watch_that_ends_without_a_word_is_begun_again_with_a_list(cloud: KubernetesEmulator) -> None:
    with Watched(cloud, interval=0.05) as watched:
        time.sleep(0.05)  # it lived for longer than the interval, or not: both lead to the same list
        cloud.disconnect_watches()
        until(lambda: cloud.lists == 2)
        cloud.add_instance()
        until(lambda: len(watched.ports) == 3)


def test_an_old_version_leads_to_a_list_at_once(cloud: KubernetesEmulator) -> None:
    with Watched(cloud) as watched:
        cloud.bookmark()
        until(lambda: watched.version == cloud.version)
        cloud.forget_history()
        until(lambda: cloud.lists == 2)
        cloud.add_instance()
        until(lambda: len(watched.ports) == 3)
        assert watched.share.belief.failures == 0, "410 is no failure"


@pytest.mark.parametrize("fault", [fault for fault in ControlFault if fault is not ControlFault.NONE])
def test_a_broken_api_server_keeps_the_list_and_is_watched_again(
    cloud: KubernetesEmulator, fault: ControlFault
) -> None:
    share = DiscoveryHub().subscribe(
        "svc/route", provider_of(cloud).discovery(), quick(interval=0.05, timeout=0.5), Told()
    )
    assert share.wait_ready(30)
    cloud.break_control_plane(fault)
    until(lambda: share.belief.error is not None or share.belief.is_empty)
    assert len(share.belief.endpoints) == 2
    cloud.break_control_plane(ControlFault.NONE)
    until(lambda: share.belief.error is None and not share.belief.is_empty)
    cloud.add_instance()
    until(lambda: len(share.belief.endpoints) == 3)
    share.release()


def test_an_api_server_that_starts_again_is_watched_again(cloud: KubernetesEmulator) -> None:
    with Watched(cloud, interval=0.05) as watched:
        cloud.restart()
        cloud.add_instance()
        until(lambda: len(watched.ports) == 3)
        assert watched.is_true


def test_a_token_that_was_renewed_is_read_anew(cloud: KubernetesEmulator) -> None:
    with Watched(cloud, interval=0.05) as watched:
        cloud.renew_account_token("account-2")
        cloud.bookmark()
        cloud.disconnect_watches()
        cloud.add_instance()
        until(lambda: len(watched.ports) == 3)
        assert watched.share.belief.failures == 0


def test_a_token_that_is_refused_is_told_and_tried_again(cloud: KubernetesEmulator, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    (tmp_path / "namespace").write_text("emulated")
    discovery = provider_of(cloud, service_account=tmp_path).discovery()
    share = DiscoveryHub().subscribe("svc/route", discovery, quick(interval=0.05, timeout=30.0), Told())
    until(lambda: share.belief.error is not None)
    assert "does not accept the service account's token" in str(share.belief.error)
    (tmp_path / "token").write_text("account-1")
    assert share.wait_ready(30)
    share.release()


def test_a_missing_file_is_named(cloud: KubernetesEmulator, tmp_path: Path) -> None:
    discovery = provider_of(cloud, service_account=tmp_path).discovery()
    share = DiscoveryHub().subscribe("svc/route", discovery, quick(timeout=30.0), Told())
    until(lambda: share.belief.error is not None)
    assert f"{tmp_path}/token is not there. Next:" in str(share.belief.error)
    share.release()


def test_a_program_outside_of_a_pod_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    discovery = KubernetesProvider.model_validate({"service": "model"}).discovery()
    share = DiscoveryHub().subscribe("svc/route", discovery, quick(timeout=30.0), Told())
    until(lambda: share.belief.error is not None)
    assert "this is no pod: KUBERNETES_SERVICE_HOST" in str(share.belief.error)
    assert "Next: set `api` and `namespace`" in str(share.belief.error)
    share.release()


@pytest.mark.parametrize("processes", [False, True])
def test_calls_go_to_the_pods_and_follow_them(processes: bool) -> None:
    with KubernetesEmulator(1, processes=processes) as cloud:
        data = {"services": {"svc": {"discovery": {"interval": "1h"}, "routes": [dict(cloud.route())]}}}
        config = load_data(data, source="test", environment=cloud.environment)
        with Client(config) as client:
            assert client.service("svc").send(b"x").json()["instance"] == "kubernetes-1"
            until(lambda: cloud.watches > 0)
            cloud.add_instance()
            cloud.remove_instance(cloud.instances[0])
            until(lambda: client.service("svc").send(b"x").json()["instance"] == "kubernetes-2")


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"service": "Model"}, "service"),
        ({"service": "a/b"}, "service"),
        ({"namespace": "../x"}, "namespace"),
        ({"port": 0}, "port"),
        ({"api": "10.0.0.1"}, "is not a URL"),
        ({"api": "http://10.0.0.1:8080", "namespace": "n"}, "use https"),
        ({"api": "http://127.0.0.1:8001"}, "needs a `namespace`"),
        ({"api": "https://me:secret@10.0.0.1"}, "is not a URL"),
        ({"auth": "plain"}, "needs a `token`"),
    ],
)
def test_what_is_refused_and_why(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KubernetesProvider.model_validate({"service": "model", **changes})
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_pod_needs_the_name_of_the_service_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = KubernetesProvider.model_validate({"service": "model"})
    first, second = provider.discovery(), KubernetesProvider.model_validate({"service": "model"}).discovery()
    assert first.identity == second.identity
    assert str(SERVICE_ACCOUNT) in repr(first.identity)


def test_in_a_pod_the_environment_and_the_files_say_how_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from directlane import LocalQuery, PollContext, Query

    for name, text in {"token": "t0ken\n", "ca.crt": "a certificate", "namespace": "ns"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    provider = KubernetesProvider.model_validate({"service": "model", "service_account": tmp_path})
    conversation = provider.discovery().poll(PollContext(0.0))
    local = next(conversation)
    assert isinstance(local, LocalQuery)
    query = conversation.send(local.run())
    assert isinstance(query, Query)
    assert query.url == (
        "https://[fd00::1]:443/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"
        "?labelSelector=kubernetes.io%2Fservice-name%3Dmodel"
    )
    assert ("Authorization", "Bearer t0ken") in query.headers
    assert query.trust == "a certificate"
    assert "t0ken" not in repr(query)
