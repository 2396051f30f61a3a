"""The public names are a decision: whoever adds or removes one writes it down here, or in the reference."""

from __future__ import annotations

from directlane import testing

KIT = """
    Answer Asked AsyncTransportContract BalancerContract Canaries Cloud EmulatorContract FakeLoad FakeMember Listed
    ManualClock ProviderContract ServerAnswer StoreContract Told TransportContract TransportLab alone
    members_of socket_lab talk
"""


def test_names_of_the_kit_are_these() -> None:
    assert sorted(testing.__all__) == sorted(KIT.split())
    assert all(hasattr(testing, name) for name in testing.__all__)
