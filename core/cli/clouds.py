"""Emulated clouds for `demo` and `emulate`: started side by side, with the configuration file that reaches them."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..emulation import ModelInstance, Slow
from ..interfaces.emulator import Emulator, Instance
from ..plugins.registry import Registry, nearest
from .options import BadInput
from .toml_text import toml_text

__all__ = [
    "CLOUDS",
    "MARK",
    "Cloud",
    "check_place",
    "config_text",
    "environment_of",
    "started",
    "think",
    "write_config",
]

CLOUDS: Mapping[str, str] = {"alibaba_eas": "scorecard", "huawei_modelarts": "flowers"}
"""The clouds that are emulated by default, and the names that their services get."""

MARK = "# Written by `directlane"
"""How every file begins that we write; a file that begins otherwise is never overwritten."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """One emulated cloud with its service.

    Args:
        kind: The provider, as in a configuration file.
        title: The cloud's name for people.
        service: Name of the service in the configuration.
        emulator: The running cloud.
    """

    kind: str
    title: str
    service: str
    emulator: Emulator


@contextmanager
def started(registry: Registry, kinds: Sequence[str], instances: int) -> Generator[list[Cloud], None, None]:
    """Emulated clouds, running; each instance is a process of its own.

    Args:
        registry: The plug-ins to choose from.
        kinds: Providers.
        instances: How many instances each service has.

    Raises:
        BadInput: There is no such provider, it has no emulator, or its emulator cannot start.
    """
    clouds = [_cloud(registry, kind, instances) for kind in kinds]
    with ExitStack() as stack, ThreadPoolExecutor(len(clouds), "start") as pool:
        for cloud in clouds:
            stack.callback(cloud.emulator.stop)
        starts = [(cloud, pool.submit(cloud.emulator.start)) for cloud in clouds]
        for cloud, start in starts:
            try:
                start.result()
            except (RuntimeError, OSError) as error:
                raise BadInput(
                    f"the emulated cloud {cloud.kind!r} cannot start: {error}\n"
                    "Next: see whether this machine lets processes listen on 127.0.0.1."
                ) from error
        yield clouds


def _cloud(registry: Registry, kind: str, instances: int) -> Cloud:
    plugin = registry.providers.get(kind)
    if plugin is None or plugin.emulator is None:
        able = [name for name, each in registry.providers.items() if each.emulator is not None]
        guess = nearest(kind, able)
        what = f"there is no provider {kind!r}" if plugin is None else f"provider {kind!r} brings no emulator"
        for broken in registry.broken:
            if broken.plugin == kind:
                what = f"the plug-in of provider {kind!r} is broken: {broken.reason}"
        hint = f"did you mean {guess!r}?" if guess else f"take one of: {', '.join(able) or 'none'}."
        raise BadInput(f"{what}\nNext: {hint}")
    return Cloud(kind, plugin.model.facts.title, CLOUDS.get(kind, kind), plugin.emulator(instances, processes=True))


def think(instance: Instance, seconds: float) -> None:
    """Let an instance need so long for each answer, as a small model does."""
    if isinstance(instance, ModelInstance):
        instance.set_fault(Slow(seconds))


def environment_of(clouds: Sequence[Cloud]) -> dict[str, str]:
    """The variables that the configuration refers to. Emulated secrets, so they may be shown."""
    return {name: value for cloud in clouds for name, value in cloud.emulator.environment.items()}


def config_text(clouds: Sequence[Cloud], *, command: str, file: str, discovery: Mapping[str, object]) -> str:
    """A configuration file that reaches these clouds, with the variables that it needs in a comment on top.

    Args:
        clouds: Running clouds; each becomes one service.
        command: The command that writes it.
        file: What the file will be called, for the example.
        discovery: The table `[discovery]`; empty: none.
    """
    exports = "".join(f"#   export {name}={shlex.quote(value)}\n" for name, value in environment_of(clouds).items())
    services = {cloud.service: {"repeatable": True, "routes": [dict(cloud.emulator.route())]} for cloud in clouds}
    data: dict[str, object] = {"services": services}
    if discovery:
        data = {"discovery": discovery, **data}
    return (
        f"{MARK} {command}`. The emulated clouds live as long as it runs; until then, in another terminal:\n"
        f"{exports}"
        f"#   directlane call -c {shlex.quote(file)} {clouds[0].service} -d '[1, 2, 3]'\n"
        f"\n{toml_text(data)}"
    )


def check_place(path: Path) -> None:
    """See to it that `write_config` may write here, before clouds are started for it.

    Raises:
        BadInput: There is a file of somebody else, or no such folder.
    """
    try:
        if path.exists() and not path.read_bytes().startswith(MARK.encode()):
            raise BadInput(f"{path} is there already and was not written by directlane\nNext: choose a file with -o.")
        path.parent.stat()
    except OSError as error:
        raise _not_written(path, error) from None


def write_config(path: Path, text: str) -> None:
    """Write a file that we may have written before.

    Raises:
        BadInput: It cannot be written, or there is a file of somebody else.
    """
    check_place(path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{path} cannot be written: {error.strerror}\nNext: choose a file with -o.")
