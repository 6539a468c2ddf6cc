"""Every call of the API in one table, and how a raw path finds its row."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from backroom.api.exchange import Request, Response
from backroom.domain.errors import (
    InvalidInput,
    InvalidInstanceId,
    InvalidProjectId,
    InvalidTaskId,
    InvalidTopicName,
    MethodNotAllowed,
    RouteNotFound,
    UnsupportedEngine,
)
from backroom.operations.operation import Operation

Handler = Callable[[Request], Awaitable[Response]]

_PROJECT_ID = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # what Kafka allows, whoever made it
_TASK_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

FORMS: dict[str, tuple[re.Pattern[str], type[InvalidInput]]] = {
    "project_id": (_PROJECT_ID, InvalidProjectId),
    "instance_id": (_UUID, InvalidInstanceId),
    "task_id": (_TASK_ID, InvalidTaskId),
    "topic": (_TOPIC, InvalidTopicName),
    "engine": (re.compile(r"[Kk]afka"), UnsupportedEngine),  # [D] both are in the documents
}


class Route(msgspec.Struct, frozen=True):
    """One call: `operation` is the vendor's name for it, `submits` what it may make a task of.

    One that needs its own project is refused outright in another's: there is nothing in the path
    that could be missing. `others` are successes beside `status`, each with its answer. `retries`:
    it makes a task of an old one. `streams`: it answers with Server-Sent Events when asked to.
    """

    method: str
    template: str
    operation: str
    handler: Handler
    identity: Literal["required", "optional", "none"] = "required"
    needs_own_project: bool = False
    query: tuple[str, ...] = ()
    body: type[msgspec.Struct] | None = None
    answer: Any = None
    status: int = 200
    others: tuple[tuple[int, Any], ...] = ()
    submits: tuple[Operation[Any], ...] = ()
    retries: bool = False
    body_is_optional: bool = False
    streams: bool = False

    @property
    def takes_client_token(self) -> bool:
        return bool(self.submits) or self.retries


Around = Callable[[Route], Route]
_Depth = tuple[str, int]  # method, number of slashes


def as_it_is(route: Route) -> Route:
    return route


class _Leaf(msgspec.Struct, frozen=True):
    routes: dict[str, tuple[Route, tuple[str, ...]]]  # method -> route, names of its parameters


class RouteTable:
    """A tree of path segments; a literal is tried before a parameter.

    `around` makes of each of `routes` the one that is served; `more` are served as they are.
    """

    def __init__(
        self,
        routes: tuple[Route, ...],
        around: Around = as_it_is,
        more: tuple[Route, ...] = (),
    ) -> None:
        self.routes = routes = (*map(around, routes), *more)
        self._tree: dict[Any, Any] = {}
        self._forms: dict[_Depth, list[tuple[str, Route]]] = {}
        self._plain: dict[_Depth, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            self._add(route)
            self._add_plain(route)

    def _add_plain(self, route: Route) -> None:
        """A short cut for paths whose ids all have their form: one match instead of a walk."""
        parts = re.split(r"\{(\w+)\}", route.template)
        if any(name not in FORMS for name in parts[1::2]):
            return
        parts[0::2] = map(re.escape, parts[0::2])
        parts[1::2] = (f"(?P<{name}>{FORMS[name][0].pattern})" for name in parts[1::2])
        depth = route.method, route.template.count("/")
        self._forms.setdefault(depth, []).append(("".join(parts), route))

    def _compiled(self, depth: _Depth) -> list[tuple[re.Pattern[str], Route]]:
        """By the first request of its depth: all of them would be 10 ms of every start."""
        forms = self._forms.get(depth)
        if forms is None:
            return []  # and nothing kept: what is asked for may be anything
        made = [(re.compile(form), route) for form, route in forms]
        self._plain[depth] = made
        return made

    def _add(self, route: Route) -> None:
        node, names = self._tree, []
        for segment in route.template.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node = node.setdefault(None, {})
            else:
                node = node.setdefault(segment, {})
        leaf = node.setdefault(_Leaf, _Leaf({}))
        if route.method in leaf.routes:
            raise ValueError(f"two routes for {route.method} {route.template}")
        leaf.routes[route.method] = (route, tuple(names))

    def find(self, method: str, raw_path: bytes) -> tuple[Route, dict[str, str], bool]:
        """The row, its parameters as sent, and whether these are known to have their form.

        Raises RouteNotFound, MethodNotAllowed.
        """
        path = raw_path.decode("latin-1")
        depth = method, path.count("/")
        plain = self._plain.get(depth)
        if plain is None:
            plain = self._compiled(depth)
        for pattern, route in plain:
            match = pattern.fullmatch(path)
            if match is not None:
                return route, match.groupdict(), True
        segments = path.split("/")[1:]
        values: list[str] = []
        leaf = _walk(self._tree, segments, 0, values)
        if leaf is None:
            raise RouteNotFound
        found = leaf.routes.get(method)
        if found is None:
            raise MethodNotAllowed(tuple(sorted(leaf.routes)))
        route, names = found
        return route, dict(zip(names, values, strict=True)), False


def _walk(node: Any, segments: list[str], at: int, values: list[str]) -> _Leaf | None:
    if at == len(segments):
        leaf: _Leaf | None = node.get(_Leaf)
        return leaf
    segment = segments[at]
    literal = node.get(segment)
    if literal is not None:
        leaf = _walk(literal, segments, at + 1, values)
        if leaf is not None:
            return leaf
    parameter = node.get(None)
    if parameter is None or not segment:
        return None
    values.append(segment)
    leaf = _walk(parameter, segments, at + 1, values)
    if leaf is None:
        values.pop()
    return leaf


def decode(parameters: dict[str, str]) -> None:
    """Decode percents in place, and see that each id has its form.

    Raises the id's own InvalidInput.
    """
    for name, raw in parameters.items():
        if "%" in raw:
            parameters[name] = unquote(raw)
        form = FORMS.get(name)
        if form is not None and form[0].fullmatch(parameters[name]) is None:
            raise form[1](name, f"must have the form {form[0].pattern}")
