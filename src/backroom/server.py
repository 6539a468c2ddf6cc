"""One running process: the HTTP server, the worker and its rescuer, until told to stop."""

import asyncio
import fcntl
import gc
import ipaddress
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    ExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from datetime import timedelta
from pathlib import Path
from typing import IO

import msgspec
from granian.constants import Interfaces, SSLProtocols
from granian.server.embed import Server

from backroom.bootstrap import (
    Backroom,
    CannotServe,
    assemble,
    database_file,
    shown_database,
)
from backroom.certificates import TlsFiles, make_certificates, tls_files
from backroom.data_folder import ServerFile
from backroom.domain.ids import WorkerId
from backroom.engine.cleaner import EVERY, Cleaner
from backroom.engine.rescuer import Rescuer
from backroom.engine.sweeper import Sweeper
from backroom.engine.worker import POLL_S, Worker
from backroom.first_start import prepare
from backroom.settings import (
    DATABASE_FILE,
    EMULATOR_FILE,
    LOCK_FILE,
    SERVER_FILE,
    TLS_FOLDER,
    WORKER_FILE,
    Settings,
)
from backroom.tracing import tracing_of

GRACE_S = 5.0  # for steps under way when the process is told to stop
READY_WITHIN_S = 10.0
EMULATED_EVERY = timedelta(days=1)  # a year that flies by has 52,560 times ten minutes
YOUNG_OBJECTS = 50_000  # a request makes some hundred that die with it: collect more rarely


async def serve(settings: Settings, ready: Callable[[Backroom, str], Awaitable[None]]) -> None:
    """Run until SIGTERM or SIGINT. `ready` is called with the base URL once it answers."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with only_server(settings):
        async with running(settings, stop) as (backroom, endpoint):
            collect_rarely()
            await ready(backroom, endpoint)
            await stop.wait()


def collect_rarely() -> None:
    """For a process that does nothing but serve, once it answers."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


@asynccontextmanager
async def running(settings: Settings, stop: asyncio.Event) -> AsyncIterator[tuple[Backroom, str]]:
    """A Backroom that answers, with its base URL; stopped in order at the end.

    `stop` is set when it can't go on; the end of the context then raises why.
    """
    tracing = tracing_of()
    backroom = assemble(settings, tracer=tracing)
    with closing(backroom), nullcontext() if tracing is None else closing(tracing):
        async with backroom.opened():
            await _refuse_to_emulate_on_records(backroom)
            # a first start has two slow parts: a password's hash and a CA
            async with backroom.alone():
                await backroom.account_store.access_keys()  # or StoreUnavailable: the key is wrong
                await asyncio.gather(
                    prepare(backroom), asyncio.to_thread(_make_certificates, settings)
                )
            await _refuse_generated_keys_in_public(backroom)
            if backroom.emulator is not None and settings.emulator is not None:
                await backroom.emulator.begin(settings.emulator.seed)
            async with _engine(backroom, stop), _http(backroom) as endpoint:
                yield backroom, endpoint


@asynccontextmanager
async def _engine(backroom: Backroom, stop: asyncio.Event) -> AsyncIterator[None]:
    if backroom.settings.role == "api":
        yield
        return
    worker_id = _worker_id(backroom.settings.data)
    emulator = backroom.emulator
    worker = Worker(
        worker_id,
        backroom.around,
        backroom.wakeup,
        backroom.settings.slots,
        POLL_S if emulator is None else None,
    )
    rescuer = Rescuer(worker_id, backroom.around)
    settings = backroom.settings
    cleaner = Cleaner(
        backroom.around,
        backroom.finder,
        settings.retention_days,
        settings.keep_most,
        EVERY if emulator is None else EMULATED_EVERY,
    )
    sweeper = Sweeper(backroom.around, backroom.finder, backroom.account_store)
    runners: list[Worker | Rescuer | Cleaner | Sweeper] = [worker, cleaner]
    if emulator is None:
        runners += [rescuer, sweeper]  # else there is nobody to rescue from, and time may fly
    loops = [asyncio.create_task(loop.run()) for loop in runners]
    if emulator is not None:
        emulator.attach(worker, [loop.get_name() for loop in loops])
    for loop in loops:
        loop.add_done_callback(lambda _: stop.set())  # nothing would run tasks any more
    try:
        yield
    finally:
        backroom.around.stopping.set()
        backroom.wakeup.set()
        backroom.around.leftovers.noted.set()
        await asyncio.gather(*loops)
        await worker.drain(GRACE_S)


@asynccontextmanager
async def _http(backroom: Backroom) -> AsyncIterator[str]:
    settings = backroom.settings
    if settings.role == "worker":
        yield "worker"
        return
    held = _held(settings.host, settings.port)
    port = held.getsockname()[1]
    endpoint = f"{settings.scheme}://{_host_in_url(reachable(settings.host))}:{port}"
    files = None if settings.is_plain_http else tls_files(settings.data / TLS_FOLDER)
    try:
        server = _server(backroom, port, files)
    except ssl.SSLError:
        held.close()
        raise CannotServe(
            f"{settings.data / TLS_FOLDER}: server.pem and server.key can't be used; put good ones "
            "there, or empty the folder"
        ) from None
    serving = asyncio.create_task(server.serve())
    try:
        await _answers(serving, reachable(settings.host), port, is_tls=files is not None)
        written = msgspec.json.encode(ServerFile(endpoint, os.getpid(), shown_database(settings)))
        (settings.data / SERVER_FILE).write_bytes(written)
        yield endpoint
    finally:
        backroom.around.stopping.set()  # event streams end, and nothing else keeps connections
        server.stop()  # type: ignore[no-untyped-call]  # granian has no types there
        await serving
        held.close()


