"""Addresses that stand in the configuration."""

from .provider import StaticAddress, StaticProvider

__all__ = ["StaticAddress", "StaticProvider"]
