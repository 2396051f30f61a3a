"""Each built-in emulator keeps to the contract."""

from __future__ import annotations

from directlane import Emulator
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.dns.emulator import DnsEmulator
from directlane.providers.file.emulator import FileEmulator
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator
from directlane.providers.kubernetes.emulator import KubernetesEmulator
from directlane.providers.static.emulator import StaticEmulator
from directlane.testing import EmulatorContract


class TestEas(EmulatorContract):
    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        return EasEmulator(instances, processes=processes)


class TestModelArts(EmulatorContract):
    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        return ModelArtsEmulator(instances, processes=processes)


class TestKubernetes(EmulatorContract):
    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        return KubernetesEmulator(instances, processes=processes)


class TestDns(EmulatorContract):
    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        return DnsEmulator(instances, processes=processes)


class TestFile(EmulatorContract):
    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        return FileEmulator(instances, processes=processes)


class TestStatic(EmulatorContract):
    def emulator(self, instances: int, *, processes: bool = False) -> Emulator:
        return StaticEmulator(instances, processes=processes)
