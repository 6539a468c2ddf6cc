"""The OpenAPI documents of the two APIs, and a page of each for people, from the route table."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from backroom.api.openapi import describe
from backroom.api.routes import Route

Schema = Mapping[str, Any]

NATIVE = "/backroom/"
_BESIDE = ("/healthz", "/readyz", "/metrics")
_TITLES = {
    "v2": ("API v2", "The calls of the DMS for Kafka v2 API, and those of IAM that clients make."),
    "native": ("Native API", "What Backroom offers beside v2; no other service has these calls."),
}
_WIRE = {
    "v2": (
        "How the calls behave, and how sure that is: [tasks](../wire/tasks.md), "
        "[instances](../wire/instances.md), [topics](../wire/topics.md), [IAM](../wire/iam.md), "
        "[extensions of v2](../wire/extensions.md), [errors](../wire/errors.md). "
        "A program for each: [samples](samples/index.md)."
    ),
    "native": (
        "How the calls behave: [native API](../wire/native-api.md), "
        "[emulator](../wire/emulator.md), "
        "[health and metrics](../howto/health-and-metrics.md), [errors](../wire/errors.md)."
    ),
}
_BOUNDS = (
    ("enum", lambda v: "one of " + ", ".join(f"`{one}`" for one in v)),
    ("const", lambda v: f"`{v}`"),
    ("minimum", lambda v: f"from {v}"),
    ("maximum", lambda v: f"to {v}"),
    ("minLength", lambda v: f"at least {v} characters"),
    ("maxLength", lambda v: f"at most {v} characters"),
    ("minItems", lambda v: f"at least {v}"),
    ("maxItems", lambda v: f"at most {v}"),
    ("pattern", lambda v: f"`{v}`"),
    ("default", lambda v: f"if not said `{json.dumps(v)}`"),
)


def documents(routes: Iterable[Route]) -> dict[str, Any]:
    """OpenAPI by the name of the API."""
    routes = tuple(routes)
    native = [r for r in routes if r.template.startswith((NATIVE, *_BESIDE))]
    v2 = [r for r in routes if r not in native]
    return {"v2": describe(v2), "native": describe(native)}


def files(routes: Iterable[Route]) -> dict[str, str]:
    """The documents as files, by path below docs/."""
    return {
        f"reference/openapi-{name}.json": _indented(document)
        for name, document in documents(routes).items()
    }


def _indented(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def pages(routes: Iterable[Route]) -> dict[str, str]:
    return {
        f"reference/api-{name}.md": _page(name, document)
        for name, document in documents(routes).items()
    }


def _page(name: str, document: Schema) -> str:
    title, about = _TITLES[name]
    calls = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    rows = (
        (f"[{o['operationId']}](#{o['operationId'].lower()})", f"`{method} {path}`")
        for method, path, o in calls
    )
    parts = [
        f"# {title}\n",
        f"{about} The same for programs: [OpenAPI 3.1](openapi-{name}.json); a running server",
        "has both APIs at `/backroom/v1/openapi.json`.\n",
        f"{_WIRE[name]}\n",
        _table(("call", "request"), rows),
        *(part for call in calls for part in _call(*call)),
        "## Bodies\n",
        *(part for item in document["components"]["schemas"].items() for part in _body(*item)),
    ]
    return "\n".join(parts)


def _call(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"## {operation['operationId']}\n"
    yield f"`{method} {path}`\n"
    if "description" in operation:
        yield f"{operation['description']}\n"
    yield f"{_identity(operation['security'])}\n"
    if operation["parameters"]:
        yield _table(
            ("parameter", "in", "type", "bounds"),
            (
                (f"`{p['name']}`", p["in"], _type(p["schema"]), _bounds(p["schema"]))
                for p in operation["parameters"]
            ),
        )
    if "requestBody" in operation:
        body = operation["requestBody"]
        optional = "" if body["required"] else " (may be left out)"
        yield f"Body{optional}: {_content(body['content'])}.\n"
    yield _table(("status", "answer"), (_answer(*item) for item in operation["responses"].items()))


def _identity(security: Iterable[Schema]) -> str:
    security = list(security)
    if not security:
        return "No identity."
    return "A signature or a token, if there is one." if {} in security else "Signature or token."


def _answer(status: str, response: Schema) -> tuple[str, str]:
    content = response.get("content")
    if content is None:
        return status, response["description"]
    if int(status) >= 400:  # noqa: PLR2004  errors begin there
        return status, f"{response['description']} {_content(content)}"
    return status, _content(content)


def _content(content: Mapping[str, Schema]) -> str:
    return ", or ".join(
        _type(told["schema"]) + ("" if media == "application/json" else f" as `{media}`")
        for media, told in content.items()
    )


def _body(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    if "description" in schema:
        yield f"{' '.join(schema['description'].split())}\n"
    if "properties" not in schema:
        yield f"{_type(schema)} {_bounds(schema)}".strip() + "\n"
        return
    required = set(schema.get("required", ()))
    yield _table(
        ("field", "type", "always there", "bounds"),
        (
            (f"`{field}`", _type(told), "yes" if field in required else "", _bounds(told))
            for field, told in schema["properties"].items()
        ),
    )


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(map(_type, schema[word]))
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'])}" if schema.get("items") else "list"
        case "object" if schema.get("additionalProperties"):
            return f"object, each {_type(schema['additionalProperties'])}"
        case "string" if "format" in schema:
            return f"string ({schema['format']})"
        case None:
            return "string" if "enum" in schema else "anything"
        case kind:
            return str(kind)


def _bounds(schema: Schema) -> str:
    return ", ".join(said(schema[word]) for word, said in _BOUNDS if word in schema)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = tuple(heads)
    lines = [_row(heads), "|---" * len(heads) + "|", *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
