"""What the entry point names."""

from directlane import ProviderPlugin, hookimpl

from .provider import EtcdProvider

__all__ = ["directlane_providers"]


@hookimpl
def directlane_providers() -> list[ProviderPlugin]:
    """The provider `etcd`."""
    return [ProviderPlugin(EtcdProvider)]
