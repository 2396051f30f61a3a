"""The files of the emulated machine: a profile, an id token, and a record of credentials that reached instances."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ...core.emulation import Gate, ServerReply, ServerRequest
from .signing import ALGORITHM

__all__ = ["EmulatedFiles", "credential_watch"]


class EmulatedFiles:
    """They are there while the cloud runs. Mutable state: what the record held at the end."""

    def __init__(self) -> None:
        stem = Path(tempfile.gettempdir()) / f"directlane-credentials-{secrets.token_hex(8)}"
        self.watch: Path = stem
        self.profile: Path = stem.with_suffix(".profile")
        self.id_token: Path = stem.with_suffix(".id-token")
        self._seen: list[str] = []

    def start(self, profile: str, id_token: str) -> None:
        """Write them, for nobody else to read."""
        for path, text in ((self.profile, profile), (self.id_token, id_token)):
            path.touch(mode=0o600)
            path.write_text(text)

    def replace_id_token(self, id_token: str) -> None:
        """As a cluster does: never half written."""
        new = self.id_token.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(id_token)
        new.replace(self.id_token)

    def stop(self) -> None:
        """Take them away. Harmless when called again."""
        self._seen = self.seen()
        for path in (self.watch, self.profile, self.id_token):
            path.unlink(missing_ok=True)

    def seen(self) -> list[str]:
        """One line for each request with a platform credential that reached an instance."""
        try:
            return self.watch.read_text().splitlines()
        except FileNotFoundError:
            return self._seen


def credential_watch(settings: Mapping[str, object]) -> Gate:
    """A gate that lets every request in, as an instance does, and writes down each that brought a platform credential.

    Args:
        settings: `file`: where to write one line (the path of the request) for each.
    """
    path = str(settings["file"])

    def look(request: ServerRequest) -> ServerReply | None:
        if request.header("x-auth-token") is not None or ALGORITHM in (request.header("authorization") or ""):
            with Path(path).open("a") as file:
                file.write(f"{request.path}\n")
        return None

    return look
