"""Pods behind a Service of Kubernetes, from its EndpointSlices."""

from .provider import KubernetesProvider

__all__ = ["KubernetesProvider"]
