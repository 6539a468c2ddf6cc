"""The calls of the API, made from within this process: the same handlers, and no HTTP."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from backroom.api.exchange import Headers, Request
from backroom.api.orders import HEADER, REASON
from backroom.api.routes import RouteTable, decode
from backroom.domain.account import Identity
from backroom.domain.ids import NOWHERE
from backroom.wire.flavors import FLAVORS
from backroom.wire.instance_requests import ENGINE_VERSIONS, STORAGE_SPEC_CODES

PRODUCTS = tuple(f"c6.{name}" for name in FLAVORS)
VERSIONS = tuple(reversed(ENGINE_VERSIONS))
STORAGE_KINDS = STORAGE_SPEC_CODES

_encode = msgspec.json.Encoder().encode


class InnerCalls:
    def __init__(self, table: RouteTable) -> None:
        self._routes = {route.operation: route for route in table.routes}

    async def call(
        self,
        identity: Identity,
        operation: str,
        parameters: Mapping[str, str],
        body: Any = None,
        once: str | None = None,
        reason: str | None = None,
    ) -> Any:
        """As who asks over HTTP would be answered, decoded; None for an answer without a body."""
        route = self._routes[operation]
        given = {"project_id": identity.project_id or NOWHERE, **parameters}
        decode(dict(given))
        headers: Headers = [] if once is None else [(HEADER, once.encode())]
        if reason is not None:
            headers.append((REASON, quote(reason).encode()))
        request = Request(
            route.method,
            route.template.format(**given).encode(),
            b"",
            headers,
            b"" if body is None else _encode(body),
            dict(headers),
            secrets.token_hex(16),
            given,
        )
        request.identity = identity
        response = await route.handler(request)
        return msgspec.json.decode(response.body) if response.body else None
