"""The vendor's own client, run in an environment of its own because it pins an old protobuf."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import pytest

VENDORED = Path(__file__).parents[3] / ".vendor" / "eas" / "bin" / "python"
VARIABLE = "DIRECTLANE_EAS_PYTHON"

# Runs in the other environment: reads one JSON object, writes one JSON list as its last line.
SCRIPT = """
import json, sys
from eas_prediction import PredictClient, StringRequest
from eas_prediction.exception import PredictException

told = json.load(sys.stdin)
client = PredictClient(told["host"], told["service"])
client.set_endpoint_type("DIRECT")
client.set_retry_count(told["attempts"])
if told["token"]:
    client.set_token(told["token"])
if told["headers"]:
    client.add_extra_headers(told["headers"])
client.init()
answers = []
for body in told["bodies"]:
    try:
        answer = client.predict(StringRequest(body))
        answers.append({"status": 200, "body": answer.response_data.decode()})
    except PredictException as error:
        text = error.message
        answers.append({"status": error.code, "body": text.decode() if isinstance(text, bytes) else str(text)})
client.destroy()
print(json.dumps(answers))
"""


@dataclass(frozen=True, slots=True)
class SdkAnswer:
    """What the vendor's client got. A failure on the wire is a status of its own making: 500."""

    status: int
    body: str


class RunSdk(Protocol):
    """See `run_sdk`."""

    def __call__(
        self,
        host: str,
        service: str,
        bodies: Sequence[str],
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        attempts: int = 1,
        timezone: str = "UTC",
    ) -> list[SdkAnswer]: ...


@pytest.fixture
def run_sdk() -> RunSdk:
    """Sends bodies one after the other with the vendor's client in DIRECT mode.

    With `token` it signs each request; for the plain form give `headers={"Authorization": token}` instead.
    """
    interpreter = Path(os.environ.get(VARIABLE) or VENDORED)
    if not interpreter.exists():
        pytest.skip(f"no {interpreter.name} with eas-prediction: run `python tools/vendor_envs.py`, or set {VARIABLE}")

    def run(
        host: str,
        service: str,
        bodies: Sequence[str],
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        attempts: int = 1,
        timezone: str = "UTC",
    ) -> list[SdkAnswer]:
        told = {
            "host": host,
            "service": service,
            "bodies": list(bodies),
            "token": token,
            "headers": dict(headers or {}),
            "attempts": attempts,
        }
        # In a pod with these two names set, the client asks for addresses inside the cluster.
        environment = {key: value for key, value in os.environ.items() if key not in ("NAMESPACE", "POD_NAME")}
        ended = subprocess.run(
            [interpreter, "-c", SCRIPT],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            env={**environment, "TZ": timezone},
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        answers = cast("list[dict[str, object]]", json.loads(ended.stdout.splitlines()[-1]))
        return [SdkAnswer(cast("int", answer["status"]), cast("str", answer["body"])) for answer in answers]

    return run
