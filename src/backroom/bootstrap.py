"""Wires adapters to the middle. The only module that names them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from backroom.api.app import Application, Console, Receive, Scope, Send
from backroom.api.authentication import Authentication
from backroom.api.calls import PRODUCTS, STORAGE_KINDS, VERSIONS, InnerCalls
from backroom.api.configs import ConfigHandlers
from backroom.api.emulator import (
    EmulatorHandlers,
    InOrder,
    Interceptor,
    emulator_routes,
    guarded,
    intercepted,
)
from backroom.api.errors import error_texts
from backroom.api.following import Tails
from backroom.api.health import HealthHandlers
from backroom.api.iam import IamHandlers
from backroom.api.injection import (
    Injected,
    InjectionHandlers,
    UnreadNoted,
    injection_routes,
)
from backroom.api.instances import InstanceHandlers
from backroom.api.measures import Measures
from backroom.api.native import NativeEventHandlers, NativeTaskHandlers
from backroom.api.rate_limit import RateLimit, RateLimited
from backroom.api.reassignment import ReassignmentHandlers
from backroom.api.routes import Around, Route, RouteTable, as_it_is
from backroom.api.streams import EventStreams
from backroom.api.submissions import SubmissionHandlers
from backroom.api.table import route_table
from backroom.api.tasks import TaskHandlers
from backroom.api.topics import TopicHandlers
from backroom.api.watching import Watch
from backroom.clock import SystemClock, VirtualClock
from backroom.domain.errors import BackroomError, StoreUnavailable
from backroom.emulator.controls import Emulator
from backroom.emulator.faults import Faults
from backroom.emulator.seeding import Seeding
from backroom.emulator.transitions import Transitions
from backroom.engine.surroundings import Surroundings
from backroom.engine.wakeup import Wakeup
from backroom.operations.operation import as_it_is as same_step
from backroom.platforms.simulated import AT_ONCE, SimulatedPlatform
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.ports import (
    AccountStore,
    AdjustableClock,
    Clock,
    ClusterStore,
    InstanceStore,
    Journal,
    TaskFigures,
    TaskFinder,
    TaskStore,
    Tracer,
    Vault,
    WholeStore,
)
from backroom.resources.accounts import OPEN_SCRYPT_N, Accounts
from backroom.resources.cluster_health import ClusterHealth
from backroom.resources.configs import Configs
from backroom.resources.instances import Instances
from backroom.resources.reassignments import Reassignments
from backroom.resources.topics import Topics
from backroom.service import TaskService
from backroom.settings import (
    DATABASE_FILE,
    KEY_FILE,
    PASSWORD_FILE,
    EmulatorSettings,
    Settings,
)
from backroom.store.connection import MEMORY, Damaged, connect, migrate, require_whole
from backroom.store.postgres_url import SCHEMES as POSTGRES
from backroom.store.postgres_url import without_password
from backroom.store.sqlite_accounts import SqliteAccountStore
from backroom.store.sqlite_figures import SqliteTaskFigures
from backroom.store.sqlite_finder import SqliteTaskFinder
from backroom.store.sqlite_instances import SqliteClusterStore, SqliteInstanceStore
from backroom.store.sqlite_journal import SqliteJournal
from backroom.store.sqlite_tasks import SqliteTaskStore
from backroom.store.sqlite_whole import SqliteWholeStore
from backroom.store.vault import FileVault
from backroom.store.writer import Writer

DOMAIN_NAME = "backroom"
DOMAIN_ID = "0" * 31 + "1"  # one domain, the same in every deployment


class CannotServe(BackroomError):
    """Something about this machine or these settings forbids to start; the text says what to do."""


Within = Callable[[], AbstractAsyncContextManager[None]]


class _Stores(msgspec.Struct, frozen=True):
    """All stores of one process, and the clock that what they keep compares on."""

    clock: Clock
    tasks: TaskStore
    finder: TaskFinder
    figures: TaskFigures
    journal: Journal
    instances: InstanceStore
    clusters: ClusterStore
    accounts: AccountStore
    whole: WholeStore | None
    forget: Callable[[], None]
    opened: Within
    alone: Within
    close: Callable[[], None]


class Backroom(msgspec.Struct, frozen=True):
    """All parts of one process, wired. `wakeup` is set when a lane may have become ready.

    The stores may be used within `opened`. Of all processes on one database, one at a time is
    within `alone`.
    """

    settings: Settings
    clock: Clock
    tasks: TaskStore
    finder: TaskFinder
    journal: Journal
    tails: Tails
    instances: InstanceStore
    account_store: AccountStore
    accounts: Accounts
    platform: SimulatedPlatform
    kafka: SimulatedKafka
    service: TaskService
    application: Application
    table: RouteTable
    around: Surroundings
    wakeup: Wakeup
    opened: Within
    alone: Within
    close: Callable[[], None]
    limit: RateLimit
    emulator: Emulator | None


def assemble(
    settings: Settings, clock: Clock | None = None, tracer: Tracer | None = None
) -> Backroom:
    """Wire everything; a SQLite store is opened at once, its schema brought up to date.

    Raises CannotServe, StoreUnavailable.
    """
    _refuse_unfit_emulator(settings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    _require_not_emptied(settings)
    wakeup, stopping = Wakeup(), asyncio.Event()
    vault = FileVault(settings.data / KEY_FILE)
    make = _postgres_stores if is_shared(settings) else _sqlite_stores
    stores = make(settings, clock, vault, wakeup)
    virtual = _virtual_clock(settings)
    middle = _middle(settings, stores, vault, virtual or stores.clock, stopping)
    emulator = None if virtual is None else _emulator(settings, virtual, stores, vault)
    limit = RateLimit(settings.rate_limit_per_s)
    measures = Measures()
    authentication = Authentication(
        middle.accounts,
        stores.accounts,
        middle.real_clock,
        middle.service.submitted_before,
        takes_repeats=emulator is not None,
    )
    handlers = _handlers(settings, middle, measures, authentication)
    table = route_table(
        *handlers,
        around=_around(emulator, limit, stopping),
        more=_emulator_routes(
            settings, emulator, limit, lambda: {route.operation for route in table.routes}
        ),
    )
    pages = _Console(lambda: _console(middle, handlers, emulator))
    if emulator is not None:
        _reset_with(emulator, middle, limit, pages)
    return Backroom(
        settings=settings,
        clock=middle.clock,
        tasks=stores.tasks,
        finder=stores.finder,
        journal=stores.journal,
        tails=middle.tails,
        instances=stores.instances,
        account_store=stores.accounts,
        accounts=middle.accounts,
        platform=middle.platform,
        kafka=middle.kafka,
        service=middle.service,
        application=Application(table, authentication, measures, tracer, pages),
        table=table,
        around=_surroundings(middle, stopping, tracer, emulator),
        wakeup=wakeup,
        opened=stores.opened,
        alone=stores.alone,
        close=stores.close,
        limit=limit,
        emulator=emulator,
    )


class _Middle(msgspec.Struct, frozen=True):
    """What HTTP, pages and the engine share.

    Tasks go by `clock`, which an emulator moves; what somebody outside compares with a clock of
    his own goes by `real_clock`.
    """

    stores: _Stores
    vault: Vault
    clock: Clock
    real_clock: Clock
    accounts: Accounts
    platform: SimulatedPlatform
    kafka: SimulatedKafka
    service: TaskService
    configs: Configs
    shown: Instances
    topics: Topics
    watch: Watch
    tails: Tails


def _middle(
    settings: Settings, stores: _Stores, vault: Vault, clock: Clock, stopping: asyncio.Event
) -> _Middle:
    tasks, instances, real = stores.tasks, stores.instances, stores.clock
    platform = SimulatedPlatform(stores.clusters, clock, settings.timings)
    kafka = SimulatedKafka(stores.clusters, platform, clock, _kafka_timings(settings))
    watch = Watch(stores.journal, real, stopping)
    return _Middle(
        stores=stores,
        vault=vault,
        clock=clock,
        real_clock=real,
        accounts=Accounts(
            stores.accounts,
            real,
            domain_id=DOMAIN_ID,
            domain_name=DOMAIN_NAME,
            scrypt_n=_scrypt_n(settings),
        ),
        platform=platform,
        kafka=kafka,
        service=TaskService(tasks, stores.finder, instances, vault, clock, settings.limits),
        configs=Configs(kafka, instances),
        shown=Instances(instances, tasks),
        topics=Topics(kafka, instances, tasks, stores.clusters, clock),
        watch=watch,
        tails=Tails(stores.journal, watch),
    )


_Handlers = tuple[
    TaskHandlers,
    SubmissionHandlers,
    InstanceHandlers,
    IamHandlers,
    TopicHandlers,
    ConfigHandlers,
    ReassignmentHandlers,
    HealthHandlers,
    NativeTaskHandlers,
    NativeEventHandlers,
]


def _handlers(
    settings: Settings, middle: _Middle, measures: Measures, authentication: Authentication
) -> _Handlers:
    service, kafka, clock = middle.service, middle.kafka, middle.clock
    stores = middle.stores
    finder, journal, instances = stores.finder, stores.journal, stores.instances
    streams = EventStreams(middle.tails, middle.watch)
    return (
        TaskHandlers(service, middle.tails, middle.watch),
        SubmissionHandlers(service, middle.shown, clock),
        InstanceHandlers(middle.shown, ClusterHealth(kafka, instances), settings.region),
        IamHandlers(middle.accounts, (settings.region,)),
        TopicHandlers(middle.topics),
        ConfigHandlers(service, middle.configs),
        ReassignmentHandlers(service, Reassignments(kafka, finder), middle.configs, clock),
        HealthHandlers(finder, journal, measures, clock),
        NativeTaskHandlers(service, clock),
        NativeEventHandlers(service, instances, journal, streams, authentication),
    )


def _console(middle: _Middle, handlers: _Handlers, emulator: Emulator | None) -> Console:
    from backroom.console.application import console  # noqa: PLC0415  80 ms of every start
    from backroom.console.surroundings import Choices  # noqa: PLC0415
    from backroom.console.surroundings import Surroundings as Shown  # noqa: PLC0415

    stores = middle.stores
    return console(
        Shown(
            service=middle.service,
            figures=stores.figures,
            journal=stores.journal,
            instances=stores.instances,
            shown=middle.shown,
            topics=middle.topics,
            platform=middle.platform,
            accounts=middle.accounts,
            account_store=stores.accounts,
            vault=middle.vault,
            clock=middle.clock,
            real_clock=middle.real_clock,
            news=middle.watch,
            calls=InnerCalls(route_table(*handlers, around=_in_order(emulator))),
            error_texts=error_texts,
            choices=Choices(PRODUCTS, VERSIONS, STORAGE_KINDS),
        )
    )


def _surroundings(
    middle: _Middle, stopping: asyncio.Event, tracer: Tracer | None, emulator: Emulator | None
) -> Surroundings:
    return Surroundings(
        middle.stores.tasks,
        middle.stores.instances,
        middle.platform,
        middle.clock,
        middle.vault,
        stopping,
        middle.kafka,
        tracer=tracer,
        wrap_step=same_step if emulator is None else emulator.transitions.wrap_step,
    )


def _reset_with(emulator: Emulator, middle: _Middle, limit: RateLimit, pages: "_Console") -> None:
    """A reset reaches what is kept in memory, too."""
    emulator.on_reset.append(limit.restart)
    emulator.forget += [
        middle.stores.forget,
        middle.accounts.forget_failures,
        middle.service.forget_usual,
        pages.forget,
    ]


def _refuse_unfit_emulator(settings: Settings) -> None:
    if settings.emulator is None:
        return
    if is_shared(settings) or settings.role != "all":
        raise CannotServe("an emulator is one process on SQLite: leave out --role, and postgresql")


def _virtual_clock(settings: Settings) -> VirtualClock | None:
    asked = settings.emulator
    return None if asked is None else VirtualClock(asked.clock_speed, is_frozen=asked.is_frozen)


def _scrypt_n(settings: Settings) -> int | None:
    """An emulator open to anybody, with nothing but memory, has no password worth the time.

    None: the usual cost.
    """
    asked = settings.emulator
    is_open = asked is not None and asked.is_open and settings.database == "sqlite://"
    return OPEN_SCRYPT_N if is_open else None


def _kafka_timings(settings: Settings) -> KafkaTimings:
    """In an emulator a change is seen at once: a request must not wait for time that stands."""
    if settings.emulator is None:
        return settings.kafka_timings
    return msgspec.structs.replace(settings.kafka_timings, metadata_lag_s=0.0)


def _emulator(
    settings: Settings, clock: AdjustableClock, stores: _Stores, vault: Vault
) -> Emulator:
    asked = settings.emulator or EmulatorSettings()
    timings = msgspec.structs.replace(_kafka_timings(settings), moves_at_once=True)
    platform = SimulatedPlatform(stores.clusters, clock, AT_ONCE)
    kafka = SimulatedKafka(stores.clusters, platform, clock, timings)
    faults = Faults()
    transitions = Transitions(asked.transitions, clock, platform, kafka, faults.wrap_step)
    whole = stores.whole
    assert whole is not None  # noqa: S101  for the type: other stores have been refused
    seeding = Seeding(stores.accounts, stores.instances, whole, platform, kafka, vault, clock)
    return Emulator(clock, transitions, stores.tasks, whole, seeding, faults)


def _around(emulator: Emulator | None, limit: RateLimit, stopping: asyncio.Event) -> Around:
    interceptors: list[Interceptor] = []
    if emulator is not None:
        interceptors = [
            UnreadNoted(emulator.unread),
            InOrder(emulator),
            Injected(emulator.faults, stopping),
        ]
    if emulator is not None or limit.per_s is not None:
        interceptors.insert(0, RateLimited(limit))
    if not interceptors:
        return as_it_is
    return lambda route: intercepted(route, interceptors)


def _in_order(emulator: Emulator | None) -> Around:
    """For what people ask in the console: no faults, no limits, but its turn in an emulator."""
    if emulator is None:
        return as_it_is
    interceptor = InOrder(emulator)
    return lambda route: intercepted(route, (interceptor,))


def _emulator_routes(
    settings: Settings,
    emulator: Emulator | None,
    limit: RateLimit,
    operations: Callable[[], Collection[str]],
) -> tuple[Route, ...]:
    if emulator is None or settings.emulator is None:
        return ()
    is_open = settings.emulator.is_open
    handlers = InjectionHandlers(emulator.faults, limit, emulator.unread, operations)
    injections = tuple(guarded(one, is_open=is_open) for one in injection_routes(handlers))
    return emulator_routes(EmulatorHandlers(emulator), is_open=is_open) + injections


class _Console:
    """Imported and made at the first request, in a thread: a start needn't wait for it."""

    def __init__(self, make: Callable[[], Console]) -> None:
        self._make = make
        self._made: Console | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            async with self._making:
                if self._made is None:
                    self._made = await asyncio.to_thread(self._make)
        made = self._made
        await made(scope, receive, send)

    def forget(self) -> None:
        """What it has seen is of another time: it is made anew."""
        self._made = None


