"""With which key the control plane is asked: settings, and where the key comes from.

A fixed key stands in the configuration. The chain is the vendor's own: environment, OIDC, CLI profile, credentials
file, ECS role, URI. Its package looks for keys by blocking calls, so it is asked in a thread.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Generator, Hashable
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, TypeAlias, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ...core.errors import CredentialError
from ...core.fields import Secret
from ...core.interfaces import LocalQuery, Query
from ...core.message import Reply
from .signing import AccessKey

__all__ = ["AccessKeyCredential", "ChainCredential", "ChainKey", "Credential", "FixedKey", "KeySource", "key_source"]

_LIBRARY = "alibabacloud_credentials"
_HOW_TO_INSTALL = "pip install 'directlane[alibaba]'"


def _sendable(secret: Secret) -> Secret:
    if not secret.reveal().isascii() or " " in secret.reveal():
        raise ValueError("it has a space or a character that is not ASCII; is it the right one?")
    return secret


class _Credential(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AccessKeyCredential(_Credential):
    """An access key."""

    type: Literal["access_key"]
    access_key_id: str = Field(pattern=r"^[\x21-\x2b\x2d-\x7e]+$", description="The public half of the access key.")
    access_key_secret: Annotated[Secret, AfterValidator(_sendable)] = Field(
        description="The secret half. Only signatures made with it are sent."
    )
    security_token: Annotated[Secret, AfterValidator(_sendable)] | None = Field(
        default=None, description="Goes with a temporary pair (STS). Default: the pair is permanent."
    )


class ChainCredential(_Credential):
    """The default credential chain of Alibaba Cloud. Needs the extra `alibaba`."""

    type: Literal["chain"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if importlib.util.find_spec(_LIBRARY) is None:
            raise ValueError(f"the credential chain needs a package that is not installed: {_HOW_TO_INSTALL}")
        return self


Credential: TypeAlias = Annotated[AccessKeyCredential | ChainCredential, Field(discriminator="type")]
"""One of the two; `type` says which."""


class KeySource(Protocol):
    """Gives the access key for a request."""

    @property
    def identity(self) -> Hashable:
        """Equal for equal keys. Holds no secret in clear."""
        ...

    def key(self) -> Generator[Query | LocalQuery, Reply, AccessKey]:
        """A part of a conversation that ends with the key.

        Raises:
            CredentialError: There is none.
        """
        ...


def key_source(credential: Credential) -> KeySource:
    """Where the key comes from. For the chain: imports the vendor's package."""
    if isinstance(credential, AccessKeyCredential):
        return FixedKey(AccessKey(credential.access_key_id, credential.access_key_secret, credential.security_token))
    return ChainKey()


class FixedKey:
    """A key that is known."""

    def __init__(self, key: AccessKey) -> None:
        self._key = key

    @property
    def identity(self) -> Hashable:
        token = self._key.security_token
        return self._key.id, self._key.secret.fingerprint(), None if token is None else token.fingerprint()

    def key(self) -> Generator[Query | LocalQuery, Reply, AccessKey]:
        yield from ()
        return self._key


class ChainKey:
    """Asks the vendor's chain each time: the package keeps temporary keys and renews them before their end.

    Args:
        client: Has `get_credential()`. Default: the vendor's `Client()`.
    """

    def __init__(self, client: object = None) -> None:
        # Imported here, in the thread of the caller: a fork while another thread imports would leave the lock of that
        # import closed in the child. The package reads the environment when it is imported.
        self._make: Callable[[], object] | None = None
        if client is None:
            self._make = importlib.import_module(f"{_LIBRARY}.client").Client
        self._client = client
        self._found: AccessKey | None = None

    @property
    def identity(self) -> Hashable:
        return "chain"

    def key(self) -> Generator[Query | LocalQuery, Reply, AccessKey]:
        try:
            yield LocalQuery("the credential chain of Alibaba Cloud", self._look)
        except CredentialError:
            raise
        except Exception as error:
            # Its text may quote an answer of the metadata server, which holds keys.
            raise CredentialError(
                f"the credential chain of Alibaba Cloud gives no key ({type(error).__name__}). Next: set "
                "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, give this host a RAM role, or write "
                "the key into `control_plane.credential`"
            ) from error
        assert self._found is not None  # noqa: S101 - `_look` sets it or raises
        return self._found

    def _look(self) -> Reply:
        """In a thread: blocks."""
        if self._make is not None and self._client is None:
            self._client = self._make()
        found = cast("Any", self._client).get_credential()  # the package has no types
        key_id, secret, token = found.access_key_id, found.access_key_secret, found.security_token
        if not isinstance(key_id, str) or not isinstance(secret, str) or not key_id or not secret:
            raise LookupError("the chain answered without a key")
        self._found = AccessKey(key_id, Secret(secret), Secret(token) if isinstance(token, str) and token else None)
        return Reply(200)
