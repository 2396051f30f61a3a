"""Configured addresses: what may be written, and what comes of it."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from directlane.core.endpoint import Endpoint, Snapshot
from directlane.core.errors import Phase
from directlane.core.interfaces import AddressSource, Discovery, PollContext
from directlane.core.message import Reply
from directlane.core.outcome import Action, Outcome
from directlane.core.plugins.hooks import ProviderPlugin
from directlane.providers.static import StaticProvider, plugin
from directlane.providers.static.discovery import endpoint_at
from directlane.providers.static.emulator import StaticEmulator

SECRET = "kangaroo-4711"


def provider(*addresses: object, **settings: object) -> StaticProvider:
    return StaticProvider.model_validate({"addresses": addresses, **settings})


def snapshot_of(discovery: Discovery) -> Snapshot:
    with pytest.raises(StopIteration) as end:
        next(discovery.poll(PollContext(0.0)))
    snapshot: Snapshot = end.value.value
    return snapshot


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("http://10.0.0.7:8000", Endpoint("10.0.0.7", 8000)),
        ("http://10.0.0.7:8000/", Endpoint("10.0.0.7", 8000)),
        ("http://10.0.0.7:8000/base/", Endpoint("10.0.0.7", 8000, base_path="/base")),
        ("http://models.example.com", Endpoint("models.example.com", 80)),
        ("https://Models.example.com", Endpoint("models.example.com", 443, scheme="https")),
        ("http://[fd00::7]:9000", Endpoint("fd00::7", 9000)),
        ("http://8.8.8.8", Endpoint("8.8.8.8", 80)),
        (
            {"url": "https://10.0.0.7:8443", "server_name": "Chat.example.com"},
            Endpoint("10.0.0.7", 8443, scheme="https", server_name="chat.example.com"),
        ),
        (
            {"url": "http://10.0.0.7:8000", "weight": 30, "zone": "a"},
            Endpoint("10.0.0.7", 8000, weight=30, zone="a"),
        ),
        ({"url": "http://10.0.0.7:8000", "weight": 0}, Endpoint("10.0.0.7", 8000, weight=0)),
    ],
)
def test_address_becomes_an_endpoint(address: object, endpoint: Endpoint) -> None:
    discovery = provider(address).discovery()
    assert snapshot_of(discovery).endpoints == (endpoint,)


def test_list_is_taken_as_it_is_and_never_changes() -> None:
    discovery = provider("http://b", "http://a").discovery()
    snapshot = snapshot_of(discovery)
    assert [endpoint.host for endpoint in snapshot.endpoints] == ["b", "a"]
    assert snapshot.ask_again_in == math.inf
    assert discovery.addresses is AddressSource.CONFIGURED
    assert snapshot_of(discovery) is snapshot


def test_equal_lists_have_equal_identities() -> None:
    assert provider("http://a").discovery().identity == provider("http://a:80/", token="t").discovery().identity
    assert provider("http://a").discovery().identity != provider("http://b").discovery().identity
    hash(provider("http://a").discovery().identity)


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        ([], "`addresses` is empty"),
        (["10.0.0.7:8000"], "is not an address with http:// or https://"),
        (["ftp://h"], "is not an address with http:// or https://"),
        (["http://"], "is not an address with http:// or https://"),
        (["http://h:0"], "port 0 is not an integer"),
        (["http://h:70000"], "Port out of range"),
        (["http://h:port"], "is not an address"),
        (["http://[::1"], "is not an address"),
        (["http://10.0.0.256"], "neither an IP address nor a host name"),
        (["http://h/p?x=1"], "must not have a query or a fragment"),
        (["http://h/#x"], "must not have a query or a fragment"),
        ([f"http://user:{SECRET}@h"], "use `token`"),
        (["http://h", "http://h:80/"], "names http://h:80 more than once"),
        ([{"url": "http://h", "weight": -1}], "greater than or equal to 0"),
        ([{"url": "http://h", "wieght": 1}], "wieght"),
        ([{"weight": 1}], "url"),
        ([7], "addresses.0"),
    ],
)
def test_what_is_refused_and_why(addresses: list[object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        provider(*addresses)
    assert message in str(caught.value)
    assert caught.value.error_count() == 1
    assert SECRET not in str(caught.value)


def test_place_of_a_bad_address_is_told() -> None:
    with pytest.raises(ValidationError) as caught:
        provider("http://a", "nonsense", {"url": "nonsense"})
    assert [error["loc"][:2] for error in caught.value.errors()] == [("addresses", 1), ("addresses", 2)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auth": "plain"}, 'auth = "plain" needs a `token`'),
        ({"auth": "none", "token": SECRET}, "is never sent"),
        ({"token": [SECRET]}, "token"),
    ],
)
def test_token_and_scheme_must_fit(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        provider("http://a", **settings)
    assert SECRET not in str(caught.value)


def test_authorization_header_of_each_scheme() -> None:
    any_endpoint = Endpoint("a", 80)
    assert provider("http://a", token="t").wire(any_endpoint).headers == (("Authorization", "Bearer t"),)
    assert provider("http://a", token="t", auth="plain").wire(any_endpoint).headers == (("Authorization", "t"),)
    assert provider("http://a", auth="none").wire(any_endpoint).headers == ()
    assert provider("http://a").wire(any_endpoint).headers == ()


def test_token_stands_in_no_text() -> None:
    made = provider("http://a", token=SECRET)
    wire, discovery = made.wire(Endpoint("a", 80)), made.discovery()
    for text in (repr(made), made.model_dump_json(), repr(wire), repr(discovery), repr(discovery.identity)):
        assert SECRET not in text


@given(st.text())
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    for url in (text, f"http://{text}"):
        with suppress(ValueError):
            assert endpoint_at(url).port


def test_schema_allows_texts_and_tables() -> None:
    schema = StaticProvider.model_json_schema()["properties"]["addresses"]
    assert schema["minItems"] == 1
    assert {"type": "string"} in schema["items"]["oneOf"]


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in StaticProvider.model_fields.values())


def test_answers_mean_what_http_says() -> None:
    made = provider("http://a")
    assert made.classify(Outcome(Phase.DONE, 0.1, reply=Reply(503))).action is Action.RETRY_ELSEWHERE
    assert made.classify(Outcome(Phase.DONE, 0.1, reply=Reply(500))).action is Action.FAIL


def test_plugin_brings_the_provider_and_its_emulator() -> None:
    (brought,) = plugin.directlane_providers()
    assert isinstance(brought, ProviderPlugin)
    assert brought.model.kind == "static"
    assert brought.emulator is not None
    assert isinstance(brought.emulator(1), StaticEmulator)


def test_name_of_the_route_is_for_addresses_with_https_that_have_none() -> None:
    own = {"url": "https://10.0.0.9", "server_name": "own.example.com"}
    made = provider("https://10.0.0.7", "http://10.0.0.8", own, server_name="chat.example.com")
    names = [endpoint.server_name for endpoint in made.endpoints()]
    assert names == ["chat.example.com", None, "own.example.com"]


@pytest.mark.parametrize(
    "given",
    [
        {"addresses": ["http://10.0.0.7"], "server_name": "a.b"},
        {"addresses": [{"url": "http://10.0.0.7", "server_name": "a.b"}]},
        {"addresses": ["https://10.0.0.7"], "server_name": "a b"},
    ],
)
def test_name_that_cannot_be_used_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"server.name"):
        StaticProvider.model_validate(given)


def test_one_address_with_two_names_is_two_endpoints() -> None:
    made = provider(*({"url": "https://10.0.0.7", "server_name": name} for name in ("a.example.com", "b.example.com")))
    assert len({endpoint.id for endpoint in made.endpoints()}) == 2
