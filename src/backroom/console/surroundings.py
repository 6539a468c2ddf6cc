"""What the console is given by the wiring."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from backroom.domain.account import Identity
from backroom.domain.errors import BackroomError
from backroom.ports import AccountStore, Clock, InstanceStore, Journal, Platform, TaskFigures, Vault
from backroom.resources.accounts import Accounts
from backroom.resources.instances import Instances
from backroom.resources.topics import Topics
from backroom.service import TaskService


class Calls(Protocol):
    async def call(
        self,
        identity: Identity,
        operation: str,
        parameters: Mapping[str, str],
        body: Any = None,
        once: str | None = None,
        reason: str | None = None,
    ) -> Any:
        """What the call of that name answers, decoded; None where it answers nothing.

        `parameters` are those of its path, without the project; `once` is a client token. Raises
        what the call is refused with.
        """


class News(Protocol):
    """Waiting for events; `rung` is read before looking at what may be new."""

    @property
    def rung(self) -> int: ...

    @property
    def is_over(self) -> bool: ...

    def in_seconds(self, delay_s: float) -> datetime: ...

    def has_come(self, moment: datetime) -> bool: ...

    async def news(self, rung: int, until: datetime) -> bool: ...


class ErrorTexts(Protocol):
    def __call__(self, error: BackroomError, *, in_chinese: bool) -> tuple[str, str]:
        """The official code, and the text in that language."""


@dataclass(frozen=True)
class Choices:
    """What forms suggest."""

    products: tuple[str, ...]
    versions: tuple[str, ...]
    storage_kinds: tuple[str, ...]


@dataclass(frozen=True)
class Surroundings:
    """`real_clock` is for sessions and attempts: an emulator's `clock` may jump and run ahead."""

    service: TaskService
    figures: TaskFigures
    journal: Journal
    instances: InstanceStore
    shown: Instances
    topics: Topics
    platform: Platform
    accounts: Accounts
    account_store: AccountStore
    vault: Vault
    clock: Clock
    real_clock: Clock
    news: News
    calls: Calls
    error_texts: ErrorTexts
    choices: Choices


__all__ = ["Calls", "Choices", "ErrorTexts", "News", "Surroundings"]
