"""An emulated instance in a process of its own: the child's side. `process.py` starts it and says how it is told.

Run as `python -m directlane.core.emulation.instance_process`; standard input and output are the parent's.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO, cast

from ..os_reason import os_reason
from .faults import fault_from_json
from .instance import open_ledger
from .model import Model, Rule
from .server import LoopbackServer

__all__ = ["main"]


def main(told: TextIO, answers: TextIO) -> int:
    """Serve until the parent closes the pipe.

    Args:
        told: JSON lines from the parent; the first is the configuration.
        answers: One JSON line for each.

    Returns:
        The exit status.
    """
    first = told.readline()
    if not first:
        return 0
    configuration = cast("dict[str, object]", json.loads(first))
    try:
        gate = _rule(configuration["gate"])
        application = _rule(configuration["application"])
        ledger = open_ledger(Path(cast("str", configuration["ledger"])))
        model = Model(
            cast("str", configuration["name"]),
            ledger,
            gate=gate.gate() if gate is not None else None,
            application=application.application() if application is not None else None,
        )
    except Exception as error:  # noqa: BLE001  # a rule is foreign code; the parent tells its user
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        return 1
    server = LoopbackServer(model, cast("str", configuration["host"]), cast("int", configuration["port"]))
    try:
        server.start()
    except OSError as error:
        _say(answers, {"error": f"cannot listen on {server.url}: {os_reason(error)}"})
        return 1
    with server:
        _say(answers, {"port": server.port})
        for line in told:
            order = cast("dict[str, object]", json.loads(line))
            fault = fault_from_json(cast("Mapping[str, object]", order["fault"]))
            model.set_fault(fault, cast("int | None", order["times"]))
            _say(answers, {"done": True})
    os.close(ledger)
    return 0


def _rule(data: object) -> Rule | None:
    if data is None:
        return None
    fields = cast("dict[str, object]", data)
    return Rule(cast("str", fields["factory"]), cast("Mapping[str, object]", fields["settings"]))


def _say(answers: TextIO, message: object) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    # Ctrl-C in a terminal reaches every process of the group; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: TextIO = sys.stdout
    sys.stdout = sys.stderr  # a rule that prints must not talk to the parent
    sys.exit(main(sys.stdin, parent))
