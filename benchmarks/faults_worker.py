"""One contender of the benchmark of faults, in a process of its own: calls a service while somebody breaks it.

Told by JSON lines on standard input: the first names the contender and the service, the second says go. It answers the
first when it has made its first calls, and the second with a record for each call. Standard library only, besides the
contender's own package.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

BODY = "[{}]"
ATTEMPT_SECONDS = 5.0
"""Limit of one attempt, for all contenders: the default of the SDK."""
ATTEMPTS = 5
"""Attempts of one call at most, for all contenders: the default of the SDK."""

Call = Callable[[], bool]
"""Makes one call; whether it went well. An exception is a failed call."""


def eas_prediction(told: Mapping[str, Any], stack: ExitStack) -> Call:
    """The vendor's SDK, in DIRECT mode, with its defaults: 5 attempts of 5 s. It repeats every POST."""
    from eas_prediction import PredictClient, StringRequest

    client = PredictClient(told["host"], told["service"])
    client.set_endpoint_type("DIRECT")
    client.set_token(told["token"])
    client.set_retry_count(ATTEMPTS)
    client.set_timeout(int(ATTEMPT_SECONDS * 1000))
    client.init()
    stack.callback(client.destroy)
    request = StringRequest(BODY)

    def call() -> bool:
        client.predict(request)  # raises for every status but 200
        return True

    return call


def _directlane(told: Mapping[str, Any], stack: ExitStack, **calls: object) -> Call:
    from directlane import Client

    route = {
        "provider": "alibaba_eas",
        "service": told["service"],
        "discovery_host": told["host"],
        "token": "${TOKEN}",
        "auth": "signed",
    }
    service = {"routes": [route], **calls}
    client = stack.enter_context(
        Client.from_data({"services": {"svc": service}}, environment={"TOKEN": told["token"]})
    ).service("svc")

    def call() -> bool:
        return client.send(BODY).status == 200

    return call


def directlane_repeatable(told: Mapping[str, Any], stack: ExitStack) -> Call:
    """Ours, allowed to repeat what may have run, as the SDK does by itself; the same number of attempts, each as long.

    Its other limits are its defaults.
    """
    return _directlane(told, stack, repeatable=True, attempts=ATTEMPTS, attempt_timeout=ATTEMPT_SECONDS)


def directlane_default(told: Mapping[str, Any], stack: ExitStack) -> Call:
    """Ours as it comes, but for the same limit of an attempt: a POST that may have run is not run again."""
    return _directlane(told, stack, attempt_timeout=ATTEMPT_SECONDS)


CONTENDERS = {
    "eas-prediction": eas_prediction,
    "directlane, repeatable": directlane_repeatable,
    "directlane, POST as it comes": directlane_default,
}


def run(call: Call, callers: int, pause: float, seconds: float) -> list[list[float]]:
    """Calls by threads. Each is told as [when it began, how long it took, 1 or 0 for good or failed]."""
    began = time.monotonic()
    records: list[list[float]] = []

    def work() -> None:
        while (at := time.monotonic()) - began < seconds:
            try:
                is_good = call()
            except Exception:  # noqa: BLE001 - whatever a contender raises: the call has failed
                is_good = False
            records.append([at - began, time.monotonic() - at, float(is_good)])
            time.sleep(pause)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return records


def say(message: object) -> None:
    """One answer."""
    print(json.dumps(message), flush=True)


def main() -> None:
    """Make the contender, make a few calls, then do as told."""
    told = json.loads(sys.stdin.readline())
    with ExitStack() as stack:
        call = CONTENDERS[told["contender"]](told, stack)
        for _ in range(told["warm_up"]):
            if not call():
                raise RuntimeError("the first calls fail, before anything is broken")
        say({"ready": True})
        order = json.loads(sys.stdin.readline())
        say({"records": run(call, order["callers"], order["pause"], order["seconds"])})


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the parent shows it
        say({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
