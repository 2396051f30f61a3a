"""Rules for secrets: a canary goes in as every credential, and then everything that can be seen is searched for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

from ..discovery.conversation import plugin_failure
from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..interfaces.discovery import Query
from ..message import Reply
from .canaries import Canaries, logged, pickled, told_by, walk
from .conversation import Answer, Asked, Told, talk
from .listings import HARD, PLAIN
from .provider_case import ProviderCase

__all__ = ["SecretRules"]

_ENDPOINT = Endpoint("10.0.0.7", 8000)


class SecretRules(ProviderCase):
    """Secrets appear where they are sent, and nowhere else."""

    def test_objects_do_not_show_secrets(self) -> None:
        """Not in a repr, a text, a dump or a pickle, before and after a poll."""
        secret = Canaries()
        provider = self.provider(secret)
        discovery = provider.discovery()
        for _ in range(2):
            things: list[object] = [provider, discovery, provider.wire(_ENDPOINT), provider.budgets()]
            for thing in things:
                for text in (repr(thing), str(thing), f"{thing}"):
                    _assert_hidden(secret, text, f"the text of a {type(thing).__name__}")
            # Not the wire: it holds what is sent, and is never written down.
            for thing in (provider, discovery):
                _assert_hidden(secret, pickled(thing), f"the pickle of a {type(thing).__name__}")
            _assert_hidden(secret, f"{provider.model_dump()} {provider.model_dump_json()}", "the dump of the settings")
            self._poll(discovery_of=secret)
            self.told(discovery)

    def test_identity_does_not_hold_secrets(self) -> None:
        """It is logged and compared: use `Secret.fingerprint`."""
        secret = Canaries()
        discovery = self.discovery(secret)
        for text in walk(discovery.identity):
            _assert_hidden(secret, text, "the identity of the discovery")
        for text in walk(getattr(discovery, "credential", None)):
            _assert_hidden(secret, text, "the credential's identity")

    def test_queries_do_not_show_secrets(self) -> None:
        """They are sent in header fields or in the body. A path is logged by every hop, and budgets are shown."""
        secret = Canaries()
        for query in self._poll(discovery_of=secret).queries:
            shown = f"{query!r} {query.budgets!r}"
            if isinstance(query, Query):
                shown += query.url.partition("?")[0]
            _assert_hidden(secret, shown, "the text of a query")

    def test_lists_do_not_hold_secrets(self) -> None:
        """What an answer says is shown to people: labels, attributes, rejected entries."""
        secret = Canaries()
        self.needs("discovery")
        for listed in (PLAIN, HARD, (*PLAIN, PLAIN[0])):
            snapshot = talk(self.discovery(secret), self.cloud(listed)).snapshot
            if snapshot is not None:
                sentences = (*snapshot.rejected, *snapshot.warnings)
                shown = (repr(snapshot), sentences, snapshot.version, dict(snapshot.attributes))
                for text in walk((shown, [(each.id, each.zone, dict(each.labels)) for each in snapshot.endpoints])):
                    _assert_hidden(secret, text, "a snapshot")

    def test_errors_and_logs_do_not_show_secrets(self) -> None:
        """Not even if the far side repeats in its answer what it was sent, as some do."""
        secret = Canaries()
        with logged() as lines, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            for make in self._misfortunes():
                told = self._poll(discovery_of=secret, cloud=make)
                if told.error is not None:
                    _assert_hidden(secret, "\n".join(told_by(told.error)), "an error of the discovery")
                    _assert_hidden(secret, str(plugin_failure(told.error)), "an error of the discovery")
                elif told.snapshot is not None:
                    said = (told.snapshot.rejected, told.snapshot.warnings)
                    _assert_hidden(secret, repr(said), "an answer that repeats what it was sent")
        _assert_hidden(secret, "\n".join(lines), "the log")
        _assert_hidden(secret, "\n".join(str(each.message) for each in warned), "a warning")

    def test_instances_do_not_get_hidden_secrets(self) -> None:
        """The key of the control plane (`hidden`) is not sent to those who serve the calls."""
        secret = Canaries()
        wire = self.provider(secret).wire(_ENDPOINT)
        sent = f"{wire.prefix} {wire.headers!r}"
        unknown = self.hidden - set(secret.names)
        assert not unknown, f"`hidden` names {sorted(unknown)}, which `route` does not ask for"
        for name in self.hidden:
            only = Canaries()
            only(name)
            assert only.in_text(sent) is None, f"the secret {name!r} is sent to instances"

    def _poll(self, *, discovery_of: Canaries, cloud: Iterator[Answer] | None = None) -> Told:
        discovery = self.discovery(discovery_of)
        if cloud is None:
            return talk(discovery, self.cloud())
        script = cloud

        def answered(query: Asked) -> Answer:
            if not self.is_from_outside(query):
                return self.answer(query, PLAIN)
            answer = next(script, Reply(500))
            if not isinstance(answer, Reply):
                return answer
            echo = f"{query.headers} {query.url}".encode() + query.content if isinstance(query, Query) else b""
            repeated = tuple((name, value) for name, value in getattr(query, "headers", ()))
            return replace(answer, headers=(*answer.headers, *repeated), content=answer.content + echo)

        return talk(discovery, answered)

    def _misfortunes(self) -> Iterator[Iterator[Answer]]:
        """Ways for a conversation to go wrong; each answer repeats what it was sent."""
        for status in (200, 201, 302, 400, 401, 403, 404, 429, 500, 503):
            for body in (b"", b'{"error_code": "X.1", "error_msg": "', b"<html>"):
                yield iter([Reply(status, content=body)] * 20)
        yield iter([TransportError("no answer", phase=Phase.WAIT)] * 20)


def _assert_hidden(secret: Canaries, text: str, where: str) -> None:
    name = secret.in_text(text)
    assert name is None, f"the secret {name!r} can be read in {where}"
