"""Addresses from the domain name system: A, AAAA and SRV records."""

from .provider import DnsProvider

__all__ = ["DnsProvider"]
