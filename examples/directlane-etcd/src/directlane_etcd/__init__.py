"""Endpoints that are registered in etcd."""

from .provider import EtcdProvider

__all__ = ["EtcdProvider"]
