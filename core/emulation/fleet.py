"""The instances of one emulated service: started together, added, taken off the list, stopped.

fleet = Fleet(gate=Rule("acme.emulator:make_gate", {...}), processes=True)
fleet.start(3)
fleet.listed          # what discovery names; replaced as a whole, so a server thread may read it at any time
fleet.remove(fleet.add())
fleet.stop()
"""

from __future__ import annotations

from .instance import ModelInstance, ThreadInstance, start_together
from .model import Rule
from .process import ProcessInstance

__all__ = ["Fleet"]


class Fleet:
    """Instances of one kind.

    Args:
        gate: Makes each instance's gate. Default: all requests come in.
        application: Makes each instance's application. Default: the echo.
        processes: Whether each instance is a process of its own. Default: threads of this process.
        prefix: Instances are called `{prefix}-1`, `{prefix}-2` and so on; a number is never used again.
    """

    def __init__(
        self,
        *,
        gate: Rule | None = None,
        application: Rule | None = None,
        processes: bool = False,
        prefix: str = "instance",
    ) -> None:
        self._gate = gate
        self._application = application
        self._kind: type[ModelInstance] = ProcessInstance if processes else ThreadInstance
        self._prefix = prefix
        self._everyone: list[ModelInstance] = []
        self._listed: tuple[ModelInstance, ...] = ()

    @property
    def listed(self) -> tuple[ModelInstance, ...]:
        """Started and not removed; killed ones too, since a control plane does not notice a crash at once."""
        return self._listed

    @property
    def everyone(self) -> tuple[ModelInstance, ...]:
        """All that were ever started, the removed ones too: for sums over ledgers."""
        return tuple(self._everyone)

    def start(self, count: int) -> None:
        """Start `count` instances, side by side.

        Raises:
            RuntimeError: One could not start. The others are stopped.
        """
        made = [self._made(offset) for offset in range(count)]
        self._everyone += made
        try:
            start_together(made)
        except BaseException:
            self.stop()
            raise
        self._listed += tuple(made)

    def add(self) -> ModelInstance:
        """Start one more."""
        self.start(1)
        return self._listed[-1]

    def remove(self, instance: object) -> None:
        """Take an instance off the list; it goes on serving.

        Raises:
            ValueError: It is not on the list.
        """
        if not any(listed is instance for listed in self._listed):
            raise ValueError(f"{instance!r} is not on the list")
        self._listed = tuple(listed for listed in self._listed if listed is not instance)

    def stop(self) -> None:
        """Stop all, the removed ones too. Harmless when called again."""
        for instance in self._everyone:
            instance.stop()

    def _made(self, offset: int) -> ModelInstance:
        name = f"{self._prefix}-{len(self._everyone) + offset + 1}"
        return self._kind(name, gate=self._gate, application=self._application)
