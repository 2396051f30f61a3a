"""What callers notice when an instance fails: directlane beside the vendor's SDK, on the same faults.

    python benchmarks/faults.py [--only PATTERN] [--json] [--write]

An emulated PAI-EAS service of three instances, real processes, is called by eight threads with a short pause after each
call. After a second one instance fails in one way, and stays so and stays listed. Told for each contender: the calls,
those that failed, those that took longer than a second, how many more requests the instances ran than there were calls
(what was run twice), and how long calls took from the fault on.

`--write` puts the tables into the docs. The SDK needs an environment of its own: `python tools/vendor_envs.py eas`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from faults_worker import CONTENDERS
from process import Process

from directlane.core.emulation import RESET, Fault, ProcessInstance, Status
from directlane.providers.alibaba_eas.emulator import EMULATED_TOKEN, EasEmulator

HERE = Path(__file__).resolve().parent
SDK_PYTHON = HERE.parent / ".vendor" / "eas" / "bin" / "python"
PAGE = HERE.parent / "docs" / "explanation" / "faults.md"
BEGIN, END = "<!-- figures: made by benchmarks/faults.py --write -->", "<!-- end of figures -->"

INSTANCES = 3
CALLERS = 8
PAUSE = 0.01
SECONDS = 5.0
FAULT_AT = 1.0
SLOW = 1.0
"""Seconds from which on a call counts as slow."""

Break = Callable[[ProcessInstance, ExitStack], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What one contender made of one fault.

    Args:
        contender: Whose calls.
        calls: How many, the fault's time and the time before it.
        failed: How many of them failed.
        slow: How many took longer than a second.
        extra_runs: Requests that instances ran beyond one for each call.
        p50_ms: Of the calls that ended after the fault began.
        p99_ms: Of the same.
        max_ms: Of the same.
    """

    contender: str
    calls: int
    failed: int
    slow: int
    extra_runs: int
    p50_ms: float
    p99_ms: float
    max_ms: float


# --- faults -------------------------------------------------------------------------------------------------------


def answer_with(fault: Fault) -> Break:
    """The instance goes on, and answers everything so."""

    def break_it(instance: ProcessInstance, _: ExitStack) -> None:
        instance.set_fault(fault)

    return break_it


def kill(instance: ProcessInstance, _: ExitStack) -> None:
    """SIGKILL: connections are refused from then on."""
    instance.kill()


def stop(instance: ProcessInstance, stack: ExitStack) -> None:
    """SIGSTOP: the kernel takes connections and requests, nobody answers."""
    pid = instance.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    stack.callback(os.kill, pid, signal.SIGCONT)


def unreachable(instance: ProcessInstance, stack: ExitStack) -> None:
    """The host is gone: nobody answers to a SYN."""
    host, port = instance.host, instance.port
    instance.kill()
    listener = stack.enter_context(_listener(host, port, backlog=0))
    for _ in range(8):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(listener.getsockname())


def garbage(instance: ProcessInstance, stack: ExitStack) -> None:
    """Its port belongs to a server that speaks no HTTP."""
    host, port = instance.host, instance.port
    instance.kill()
    stack.enter_context(_serving(host, port, b"220 mail.example ESMTP\r\n"))


def _listener(host: str, port: int, backlog: int = 64) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(backlog)
    return listener


@contextmanager
def _serving(host: str, port: int, banner: bytes) -> Iterator[None]:
    with _listener(host, port) as listener:

        def serve() -> None:
            with suppress(OSError):  # shut down
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.sendall(banner)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


FAULTS: Mapping[str, tuple[str, Break]] = {
    "killed": ("killed (SIGKILL): refuses connections", kill),
    "unreachable": ("the host is gone: connections are never answered", unreachable),
    "stopped": ("stopped (SIGSTOP): takes requests, answers none", stop),
    "resets": ("runs each request and resets the connection", answer_with(RESET)),
    "garbage": ("its port belongs to a server of another protocol", garbage),
    "500": ("answers 500", answer_with(Status(500))),
    "503": ("answers 503", answer_with(Status(503))),
    "450": ("answers 450, its queue is full (EAS)", answer_with(Status(450))),
}


# --- one run ------------------------------------------------------------------------------------------------------


