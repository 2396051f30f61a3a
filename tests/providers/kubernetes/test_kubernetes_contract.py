"""The provider of Kubernetes keeps to the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from directlane import EmptyAnswer, LocalQuery, Reply
from directlane.providers.kubernetes import KubernetesProvider
from directlane.testing import Asked, Canaries, Listed, ProviderContract


def slice_of(number: int, listed: Listed) -> dict[str, object]:
    return {
        "metadata": {"name": f"slice-{number:05}", "resourceVersion": "2"},
        "addressType": "IPv4",  # the kit lists both families together; a Service has a slice for each
        "ports": [{"name": "http", "port": listed.port}],
        "endpoints": [{"addresses": [listed.host], "conditions": {"ready": True}}],
    }


class TestKubernetes(ProviderContract):
    model = KubernetesProvider
    empty_answer = EmptyAnswer.KEEP

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {"service": "model", "port": "http", "token": secret("token")}

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        if isinstance(query, LocalQuery):
            told = {"api": "https://10.96.0.1:443", "namespace": "n", "token": "t", "ca.crt": "c"}
            return Reply(200, content=json.dumps(told).encode())
        items = [slice_of(number, each) for number, each in enumerate(listed)]
        return Reply(200, content=json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode())

    def change(self, listed: Sequence[Listed], after: Sequence[Listed]) -> Sequence[bytes]:
        events = [("MODIFIED", slice_of(number, each)) for number, each in enumerate(after)]
        events += [("DELETED", slice_of(number, each)) for number, each in enumerate(listed) if number >= len(after)]
        return [json.dumps({"type": kind, "object": item}).encode() + b"\n" for kind, item in events]

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        route = self.route(secret)
        return [{**route, "service": "other"}, {**route, "port": 8000}, {**route, "namespace": "other"}]
