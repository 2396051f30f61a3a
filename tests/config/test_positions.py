"""A position points at the key it names, or there is none."""

from __future__ import annotations

import json
import string
import tomllib
from typing import TypeAlias, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.config.locate import toml_positions
from directlane.core.config.path import KeyPath, Position, format_path
from directlane.core.config.yaml_text import parse_yaml

Table: TypeAlias = dict[str, object]

KEYS = st.one_of(
    st.text(alphabet=string.ascii_letters + string.digits + "_-", min_size=1, max_size=6),
    st.text(alphabet="ab.#=[]{}\"' \\\té", max_size=5),
)
TEXTS = st.text(alphabet="ab.#=[]{},\"' \\\n\té", max_size=12)
SCALARS: st.SearchStrategy[object] = st.one_of(TEXTS, st.integers(-99, 99), st.booleans(), st.floats(0, 9))
VALUES: st.SearchStrategy[object] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
TABLES: st.SearchStrategy[Table] = st.dictionaries(
    KEYS, st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=4
)


def quoted(text: str, draw: st.DataObject) -> str:
    """A TOML string in one of the forms that can hold the text."""
    basic = json.dumps(text, ensure_ascii=False)
    forms = [basic]
    if "'" not in text and "\n" not in text:
        forms.append(f"'{text}'")
    if "'''" not in text and not text.startswith(("\n", "'")) and not text.endswith("'"):
        forms.append(f"'''{text}'''")
    if "\\" not in text and '"""' not in text and not text.startswith("\n"):
        forms.append(f'"""{text}"""' if not text.endswith('"""') else basic)
    return draw.draw(st.sampled_from(forms))


def key_text(key: str, draw: st.DataObject) -> str:
    if (
        key
        and all(letter in string.ascii_letters + string.digits + "_-" for letter in key)
        and draw.draw(st.booleans())
    ):
        return key
    return json.dumps(key, ensure_ascii=False)


def value_text(value: object, draw: st.DataObject) -> str:
    if isinstance(value, str):
        return quoted(value, draw)
    if isinstance(value, dict):
        pairs = [f"{key_text(key, draw)} = {value_text(item, draw)}" for key, item in cast("Table", value).items()]
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        newline = draw.draw(st.sampled_from(["", "\n  ", " # ]\n"]))
        return f"[{newline}" + f",{newline}".join(value_text(item, draw) for item in cast("list[object]", value)) + "]"
    return json.dumps(value)


def write(data: Table, path: tuple[str, ...], draw: st.DataObject) -> str:
    """A TOML text for the data, in a form that chance chooses."""
    lines: list[str] = []
    later: list[str] = []
    for key, value in data.items():
        name = key_text(key, draw)
        header = ".".join([*path, name])
        table, tables = table_of(value), tables_of(value)
        if table is not None and draw.draw(st.booleans()):
            later.append(f"[{header}]  # x = 1\n" + write(table, (*path, name), draw))
        elif len(tables) > 0 and draw.draw(st.booleans()):
            later.extend(f"[[ {header} ]]\n" + write(each, (*path, name), draw) for each in tables)
        elif table is not None and len(table) == 1 and draw.draw(st.booleans()):
            ((inner, item),) = table.items()
            lines.append(f"{name} . {key_text(inner, draw)} = {value_text(item, draw)}")
        else:
            lines.append(f"{name} = {value_text(value, draw)}  # ' \" [")
    return "".join(line + "\n" for line in [*lines, *later])


def table_of(value: object) -> Table | None:
    return cast("Table", value) if isinstance(value, dict) else None


def tables_of(value: object) -> list[Table]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    tables = [table for table in map(table_of, items) if table is not None]
    return tables if len(tables) == len(items) else []


def paths(value: object, path: KeyPath = ()) -> list[KeyPath]:
    found: list[KeyPath] = [path] if path else []
    if isinstance(value, dict):
        for key, item in cast("Table", value).items():
            found += paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            found += paths(item, (*path, index))
    return found


def rest_at(text: str, position: Position) -> str:
    line = text.split("\n")[position.line - 1 :]
    return "\n".join([line[0][position.column - 1 :], *line[1:]])


@given(TABLES, st.data())
def test_every_position_in_toml_is_the_key_itself(data: Table, draw: st.DataObject) -> None:
    text = write(data, (), draw)
    assert tomllib.loads(text) == data
    positions = toml_positions(text, data)
    assert set(positions) == set(paths(data))
    for path, position in positions.items():
        rest = rest_at(text, position)
        key = next((item for item in reversed(path) if isinstance(item, str)), "")
        if isinstance(path[-1], str) or rest.startswith((key, json.dumps(key, ensure_ascii=False))):
            assert rest.startswith((key, json.dumps(key, ensure_ascii=False))), path
        else:
            # An entry of a list begins with its value.
            assert rest[0] in "\"'[{-tf0123456789", path


@given(st.text(alphabet="ab=[]{}.,#\"' \n1", max_size=40))
def test_no_toml_text_is_too_strange(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    positions = toml_positions(text, data)
    assert set(positions) == set(paths(data))


def test_a_map_that_does_not_fit_is_thrown_away() -> None:
    assert toml_positions("a = 1\n", {"b": 1}) == {}
    assert toml_positions("a = 1\n?\n", {"a": 1}) == {}


@pytest.mark.parametrize(
    "text",
    [
        'a = """x\n[b]\n"""\nc = 1\n',
        "a = '''x\n''''\nc = 1\n",
        'a = """"x""""\nc = 1\n',
        'a = """\\"""b"""""\nc = 1\n',
        "a = 1979-05-27 07:32:00\nc = 1\n",
        "a = [1, # ]\n 2,\n]\nc = 1\n",
        "a.'b c'.\"d\" = 1\nc = 1\n",
        "a = {b = {}}\nc = 1",
        "a = []\nc = 1 # x",
    ],
)
def test_hard_toml(text: str) -> None:
    positions = toml_positions(text, tomllib.loads(text))
    assert rest_at(text, positions[("c",)]).startswith("c = 1")


def test_entries_of_arrays_of_tables() -> None:
    text = "[[s.r]]\nx = 1\n[[s.r]]\nx = 2\n[s.r.sub]\ny = 1\n[s.z]\n"
    positions = toml_positions(text, tomllib.loads(text))
    assert positions["s", "r", 1] == Position(3, 5)
    assert positions["s", "r", 1, "x"] == Position(4, 1)
    assert positions["s", "r", 1, "sub"] == Position(5, 6)
    assert positions["s", "r", 1, "sub", "y"] == Position(6, 1)
    assert positions["s", "z"] == Position(7, 4)


@given(TABLES)
def test_every_position_in_yaml_is_the_key_itself(data: Table) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=10_000)
    parsed, positions = parse_yaml(text, "x")
    assert parsed == data
    # A long key may be written in the explicit form (`? key`), which is a key as well.
    for path, position in positions.items():
        if isinstance(path[-1], str):
            rest = rest_at(text, position)
            assert yaml.safe_load(first_token(rest)) == path[-1] or str(path[-1]) == "", path


def first_token(rest: str) -> str:
    token = next(token for token in yaml.scan(rest) if isinstance(token, yaml.ScalarToken))
    return json.dumps(token.value)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b-c", 0, "d_e"), "a.b-c[0].d_e"),
        (("a b", 'c"d', "e.f", "é", ""), '"a b"."c\\"d"."e.f"."é".""'),
        ((0, "a"), "[0].a"),
    ],
)
def test_paths_as_people_write_them(path: KeyPath, text: str) -> None:
    assert format_path(path) == text
