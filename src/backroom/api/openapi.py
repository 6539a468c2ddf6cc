"""The OpenAPI 3.1 document, made from the route table: a row there is all it takes."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from backroom import __version__
from backroom.api.exchange import Request, Response
from backroom.api.routes import FORMS, Route
from backroom.wire import iam, instances, native, tasks, topics
from backroom.wire.queries import MAX_NUMBER

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_MOMENT: Final = {"type": "string", "pattern": "^[0-9]{14}$"}  # YYYYMMDDHHmmss, UTC
_ISO: Final = {"type": "string", "format": "date-time"}
_SWITCH: Final = {"type": "string", "enum": ["true", "false"]}

_DESCRIPTION: Final = (
    "Background tasks of Kafka instances, wire-compatible with the DMS for Kafka v2 API. "
    "Every error is an Error with a code of the official list. Times in queries are UTC."
)


def _number(least: int, most: int = MAX_NUMBER, **more: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, **more}


# By name, and where two calls differ by operation and name.
_QUERY: Final[Mapping[str | tuple[str, str], Schema]] = {
    "start": _number(0, default=1),
    "offset": _number(0, default=0),
    "limit": _number(1, tasks.MAX_LIMIT, default=tasks.DEFAULT_LIMIT),
    ("ListInstances", "limit"): _number(
        1, instances.LIST_LIMIT_MAX, default=instances.LIST_LIMIT_DEFAULT
    ),
    ("ListInstanceTopics", "limit"): _number(
        0, topics.LIST_LIMIT_MAX, default=topics.LIST_LIMIT_DEFAULT
    ),
    ("SearchTasks", "limit"): _number(1, native.MAX_LIMIT, default=native.DEFAULT_LIMIT),
    "after": _number(0, native.SEQUENCE_MOST, default=0),
    "created_from": _ISO,
    "created_to": _ISO,
    "begin_time": _MOMENT,
    "end_time": _MOMENT,
    "execute_at": _MOMENT,
    ("UpdateScheduledTask", "status"): {"type": "string", "enum": ["CANCELLED", "null"]},
    "engine": {"type": "string", "enum": [instances.ENGINE]},
    "include_failure": _SWITCH,
    "exact_match_name": _SWITCH,
    "page": _number(1, default=1),
    "per_page": _number(1, iam.PAGE_SIZE_MAX, default=iam.PAGE_SIZE_MAX),
}
_ANY_TEXT: Final[Schema] = {"type": "string"}

_SECURITY: Final[Schema] = {
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Token",
        "description": "From POST /v3/auth/tokens.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "SDK-HMAC-SHA256 Access=<access key>, SignedHeaders=<a;b>, Signature=<hex>, with "
            "X-Sdk-Date within 15 minutes. SDK-HMAC-SM3, SDK-ECDSA-P256-SHA256 and "
            "V11-HMAC-SHA256 are taken, too; temporary keys add X-Security-Token."
        ),
    },
}

_HEADERS: Final[Schema] = {
    "RequestId": {
        "description": "The answer's own id, as logged.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "SubjectToken": {
        "description": "The token's text, shown here and nowhere else.",
        "required": True,
        "schema": {"type": "string"},
    },
}
_REQUEST_ID: Final = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_SUBJECT_TOKEN: Final = {"X-Subject-Token": {"$ref": "#/components/headers/SubjectToken"}}

_ERROR: Final[Schema] = {
    "title": "Error",
    "type": "object",
    "properties": {
        "error_code": {"type": "string", "examples": ["DMS.00404022"]},
        "error_msg": {"type": "string"},
        "request_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "required": ["error_code", "error_msg", "request_id"],
    "additionalProperties": False,
}
_ERROR_TEXTS: Final = {
    400: "Malformed, out of range, or not possible in the present state.",
    401: "No identity, or one that doesn't hold.",
    403: "The role may not do this.",
    404: "Missing, or another project's: the two look alike.",
    413: "The body is larger than 1 MiB.",
    429: "More requests than --rate-limit allows; Retry-After says when.",
    494: "The headers are larger than 64 KiB.",
    500: "A bug of the server.",
    503: "The database is away just now, or too many streams are open.",
}


class OpenApiHandler:
    """`routes` is asked once, by the first request: the table holds this handler's row, too."""

    def __init__(self, routes: Callable[[], Iterable[Route]]) -> None:
        self._routes = routes
        self._body: bytes | None = None

    async def show_open_api(self, _request: Request) -> Response:
        if self._body is None:
            self._body = msgspec.json.encode(describe(self._routes()))
        return Response(200, self._body)


