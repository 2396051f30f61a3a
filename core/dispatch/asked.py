"""What a provider is asked for at the beginning of a route, and what it may answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..config.model import RoutePlan
from ..errors import DirectlaneError
from ..interfaces.discovery import Discovery, Upkeep
from .blame import blame, blame_result

__all__ = ["discovery_of", "upkeep_of"]


def upkeep_of(plan: RoutePlan) -> Upkeep | None:
    """What the route keeps fresh, if anything.

    Raises:
        PluginError: The provider failed, or gave something else.
    """
    with _blaming(plan):
        upkeep = plan.provider.upkeep()
        if upkeep is None or isinstance(upkeep, Upkeep):  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked
            return upkeep
    raise blame_result(plan, "upkeep", upkeep, "an Upkeep")


def discovery_of(plan: RoutePlan) -> Discovery:
    """Where the endpoints come from.

    Raises:
        PluginError: The provider failed, or gave something else.
    """
    with _blaming(plan):
        discovery = plan.provider.discovery()
        if isinstance(discovery, Discovery):  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked
            return discovery
    raise blame_result(plan, "discovery", discovery, "a Discovery")


@contextmanager
def _blaming(plan: RoutePlan) -> Generator[None]:
    """Errors that are not ours are the provider's."""
    try:
        yield
    except DirectlaneError:
        raise
    except Exception as error:
        raise blame(plan, "begin its discovery", error) from error