def _server(backroom: Backroom, port: int, files: TlsFiles | None) -> Server:
    return Server(
        backroom.application,
        address=backroom.settings.host,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
        backlog=1024,
        ssl_cert=None if files is None else files.certificate,
        ssl_key=None if files is None else files.key,
        ssl_protocol_min=SSLProtocols.tls12,  # Java 8 clients have nothing newer
    )


async def _answers(serving: "asyncio.Task[None]", host: str, port: int, *, is_tls: bool) -> None:
    """Return once a request over a new connection got its answer."""
    asking = asyncio.create_task(_ask(host, port, is_tls=is_tls))
    async with asyncio.timeout(READY_WITHIN_S):
        await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
    if not asking.done():
        asking.cancel()
        serving.result()
        raise CannotServe("the HTTP server ended before it answered")
    asking.result()


async def _ask(host: str, port: int, *, is_tls: bool) -> None:
    context = None
    if is_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # it asks itself, and the certificate may be anybody's
        context.verify_mode = ssl.CERT_NONE
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
        except ConnectionRefusedError:
            await asyncio.sleep(0.001)  # the listener's thread gives no event to wait for
            continue
        with closing(writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if await reader.readline():
                return


def _make_certificates(settings: Settings) -> None:
    if not settings.is_plain_http and settings.role != "worker":
        make_certificates(settings.data / TLS_FOLDER)


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Holds the data folder and the SQLite file, wherever it is: two would run tasks twice."""
    data, database = settings.data, database_file(settings)
    held = data.resolve() / LOCK_FILE
    with ExitStack() as locks:
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            locks.enter_context(_locked(held, data, "folder with --data"))
        except OSError as error:
            raise CannotServe(f"{data}: {error.strerror}; choose another --data") from None
        if database is not None and (lock := _lock_beside(database.resolve())) != held:
            try:
                locks.enter_context(_locked(lock, database, "--database"))
            except OSError as error:
                raise CannotServe(
                    f"{database}: {error.strerror}; choose another --database"
                ) from None
        yield


def _lock_beside(database: Path) -> Path:
    """That of the folder, for a file that is its database where --database isn't said."""
    own = database.name == DATABASE_FILE
    return database.with_name(LOCK_FILE if own else f"{database.name}.{LOCK_FILE}")


def _locked(lock: Path, served: Path, other: str) -> IO[bytes]:
    """Raises OSError where there can be no such file, CannotServe where another process has it."""
    file = lock.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise CannotServe(
            f"another process serves {served}; stop it, or choose another {other}"
        ) from None
    return file


def _worker_id(data: Path) -> WorkerId:
    """The same after each restart, so that a worker takes its own tasks back at once."""
    path = data / WORKER_FILE
    with suppress(FileNotFoundError):
        name = path.read_bytes().decode("utf-8", "replace").strip()
        if name.isprintable() and name and "\ufffd" not in name:
            return WorkerId(name)
        raise CannotServe(f"{path} holds no name; delete it, and its tasks go on after a lease")
    made = path.with_suffix(".new")
    name = f"{socket.gethostname()}-{os.urandom(4).hex()}"
    made.write_text(f"{name}\n", "utf-8")
    made.replace(path)
    return WorkerId(name)


async def _refuse_to_emulate_on_records(backroom: Backroom) -> None:
    """A reset throws records away: never those of a server that was no emulator.

    The mark of an emulator names its database. It is gone once the folder was served without.
    """
    mark = backroom.settings.data / EMULATOR_FILE
    if backroom.emulator is None:
        mark.unlink(missing_ok=True)
        return
    database = (backroom.settings.database or "").encode()
    is_ours = mark.is_file() and mark.read_bytes() == database
    if not is_ours and await backroom.account_store.projects():
        raise CannotServe(
            f"{backroom.settings.data} holds records of a server without --emulator, which a reset "
            "would throw away; choose another --data"
        )
    mark.write_bytes(database)


async def _refuse_generated_keys_in_public(backroom: Backroom) -> None:
    settings = backroom.settings
    if settings.role == "worker" or settings.allows_generated_keys_anywhere:
        return
    if _is_loopback(settings.host):
        return
    keys = await backroom.account_store.access_keys()
    if any(key.is_generated for key in keys):
        raise CannotServe(
            f"{settings.host} is reachable from elsewhere and the generated keys are still there; "
            "add your own and revoke them (backroom keys add, revoke), or say --i-know"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reachable(host: str) -> str:
    """Where a client on this machine finds a server bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  asked, not bound


def _host_in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _held(host: str, port: int) -> socket.socket:
    """Bound for as long as the server is, and never listening: no other process gets the port.

    The server shares its port with whoever allows it, as this does: so it is asked first without
    allowing, and of several processes that ask for any free port each gets one of its own.
    """
    try:
        with socket.create_server((host, port), family=_family(host)) as alone:
            address = alone.getsockname() if port else (host, 0)
        held = socket.socket(_family(host), socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as error:
        option = "--port" if port else "--host"
        raise CannotServe(f"{host}:{port}: {error.strerror}; choose another {option}") from None
    return held


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
