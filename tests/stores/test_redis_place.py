"""The URL of a Redis store: what it means, what is refused, and what is never shown."""

from __future__ import annotations

import importlib.util
import pickle
import sys

import pytest

from directlane.core.stores.redis_place import RedisPlace
from directlane.core.stores.redis_store import RedisStore


def test_short_url_has_the_defaults() -> None:
    place = RedisPlace.from_url("redis://cache.internal")
    assert (place.host, place.port, place.database, place.prefix) == ("cache.internal", 6379, 0, "directlane")
    assert place.password is None
    assert not place.is_tls
    assert str(place) == "redis://cache.internal:6379/0"


def test_long_url_is_understood_and_shows_neither_user_nor_password() -> None:
    place = RedisPlace.from_url("rediss://bob:p%40ss%2Fw@[fd00::1]:7000/3?prefix=team.a&ssl_ca_certs=/etc/ca.pem")
    assert place.password is not None
    assert (place.user, place.password.reveal()) == ("bob", "p@ss/w")
    assert (place.host, place.port, place.database, place.is_tls) == ("fd00::1", 7000, 3, True)
    assert str(place.ca_file) == "/etc/ca.pem"
    assert str(place) == "rediss://[fd00::1]:7000/3?prefix=team.a"
    assert place.key("lease", "q") == "{team.a}:lease:q"
    for shown in (repr(place), str(place), repr(RedisStore(place))):
        assert "p@ss" not in shown
        assert "p%40ss" not in shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://", "this is not a URL of the form redis://"),
        ("redis:cache", "this is not a URL of the form redis://"),
        ("redis:///0", "this is not a URL of the form redis://"),
        ("redis://:sec/ret@host:6379", "percent-encode special characters of the password"),
        ("redis://:sec#ret@host:6379", "percent-encode special characters of the password"),
        ("redis://:sec[ret@host:6379", "percent-encode special characters of the password"),
        ("redis://host:sesecret", "this is not a URL"),
        ("redis://host:99999", "this is not a URL"),
        ("redis://host/secret", "the number of a database is a number, such as 0"),
        ("redis://host?db=1", "db is for sockets; the number of the database stands after the port"),
        ("unix://", "this is not a URL of the form redis://"),
        ("unix://host/run/x.sock", "this is not a URL of the form redis://"),
        ("unix://:sec/ret@/run/x.sock", "percent-encode special characters of the password"),
        ("unix:///run/x.sock?db=secret", "the number of a database is a number, such as 0"),
        ("unix:///run/x.sock?ssl_ca_certs=/a", "ssl_ca_certs needs TLS"),
        ("redis://host?prefx=a", "there is no option 'prefx'; the options are: prefix, password_file"),
        ("redis://host?prefix=", "prefix must be 1 to 100 letters, digits"),
        ("redis://host?prefix={x}", "prefix must be 1 to 100 letters, digits"),
        ("redis://host?ssl_ca_certs=/a", "ssl_ca_certs needs TLS; write rediss:// instead of redis://"),
        ("rediss://host?ssl_ca_certs=a", "ssl_ca_certs must be an absolute path"),
        ("redis://:secret@host?password_file=/a", "give the password or password_file, not both"),
    ],
)
def test_mistake_in_a_url_is_told_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as caught:
        RedisStore.open(url, {})
    assert "secret" not in str(caught.value).replace("redis://[USER]", "")
    assert "sec/ret" not in str(caught.value)


def test_one_place_is_one_whoever_asks() -> None:
    def identity(url: str) -> object:
        return RedisStore.open(url, {}).identity

    assert identity("redis://:a@Host/0") == identity("rediss://u:b@host:6379")
    assert identity("unix://:a@/run/x.sock") == identity("unix://u:b@/run/x.sock?db=0")
    assert identity("unix:///run/x.sock") != identity("unix:///run/x.sock?db=1")
    others = ["redis://host/1", "redis://host:1/0", "redis://other/0", "redis://host/0?prefix=x"]
    assert len({identity(url) for url in ["redis://host/0", *others]}) == 5
    assert "pass-word" not in repr(identity("redis://:pass-word@host"))


def test_missing_package_is_told_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> None:
        assert name == "redis"

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(ValueError, match=r"pip install 'directlane\[redis\]'"):
        RedisStore.open("redis://host", {})


def test_place_with_a_password_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(RedisPlace.from_url("redis://:secret@host"))


def test_redis_is_imported_by_who_opens_the_store_and_not_later_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "directlane.core.stores.redis_client"
    monkeypatch.delitem(sys.modules, module, raising=False)
    RedisStore.open("redis://host", {})
    assert module in sys.modules, "a fork amid an import of another thread leaves it closed for ever"
