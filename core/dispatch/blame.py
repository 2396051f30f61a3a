"""Who is to blame when the code of a plug-in fails: the plug-in, by its name and its distribution."""

from __future__ import annotations

import traceback
from collections.abc import Coroutine
from pathlib import PurePath

from ..config.model import RoutePlan
from ..errors import PluginError

__all__ = ["blame", "blame_plugin", "blame_result"]


def blame(plan: RoutePlan, what: str, error: BaseException) -> PluginError:
    """A mistake of a route's provider.

    Args:
        plan: The route.
        what: What the provider was to do, such as `classify an answer`.
        error: What it raised.
    """
    return blame_plugin(f"provider {plan.provider.kind!r}", plan.provider.kind, plan.origin, what, error)


def blame_result(plan: RoutePlan, hook: str, found: object, wanted: str) -> PluginError:
    """A result of a route's provider that breaks the contract.

    Args:
        plan: The route.
        hook: The method, such as `wire`.
        found: What it returned.
        wanted: What it should have, such as `a Wire`.
    """
    does = f"returned {type(found).__name__}, not {wanted}"
    if isinstance(found, Coroutine):
        found.close()  # nobody will await it
        does = "is `async`; it must be a plain function"
    of = f" of {plan.origin}" if plan.origin is not None else ""
    kind = plan.provider.kind
    return PluginError(
        f"provider {kind!r}{of}: `{hook}` {does}\nNext: report this to its author.",
        plugin=kind,
        distribution=plan.origin,
    )


def blame_plugin(who: str, kind: str, origin: str | None, what: str, error: BaseException) -> PluginError:
    """A mistake of a plug-in: its type and its place. Never its text, which may quote a secret.

    Args:
        who: The plug-in in words, such as `balancer 'fewest_tokens'`.
        kind: Its name in configuration files.
        origin: The distribution that brought it, with its version; None if that is not known.
        what: What it was to do.
        error: What it raised.
    """
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    of = f" of {origin}" if origin is not None else ""
    return PluginError(
        f"{who}{of} failed to {what}: {type(error).__name__}{place}\nNext: report this to its author.",
        plugin=kind,
        distribution=origin,
    )
