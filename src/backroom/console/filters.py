"""Which tasks a page shows: its URL's query to a search, and back."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.filter import Position, TaskSearch
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.stamps import stamp
from backroom.domain.task import Kind, State

WORD_MOST: Final = 256  # characters of a name, a user, a text
NAMES: Final = ("state", "name", "kind", "user", "instance", "from", "to", "text")

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII
)
_POSITION: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)~(\d{1,19})", re.ASCII)
_INSTANCE: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_YEARS: Final = range(1970, 9999)
_KEY_MOST: Final = 2**63 - 1

_E = TypeVar("_E", bound=StrEnum)
Pairs = Sequence[tuple[str, str]]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """As the URL says it, checked; empty means any."""

    states: tuple[State, ...] = ()
    names: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    user: str = ""
    instance_id: str = ""
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str = ""

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query that says the same, in one order."""
        given: list[tuple[str, Any]] = [
            *(("state", state.value) for state in self.states),
            *(("name", name) for name in self.names),
            *(("kind", kind.value) for kind in self.kinds),
            ("user", self.user),
            ("instance", self.instance_id),
            ("from", None if self.created_from is None else stamp(self.created_from)),
            ("to", None if self.created_to is None else stamp(self.created_to)),
            ("text", self.text),
        ]
        return [(name, value) for name, value in given if value]

    def query(self, **more: str) -> str:
        """With a question mark, or empty."""
        pairs = [*self.pairs, *more.items()]
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def public(self) -> dict[str, str]:
        """The same in the native API's words, for the record of a bulk task."""
        given = {
            "state": ",".join(self.states),
            "name": ",".join(self.names),
            "kind": ",".join(self.kinds),
            "user": self.user,
            "instance_id": self.instance_id,
            "created_from": "" if self.created_from is None else stamp(self.created_from),
            "created_to": "" if self.created_to is None else stamp(self.created_to),
            "text": self.text,
        }
        return {name: value for name, value in given.items() if value}

    def search(self, project_id: ProjectId) -> TaskSearch:
        return TaskSearch(
            project_id=project_id,
            instance_id=InstanceId(self.instance_id) if self.instance_id else None,
            kinds=frozenset(self.kinds),
            states=frozenset(self.states),
            names=frozenset(self.names),
            user=self.user or None,
            created_from=self.created_from,
            created_to=self.created_to,
            text=self.text or None,
        )


def decode_filter(pairs: Pairs) -> Filter:
    """Raises InvalidInput. Other names are left alone; an empty value is as not given."""
    given: dict[str, list[str]] = {name: [] for name in NAMES}
    for name, value in pairs:
        if name in given and value.strip():
            given[name].append(_word(name, value.strip()))
    single = {name: values[-1] if values else "" for name, values in given.items()}
    if single["instance"] and _INSTANCE.fullmatch(single["instance"]) is None:
        raise InvalidInput("instance", "must be the id of an instance")
    return Filter(
        states=_words("state", given["state"], State),
        names=tuple(dict.fromkeys(given["name"])),
        kinds=_words("kind", given["kind"], Kind),
        user=single["user"],
        instance_id=single["instance"],
        created_from=decode_moment("from", single["from"]),
        created_to=decode_moment("to", single["to"]),
        text=single["text"],
    )


def narrowed(wanted: Filter, allowed: Sequence[State]) -> Filter:
    """Of the states asked for, those allowed; all those allowed where none was asked for.

    Bulk tasks are left out unless asked for: they have no say over themselves.
    """
    states = tuple(state for state in (wanted.states or tuple(allowed)) if state in allowed)
    kinds = wanted.kinds or (Kind.BACKGROUND, Kind.SCHEDULED)
    return msgspec.structs.replace(wanted, states=states, kinds=kinds)


def encode_position(position: Position) -> str:
    return f"{position.created_at}~{position.key}"


def decode_position(query: Mapping[str, str]) -> Position | None:
    """Raises InvalidInput for what no page was linked with."""
    text = query.get("after")
    if not text:
        return None
    found = _POSITION.fullmatch(text)
    if found is None or int(found[2]) > _KEY_MOST:
        raise InvalidInput("after", "must be as a page links it")
    return Position(found[1], int(found[2]))


def _word(name: str, value: str) -> str:
    if len(value) > WORD_MOST:
        raise InvalidInput(name, f"must be at most {WORD_MOST} characters")
    if "\0" in value:
        raise InvalidInput(name, "must not contain NUL")
    return value


def _words(name: str, values: Sequence[str], kind: type[_E]) -> tuple[_E, ...]:
    known = {word.value: word for word in kind}
    if not all(value in known for value in values):
        raise InvalidInput(name, f"must be one of {', '.join(known)}")
    wanted = set(values)
    return tuple(word for word in kind if word.value in wanted)


def decode_moment(name: str, text: str) -> datetime | None:
    """UTC where no zone is given: pages with a script send one. Raises InvalidInput."""
    if not text:
        return None
    if _MOMENT.fullmatch(text) is not None:
        try:
            moment = datetime.fromisoformat(text)
            aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            if aware.year in _YEARS:
                return aware
    raise InvalidInput(name, "must be a time such as 2026-03-04T05:06Z")
