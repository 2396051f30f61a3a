"""Alibaba Cloud PAI-EAS: VPC direct connection, and its gateways."""

from .provider import AlibabaEasProvider

__all__ = ["AlibabaEasProvider"]
