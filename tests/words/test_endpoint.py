"""Endpoints and snapshots: what is accepted, in which form it is kept, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import ipaddress
import math
import pickle
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.endpoint import MAX_WEIGHT, Endpoint, InvalidEndpoint, Snapshot, authority


class TestIdentity:
    def test_it_is_the_url_unless_the_source_gives_one(self) -> None:
        assert Endpoint("10.0.0.1", 8080).id == "http://10.0.0.1:8080"
        assert Endpoint("10.0.0.1", 8080, base_path="/v1/").id == "http://10.0.0.1:8080/v1"
        assert Endpoint("10.0.0.1", 8080, scheme="https").id == "https://10.0.0.1:8080"
        assert Endpoint("10.0.0.1", 8080, id="pod-7").id == "pod-7"

    def test_weight_zone_and_labels_are_no_part_of_it(self) -> None:
        one = Endpoint("10.0.0.1", 80, weight=1)
        other = Endpoint("10.0.0.1", 80, weight=2, zone="a", labels={"gpu": "1"})
        assert one.id == other.id
        assert one != other

    @pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1", "[::1]", "0000::0001"])
    def test_one_address_has_one_identity_however_it_is_written(self, host: str) -> None:
        assert Endpoint(host, 80).id == "http://[::1]:80"

    def test_host_names_are_kept_in_lower_case(self) -> None:
        assert Endpoint("Model.VPC.Example", 80).host == "model.vpc.example"


class TestServerName:
    def test_it_is_a_part_of_the_identity_and_no_part_of_the_address(self) -> None:
        endpoint = Endpoint("10.0.0.1", 8443, "https", server_name="Chat.Example.com.")
        assert endpoint.server_name == endpoint.tls_name == "chat.example.com"
        assert endpoint.id == "https://10.0.0.1:8443#chat.example.com"
        assert (endpoint.url, endpoint.authority) == ("https://10.0.0.1:8443", "10.0.0.1:8443")

    def test_without_one_the_host_counts(self) -> None:
        assert Endpoint("10.0.0.1", 443, "https").tls_name == "10.0.0.1"
        assert Endpoint("chat.example.com.", 443, "https").tls_name == "chat.example.com"

    @pytest.mark.parametrize(
        ("endpoint", "field"),
        [
            (Endpoint("10.0.0.1", 80), "10.0.0.1"),
            (Endpoint("10.0.0.1", 443), "10.0.0.1:443"),
            (Endpoint("10.0.0.1", 443, "https"), "10.0.0.1"),
            (Endpoint("::1", 80), "[::1]"),
            (Endpoint("::1", 81), "[::1]:81"),
            (Endpoint("10.0.0.1", 443, "https", server_name="a.b"), "a.b"),
            (Endpoint("10.0.0.1", 8443, "https", server_name="a.b"), "a.b:8443"),
            (Endpoint("10.0.0.1", 443, "https", server_name="::2"), "[::2]"),
            (Endpoint("10.0.0.1", 80, "http", server_name="a.b"), "10.0.0.1"),
        ],
    )
    def test_host_field(self, endpoint: Endpoint, field: str) -> None:
        assert endpoint.host_field == field

    @pytest.mark.parametrize("name", ["", " ", "a b", "10.0.0", "*.example.com", "https://a.b", "a.b:443", "a\r\nX: y"])
    def test_refused(self, name: str) -> None:
        with pytest.raises(InvalidEndpoint, match="server name"):
            Endpoint("10.0.0.1", 443, "https", server_name=name)


class TestHosts:
    @pytest.mark.parametrize("host", ["10.0.0.1", "localhost", "a-b.c_d.example", "xn--bcher-kva.example", "host."])
    def test_accepted(self, host: str) -> None:
        assert Endpoint(host, 80).host == host

    @pytest.mark.parametrize(
        "host",
        [
            *["", " ", "10.0.0.256", "10.0.0", "10.0.0.1.2", "1", "010.0.0.1", "0x7f.1", "0x7f000001", "127.0.0.0x1"],
            *["a.123", "a.0x", "10.0.0.1 ", "10.0.0.1:80", "a/b", "a?b", "a#b", "a@b", "user@10.0.0.1", "a b", "a\nb"],
            *["-a", "a-", "a..b", ".a", "a" * 64, ".".join(["a" * 60] * 5), "höst", "\uff11\uff10.0.0.1"],
            *["[10.0.0.1]", "[localhost]", "[::1", "::1]", "::g", "1:2:3", "fe80::1%eth0", "fe80::1%]/x", "%"],
        ],
    )
    def test_refused(self, host: str) -> None:
        with pytest.raises(InvalidEndpoint, match="host"):
            Endpoint(host, 80)

    @pytest.mark.parametrize("host", [None, 167772161, b"10.0.0.1", ["10.0.0.1"]])
    def test_of_another_type(self, host: object) -> None:
        with pytest.raises(InvalidEndpoint, match="is not an address"):
            Endpoint(host, 80)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def test_a_long_one_is_cut_in_the_error(self) -> None:
        with pytest.raises(InvalidEndpoint) as caught:
            Endpoint("x" * 10_000, 80)
        assert len(str(caught.value)) < 200

    @settings(deadline=None)
    @given(st.ip_addresses())
    def test_every_ip_address(self, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        endpoint = Endpoint(ip.exploded, 8080)
        assert endpoint.ip == ip
        assert endpoint == Endpoint(str(ip), 8080)
        assert urlsplit(endpoint.url).port == 8080
        assert ipaddress.ip_address(urlsplit(endpoint.url).hostname or "") == ip

    @settings(deadline=None)
    @given(st.text(max_size=30))
    def test_any_text_is_an_endpoint_with_that_host_or_refused(self, host: str) -> None:
        try:
            endpoint = Endpoint(host, 80)
        except InvalidEndpoint:
            return
        # Whatever is accepted stands in a URL as the host and as nothing else.
        parts = urlsplit(endpoint.url)
        assert (parts.hostname, parts.port, parts.path, parts.query) == (endpoint.host, 80, "", "")
        assert Endpoint(endpoint.host, 80) == endpoint

    def test_a_host_name_has_no_ip(self) -> None:
        assert Endpoint("localhost", 80).ip is None


class TestPorts:
    @pytest.mark.parametrize("port", [1, 80, 65535])
    def test_accepted(self, port: int) -> None:
        assert Endpoint("10.0.0.1", port).port == port

    @pytest.mark.parametrize("port", [0, -1, 65536, True, 80.0, "80", None, 10**100])
    def test_refused(self, port: object) -> None:
        with pytest.raises(InvalidEndpoint, match=r"port .* is not an integer from 1 to 65535"):
            Endpoint("10.0.0.1", port)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class TestWeights:
    @pytest.mark.parametrize("weight", [None, 0, 1, MAX_WEIGHT])
    def test_accepted(self, weight: int | None) -> None:
        endpoint = Endpoint("10.0.0.1", 80, weight=weight)
        assert endpoint.weight == weight
        assert endpoint.is_draining == (weight == 0)

    def test_unknown_is_not_draining(self) -> None:
        assert not Endpoint("10.0.0.1", 80).is_draining

    @pytest.mark.parametrize("weight", [-1, MAX_WEIGHT + 1, 1.5, math.nan, math.inf, True, "1"])
    def test_refused(self, weight: object) -> None:
        with pytest.raises(InvalidEndpoint, match="weight"):
            Endpoint("10.0.0.1", 80, weight=weight)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class TestSchemesAndPaths:
    @pytest.mark.parametrize("scheme", ["http", "https", "grpc+tls"])
    def test_schemes_accepted(self, scheme: str) -> None:
        assert Endpoint("a", 80, scheme=scheme).url == f"{scheme}://a:80"

    @pytest.mark.parametrize("scheme", ["", "HTTP", "ht tp", "http:", "://", "1http"])
    def test_schemes_refused(self, scheme: str) -> None:
        with pytest.raises(InvalidEndpoint, match="scheme"):
            Endpoint("a", 80, scheme=scheme)

    @pytest.mark.parametrize(("path", "kept"), [("", ""), ("/", ""), ("/a/b", "/a/b"), ("/a/", "/a")])
    def test_base_paths_accepted(self, path: str, kept: str) -> None:
        assert Endpoint("a", 80, base_path=path).base_path == kept

    @pytest.mark.parametrize("path", ["a", "/a b", "/a?b", "/a#b", "/a\r\nX: y", "/\x00"])
    def test_base_paths_refused(self, path: str) -> None:
        with pytest.raises(InvalidEndpoint, match="base path"):
            Endpoint("a", 80, base_path=path)


class TestValues:
    def test_an_endpoint_cannot_change(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            Endpoint("a", 80).port = 81  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

    def test_labels_belong_to_the_endpoint(self) -> None:
        labels = {"gpu": "1"}
        endpoint = Endpoint("a", 80, labels=labels)
        labels["gpu"] = "2"
        assert endpoint.labels == {"gpu": "1"}

    def test_equal_endpoints_are_one_in_a_set(self) -> None:
        assert len({Endpoint("a", 80, labels={"x": "y"}), Endpoint("A", 80, labels={"x": "y"})}) == 1

    def test_replace_keeps_the_identity(self) -> None:
        endpoint = Endpoint("a", 80)
        assert dataclasses.replace(endpoint, weight=3).id == endpoint.id

    def test_it_can_be_sent_to_another_process(self) -> None:
        snapshot = Snapshot((Endpoint("a", 80, weight=3, labels={"x": "y"}), Endpoint("b", 80)), raw=b"{}")
        assert pickle.loads(pickle.dumps(snapshot)) == snapshot
        assert copy.deepcopy(snapshot) == snapshot

    def test_authority(self) -> None:
        assert authority("::1", 80) == "[::1]:80"
        assert Endpoint("::1", 80).authority == "[::1]:80"
        assert authority("a", 80) == "a:80"


class TestSnapshots:
    @pytest.mark.parametrize("after", [None, 0, 5.5, math.inf])
    def test_when_to_ask_again(self, after: float | None) -> None:
        assert Snapshot(ask_again_in=after).ask_again_in == after

    @pytest.mark.parametrize("after", [-1, math.nan, -math.inf])
    def test_times_that_are_none(self, after: float) -> None:
        with pytest.raises(ValueError, match="ask_again_in"):
            Snapshot(ask_again_in=after)

    def test_the_raw_body_is_not_in_its_repr(self) -> None:
        assert "s3cret" not in repr(Snapshot(raw=b"s3cret"))
