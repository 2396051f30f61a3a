"""The command `directlane`: its subcommands, and how every one of them ends.

Exit statuses: 0 for success; 1 where a command says so; 2 for bad input, with one clear message on standard error and
never a traceback; 130 after Ctrl-C, quietly. With `--json` the error is a JSON object on standard output as well.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import click

from ..errors import ConfigError, DirectlaneError
from ..version import __version__
from .balancers import balancers
from .call import call
from .check import check
from .demo import demo
from .doctor import doctor
from .emulate import emulate
from .endpoints import endpoints
from .new import new
from .output import say_error, write_json
from .providers import providers
from .schema import schema
from .simulate import simulate_command
from .stores import stores
from .transports import transports

__all__ = ["app"]

_BAD_INPUT = 2
_INTERRUPTED = 130

_HELP = """Call model services straight at their instances, on any cloud.

\b
Examples:
  directlane demo                                  see it work, with two emulated clouds
  directlane check -c directlane.toml              is this configuration right?
  directlane doctor -c directlane.toml             why do calls not get through?
  directlane endpoints -c directlane.toml          who serves, and how are they doing?
  directlane call -c directlane.toml scorecard -d @request.json

Without -c, the file named by DIRECTLANE_CONFIG is used, or else ./directlane.toml.
"""


class _App(click.Group):
    """A group whose errors are told in our way."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:  # click's own signature
        words = list(sys.argv[1:] if args is None else args)
        options["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks, not an error
        try:
            status = super().main(words, *rest, **options)
            sys.stdout.flush()
        except (KeyboardInterrupt, click.Abort):
            sys.exit(_INTERRUPTED)
        except BrokenPipeError:
            # Whoever read us has enough. Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except (click.ClickException, DirectlaneError) as error:
            self._tell(error, is_json="--json" in words)
            sys.exit(_BAD_INPUT)
        # Click returns the status of `--help`, `--version` and `ctx.exit`; our commands return theirs, or nothing.
        sys.exit(status if isinstance(status, int) else 0)

    @staticmethod
    def _tell(error: click.ClickException | DirectlaneError, *, is_json: bool) -> None:
        message = str(error)
        if isinstance(error, click.ClickException):
            message = error.format_message()
            command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else None
            if command is not None and "\nNext:" not in message:
                message += f"\nNext: see `{command} --help`."
        say_error(message)
        if is_json:
            story: dict[str, object] = {"error": message, "kind": type(error).__name__}
            if isinstance(error, ConfigError):
                story["problems"] = [
                    {"path": problem.path, "line": problem.line, "column": problem.column, "message": problem.message}
                    for problem in error.problems
                ]
            write_json(story)


@click.group(
    cls=_App, help=_HELP, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="directlane", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Write the log of directlane to standard error.")
@click.pass_context
def app(ctx: click.Context, *, verbose: bool) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    logger = logging.getLogger("directlane")
    if verbose:
        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logger.setLevel(logging.DEBUG)
    else:
        # The commands say themselves what matters; Python would print warnings that nobody handles.
        logger.addHandler(logging.NullHandler())


for _command in (
    demo,
    check,
    doctor,
    endpoints,
    call,
    providers,
    balancers,
    transports,
    stores,
    schema,
    emulate,
    simulate_command,
    new,
):
    app.add_command(_command)
