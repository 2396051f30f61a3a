"""Every kind of bad input gives one clear sentence, at its place, and shows no secret."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from directlane.core.config.load import load_file
from directlane.core.errors import ConfigError
from directlane.core.plugins.registry import BrokenPlugin, Registry

if TYPE_CHECKING:
    from .conftest import Load, Refuse


@pytest.mark.parametrize(
    ("of_service", "of_route", "path", "line", "message"),
    [
        ("timeout = '5x'", "", "timeout", 3, '\'5x\' is not a duration; write it like "250ms", "5s" or "1m30s"'),
        ("timeout = 0", "", "timeout", 3, "the duration must be above 0"),
        ("timeout = -1", "", "timeout", 3, "a duration must be between 0 and 100000 hours"),
        ("timeout = nan", "", "timeout", 3, "a duration must be between 0 and 100000 hours"),
        ("timeout = 1979-05-27", "", "timeout", 3, "this is not a duration; write it like"),
        ("timout = 1", "", "timout", 3, 'unknown key; did you mean "timeout"?'),
        ("zzz = 1", "", "zzz", 3, "unknown key; the keys here are: routes, balancer, transport, discovery, timeout"),
        ("attempts = 'three'", "", "attempts", 3, "must be a whole number"),
        ("attempts = 2.5", "", "attempts", 3, "must be a whole number"),
        ("attempts = 0", "", "attempts", 3, "must be 1 or more"),
        ("attempts = 99", "", "attempts", 3, "must be 20 or less"),
        ("repeatable = 'sure'", "", "repeatable", 3, "must be true or false, or must be 'by_method'"),
        ("balancer = 'stiky'", "", "balancer", 3, "there is no balancer 'stiky'; did you mean \"sticky\"?"),
        ("balancer = 'sticky'", "", "balancer.replicas", 3, "is required and missing"),
        ("balancer = {replicas=1}", "", "balancer", 3, "the key kind is required and missing; it is one of: sticky, w"),
        ("balancer = {kind='sticky', replica=1, replicas=1}", "", "balancer.replica", 3, 'did you mean "replicas"?'),
        ("balancer = 3", "", "balancer", 3, "must be the name of a balancer, or a table with the name as kind"),
        ("balancer = {kind=3}", "", "balancer.kind", 3, "must be the name of a balancer; it is one of: sticky, weigh"),
        ("transport = 'tcp'", "", "transport", 3, "there is no transport 'tcp'; there are: auto"),
        ("discovery = 3", "", "discovery", 3, "must be a table"),
        ("discovery = {jitter=3}", "", "discovery.jitter", 3, "must be 0.5 or less"),
        ("discovery = {intervall=3}", "", "discovery.intervall", 3, 'unknown key; did you mean "interval"?'),
        ("discovery = {allow_networks=['x']}", "", "discovery.allow_networks[0]", 3, "must be a network such as 10.0"),
        ("discovery = {allow_networks='x'}", "", "discovery.allow_networks", 3, "must be a list"),
        ("", "service = ''", "routes[0].service", 8, "must not be empty"),
        ("", "port = 70000", "routes[0].port", 8, "must be 65535 or less"),
        ("", "port = 'many'", "routes[0].port", 8, "must be a whole number"),
        ("", "prt = 1", "routes[0].prt", 8, 'unknown key; did you mean "port"?'),
        ("", "wieght = 1", "routes[0].wieght", 8, 'unknown key; did you mean "weight"?'),
        ("", "weight = -1", "routes[0].weight", 8, "must be 0 or more"),
        ("", "weight = 0", "routes", 5, "every route has weight 0, or is a mirror; give one a weight of 1"),
        ("", "mirror = 0.5", "routes", 5, "every route has weight 0, or is a mirror; give one a weight of 1"),
        ("", "mirror = 2", "routes[0].mirror", 8, "must be 1"),
        ("", "access = 'dirct'", "routes[0].access", 8, "must be 'direct' or 'gateway'; did you mean \"direct\"?"),
        ("", "labels = { a = 1 }", "routes[0].labels.a", 8, "must be a text"),
        ("", "login = 'x'", "routes[0].login", 8, "must be a table"),
        ("", "login = { user = 'x' }", "routes[0].login.password", 8, "is required and missing"),
        ("", "login = { user='x', password='${P}', pasword='secret' }", "routes[0].login.pasword", 8, '"password"?'),
        ("", "credential = {}", "routes[0].credential", 8, "needs the key type, which says which of the forms it is"),
        ("", "credential = {type='pear'}", "routes[0].credential.type", 8, "must be one of: 'ready', 'pair'"),
        ("", "credential = {type='ready'}", "routes[0].credential.ready", 8, "is required and missing"),
        (
            "",
            "credential = {type='pair', access_key='a', secret_key='${P}', more='secret'}",
            "routes[0].credential.more",
            8,
            "unknown key; the keys here are: type, access_key, secret_key",
        ),
        ("", "token = ''", "routes[0].token", 8, "the secret is empty"),
        ("", "token = '${EMPTY}'", "routes[0].token", 8, "the secret is empty (${EMPTY})"),
        ("", "token = 12345", "routes[0].token", 8, "a secret is a text such as ${NAME} or file:PATH, not int"),
        ("", "token = 'file:no/such'", "routes[0].token", 8, "the secret file no/such cannot be read: No such file"),
        ("", "token = 'file:.'", "routes[0].token", 8, "the secret file . cannot be read: Is a directory"),
        ("", "token = '${NOPE}'", "routes[0].token", 8, "the environment variable NOPE is not set; set it before"),
        ("", "token = '${a-b}'", "routes[0].token", 8, "after `${` must stand the name of an environment variable"),
        ("", "token = 'pa${ss'", "routes[0].token", 8, "for a plain `${` write `$${`"),
        ("", "labels = { a = '${NOPE}' }", "routes[0].labels.a", 8, "the environment variable NOPE is not set"),
    ],
)
def test_a_wrong_value(
    refuse: Refuse, service: Callable[..., str], of_service: str, of_route: str, path: str, line: int, message: str
) -> None:
    text = service(of_service=of_service, of_route=of_route)
    if of_route.startswith("service"):
        text = text.replace('service = "scorecard"\n', "\n")
    (problem,) = refuse(text, environment={"P": "p", "EMPTY": ""})
    assert message in problem.message
    assert problem.path == f"services.scorecard.{path}"
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", "", "the file is empty; it needs at least one service"),
        ("# nothing\n", "", "the file is empty"),
        ("[discovery]\n", "", "there is no service; add a table such as [services.scorecard]"),
        ("[services]\n", "services", "there is no service"),
        ("services = 3\n", "services", "must be a table with one table per service"),
        ("[servces.a]\n", "servces", 'unknown key; did you mean "services"?'),
        ("[services.a]\n", "services.a", "the service has no route; add at least one, such as [[services.a.routes]]"),
        ("[services.a]\nroutes = []\n", "services.a.routes", "the service has no route"),
        ("[services.a.routes]\n", "services.a.routes", "must be a list of tables; begin each route with [[services.a"),
        ("[services.a]\nroutes = ['x']\n", "services.a.routes[0]", "must be a table"),
        ("[services]\na = 1\n", "services.a", "must be a table"),
        (
            "[[services.a.routes]]\n",
            "services.a.routes[0]",
            "the key provider is required and missing; it is one of: c",
        ),
        ("[[services.a.routes]]\nprovider='clod'\n", "services.a.routes[0].provider", 'did you mean "cloud"?'),
        ("[[services.a.routes]]\nprovider=['cloud']\n", "services.a.routes[0].provider", "must be the name of a prov"),
        (
            "[[services.a.routes]]\nprovider='cloud'\n",
            "services.a.routes[0].service",
            "is required and missing: Name of the service in the cloud.",
        ),
        ('[[services."".routes]]\nprovider="cloud"\nservice="x"\n', 'services.""', "a service needs a name"),
        (
            '[[services."a\\tb".routes]]\nprovider="cloud"\nservice="x"\n',
            'services."a\\tb"',
            "the name of a service must not have control characters",
        ),
        (
            f'[[services.{"a" * 101}.routes]]\nprovider="cloud"\nservice="x"\n',
            f"services.{'a' * 101}",
            "100 characters at most",
        ),
        ("[plugins]\nonly='all'\n[[services.a.routes]]\nprovider='cloud'\nservice='x'\n", "plugins.only", "be a list"),
        ("discovery=1\n[[services.a.routes]]\nprovider='cloud'\nservice='x'\n", "discovery", "must be a table"),
    ],
)
def test_a_wrong_shape(refuse: Refuse, text: str, path: str, message: str) -> None:
    problems = {problem.path: problem.message for problem in refuse(text)}
    assert message in problems[path]


def test_all_mistakes_are_told_in_the_order_of_the_file(refuse: Refuse) -> None:
    problems = refuse(
        """
