"""An emulated ModelArts on loopback: IAM, the endpoint list, the inference gateway, and instances.

    with ModelArtsEmulator(3) as cloud:
        cloud.route(), cloud.environment       # the settings of a route, and the secrets that they refer to
        cloud.revoke_tokens()                  # every token and temporary key that was issued ends now
        cloud.iam.ahead = 1000.0               # the cloud's clock goes wrong, or ours
        cloud.iam_delay = 2.0                  # IAM is slow; `break_iam` and `refuse_iam` for worse
        cloud.refuse_list(401, "APIG.0307")    # one of the documented refusals
        cloud.list_queries, cloud.logins       # who asked, and when
        cloud.credentials_at_instances()       # must stay empty on the direct path

What is emulated as documented: the login (201 and X-Subject-Token), the check of token or signature, the codes of
refusals, the limits per user and account with the vendor's body. What nobody has published and is chosen here: the
shape of the list (A to G, see `emulated_answers.shapes`), that the window of the limit slides, and that refused calls
count.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Literal, TypeAlias

from ...core.clock import SYSTEM_CLOCK, Clock
from ...core.emulation import Fleet, LoopbackServer, ModelInstance, Rule, ServerReply, ServerRequest
from ...core.interfaces import ControlFault, Emulator, Instance
from .emulated_answers import Refuser, Shape, error, service_id
from .emulated_federation import EmulatedFederation
from .emulated_files import EmulatedFiles, credential_watch
from .emulated_gateway import EmulatedGateway
from .emulated_iam import EmulatedIam, EmulatedUser, Login
from .emulated_list import EmulatedList, ListQuery
from .emulated_metadata import EmulatedMetadata, MetadataMode
from .emulated_settings import (
    ACCESS_KEY,
    AGENCY,
    DOMAIN,
    PROJECT_ID,
    REGION,
    USER,
    CredentialType,
    credential_settings,
    credential_variables,
    emulated_partner,
    emulated_user,
    profile_text,
)

__all__ = [
    "ACCESS_KEY",
    "DOMAIN",
    "PROJECT_ID",
    "USER",
    "CredentialType",
    "ListQuery",
    "Login",
    "ModelArtsEmulator",
]

Access: TypeAlias = Literal["direct", "gateway"]


class ModelArtsEmulator(Emulator):
    """One emulated cloud.

    Args:
        instances: How many each service starts with. Default 3.
        services: How many services there are; see `service_ids`. What takes no service is about the first. Default 1.
        access: What `route` says. Default `direct`.
        credential: What `route` says. Default `password`.
        shape: Shape of the endpoint list. Default A, the best guess. See `emulated_answers.shapes`.
        processes: Whether each instance is a process of its own, which SIGKILL really ends. Default: threads.
        users: How many IAM users the account has; each has a limit of its own. Default 1.
        token_life: Seconds that an issued token lives. Default 24 hours, as Huawei's.
        key_life: Seconds that a temporary key lives at most. Default 24 hours.
        metadata: How the metadata server behaves; see `EmulatedMetadata`. Default plain.
        user_limit: Calls and seconds for each user. Default 20 in 60 s.
        tenant_limit: Calls and seconds for the account. Default 2000 in 60 s.
        security_token: What a temporary access key must bring along. Default: the key is permanent.
        application: What an instance answers. Default: the echo.
        clock: Source of time for tokens, limits and records.
    """

    def __init__(
        self,
        instances: int = 3,
        *,
        services: int = 1,
        access: Access = "direct",
        credential: CredentialType = "password",
        shape: Shape = "A",
        processes: bool = False,
        users: int = 1,
        token_life: float = 86_400.0,
        key_life: float = 86_400.0,
        metadata: MetadataMode = "plain",
        user_limit: tuple[int, float] = (20, 60.0),
        tenant_limit: tuple[int, float] = (2000, 60.0),
        security_token: str | None = None,
        application: Rule | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.access: Access = access
        self.credential: CredentialType = credential
        self.ready_token = "emulated-ready-token"  # noqa: S105 - of an emulated user
        self.users: tuple[EmulatedUser, ...] = tuple(emulated_user(number, security_token) for number in range(users))
        self.partner: EmulatedUser = emulated_partner()
        everybody = (*self.users, self.partner)
        self.iam: EmulatedIam = EmulatedIam(
            everybody, (DOMAIN, AGENCY), clock, token_life=token_life, key_life=key_life
        )
        self.iam.issue_token(self.ready_token, self.users[0].name, PROJECT_ID, float("inf"))
        self.metadata: EmulatedMetadata = EmulatedMetadata(self.iam, AGENCY, metadata)
        self.federation: EmulatedFederation = EmulatedFederation(self.iam, AGENCY)
        self.iam_delay: float = 0.0
        """Seconds that IAM takes for an answer."""
        self.service_ids: tuple[str, ...] = tuple(service_id(number) for number in range(services))
        self._first = instances
        self._files = EmulatedFiles()
        gate = Rule(f"{credential_watch.__module__}:credential_watch", {"file": str(self._files.watch)})
        self._fleets = {
            name: Fleet(gate=gate, application=application, processes=processes, prefix=prefix)
            for name, prefix in zip(self.service_ids, _prefixes(), strict=False)
        }
        self._list = EmulatedList(
            self.iam, self._fleets, shape, clock, user_limit=user_limit, tenant_limit=tenant_limit
        )
        self._gateway = EmulatedGateway(self.iam, self._fleets)
        self._iam_refuser = Refuser()
        self._server = LoopbackServer(self._answer)

    # --- the contract -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the control plane and the instances; returns when they answer."""
        try:
            self._files.start(profile_text(self.users[0]), self.federation.id_token)
            self._server.start()
            for fleet in self._fleets.values():
                fleet.start(self._first)
        except BaseException:
            self.stop()
            raise
        self._list.weights = {instance.name: None for fleet in self._fleets.values() for instance in fleet.listed}

    def stop(self) -> None:
        """Stop everything; what was recorded can still be read. Harmless when called again."""
        for fleet in self._fleets.values():
            fleet.stop()
        self._server.stop()
        self._files.stop()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The instances that were started and not removed."""
        return self.instances_of(self.service_ids[0])

    def add_instance(self, *, weight: int | None = None, service: str | None = None) -> ModelInstance:
        """Start one more instance and list it. `weight` is shown by the shapes A to E."""
        instance = self._fleets[service or self.service_ids[0]].add()
        self._list.weights[instance.name] = weight
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """Take an instance off the list; it goes on serving until it is killed or stopped."""
        fleets = self._fleets.values()
        owner = next((fleet for fleet in fleets if any(listed is instance for listed in fleet.listed)), None)
        (owner or self._fleets[self.service_ids[0]]).remove(instance)

    def break_control_plane(self, fault: ControlFault) -> None:
        """Let the endpoint list and IAM fail from now on; `ControlFault.NONE` mends both."""
        self._list.fault = self.iam.fault = fault

    def route(self) -> Mapping[str, object]:
        """The settings of a route to this cloud; see `settings`."""
        return self.settings(self.access, self.credential)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that `route` refers to."""
        return self.environment_of(self.credential)

    # --- more ---------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Origin of the emulated ModelArts API, of IAM and of the gateway."""
        return self._server.url

    def instances_of(self, service: str) -> Sequence[ModelInstance]:
        """The instances of one service that were started and not removed."""
        return self._fleets[service].listed

    @property
    def gateway_url(self) -> str:
        """The `access_address` of the service."""
        return self._gateway_url(self.service_ids[0])

    def _gateway_url(self, service: str) -> str:
        return f"{self.url}/v1/infers/{service}"

    def settings(self, access: Access, credential: CredentialType, service: str | None = None) -> dict[str, object]:
        """The settings of a route with this access and this credential, to this service."""
        route: dict[str, object] = {"provider": "huawei_modelarts", "access": access}
        service = service or self.service_ids[0]
        route |= {"service_id": service, "project_id": PROJECT_ID, "region": REGION}
        route |= {"endpoint": self.url, "iam_endpoint": self.url}
        if access == "gateway":
            route["gateway_url"] = self._gateway_url(service)
        own = credential_settings(credential, self.users, self.partner, url=self.url, files=self._files)
        return route | {"credential": own}

    def environment_of(self, credential: CredentialType) -> dict[str, str]:
        """The environment variables that `settings` with this credential refers to.

        With `environment` and `pod_identity`, these are variables of Huawei's own SDKs, which are read from the
        process's environment.
        """
        return credential_variables(
            credential, self.users, self.partner, token=self.ready_token, url=self.url, files=self._files
        )

    @property
    def profile(self) -> Path:
        """The profile file of the first user; it is there while the cloud runs."""
        return self._files.profile

    @property
    def id_token_file(self) -> Path:
        """The file with the id token of the identity provider; it is there while the cloud runs."""
        return self._files.id_token

    def rotate_id_token(self) -> None:
        """Write another id token into the file; the one before is no longer good."""
        self._files.replace_id_token(self.federation.new_id_token())

    @property
    def list_queries(self) -> list[ListQuery]:
        """Every question for an endpoint list, in order."""
        return self._list.queries

    @property
    def logins(self) -> list[Login]:
        """Every password login, in order."""
        return self.iam.logins

    def break_iam(self, fault: ControlFault) -> None:
        """Let only IAM fail from now on; `ControlFault.NONE` mends it."""
        self.iam.fault = fault

    def refuse_list(self, status: int, code: str, *, times: int | None = None) -> None:
        """Refuse the endpoint list with one of `emulated_answers.REFUSALS`, whatever the credential.

        Args:
            status: HTTP status.
            code: Such as `ModelArts.0202`.
            times: How often. Default: until `refuse_nothing`.
        """
        self._list.refuser.refuse(status, code, times)

    def refuse_iam(self, status: int, code: str, *, times: int | None = None) -> None:
        """Let IAM refuse everybody, as `refuse_list` does for the list."""
        self._iam_refuser.refuse(status, code, times)

    def refuse_nothing(self) -> None:
        """End `refuse_list` and `refuse_iam`."""
        self._list.refuser.end()
        self._iam_refuser.end()

    def revoke_tokens(self) -> None:
        """End every token and temporary key that was issued, as a change of password does. The password stays valid."""
        self.iam.revoke()
        self.metadata.end_key()

    def queries_of(self, user: str, service: str | None = None) -> list[float]:
        """When this user asked for the endpoint list, of any service or of this one (seconds since 1970)."""
        return [query.at for query in self.list_queries if query.user == user and service in (None, query.service)]

    def secrets(self) -> set[str]:
        """Every secret of this cloud, issued ones included: what must be seen nowhere."""
        everybody = (*self.users, self.partner)
        return self.iam.secrets | {text for user in everybody for text in (user.password, user.secret_key)}

    def credentials_at_instances(self) -> list[str]:
        """One line for each request with a platform credential that reached an instance."""
        return self._files.seen()

    # --- in the server's thread ---------------------------------------------------------------------------------------

    async def _answer(self, request: ServerRequest) -> ServerReply:
        reply = await self._dispatch(request)
        stamp = format_datetime(datetime.fromtimestamp(self.iam.now(), UTC), usegmt=True)
        return replace(reply, headers=(*reply.headers, ("date", stamp)))

    async def _dispatch(self, request: ServerRequest) -> ServerReply:
        answers = (
            self._list.answer(request),
            await self._gateway.answer(request),
            await self._ask_iam(request),
            self.metadata.answer(request),
            self.federation.at_pod(request),
        )
        absent = error(404, "APIG.0101", "The API does not exist or has not been published in the environment")
        return next((answer for answer in answers if answer is not None), absent)

    async def _ask_iam(self, request: ServerRequest) -> ServerReply | None:
        if not request.path.startswith(("/v3/", "/v3.0/")):
            return None
        if self.iam_delay:
            await asyncio.sleep(self.iam_delay)
        refused = self._iam_refuser.reply()
        if refused is not None:
            return refused
        if request.path == "/v3/auth/tokens":
            return self.iam.login(request)
        if request.path == "/v3.0/OS-CREDENTIAL/securitytokens":
            return self.iam.security_tokens(request)
        return self.federation.at_iam(request)


def _prefixes() -> Iterator[str]:
    """How instances are called: `modelarts-1` of the first service, `modelarts2-1` of the second."""
    yield "modelarts"
    yield from (f"modelarts{number}" for number in itertools.count(2))
