"""Where a service's affinity key comes from, as it stands in a configuration file."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = ["AffinitySettings", "PromptPrefix"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_WRONG_ESCAPE = re.compile(r"~(?![01])")


def _checked_token(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("must be a name without spaces and separators, such as X-User")
    return name


def _checked_pointer(pointer: str) -> str:
    if pointer and not pointer.startswith("/"):
        raise ValueError("must be a JSON pointer, which begins with '/', such as /user/id")
    if _WRONG_ESCAPE.search(pointer):
        raise ValueError("has a '~' that is not written as '~0'; in a JSON pointer '~1' means '/'")
    return pointer


_Token = Annotated[str, AfterValidator(_checked_token)]
_Pointer = Annotated[str, AfterValidator(_checked_pointer)]


class PromptPrefix(BaseModel):
    """The beginning of a prompt as a key, so that calls which share it find the same cache."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pointer: _Pointer = Field(
        default="/messages", description="JSON pointer to the prompt: a text, or a list of messages."
    )
    characters: int = Field(default=128, ge=1, le=1_000_000, description="Length of a block, in characters.")
    blocks: int = Field(default=2, ge=1, le=1000, description="How many whole blocks count at most.")


class AffinitySettings(BaseModel):
    """Where the affinity key of a call comes from, unless the caller gives one. Exactly one source."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    header: _Token | None = Field(default=None, description="A header field of the request, such as X-User.")
    cookie: _Token | None = Field(default=None, description="A cookie of the request.")
    query: str | None = Field(default=None, min_length=1, description="A parameter in the query of the path.")
    json_pointer: _Pointer | None = Field(
        default=None, description="A value in the JSON body, by JSON pointer (RFC 6901), such as /user/id."
    )
    prompt_prefix: PromptPrefix | None = Field(default=None, description="The beginning of the prompt in a JSON body.")

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        sources = [self.header, self.cookie, self.query, self.json_pointer, self.prompt_prefix]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("needs exactly one of: header, cookie, query, json_pointer, prompt_prefix")
        return self
