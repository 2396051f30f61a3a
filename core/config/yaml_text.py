"""YAML to plain data. The only module that meets PyYAML, which is an optional dependency (`directlane[yaml]`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..errors import ConfigError, ConfigProblem
from .path import KeyPath, Position

if TYPE_CHECKING:
    from collections.abc import Callable

    import yaml

__all__ = ["parse_yaml", "yaml_positions"]

_MAX_POSITIONS = 100_000
"""A text with aliases can stand for far more keys than it has characters."""
_MAX_DEPTH = 100


def parse_yaml(text: str, source: str) -> tuple[object, dict[KeyPath, Position]]:
    """The data of a YAML text and where its keys stand.

    Args:
        text: One YAML document.
        source: Its name, for errors.

    Raises:
        ConfigError: PyYAML is not installed, the text does not parse, or a key stands twice in one table.
    """
    try:
        import yaml
    except ImportError:
        message = "reading YAML needs the package PyYAML: pip install 'directlane[yaml]', or write the file as TOML"
        raise ConfigError(source, [ConfigProblem(message)]) from None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None, {}
        repeated = _repeated_keys(root)
        if repeated:
            raise ConfigError(source, repeated)
        # Before construction, which rewrites merge keys (`<<`) inside the nodes.
        positions = yaml_positions(root)
        construct = cast("Callable[[yaml.Node], object]", loader.construct_document)  # pyright: ignore[reportUnknownMemberType]
        return construct(root), positions
    except yaml.YAMLError as error:
        raise ConfigError(source, [_problem(error)]) from None


def _problem(error: yaml.YAMLError) -> ConfigProblem:
    # Never `str(error)`: it quotes the line, and a secret may stand there.
    line = column = None
    mark = cast("yaml.Mark | None", getattr(error, "problem_mark", None))
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    reason = cast("str | None", getattr(error, "problem", None)) or "a character that YAML does not allow"
    return ConfigProblem(f"this is not valid YAML: {reason}", line=line, column=column)


def yaml_positions(root: yaml.Node) -> dict[KeyPath, Position]:
    """The position of every key and list entry below a composed node; empty if there are too many."""
    import yaml

    found: dict[KeyPath, Position] = {}
    waiting: list[tuple[KeyPath, yaml.Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if len(found) > _MAX_POSITIONS or len(path) > _MAX_DEPTH:
            return {}
        if isinstance(node, yaml.MappingNode):
            for key, value in _pairs(node):
                if isinstance(key, yaml.ScalarNode):
                    place = (*path, str(key.value))
                    found[place] = _start(key)
                    waiting.append((place, value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(cast("list[yaml.Node]", node.value)):
                place = (*path, index)
                found[place] = _start(value)
                waiting.append((place, value))
    return found


def _repeated_keys(root: yaml.Node) -> list[ConfigProblem]:
    import yaml

    problems: list[ConfigProblem] = []
    waiting = [root]
    seen_nodes: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += cast("list[yaml.Node]", node.value)
        elif isinstance(node, yaml.MappingNode):
            keys: set[tuple[str, str]] = set()
            for key, value in _pairs(node):
                waiting += (key, value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                name = str(key.value)
                if (key.tag, name) in keys:
                    message = f"the key {name!r} stands twice in one table; keep one of them"
                    line, column = _start(key)
                    problems.append(ConfigProblem(message, line=line, column=column))
                keys.add((key.tag, name))
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return cast("list[tuple[yaml.Node, yaml.Node]]", node.value)


def _start(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
