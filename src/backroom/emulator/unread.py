"""What clients sent and nothing here reads: names only, never values."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

NAMES_MOST = 1_000
NAME_LENGTH_MOST = 100  # characters

Found = dict[str, dict[str, int]]

_LISTS = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)


class Unread:
    """How often each unread name came, by operation: `?name` of a query, `a.b[].c` of a body."""

    def __init__(self) -> None:
        self._found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._names = 0

    @property
    def found(self) -> Found:
        return {operation: dict(names) for operation, names in sorted(self._found.items())}

    def note(self, operation: str, names: Iterable[str]) -> None:
        for name in names:
            shown = name[:NAME_LENGTH_MOST]
            counts = self._found[operation]
            if shown not in counts:
                if self._names >= NAMES_MOST:
                    return
                self._names += 1
            counts[shown] = counts.get(shown, 0) + 1

    def clear(self) -> None:
        self._found.clear()
        self._names = 0


def unread_paths(value: Any, kind: Any) -> list[str]:
    """Paths in decoded JSON that a decoder of `kind`, a msgspec type, passes over."""
    return sorted(set(_walk(value, msgspec.inspect.type_info(kind))))


def _walk(value: Any, kind: msgspec.inspect.Type) -> Iterator[str]:
    """Where a union could be several, it is the first that has the value's shape."""
    for one in _alternatives(kind):
        if isinstance(value, dict) and isinstance(one, msgspec.inspect.StructType):
            yield from _walk_struct(value, one)
            return
        if isinstance(value, list) and isinstance(one, _LISTS):
            for item in value:
                yield from (_joined("[]", path) for path in _walk(item, one.item_type))
            return


def _walk_struct(value: dict[str, Any], kind: msgspec.inspect.StructType) -> Iterator[str]:
    known = {field.encode_name: field.type for field in kind.fields}
    for name, inner in value.items():
        if name in known:
            yield from (_joined(name, path) for path in _walk(inner, known[name]))
        else:
            yield name


def _alternatives(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    if isinstance(kind, msgspec.inspect.Metadata):
        yield from _alternatives(kind.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for one in kind.types:
            yield from _alternatives(one)
    else:
        yield kind


def _joined(name: str, path: str) -> str:
    return f"{name}{path}" if path.startswith("[]") else f"{name}.{path}"
