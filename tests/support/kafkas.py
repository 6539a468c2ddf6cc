"""A KafkaAdmin that answers badly when it is told to."""

from collections.abc import Mapping
from typing import Any

from backroom.domain.errors import KafkaUnavailable, OutcomeUnknown

CHANGES = frozenset(
    {
        "create_topics", "delete_topics", "create_partitions", "alter_configs", "reassign",
        "elect_preferred_leaders",
    }
)  # fmt: skip


class FlakyKafka:
    """The next calls of a method are `lost` (not done), `unsure` (done, and said not to be known),
    `partly` (as unsure, of the first item only) or `away` (not done, and said so). `calls` notes
    what was asked for.
    """

    def __init__(self, real: Any) -> None:
        self._real = real
        self.lost: dict[str, int] = {}
        self.unsure: dict[str, int] = {}
        self.partly: dict[str, int] = {}
        self.away: dict[str, int] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def changes(self, name: str) -> list[Any]:
        return [arguments[1] for called, arguments in self.calls if called == name]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        async def guarded(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            if _takes_one(self.away, name):
                raise KafkaUnavailable(f"{name}: away")
            if _takes_one(self.lost, name):
                raise OutcomeUnknown(f"{name}: no answer")
            if _takes_one(self.partly, name):
                await method(arguments[0], _first_of(arguments[1]))
                raise OutcomeUnknown(f"{name}: no answer")
            result = await method(*arguments)
            if _takes_one(self.unsure, name):
                raise OutcomeUnknown(f"{name}: no answer")
            return result

        return guarded


def _first_of(items: Any) -> Any:
    first = next(iter(items))
    return {first: items[first]} if isinstance(items, Mapping) else [first]


def _takes_one(left: dict[str, int], name: str) -> bool:
    if left.get(name, 0) == 0:
        return False
    left[name] -= 1
    return True
