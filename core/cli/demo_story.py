"""What happens to the emulated clouds during the demo, and when, in shares of its length.

1/3    one instance is killed; it stays on the list, as in a real cloud
5/12   the cloud notices and takes it off its list
1/2    discovery breaks, in one way after the other
5/8    the cloud starts a replacement, of which nobody can know yet
3/4    discovery is mended
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..interfaces.emulator import ControlFault, Instance
from .clouds import Cloud, think

__all__ = ["BREAK", "FAULTS", "KILL", "MEND", "Story", "Tell"]

KILL, NOTICE, BREAK, REPLACE, MEND = 1 / 3, 5 / 12, 1 / 2, 5 / 8, 3 / 4

FAULTS: dict[ControlFault, str] = {
    ControlFault.ERROR_500: "answers with status 500",
    ControlFault.HTML: "answers with a web page",
    ControlFault.HALF_JSON: "answers with half a JSON",
    ControlFault.HANG: "does not answer at all",
}
"""How discovery breaks, in turn, and how we say it."""

Tell: TypeAlias = Callable[[str, str], None]
"""Gets the kind of an event (`kill`, `break`, `mend`, `cloud`, `client`) and its text."""


class Story:
    """Lets it happen. `killed` grows while it runs.

    Args:
        clouds: Running clouds; the instance dies in the first one.
        seconds: Length of the demo.
        think_seconds: How long a new instance needs for an answer.
        tell: Is told of each event.
    """

    def __init__(self, clouds: Sequence[Cloud], seconds: float, think_seconds: float, tell: Tell) -> None:
        self._clouds = clouds
        self._think_seconds = think_seconds
        self._tell = tell
        self._victim: Instance | None = None
        self._helpers: list[threading.Thread] = []
        self._is_broken = False
        self.killed: set[str] = set()
        """`host:port` of the instances that were killed."""
        step = (MEND - BREAK) / len(FAULTS)
        scenes: list[tuple[float, Callable[[], None]]] = [
            (KILL, self._kill),
            (NOTICE, self._notice),
            (REPLACE, self._replace),
            (MEND, self._mend),
            *((BREAK + step * place, self._breaker(fault)) for place, fault in enumerate(FAULTS)),
        ]
        self._scenes = sorted(((share * seconds, scene) for share, scene in scenes), key=lambda item: item[0])

    def run(self, now: Callable[[], float], over: threading.Event) -> None:
        """Let everything happen in time. Ends early when `over` is set.

        Args:
            now: Seconds since the demo began.
            over: Set when the demo ends.
        """
        try:
            for at, scene in self._scenes:
                if over.wait(max(0.0, at - now())):
                    return
                scene()
        finally:
            for helper in self._helpers:
                helper.join()

    def _kill(self) -> None:
        cloud = self._clouds[0]
        victim = self._victim = cloud.emulator.instances[-2:][0]
        # Noted first: the display must not show it as merely unlucky.
        self.killed.add(f"{victim.host}:{victim.port}")
        victim.kill()
        self._tell("kill", f"an instance of {cloud.service} is killed: {victim.host}:{victim.port}")

    def _notice(self) -> None:
        cloud = self._clouds[0]
        if self._victim is not None:
            cloud.emulator.remove_instance(self._victim)
            self._tell("cloud", f"the cloud of {cloud.service} takes the dead instance off its list")

    def _replace(self) -> None:
        # To start a process takes a while, and the show must go on.
        helper = threading.Thread(target=self._start_another, name="demo-replacement")
        self._helpers.append(helper)
        helper.start()

    def _start_another(self) -> None:
        cloud = self._clouds[0]
        added = cloud.emulator.add_instance()
        think(added, self._think_seconds)
        self._tell(
            "cloud",
            f"{added.host}:{added.port} starts in its place{'; nobody can know yet' if self._is_broken else ''}",
        )

    def _breaker(self, fault: ControlFault) -> Callable[[], None]:
        def scene() -> None:
            self._is_broken = True
            for cloud in self._clouds:
                cloud.emulator.break_control_plane(fault)
            self._tell("break", f"discovery of all clouds {FAULTS[fault]}")

        return scene

    def _mend(self) -> None:
        self._is_broken = False
        for cloud in self._clouds:
            cloud.emulator.break_control_plane(ControlFault.NONE)
        self._tell("mend", "discovery of all clouds is mended")