def measure(contender: str, break_it: Break) -> Row:
    """One contender, one fault."""
    is_sdk = contender.startswith("eas-")
    command = [SDK_PYTHON, "-W", "ignore"] if is_sdk else [sys.executable]
    with ExitStack() as stack:
        cloud = stack.enter_context(EasEmulator(INSTANCES, processes=True))
        worker = stack.enter_context(Process([*command, HERE / "faults_worker.py"]))
        told = {"contender": contender, "host": cloud.host, "service": cloud.service, "token": EMULATED_TOKEN}
        worker.tell({**told, "warm_up": 2 * INSTANCES})
        worker.answer()
        before = sum(instance.requests for instance in cloud.all_instances)
        worker.tell({"callers": CALLERS, "pause": PAUSE, "seconds": SECONDS})
        time.sleep(FAULT_AT)
        bad = cloud.instances[1]
        assert isinstance(bad, ProcessInstance)
        with ExitStack() as broken:
            break_it(bad, broken)
            records: list[list[float]] = worker.answer()["records"]
            runs = sum(instance.requests for instance in cloud.all_instances) - before
    return summed_up(contender, records, runs)


def summed_up(contender: str, records: Sequence[Sequence[float]], runs: int) -> Row:
    """The row that the records of a run come to."""
    since = [(at, took, good) for at, took, good in records if at + took >= FAULT_AT]
    times = sorted(took for _, took, _ in since)
    return Row(
        contender=contender,
        calls=len(records),
        failed=sum(not good for _, _, good in records),
        slow=sum(took > SLOW for _, took, _ in records),
        extra_runs=max(0, runs - len(records)),
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[int(len(times) * 0.99)] * 1000,
        max_ms=times[-1] * 1000,
    )


# --- what is shown ------------------------------------------------------------------------------------------------


def table(rows: Sequence[Row]) -> list[str]:
    """Rows in Markdown."""
    lines = [
        "| | calls | failed | over 1 s | run twice | p50 ms | p99 ms | longest ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = f"**{row.contender}**" if row.contender.startswith("directlane") else row.contender
        lines.append(
            f"| {name} | {row.calls:,} | {row.failed:,} | {row.slow:,} | {row.extra_runs:,} "
            f"| {row.p50_ms:.1f} | {row.p99_ms:.1f} | {row.max_ms:,.0f} |"
        )
    return lines


def page(found: Mapping[str, Sequence[Row]]) -> str:
    """The generated part of the page."""
    lines = [
        (
            f"Measured with Python {platform.python_version()} on {platform.system()}, a virtual machine with "
            f"{os.cpu_count()} processors. One run each; yours will differ."
        ),
    ]
    for name, rows in found.items():
        lines += ["", f"### One of three {FAULTS[name][0]}", "", *table(rows)]
    return "\n".join(lines)


def write(found: Mapping[str, Sequence[Row]]) -> None:
    """Put the tables in place.

    Raises:
        ValueError: The page has no place for them.
    """
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures: {BEGIN!r} and {END!r}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{page(found)}\n\n{END}{after}")


def main() -> int:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description="What callers notice when an instance fails.")
    parser.add_argument("--only", default="", metavar="PATTERN", help=f"part of a fault's name: {', '.join(FAULTS)}")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    options = parser.parse_args()
    names = [name for name in FAULTS if options.only in name]
    if not names:
        parser.error(f"no fault has {options.only!r} in its name; there are {', '.join(FAULTS)}")
    if options.write and len(names) < len(FAULTS):
        parser.error("--write needs all faults: leave --only away")
    contenders = [name for name in CONTENDERS if SDK_PYTHON.exists() or not name.startswith("eas-")]
    if len(contenders) < len(CONTENDERS):
        print("left out: eas-prediction (`python tools/vendor_envs.py eas`)", file=sys.stderr)
    found: dict[str, list[Row]] = {}
    for name in names:
        found[name] = [measure(contender, FAULTS[name][1]) for contender in contenders]
        if not options.json:
            print("\n".join(["", FAULTS[name][0], *table(found[name])]), flush=True)
    if options.json:
        print(json.dumps({name: [asdict(row) for row in rows] for name, rows in found.items()}, indent=2))
    if options.write:
        write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
