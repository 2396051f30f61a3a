"""Every public function and class says what it does. `help()` and the reference show nothing else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import directlane


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(directlane.__path__, "directlane."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def _functions(cls: type) -> Iterator[str]:
    """Names of the public methods and properties that stand in the body of this class."""
    for name, value in list(vars(cls).items()):
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if inspect.isfunction(function) and function.__qualname__ == f"{cls.__qualname__}.{name}" and name[0] != "_":
            yield name


def _is_described(cls: type, name: str) -> bool:
    """Whether it has a docstring, or overrides what has one."""
    return any(inspect.getdoc(vars(base)[name]) for base in cls.__mro__ if name in vars(base))


@cache
def _contracts() -> dict[type, frozenset[str]]:
    """Protocols, with what each asks for: a class that has all of it needs no words of its own."""
    classes = {value for module in _modules() for value in vars(module).values() if inspect.isclass(value)}
    own = [cls for cls in classes if getattr(cls, "_is_protocol", False) and cls.__module__.startswith("directlane.")]
    return {cls: frozenset(name for name in dir(cls) if not name.startswith("_")) for cls in own}


def _members(cls: type) -> set[str]:
    """What instances of this class have: also what is annotated, and what `__init__` names."""
    begun = [vars(base)["__init__"] for base in cls.__mro__ if inspect.isfunction(vars(base).get("__init__"))]
    named = {name for function in begun for name in function.__code__.co_names}
    return {*dir(cls), *named, *(field for base in cls.__mro__ for field in inspect.get_annotations(base))}


def _follows_a_contract(cls: type, name: str) -> bool:
    has = _members(cls)
    return any(name in asked and asked <= has and _is_described(each, name) for each, asked in _contracts().items())


def _silent(module: ModuleType) -> Iterator[str]:
    for name, value in list(vars(module).items()):
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if (inspect.isfunction(value) or inspect.isclass(value)) and not value.__doc__:
            yield name
        if inspect.isclass(value):
            for method in _functions(value):
                if not _is_described(value, method) and not _follows_a_contract(value, method):
                    yield f"{name}.{method}"


def test_every_public_function_and_class_has_a_docstring() -> None:
    silent = [f"{module.__name__}: {name}" for module in _modules() for name in _silent(module)]
    assert silent == []


MADE_UP = '''
class Described:
    """Says what it is."""
    def told(self):
        """Says what it does."""
    def silent(self): ...
    def _private(self): ...

class Heir(Described):
    """Says what it is."""
    def told(self): ...

class Silent: ...

def silent(): ...
'''


def test_rule_finds_what_says_nothing_and_takes_the_words_of_a_base() -> None:
    module = ModuleType("made_up")
    exec(MADE_UP, vars(module))
    assert list(_silent(module)) == ["Described.silent", "Silent", "silent"]
