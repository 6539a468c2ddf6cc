"""The IAM calls, on the same port as the Kafka API because their paths don't collide."""

from collections.abc import Sequence

from backroom.api.exchange import Request, Response, json_response
from backroom.domain.account import Identity, Project, Token
from backroom.domain.errors import Forbidden, Unauthenticated
from backroom.resources.accounts import TOKEN_REFUSED, Accounts
from backroom.wire import iam as wire


class IamHandlers:
    """Named after the vendor's operations.

    keystone_create_user_token_by_password needs no identity; create_temporary_access_key_by_token
    takes one from the headers or a token from the body; the lists need one.
    """

    def __init__(self, accounts: Accounts, regions: Sequence[str]) -> None:
        self._accounts = accounts
        self._regions = tuple(regions)

    async def keystone_create_user_token_by_password(self, request: Request) -> Response:
        """The token's text stands in X-Subject-Token and nowhere else [D]."""
        login = wire.decode_login(request.json(wire.AuthBody))
        if isinstance(login, wire.PasswordLogin):
            method = "password"
            text, token = await self._accounts.issue_token(
                login.user_name, login.password, login.domain, login.scope
            )
        else:
            method = "token"
            text, token = await self._accounts.rescope_token(login.token, login.scope)
        project = await self._project_of(token)
        return json_response(
            wire.encode_token(token, method, self._accounts.domain(), project),
            201,
            [(b"x-subject-token", text.encode())],
        )

    async def keystone_list_projects(self, request: Request) -> Response:
        who = request.who
        query = wire.decode_project_query(request.query())
        projects = await self._accounts.projects_of(who, query.name)
        return json_response(wire.encode_projects(projects, self._accounts.domain(), query))

    async def keystone_list_auth_domains(self, request: Request) -> Response:
        _ = request.who  # a route that forgot to ask for one fails
        return json_response(wire.encode_domains(self._accounts.domain()))

    async def keystone_list_regions(self, request: Request) -> Response:
        _ = request.who  # a route that forgot to ask for one fails
        return json_response(wire.encode_regions(self._regions))

    async def create_temporary_access_key_by_token(self, request: Request) -> Response:
        wanted = wire.decode_temporary_key(request.json(wire.AuthBody))
        who = await self._for_whom(request, wanted)
        key, security_token = await self._accounts.issue_temporary_key(who, wanted.duration_s)
        return json_response(wire.encode_credential(key, security_token), 201)

    async def _for_whom(self, request: Request, wanted: wire.TemporaryKeyRequest) -> Identity:
        if request.header(b"x-security-token"):
            # Else who once got hold of a key for 15 minutes could keep one for ever.
            raise Forbidden("a temporary key can't make another")
        if request.identity is not None:
            return request.identity
        if wanted.token is None:
            raise Unauthenticated(TOKEN_REFUSED)
        return await self._accounts.identify_token(wanted.token)

    async def _project_of(self, token: Token) -> Project | None:
        if token.project_id is None:
            return None
        who = Identity(token.project_id, token.user_id, token.user_name, token.role)
        projects = await self._accounts.projects_of(who)
        return projects[0] if projects else None
