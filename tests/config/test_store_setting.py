"""The setting `store`: from a text to a store, and every mistake at its line."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

import jsonschema
import pytest

from directlane import hookimpl
from directlane.core.config.schema import json_schema
from directlane.core.interfaces.store import Store
from directlane.core.plugins.registry import Registered, Registry
from directlane.core.stores import plugin
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Load, Refuse


class Remote(MemoryStore):
    """A store with a URL."""

    kind: ClassVar[str] = "remote"
    schemes: ClassVar[tuple[str, ...]] = ("remote", "remotes")
    text: str
    environment: Mapping[str, str]

    @classmethod
    def open(cls, place: str, environment: Mapping[str, str]) -> Self:
        if "bad" in place:
            raise ValueError(f"{place} has\n no host")
        if "bug" in place:
            raise KeyError(place)
        made = cls()
        made.text, made.environment = place, environment
        return made

    @property
    def identity(self) -> Hashable:
        return self.text.rpartition("@")[2]


class Remotes:
    @hookimpl
    def directlane_stores(self) -> list[type[Store]]:
        return [Remote]


@pytest.fixture
def registry(registry: Registry) -> Registry:
    registry.add(plugin, Registered("stores", "directlane 0"))
    registry.add(Remotes(), Registered("remotes", "remotes 1.0"))
    return registry


def test_without_the_setting_nothing_is_shared(load: Load, service: Callable[..., str]) -> None:
    assert load(service()).store is None


def test_store_is_named_by_kind_and_place(load: Load, service: Callable[..., str], tmp_path: Path) -> None:
    store = load(f'store = "sqlite:{tmp_path}/s.sqlite"' + service()).store
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "s.sqlite"
    assert str(store) == f"sqlite:{tmp_path}/s.sqlite"
    assert isinstance(load('store = "memory:"' + service()).store, MemoryStore)


def test_default_place_follows_the_environment(load: Load, service: Callable[..., str]) -> None:
    store = load('store = "sqlite:"' + service(), environment={"XDG_RUNTIME_DIR": "/run/user/7"}).store
    assert str(store) == "sqlite:/run/user/7/directlane/store.sqlite"


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_store_stands_in_every_form_of_file(load: Load, name: str) -> None:
    address = '"provider": "cloud", "service": "s"'
    text = f'{{"store": "remotes://h/0", "services": {{"s": {{"routes": [{{{address}}}]}}}}}}'
    store = load(text, name=name).store
    assert isinstance(store, Remote)
    assert store.text == "remotes://h/0"


def test_url_is_handed_over_whole_with_its_references_replaced(load: Load, service: Callable[..., str]) -> None:
    config = load('store = "remote://u:${P}@host/0"' + service(), environment={"P": "s3cret"})
    assert isinstance(config.store, Remote)
    assert config.store.text == "remote://u:s3cret@host/0"
    assert config.store.environment == {"P": "s3cret"}
    assert config.warnings == ()
    assert "s3cret" not in repr(config)


def test_whole_url_may_come_from_the_environment(load: Load, service: Callable[..., str]) -> None:
    config = load('store = "${STORE}"' + service(), environment={"STORE": "remote://:s3cret@host"})
    assert isinstance(config.store, Remote)
    assert config.warnings == ()


def test_password_in_clear_is_warned_about(load: Load, service: Callable[..., str]) -> None:
    (warning,) = load('\nstore = "remote://:clear-word@${H}"' + service(), environment={"H": "host"}).warnings
    assert (warning.path, warning.line) == ("store", 2)
    assert warning.message == "a password stands here in clear; write it as ${NAME}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"sqlte:"', "there is no store 'sqlte'; did you mean \"sqlite\"?"),
        ('"sqlte:/a"', "there is no store 'sqlte'; did you mean \"sqlite\"?"),
        ('"remotess://:pass-word@h"', "there is no store 'remotess'; did you mean \"remotes\"?"),
        ('"etcd:x"', "there is no store 'etcd'; there are: memory, redis, rediss, remote, "),
        ('"sqlite"', 'must be "kind:place"; did you mean "sqlite:"?'),
        ('"/var/run/pass-word"', 'must be "kind:place", such as "sqlite:"'),
        ('""', 'must be "kind:place", such as "sqlite:"'),
        ("3", 'must be "kind:place", such as "sqlite:"'),
        ("{ kind = 'sqlite' }", 'must be "kind:place", such as "sqlite:"'),
        ('"sqlite:store.sqlite"', "'store.sqlite' is not an absolute path; write one"),
        ('"memory:here"', "a memory store has no place, so write 'memory:' without 'here'"),
        ('"remote://:pass-word@bad"', "remote://:***@bad has no host"),
        ('"remote://:pass%2Dword@bad"', "remote://:***@bad has no host"),
        ('"remote://:${P}@bad"', "remote://:***@bad has no host"),
        ('"remote://:pass-word@bug"', "Remote.open failed with KeyError; this is a bug in it"),
        ('"remote://:${NOPE}@h"', "the environment variable NOPE is not set; set it before you start"),
    ],
)
def test_mistake_is_one_sentence_at_its_line_and_shows_no_password(
    refuse: Refuse, service: Callable[..., str], value: str, message: str
) -> None:
    (problem,) = refuse(f"\n\nstore = {value}" + service(), environment={"P": "pass-word"})
    assert (problem.path, problem.line) == ("store", 3)
    assert problem.message.startswith(message)
    assert "pass-word" not in problem.message


def test_schema_knows_the_words(registry: Registry) -> None:
    schema = json_schema(registry)
    validator = jsonschema.Draft202012Validator(schema)

    def fits(value: object) -> bool:
        # The stubs of jsonschema leave some types open.
        return bool(validator.is_valid({"store": value, "services": service}))  # pyright: ignore

    service = {"s": {"routes": [{"provider": "cloud", "service": "s"}]}}
    for good in ("sqlite:", "remotes://h/0", "${STORE}"):
        assert fits(good), good
    for bad in ("sqlite", "etcd:", "xsqlite:", 3):
        assert not fits(bad), bad


def test_two_stores_are_one_place_if_their_identities_are_equal(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    direct = SqliteStore.open(f"{tmp_path}/real/s", {})
    assert direct.identity == SqliteStore.open(f"{tmp_path}/link/../real/s", {}).identity
    assert direct.identity == SqliteStore.open(f"{tmp_path}/link/s", {}).identity
    assert direct.identity != SqliteStore.open(f"{tmp_path}/real/t", {}).identity
    memory = MemoryStore()
    assert memory.identity == memory.identity
    assert memory.identity != MemoryStore().identity
    assert len({direct.identity, memory.identity}) == 2
