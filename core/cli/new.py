"""`directlane new`: the beginning of a plug-in of your own."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ..plugins.registry import load_plugins
from .options import BadInput

__all__ = ["new"]

_HELP = """Begin a plug-in of your own: a whole distribution that is green from the start.

\b
Example:
  directlane new provider acme
"""

_PROVIDER_HELP = """Write the distribution of a new provider: settings, discovery, an emulator of the platform, tests,
a docs page, a CI file. It works as it is, with a registry that is made up; put your own in its place.

NAME is what stands in configuration files, such as `acme` or `my_cloud`. The distribution is called directlane-NAME,
the module directlane_NAME.

\b
Examples:
  directlane new provider acme
  directlane new provider my_cloud --to my-cloud
"""


@click.group(help=_HELP, short_help="Begin a plug-in of your own.", invoke_without_command=True)
@click.pass_context
def new(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@new.command(help=_PROVIDER_HELP, short_help="Write the distribution of a new provider.")
@click.argument("name", metavar="NAME")
@click.option("--to", "folder", metavar="DIR", help="The folder to write. Default: ./directlane-NAME.")
@click.option("--force", is_flag=True, help="Replace files of the template in a folder that is there already.")
def provider(*, name: str, folder: str | None, force: bool) -> None:
    from ..scaffold import make_provider, names_of

    try:
        names = names_of(name)
    except ValueError as error:
        raise BadInput(str(error)) from None
    origin = load_plugins().origins.get(("provider", names.kind))
    if origin is not None and origin.distribution.rpartition(" ")[0] != names.distribution:
        raise BadInput(f"there is a provider {name!r} already, in {origin.distribution}\nNext: choose another name.")
    target = Path(folder or names.distribution)
    make_provider(names, target, overwrite=force)
    click.echo(f"""{target} is ready: the provider {names.kind!r}, {names.prefix}Provider in {names.module}.

Next:
  cd {shlex.quote(str(target))}
  python -m venv .venv && . .venv/bin/activate
  pip install -e '.[dev]'
  pytest                                  green from the start, and to stay so
  directlane providers                    it is there
  directlane emulate --cloud {names.kind:<12} an emulated platform to call by hand

Then put your platform in the place of the one that is made up: the words TODO show where.""")
