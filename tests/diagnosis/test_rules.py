"""The rules of the doctor, without any server."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from pathlib import Path

import h11
import httpx
import pytest
from docs_lab import DOCS, ROOT

from directlane import Endpoint, RateBudget, Snapshot, TransportError
from directlane.core.diagnosis.control_plane_rules import (
    budget_kept,
    clock,
    discovery_failed,
    listed,
    name_found,
    next_of,
    silent,
)
from directlane.core.diagnosis.failures import Failure, failure_of
from directlane.core.diagnosis.instance_rules import broke_off, instance_answered, no_connection
from directlane.core.discovery.belief import Belief
from directlane.core.errors import DiscoveryError, DiscoveryRefused, Phase
from directlane.core.interfaces.finding import Level
from directlane.core.outcome import FAIL, REAUTHENTICATE

HERE = Endpoint("10.0.0.7", 8000)


def refused(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code = code
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "x")
    error.reason = reason
    return error


def wrapped(inner: BaseException, outer: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Failure.REFUSED),
        (OSError(errno.EHOSTUNREACH, "x"), Failure.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "x"), Failure.UNREACHABLE),
        (TimeoutError(), Failure.TIMEOUT),
        (OSError(errno.ETIMEDOUT, "x"), Failure.TIMEOUT),
        (ConnectionResetError(errno.ECONNRESET, "x"), Failure.RESET),
        (socket.gaierror(-2, "x"), Failure.NAME),
        (ssl.SSLCertVerificationError(1, "x"), Failure.CERTIFICATE),
        (refused(10), Failure.CERTIFICATE_EXPIRED),
        (refused(18), Failure.CERTIFICATE_AUTHORITY),
        (refused(20), Failure.CERTIFICATE_AUTHORITY),
        (refused(62), Failure.CERTIFICATE_NAME),
        (refused(64), Failure.CERTIFICATE_NAME),
        (refused(26), Failure.CERTIFICATE),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), Failure.CLIENT_CERTIFICATE),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), Failure.CLIENT_CERTIFICATE),
        (alert("WRONG_VERSION_NUMBER"), Failure.TLS),
        (ssl.SSLError(1, "x"), Failure.TLS),
        (ssl.SSLEOFError(8, "x"), Failure.RESET),
        (h11.RemoteProtocolError("x"), Failure.NOT_HTTP),
        (httpx.RemoteProtocolError("x"), Failure.RESET),
        (wrapped(h11.RemoteProtocolError("x"), httpx.RemoteProtocolError("x")), Failure.NOT_HTTP),
        (wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "x"), httpx.ConnectError("x")), Failure.REFUSED),
        (ExceptionGroup("all", [OSError(errno.ENETUNREACH, "x")]), Failure.UNREACHABLE),
        (TransportError("x", phase=Phase.WAIT, timed_out=True), Failure.TIMEOUT),
        (ValueError("Connection refused"), Failure.OTHER),
    ],
)
def test_failure_is_known_by_types_and_not_by_texts(error: BaseException, failure: Failure) -> None:
    assert failure_of(error) is failure


@pytest.mark.parametrize(
    ("skew", "level"),
    [
        (60.0, Level.OK),
        (-60.0, Level.OK),
        (60.1, Level.WARNING),
        (-900.0, Level.WARNING),
        (900.1, Level.PROBLEM),
        (-90_000.0, Level.PROBLEM),
    ],
)
def test_clock_is_a_warning_from_a_minute_on_and_a_problem_from_a_quarter_of_an_hour_on(
    skew: float, level: Level
) -> None:
    finding = clock(skew, "iam")
    assert finding.level is level
    if level is not Level.OK:
        assert ("ahead" if skew > 0 else "behind") in finding.found


@pytest.mark.parametrize(
    ("limit", "interval", "questions", "code", "text"),
    [
        (20, 30.0, 1, "budget-scarce", "enough for 10 processes"),
        (20, 30.0, 2, "budget-scarce", "enough for 5 processes"),
        (20, 5.0, 1, "budget-scarce", "enough for 1 process"),
        (20, 1.0, 1, "budget-scarce", "not enough for one process"),
        (20, 600.0, 1, "budget-ample", "enough for 20 processes"),
        (2000, 5.0, 1, "budget-ample", "enough for 166 processes"),
    ],
)
def test_budget_is_told_in_processes(limit: int, interval: float, questions: int, code: str, text: str) -> None:
    finding = budget_kept(RateBudget("b", limit, 60.0), questions, interval, is_shared=False, processes=None)
    assert finding.code == code
    assert finding.found.endswith(text)


def test_budget_that_is_shared_is_well_and_names_the_others() -> None:
    finding = budget_kept(RateBudget("b", 20, 60.0), 1, 5.0, is_shared=True, processes=7)
    assert (finding.level, finding.code) == (Level.OK, "budget-shared")
    assert finding.found.endswith("7 other processes share it")


def test_long_list_of_addresses_is_cut() -> None:
    assert name_found("h", [f"10.0.0.{n}" for n in range(6)], 0.1).found.endswith("10.0.0.3 and 2 more")


def test_list_in_which_everything_drains_is_a_problem() -> None:
    answer = Snapshot((Endpoint("10.0.0.1", 80, weight=0),))
    codes = [finding.code for finding in listed(answer, Belief(snapshot=answer))]
    assert codes == ["list-found", "list-drained"]


def test_entries_that_are_left_out_are_a_warning() -> None:
    answer = Snapshot((HERE,), rejected=("entry 1: bad", "entry 2: bad"))
    found = listed(answer, Belief(snapshot=answer))[1]
    assert (found.level, found.code) == (Level.WARNING, "list-rejected")
    assert found.found == "left out: entry 1: bad (and 1 more)"
    assert "allow_networks" in found.next


def test_curl_is_no_advice_for_a_file() -> None:
    assert "curl" in silent("GET http://x/", Failure.OTHER, "it broke", 0.1).next
    assert "curl" not in silent("the file /x", Failure.OTHER, "it broke", 0.1).next


def test_what_a_list_warns_of_is_told_in_its_own_words() -> None:
    answer = Snapshot((HERE,), warnings=("user 'a' is left out: locked",))
    found = listed(answer, Belief(snapshot=answer))[1]
    assert (found.level, found.code, found.found) == (Level.WARNING, "list-warning", "user 'a' is left out: locked")
    assert "allow_networks" not in found.next


@pytest.mark.parametrize(("status", "word"), [(401, "right to ask"), (404, "not there"), (500, "trouble of its own")])
def test_refusal_is_explained_by_its_status(status: int, word: str) -> None:
    finding = discovery_failed("list", DiscoveryRefused("it said no. Next: do this", status=status))
    assert word in finding.cause
    assert (finding.found, finding.next) == ("it said no", "do this")


def test_failure_without_a_kind_points_at_the_lines_above() -> None:
    finding = discovery_failed("list", DiscoveryError("it went wrong"))
    assert (finding.level, finding.code, finding.found) == (Level.PROBLEM, "list-failed", "it went wrong")
    assert next_of("no step") == ""


@pytest.mark.parametrize("failure", list(Failure))
def test_every_failure_has_a_next_step(failure: Failure) -> None:
    for finding in (
        silent("GET http://x/", failure, "it broke", 0.1),
        no_connection(HERE, failure, "it broke", 0.1),
        broke_off(HERE, failure, "it broke", 0.1),
    ):
        assert finding.found
        assert finding.next
        assert finding.cause or failure in (Failure.OTHER, Failure.NAME) or finding.code.startswith(("tcp", "http"))


def test_refused_credential_is_known_by_the_verdict_too() -> None:
    assert instance_answered(HERE, 419, REAUTHENTICATE, "/", 0.1).code == "http-unauthorized"
    assert instance_answered(HERE, 404, FAIL, "/", 0.1).level is Level.OK


def test_the_page_names_every_code() -> None:
    page = (DOCS / "how-to" / "doctor.md").read_text("utf-8")
    kinds = r'"((?:name|control-plane|list|credential|clock|budget|tcp|http|store|config|plugin|instances)-[a-z-]+)"'
    source = "".join(file.read_text("utf-8") for file in Path(ROOT / "core" / "diagnosis").glob("*.py"))
    codes = set(re.findall(kinds, source)) - {"control-plane-answered", "http-answered"}
    codes |= {f"control-plane-{failure.value}" for failure in Failure}
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", page))
    assert codes - named == set()


@pytest.mark.parametrize(
    ("names", "can_be_named", "step"),
    [
        (["*.a.example.com", "b.example.com"], True, 'set `server_name = "b.example.com"`'),
        (["*.a.example.com"], True, "set `server_name` of the route to a name that the certificate has"),
        ([], True, "set `server_name` of the route to a name that the certificate has"),
        (["b.example.com"], False, "check the address in the route's settings"),
    ],
)
def test_what_mends_a_certificate_for_another_name(names: list[str], can_be_named: bool, step: str) -> None:
    endpoint = Endpoint("10.0.0.1", 443, "https")
    found = broke_off(endpoint, Failure.CERTIFICATE_NAME, "", 0.1, names, can_be_named=can_be_named)
    assert found.next.startswith(step)
