"""Wires adapters to the middle. The only module that names them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backroom.api.app import Application
from backroom.api.authentication import Authentication
from backroom.api.iam import IamHandlers
from backroom.api.instances import InstanceHandlers
from backroom.api.routes import RouteTable
from backroom.api.submissions import SubmissionHandlers
from backroom.api.table import route_table
from backroom.api.tasks import TaskHandlers
from backroom.clock import SystemClock
from backroom.domain.errors import BackroomError
from backroom.engine.attempt import Surroundings
from backroom.platforms.simulated import SimulatedPlatform
from backroom.ports import Clock
from backroom.resources.accounts import Accounts
from backroom.resources.instances import Instances
from backroom.service import TaskService
from backroom.settings import DATABASE_FILE, KEY_FILE, Settings
from backroom.store.connection import MEMORY, connect, migrate
from backroom.store.sqlite_accounts import SqliteAccountStore
from backroom.store.sqlite_instances import SqliteClusterStore, SqliteInstanceStore
from backroom.store.sqlite_tasks import SqliteTaskStore
from backroom.store.vault import FileVault
from backroom.store.writer import Writer

DOMAIN_NAME = "backroom"
DOMAIN_ID = "0" * 31 + "1"  # one domain, the same in every deployment


class CannotServe(BackroomError):
    """Something about this machine or these settings forbids to start; the text says what to do."""


@dataclass(frozen=True)
class Backroom:
    """All parts of one process, wired. `wakeup` is set when a lane may have become ready."""

    settings: Settings
    clock: Clock
    tasks: SqliteTaskStore
    instances: SqliteInstanceStore
    account_store: SqliteAccountStore
    accounts: Accounts
    platform: SimulatedPlatform
    service: TaskService
    application: Application
    table: RouteTable
    around: Surroundings
    wakeup: asyncio.Event
    close: Callable[[], None]


def assemble(settings: Settings, clock: Clock | None = None) -> Backroom:
    """Open the store (its schema brought up to date) and wire everything; starts nothing.

    Raises CannotServe, StoreUnavailable.
    """
    clock = clock or SystemClock()
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = _database(settings)
    if isinstance(database, Path):
        database.touch(mode=0o600)  # SQLite gives its side files the same mode
    writing = connect(database, durable=settings.is_durable)
    migrate(writing)
    in_memory = str(database) == MEMORY
    writer = Writer(writing, on_thread=not in_memory)
    reader = writing if in_memory else connect(database)
    wakeup = asyncio.Event()
    vault = FileVault(settings.data / KEY_FILE)
    tasks = SqliteTaskStore(reader, writer, wakeup.set)
    instances = SqliteInstanceStore(reader, writer)
    account_store = SqliteAccountStore(reader, writer, vault)
    accounts = Accounts(account_store, clock, domain_id=DOMAIN_ID, domain_name=DOMAIN_NAME)
    platform = SimulatedPlatform(SqliteClusterStore(reader, writer), clock, settings.timings)
    service = TaskService(tasks, instances, vault, clock)
    shown = Instances(instances, tasks)
    table = route_table(
        TaskHandlers(service, clock),
        SubmissionHandlers(service, shown, clock),
        InstanceHandlers(shown),
        IamHandlers(accounts, (settings.region,)),
    )

    def close() -> None:
        writer.close()
        if not in_memory:
            reader.close()

    return Backroom(
        settings=settings,
        clock=clock,
        tasks=tasks,
        instances=instances,
        account_store=account_store,
        accounts=accounts,
        platform=platform,
        service=service,
        application=Application(table, Authentication(accounts, account_store, clock)),
        table=table,
        around=Surroundings(tasks, instances, platform, clock, vault, asyncio.Event()),
        wakeup=wakeup,
        close=close,
    )


def _database(settings: Settings) -> Path | str:
    url = settings.database
    if url is None:
        return settings.data / DATABASE_FILE
    if url == "sqlite://":
        return MEMORY
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    raise CannotServe(f"--database {url.partition('://')[0]}: only sqlite:///PATH so far")