def is_shared(settings: Settings) -> bool:
    """Whether processes on several hosts may use the database at once."""
    return (settings.database or "").startswith(POSTGRES)


def shown_database(settings: Settings) -> str | None:
    """The URL without a password."""
    url = settings.database
    return without_password(url) if url is not None and is_shared(settings) else url


def database_file(settings: Settings) -> Path | None:
    """None for a database in memory, or of a server; and for what can't be one."""
    found = None if is_shared(settings) else _database(settings)
    return found if isinstance(found, Path) and not found.is_dir() else None


def _sqlite_stores(
    settings: Settings, clock: Clock | None, vault: Vault, wakeup: Wakeup
) -> _Stores:
    clock = clock or SystemClock()
    database = _database(settings)
    writing = _opened(database, durable=settings.is_durable and settings.emulator is None)
    in_memory = str(database) == MEMORY
    writer = Writer(writing, on_thread=not in_memory)
    reader = writing if in_memory else connect(database)
    journal = SqliteJournal(reader, clock)

    accounts = SqliteAccountStore(reader, writer, vault)

    def forget() -> None:
        accounts.forget()
        journal.ring()

    def close() -> None:
        writer.close()
        if not in_memory:
            reader.close()

    return _Stores(
        clock=clock,
        tasks=SqliteTaskStore(
            reader, writer, wakeup.set, journal.ring, on_new=wakeup.came, is_alone=in_memory
        ),
        finder=SqliteTaskFinder(reader, writer),
        figures=SqliteTaskFigures(reader),
        journal=journal,
        instances=SqliteInstanceStore(reader, writer, is_alone=in_memory),
        clusters=SqliteClusterStore(reader, writer),
        accounts=accounts,
        whole=SqliteWholeStore(reader, writer, is_alone=in_memory),
        forget=forget,
        opened=nullcontext,
        alone=nullcontext,
        close=close,
    )


