"""What another process would have told about a question, in the store of a configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from directlane import Endpoint, Snapshot, load_data
from directlane.core.discovery.link import FLEET
from directlane.core.discovery.publication import Publication, pack
from directlane.core.discovery.saved_list import pack_list, question_name
from directlane.core.discovery.sharing import shared_identity
from directlane.core.dispatch.asked import discovery_of
from directlane.core.interfaces.store import Lease

__all__ = ["OTHER", "told_by_another"]

OTHER = "web-1, process 42"


def told_by_another(text: str, environment: Mapping[str, str], *, error: str = "", data: bytes | None = None) -> None:
    """Another process is there, holds the lease of the first route's question, and has led for five minutes.

    Args:
        text: The configuration.
        environment: For it.
        error: Why its question failed; empty if it did not.
        data: What it published, if that is none of this.
    """
    config = load_data(tomllib.loads(text), source="test", environment=environment)
    plan = next(iter(config.services.values()))
    name = question_name(shared_identity(discovery_of(plan.routes[0]), plan.discovery))
    assert config.store is not None
    assert name is not None
    body = pack_list(Snapshot((Endpoint("127.0.0.1", 9),)))
    publication = Publication(body, took=0.1, error=error, by="other", led=300.0, who=OTHER)
    lease = config.store.lease(name, "other", 600.0)
    assert isinstance(lease, Lease)
    assert config.store.publish(lease, pack(publication) if data is None else data)
    config.store.attend(FLEET, "other", 600.0)
    config.store.close()
