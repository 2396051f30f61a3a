"""Names for TLS in settings."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from ..endpoint import checked_server_name

__all__ = ["ServerName"]

ServerName: TypeAlias = Annotated[str, AfterValidator(checked_server_name)]
"""The name that a certificate must have, such as `chat.example.com`; see `Endpoint.server_name`."""