def describe(routes: Iterable[Route]) -> Schema:
    routes = tuple(routes)
    kinds = [
        kind
        for route in routes
        for kind in (route.body, route.answer, *(answer for _, answer in route.others))
        if kind is not None
    ]
    references, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    schema_of = dict(zip(kinds, references, strict=True))
    paths: Schema = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backroom",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": _ERROR},
            "headers": _HEADERS,
            "securitySchemes": _SECURITY,
        },
    }


def _operation(route: Route, schema_of: Mapping[Any, Schema]) -> Schema:
    operation: Schema = {
        "operationId": route.operation,
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(route),
            *_header_parameters(route),
        ],
        "security": _security(route),
        "responses": {
            str(route.status): _success(route, route.answer, schema_of, streams=route.streams),
            **{str(status): _success(route, kind, schema_of) for status, kind in route.others},
            **{str(status): _failure(status) for status in _failures(route)},
        },
    }
    if route.body is not None:
        content = {"application/json": {"schema": schema_of[route.body]}}
        operation["requestBody"] = {"required": not route.body_is_optional, "content": content}
    if route.submits:
        names = ", ".join(submitted.name for submitted in route.submits)
        operation["description"] = f"Submits a background task: {names}."
    if route.retries:
        operation["description"] = "Submits a task like the one that is tried again."
    return operation


def _path_parameters(route: Route) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^(?:{FORMS[name][0].pattern})$"},
        }
        for name in _PARAMETER.findall(route.template)
    ]


def _query_parameters(route: Route) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": _QUERY.get((route.operation, name)) or _QUERY.get(name, _ANY_TEXT),
        }
        for name in route.query
    ]


def _header_parameters(route: Route) -> list[Schema]:
    schemas: Schema = {}
    if route.takes_client_token:
        schemas["X-Client-Token"] = {"type": "string", "pattern": "^[!-~]{1,64}$"}
    if any(status == 304 for status, _ in route.others):  # noqa: PLR2004  Not Modified
        schemas["If-None-Match"] = _ANY_TEXT
    if route.operation == "ShowBackgroundTask":
        schemas["Prefer"] = {"type": "string", "pattern": "^wait=[0-9]{1,3}$"}
    if route.streams:
        schemas["Last-Event-ID"] = {"type": "string", "pattern": "^[0-9]{1,16}$"}
    return [
        {"name": name, "in": "header", "required": False, "schema": schema}
        for name, schema in schemas.items()
    ]


def _security(route: Route) -> list[Schema]:
    needed: list[Schema] = [{"token": []}, {"signature": []}]
    match route.identity:
        case "required":
            return needed
        case "optional":
            return [*needed, {}]
        case "none":
            return []


def _success(
    route: Route, kind: Any, schema_of: Mapping[Any, Schema], *, streams: bool = False
) -> Schema:
    issues_token = route.operation == "KeystoneCreateUserTokenByPassword"
    answer: Schema = {
        "description": "No body." if kind is None else "The answer.",
        "headers": {**_REQUEST_ID, **(_SUBJECT_TOKEN if issues_token else {})},
    }
    if kind is not None:
        media = "text/plain" if kind is str else "application/json"
        answer["content"] = {media: {"schema": schema_of[kind]}}
        if streams:
            answer["content"]["text/event-stream"] = {"schema": _ANY_TEXT}
    return answer


def _failure(status: int) -> Schema:
    return {
        "description": _ERROR_TEXTS[status],
        "headers": _REQUEST_ID,
        "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
    }


def _failures(route: Route) -> list[int]:
    may_fail = {413, 494, 500, 503}
    if route.query or route.body is not None or "{" in route.template:
        may_fail.add(400)
    if route.identity != "none" or route.body is not None:
        may_fail.add(401)
    if route.identity != "none":
        may_fail.add(429)
    if route.identity != "none" and route.method != "GET":
        may_fail.add(403)
    if "{instance_id}" in route.template or "{task_id}" in route.template:
        may_fail.add(404)
    return sorted(may_fail)
