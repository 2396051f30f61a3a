from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from directlane.core.emulation import ProcessInstance, start_together


@pytest.fixture(scope="module")
def well() -> Iterator[list[ProcessInstance]]:
    """Two instances that do what they should, each on a host of its own."""
    instances = [ProcessInstance(f"well-{number}", host=f"127.0.0.{number}") for number in (2, 3)]
    with ExitStack() as stack:
        for instance in instances:
            stack.callback(instance.stop)
        start_together(instances)
        yield instances
