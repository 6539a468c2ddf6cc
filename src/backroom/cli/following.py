"""Follows tasks to their end: looks, shows, waits for news; survives a server that is away."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from backroom.cli import exits
from backroom.cli.durations import in_words
from backroom.cli.exits import CallRefused, Unreachable
from backroom.cli.sentences import tell
from backroom.cli.sources import Sighting, Source

T = TypeVar("T")

AWAY_MOST_S: Final = 300.0  # how long a server may be away before we give up
AWAY_LOOK_S: Final = 2.0
REFRESHED_MOST: Final = 8  # running tasks whose progress is asked for at each tick
NOT_FOUND: Final = 404


class View(Protocol):
    """Shows what is seen. `tick_s`: how often it wants to see progress; None: only changes."""

    tick_s: float | None

    def show(self, seen: Sighting) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    timeout_s: float | None = None
    is_fail_fast: bool = False


class Followed(msgspec.Struct, kw_only=True):
    """`seen`: the last sighting of each task, by its id, in the order asked for."""

    seen: dict[str, Sighting]
    is_late: bool = False

    @property
    def pending(self) -> list[str]:
        return [task_id for task_id, seen in self.seen.items() if not seen.is_final]

    @property
    def exit_code(self) -> int:
        """A failure counts before a cancellation, that before lateness."""
        states = {seen.state for seen in self.seen.values()}
        if "failed" in states:
            return exits.FAILED
        if "cancelled" in states:
            return exits.CANCELLED
        return exits.TIMED_OUT if self.is_late else exits.SUCCEEDED


class Follower:
    def __init__(
        self,
        source: Source,
        view: View,
        terms: Terms,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._view = view
        self._terms = terms
        self._now = now
        self._pause = pause
        self._until = None if terms.timeout_s is None else now() + terms.timeout_s
        self.followed = Followed(seen={})

    def follow(self, task_ids: Sequence[str]) -> Followed:
        """Until each has ended, the first has failed where that is asked for, or time is up.

        Raises CallRefused for one that is not there, Unreachable after AWAY_MOST_S.
        """
        for task_id in dict.fromkeys(task_ids):
            self._look(task_id)
        while self.followed.pending and not self._is_over():
            for task_id in self._due(self._source.news(self._patience_s())):
                self._look(task_id)
        return self.followed

    def follow_all(self) -> Followed:
        """What is in flight and what comes, until time is up."""
        self._keep_new()
        while not self._is_over():
            news = self._source.news(self._patience_s())
            if news is None:
                self._keep_new()
            for task_id in self._due(news) if news is None else sorted(news):
                self._look(task_id, is_known=False)
        return self.followed

    def _keep_new(self) -> None:
        """A list tells less than a look: what is known already stays as it was seen."""
        for seen in self._patiently(self._source.in_flight):
            if seen.id not in self.followed.seen:
                self._keep(seen)

    def _look(self, task_id: str, *, is_known: bool = True) -> None:
        try:
            self._keep(self._patiently(lambda: self._source.look(task_id)))
        except CallRefused as error:
            before = self.followed.seen.get(task_id)
            if error.status != NOT_FOUND or (before is None and is_known):
                raise
            if before is not None:
                gone = msgspec.structs.replace(before, state="failed", why=tell("gone", id=task_id))
                self._keep(gone)

    def _keep(self, seen: Sighting) -> None:
        self.followed.seen[seen.id] = seen
        self._view.show(seen)

    def _due(self, news: set[str] | None) -> list[str]:
        pending = self.followed.pending
        if news is None:
            return pending
        due = [task_id for task_id in pending if task_id in news]
        if self._view.tick_s is None or not self._source.may_refresh:
            return due
        moving = [t for t in pending if t not in news and self.followed.seen[t].step is not None]
        return due + moving[:REFRESHED_MOST]

    def _patience_s(self) -> float:
        patience_s = self._view.tick_s or 3600.0
        return patience_s if self._until is None else max(0.0, min(patience_s, self._left_s()))

    def _left_s(self) -> float:
        return 0.0 if self._until is None else self._until - self._now()

    def _is_over(self) -> bool:
        if self._terms.is_fail_fast and self.followed.exit_code in {exits.FAILED, exits.CANCELLED}:
            return True
        if self._until is not None and self._left_s() <= 0:
            self.followed.is_late = True
        return self.followed.is_late

    def _patiently(self, look: Callable[[], T]) -> T:
        """What it sees. A server that is away is waited for, unless nothing was seen of it yet."""
        until = self._now() + AWAY_MOST_S
        is_told = False
        while True:
            try:
                return look()
            except Unreachable as error:
                if not self.followed.seen or self._now() >= until or self._is_over():
                    raise
                if not is_told:
                    self._view.note(tell("away", why=error, most=in_words(AWAY_MOST_S)))
                    is_told = True
                self._pause(max(error.again_s or 0.0, AWAY_LOOK_S))
