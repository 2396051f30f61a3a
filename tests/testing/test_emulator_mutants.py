"""Each way of breaking an emulator is caught by the rule that is about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from directlane import Emulator
from directlane.core.emulation import ModelInstance
from directlane.core.interfaces import ControlFault, Instance
from directlane.providers.file.emulator import FileEmulator
from directlane.testing import EmulatorContract


class Broken(FileEmulator):
    """One way to be wrong. `rule` is the rule that must catch it."""

    rule: ClassVar[str]


class NamesOneThatDoesNotAnswer(Broken):
    rule = "test_route_leads_to_every_instance"

    def start(self) -> None:
        super().start()
        self.instances[0].kill()


class WritesTheTokenDown(Broken):
    rule = "test_secrets_stand_in_the_environment"

    def route(self) -> Mapping[str, object]:
        return {**super().route(), "token": next(iter(self.environment.values()))}


class ForgetsAVariable(Broken):
    rule = "test_secrets_stand_in_the_environment"

    @property
    def environment(self) -> Mapping[str, str]:
        return {}


class DoesNotListTheNewOne(Broken):
    rule = "test_list_follows_what_is_added_and_removed"

    def add_instance(self, *, weight: int | None = None) -> ModelInstance:
        return self._fleet.add()


class StopsWhatIsRemoved(Broken):
    rule = "test_list_follows_what_is_added_and_removed"

    def remove_instance(self, instance: Instance) -> None:
        super().remove_instance(instance)
        instance.kill()


class NoticesACrashAtOnce(Broken):
    rule = "test_killed_instance_is_gone_and_still_listed"

    def route(self) -> Mapping[str, object]:
        for instance in self._fleet.listed[:1]:
            self.remove_instance(instance)
        return super().route()


class StaysWell(Broken):
    rule = "test_broken_control_plane_gives_no_list_until_it_is_mended"

    def break_control_plane(self, fault: ControlFault) -> None:
        if fault is not ControlFault.HALF_JSON:
            super().break_control_plane(fault)


class StaysBroken(Broken):
    rule = "test_broken_control_plane_gives_no_list_until_it_is_mended"

    def break_control_plane(self, fault: ControlFault) -> None:
        if fault is not ControlFault.NONE:
            super().break_control_plane(fault)


class LeavesOneRunning(Broken):
    rule = "test_nothing_is_left_after_the_stop"

    def stop(self) -> None:
        for instance in self._fleet.everyone[1:]:
            instance.stop()

    def __del__(self) -> None:
        super().stop()


class StopsOnce(Broken):
    rule = "test_nothing_is_left_after_the_stop"

    def stop(self) -> None:
        assert self._folder is not None
        super().stop()


@pytest.mark.parametrize("mutant", Broken.__subclasses__(), ids=lambda mutant: mutant.__name__)
def test_broken_emulator_is_caught(mutant: type[Broken]) -> None:
    class Case(EmulatorContract):
        def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
            return mutant(instances, processes=processes)

    rule = getattr(Case(), mutant.rule)
    if "cloud" not in rule.__code__.co_varnames[: rule.__code__.co_argcount]:
        with pytest.raises(AssertionError):
            rule()
        return
    with mutant(2) as cloud, pytest.raises(AssertionError):
        rule(cloud)


def test_the_mutants_cover_the_rules() -> None:
    broken = {mutant.rule for mutant in Broken.__subclasses__()}
    rules = {name for name in dir(EmulatorContract) if name.startswith("test_")}
    assert rules - broken == {"test_instances_can_be_processes"}, "the others stop a process, or it would stay"
