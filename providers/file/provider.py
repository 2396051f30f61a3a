"""The settings of a route to the addresses of a file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from ...core.fields import Duration, FilePath, ServerName
from ...core.interfaces import Discovery, PlainServersProvider, ProviderFacts
from ...core.outcome import Outcome, Verdict
from .discovery import FileDiscovery
from .entries import Format, format_of
from .verdicts import verdict

__all__ = ["FileProvider"]

_SHORTEST = 0.1


def _not_too_often(seconds: float) -> float:
    if seconds < _SHORTEST:
        raise ValueError(f'must be {_SHORTEST:g} seconds or more, such as "1s"')
    return seconds


class FileProvider(PlainServersProvider):
    """Calls go to the addresses that stand in a file. Whoever changes the file changes the list."""

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "file"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="Addresses in a file",
        summary="A list in a JSON, YAML or TOML file, which is read again when it changes.",
        capabilities=frozenset({"discovery", "weights"}),
    )

    path: FilePath = Field(
        description="The file. A relative path begins in the folder of the configuration file. Links are followed. It "
        "need not be there when the program starts."
    )
    format: Format | None = Field(
        default=None, description="How the file is written. Default: as its name says (.json, .yaml, .yml, .toml)."
    )
    check_every: Annotated[Duration, AfterValidator(_not_too_often)] = Field(
        default=1.0, description="How often to look whether the file has changed; 100ms or more."
    )
    server_name: ServerName | None = Field(
        default=None,
        description="The name that the certificates of entries with https must have, if the entry names none; it is "
        "sent as SNI and as Host too. Default: the host of each entry.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format is None and format_of(self.path.suffix) is None:
            raise ValueError(f'the name {self.path.name} does not tell the format: set `format`, such as "json"')
        return self

    def discovery(self) -> Discovery:
        """The file."""
        form = self.format or format_of(self.path.suffix) or "json"
        return FileDiscovery(self.path, form, self.check_every, self.server_name)

    def classify(self, outcome: Outcome) -> Verdict:
        """What HTTP itself says."""
        return verdict(outcome)