[services.one]
timeout = "soon"
[[services.one.routes]]
provider = "cloud"
service = "a"
port = 0
token = "${NOPE}"

[services.two]
[[services.two.routes]]
provider = "could"
[discovery]
interval = "often"
"""
    )
    assert [(problem.line, problem.path) for problem in problems] == [
        (3, "services.one.timeout"),
        (7, "services.one.routes[0].port"),
        (8, "services.one.routes[0].token"),
        (12, "services.two.routes[0].provider"),
        (14, "discovery.interval"),
    ]


def test_names_of_routes_are_unique(refuse: Refuse, service: Callable[..., str]) -> None:
    route = '[[services.scorecard.routes]]\nprovider = "cloud"\nservice = "b"\nname = "cloud-1"\n'
    assert "several routes are named 'cloud-1'" in refuse(service() + route)[0].message


def test_the_words_of_a_providers_own_check_come_through_without_the_secret(
    refuse: Refuse, service: Callable[..., str]
) -> None:
    both = 'token = "{}"\nlogin = {{ user = "a", password = "${{P}}" }}'
    for token in ("${TOKEN}", "tok-in-clear"):
        (problem,) = refuse(
            service(of_route=both.format(token)), environment={"P": "p-12345", "TOKEN": "tok-of-environment"}
        )
        assert problem.message.startswith("give token or login, not both")
        assert "tok-" not in problem.message


def test_a_bug_in_a_plugin_is_told_as_such(refuse: Refuse) -> None:
    (problem,) = refuse('[[services.a.routes]]\nprovider = "crashing"\ntoken = "hidden-token"\n')
    assert problem.message == "the checks of Crashing failed with KeyError; this is a bug in it"


def test_a_broken_plugin_is_named_with_its_reason(
    refuse: Refuse, service: Callable[..., str], registry: Registry
) -> None:
    registry.broken.append(BrokenPlugin("acme", "acme 2.0", "cannot be imported: ImportError: no acme_core"))
    (problem,) = refuse(service().replace('"cloud"', '"acme"'))
    assert problem.message == (
        "provider 'acme' cannot be used, because its plug-in of acme 2.0 is broken: "
        "cannot be imported: ImportError: no acme_core"
    )


def test_the_error_reads_like_a_compilers(load: Load, service: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(service(of_service="timeout = '5x'"))
    assert str(caught.value).startswith(f"{tmp_path / 'directlane.toml'}:3:1: services.scorecard.timeout: '5x' is not")
    assert caught.value.__cause__ is None


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "message", "line", "column"),
    [
        ("a.toml", "a = 1\nb = = 2\n", "this is not valid TOML: Invalid value", 2, 5),
        ("a.toml", "a = 1\na = 2\n", "this is not valid TOML: Cannot overwrite a value", 2, 6),
        ("a.toml", "a = [1,\n", "this is not valid TOML: ", 2, 1),
        ("a.yaml", "a: 1\n b: 2\n", "this is not valid YAML: mapping values are not allowed here", 2, 3),
        ("a.yaml", "a: 'hidden\n", "this is not valid YAML: found unexpected end of stream", 2, 1),
        ("a.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", "the key 'c' stands twice in one table", 4, 3),
        ("a.yaml", "a: !!python/object:os.system {}\n", "this is not valid YAML: could not determine a constr", 1, 4),
        ("a.yaml", "a: *x\n", "this is not valid YAML: found undefined alias", 1, 4),
        ("a.yaml", "a: 1\n---\nb: 2\n", "this is not valid YAML: but found another document", 2, 1),
        ("a.yaml", "a: \x01\n", "this is not valid YAML: a character that YAML does not allow", None, None),
        ("a.yaml", "- 1\n", "the file must hold a table of settings at its top", None, None),
        ("a.yaml", "a: 2024-99-99\n", "a number or date in the file cannot be read", None, None),
        ("a.yaml", "# nothing\n", "the file is empty", None, None),
        ("a.yaml", "", "the file is empty", None, None),
        ("a.yaml", "1: 2\n", "a key must be a text, not 1; put it in quotes", None, None),
        ("a.json", "", "the file is empty", None, None),
        ("a.json", "{}", "the file is empty", None, None),
        ("a.json", '{"a": 1,}', "this is not valid JSON: ", 1, None),
        ("a.json", '{"a": 1, "a": 2}', "the key 'a' stands twice in one table", None, None),
        ("a.json", '{"a": NaN}', "NaN is not a number that JSON allows", None, None),
        ("a.json", "[" * 100_000, "the values are nested too deep", None, None),
        ("a.toml", "a = " + "[" * 100_000, "the values are nested too deep", None, None),
        ("a.toml", "a = " + "1" * 5000, "a number or date in the file cannot be read", None, None),
        ("a.ini", "a = 1", "the format is not known; give the file a name that ends with .toml", None, None),
    ],
)
def test_a_file_that_does_not_parse(
    refuse: Refuse, name: str, text: str, message: str, line: int | None, column: int | None
) -> None:
    problem = refuse(text, name=name)[0]
    assert message in problem.message
    assert problem.line == line
    assert column is None or problem.column == column


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "directlane.toml").touch()
    with pytest.raises(ConfigError, match=r"there is no such file; did you mean '.*/directlane\.toml'\?"):
        load_file(tmp_path / "directlan.toml", environment={})
    with pytest.raises(ConfigError, match="there is no such file; give the path"):
        load_file(tmp_path / "no" / "such.toml", environment={})
    with pytest.raises(ConfigError, match="this is not a path"):
        load_file("a\0b.toml", environment={})


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this is a directory"):
        load_file(tmp_path, environment={})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.touch(mode=0)
    with pytest.raises(ConfigError, match="may not read the file"):
        load_file(file, environment={})


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"a\.toml:2:1: the file is not UTF-8 text; save it with the encoding UTF-8"):
        load_file(file, environment={})


def test_a_huge_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    with file.open("wb") as stream:
        stream.truncate(5 * 1024 * 1024)
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        load_file(file, environment={})


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)),
    ],
)
def test_yaml_aliases_without_end(refuse: Refuse, text: str) -> None:
    problems = refuse(text, name="a.yaml")
    assert any("nested too deep or has too many values" in problem.message for problem in problems)


def test_yaml_without_pyyaml(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert "pip install 'directlane[yaml]'" in refuse("a: 1\n", name="a.yaml")[0].message


def test_no_error_shows_what_stands_in_the_file(refuse: Refuse) -> None:
    broken = 'a = "hidden-in-clear\n[services'
    for name in ("a.toml", "a.yaml", "a.json"):
        assert all("hidden" not in problem.message for problem in refuse(broken, name=name))
    assert builtins.repr(refuse(broken)).count("hidden") == 0


def test_positions_in_yaml(refuse: Refuse) -> None:
    text = """
services:
  scorecard:
    timeout: soon
    routes:
      - provider: cloud
        service: x
        port: 0
      - {provider: cloud, service: y, prt: 1}
"""
    problems = refuse(text, name="a.yaml")
    assert [(problem.line, problem.column) for problem in problems] == [(4, 5), (8, 9), (9, 39)]


def test_an_environment_that_is_not_utf8(refuse: Refuse, service: Callable[..., str]) -> None:
    (problem,) = refuse(service(of_route='token = "${X}"'), environment={"X": "a\udcffb"})
    assert problem.message == "the environment variable X is not UTF-8 text"