def _opened(database: Path | str, *, durable: bool) -> Any:
    """A connection, its schema up to date. Raises CannotServe with what to do."""
    try:
        if isinstance(database, Path):
            database.touch(mode=0o600)  # SQLite gives its side files the same mode
        connection = connect(database, durable=durable)
        if isinstance(database, Path):
            require_whole(connection)
        migrate(connection)
    except OSError as error:
        raise CannotServe(f"{database}: {error.strerror}") from None
    except Damaged as damage:
        raise CannotServe(
            f"{database} is damaged ({damage}); put a backup in its place, or look at all of it: "
            "backroom db check"
        ) from None
    except StoreUnavailable as error:
        raise CannotServe(f"{database}: {error}") from None
    return connection


def _require_not_emptied(settings: Settings) -> None:
    """An empty file is a new database to SQLite; here it was another one before."""
    database = settings.data / DATABASE_FILE
    is_empty = database.is_file() and database.stat().st_size == 0
    if settings.database is None and is_empty and (settings.data / PASSWORD_FILE).exists():
        raise CannotServe(
            f"{database} is empty, and was not before; put a backup in its place, or begin anew "
            "in another --data"
        )


def _postgres_stores(
    settings: Settings, clock: Clock | None, vault: Vault, wakeup: Wakeup
) -> _Stores:
    from backroom.store.postgres_stores import (  # noqa: PLC0415  asyncpg: 50 ms of every start
        EVENTS,
        READY,
        OtherKey,
        PostgresStores,
    )

    stores = PostgresStores(
        settings.database or "",
        vault,
        wakeup.set,
        clock,
        on_new=wakeup.came,
        hears={"api": {EVENTS}, "worker": {READY}}.get(settings.role, {EVENTS, READY}),
    )

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        try:
            async with stores.opened():
                yield
        except OtherKey as error:
            raise CannotServe(
                f"{error}; copy {KEY_FILE} from the data folder of another process of this "
                f"deployment to {settings.data}"
            ) from None

    return _Stores(
        clock=stores.clock,
        tasks=stores.tasks,
        finder=stores.finder,
        figures=stores.figures,
        journal=stores.journal,
        instances=stores.instances,
        clusters=stores.clusters,
        accounts=stores.accounts,
        whole=None,
        forget=lambda: None,
        opened=opened,
        alone=stores.alone,
        close=stores.close,
    )


def _database(settings: Settings) -> Path | str:
    url = settings.database
    if url is None:
        return settings.data / DATABASE_FILE
    if url == "sqlite://":
        return MEMORY
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    scheme, is_url, _ = url.partition("://")  # what is no URL may hold a password
    raise CannotServe(
        f"--database {scheme if is_url else '...'}: only sqlite:///PATH and postgresql://USER@HOST/NAME"
    )
