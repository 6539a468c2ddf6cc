"""`backroom doctor`: each thing that a server on this machine needs, and what to do about it."""

import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import typer

from backroom.cli.client import Client, Server, told_by
from backroom.cli.exits import FAILED, CallFailed
from backroom.cli.loop import run
from backroom.cli.output import Column, Format, Output, warn
from backroom.cli.sentences import LANGUAGES, choose, tell
from backroom.data_folder import (
    AUDIT_KEY_FILE,
    AUTHORITY_FILE,
    DATABASE_FILE,
    KEY_FILE,
    PASSWORD_FILE,
    SERVER_FILE,
    TLS_FOLDER,
    ServerFile,
    default_data,
    last_served,
)
from backroom.wire.signing_requests import RequestKey

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PORT: Final = 8443  # what serve takes if not told
FREE_LEAST_MB: Final = 500
APART_MOST_S: Final = 60  # signatures are refused from 900 s on
BACK_MOST_S: Final = 5
RENEW_DAYS: Final = 30
ANSWERS_WITHIN_S: Final = 10
SECRETS: Final = (KEY_FILE, AUDIT_KEY_FILE, PASSWORD_FILE, f"{TLS_FOLDER}/server.key")
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

# what it needs, how it tells its version, and which one is enough
TOOLS: Final = (
    ("Java", "java do", ("java", "-version"), 11),
    ("Maven", "maven do", ("mvn", "-version"), 3),
    ("PostgreSQL", "postgresql do", ("postgres", "--version"), 14),
)
_ELSEWHERE: Final = {"postgres": "/usr/lib/postgresql/*/bin/postgres"}  # Debian's place for it
_COLOURS: Final = re.compile(r"\x1b\[[\d;]*m")  # Maven has them also in a pipe
_VERSION: Final = re.compile(r"(\d+)(?:\.\d+)*")
_COLUMNS: Final = (Column("CHECK", "check"), Column("", "verdict"), Column("FOUND", "found"))


class Finding(msgspec.Struct, frozen=True):
    """`verdict` is ok, warning or broken; `remedy` says what to do unless it is ok."""

    check: str
    verdict: str
    found: str
    remedy: str | None = None


class Surroundings(msgspec.Struct, frozen=True):
    """What is looked at; a test puts other things there."""

    data: Path
    served: ServerFile | None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def examine(data: Path | None, form: Format, lang: str | None) -> None:
    if lang is not None and lang not in LANGUAGES:
        raise typer.BadParameter("must be en or zh", param_hint="--lang")
    choose(lang)
    folder = (data or default_data()).absolute()
    findings = list(findings_of(Surroundings(folder, last_served(folder))))
    output = Output(form)
    output.rows([msgspec.to_builtins(finding) for finding in findings], _COLUMNS)
    broken = sum(finding.verdict == "broken" for finding in findings)
    if not output.is_for_programs:
        for finding in findings:
            if finding.remedy:
                typer.echo(f"{finding.check}: {finding.remedy}")
        warn(tell("doctor broken", count=broken) if broken else tell("doctor well"))
    if broken:
        raise typer.Exit(FAILED)


def findings_of(around: Surroundings) -> Iterator[Finding]:
    yield _data(around)
    server, server_at = _server(around)
    yield server
    yield _port(around, is_up=server.verdict != "broken" and around.served is not None)
    yield _certificates(around)
    yield _clock(around, server_at)
    yield _database(around)
    for check, remedy, command, wanted in TOOLS:
        yield _tool(check, remedy, command, wanted)


def _data(around: Surroundings) -> Finding:
    data = around.data
    if not data.is_dir():
        return _warning(
            "data folder", tell("data missing", data=data), "data missing do", data=data
        )
    try:
        is_ours = all(_is_ours(path) for path in (data, *_existing(data, SECRETS)))
    except OSError:
        is_ours = False
    if not is_ours:
        found = tell("data not ours", path=data)
        return _broken("data folder", found, "data not ours do", data=data)
    for path in (data, *_existing(data, SECRETS)):
        mode = path.stat().st_mode
        if mode & OTHERS:
            found = tell("data open", path=path, mode=f"{stat.S_IMODE(mode):o}")
            return _broken("data folder", found, "data open do", path=path)
    free_mb = shutil.disk_usage(data).free // 2**20
    if free_mb < FREE_LEAST_MB:
        found = tell("data full", data=data, free=free_mb)
        return _broken("data folder", found, "data full do")
    return Finding("data folder", "ok", tell("data well", data=data, free=free_mb))


def _existing(data: Path, names: tuple[str, ...]) -> list[Path]:
    return [path for name in names if (path := data / name).exists()]


def _is_ours(path: Path) -> bool:
    import os  # noqa: PLC0415

    return os.access(path, os.R_OK | os.W_OK)


def _server(around: Surroundings) -> tuple[Finding, datetime | None]:
    """And what time it has."""
    if around.served is None:
        return _warning("server", tell("server never"), "server down do", data=around.data), None
    endpoint = around.served.endpoint
    authority = around.data / TLS_FOLDER / AUTHORITY_FILE
    nobody = RequestKey(access_key="", secret_key="")  # it only asks what needs no key
    try:
        server = Server(
            endpoint=endpoint,
            key=nobody,
            project_id="",
            authority=authority if authority.is_file() else None,
        )
        with closing(Client(server)) as client:
            told = told_by(client.probe("/readyz"))
            if told.get("status") == "ok":
                return Finding(
                    "server", "ok", tell("server well", endpoint=endpoint)
                ), client.last_date
            why = told.get("store") or told.get("status") or "?"
            found = tell("server unready", endpoint=endpoint, why=why)
            return _broken("server", found, "server unready do"), client.last_date
    except CallFailed as error:
        found = tell("server down", endpoint=endpoint, why=error)
        return _broken("server", found, "server down do", data=around.data), None


def _port(around: Surroundings, *, is_up: bool) -> Finding:
    port = PORT
    if around.served is not None:
        port = int(around.served.endpoint.rpartition(":")[2])
    if is_up:
        return Finding("port", "ok", tell("port of ours", port=port))
    try:
        socket.create_connection(("127.0.0.1", port), timeout=ANSWERS_WITHIN_S).close()
    except OSError:
        return Finding("port", "ok", tell("port free", port=port))
    return _broken("port", tell("port taken", port=port), "port taken do")


def _certificates(around: Surroundings) -> Finding:
    folder = around.data / TLS_FOLDER
    names = (AUTHORITY_FILE, "server.pem", "server.key")
    missing = [name for name in names if not (folder / name).is_file()]
    if len(missing) == len(names):
        return Finding("certificates", "ok", tell("certificate none"))
    if missing:
        found = tell("certificate partly", folder=folder, names=", ".join(missing))
        return _broken("certificates", found, "certificate partly do")
    return _trust(folder, around.now())


def _trust(folder: Path, now: datetime) -> Finding:
    from cryptography import x509  # noqa: PLC0415  few need it
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    loaded: dict[str, Certificate] = {}
    for name in (AUTHORITY_FILE, "server.pem"):
        try:
            loaded[name] = x509.load_pem_x509_certificate((folder / name).read_bytes())
        except (OSError, ValueError):
            found = tell("certificate unreadable", path=folder / name)
            return _broken("certificates", found, "certificate renew do", folder=folder)
    try:
        loaded["server.pem"].verify_directly_issued_by(loaded[AUTHORITY_FILE])
    except (ValueError, TypeError, InvalidSignature):
        found = tell("certificate stranger")
        return _warning("certificates", found, "certificate renew do", folder=folder)
    return _age(loaded["server.pem"], loaded[AUTHORITY_FILE], folder, now)


def _age(server: "Certificate", authority: "Certificate", folder: Path, now: datetime) -> Finding:
    begins = max(server.not_valid_before_utc, authority.not_valid_before_utc)
    ends = min(server.not_valid_after_utc, authority.not_valid_after_utc)
    days = (ends - now).days
    day = f"{ends:%Y-%m-%d}"
    if now < begins:
        found = tell("certificate early", day=f"{begins:%Y-%m-%d}")
        return _broken("certificates", found, "clock do")
    if now >= ends:
        found = tell("certificate ended", day=day)
        return _broken("certificates", found, "certificate renew do", folder=folder)
    if days < RENEW_DAYS:
        found = tell("certificate ends", days=days, day=day)
        return _warning("certificates", found, "certificate renew do", folder=folder)
    return Finding("certificates", "ok", tell("certificate well", day=day))


def _clock(around: Surroundings, server_at: datetime | None) -> Finding:
    now = around.now()
    if server_at is not None and around.served is not None:
        apart_s = abs((now - server_at).total_seconds())
        if apart_s > APART_MOST_S:
            endpoint = around.served.endpoint
            found = tell("clock apart", endpoint=endpoint, seconds=round(apart_s))
            return _broken("clock", found, "clock do")
    for name in (DATABASE_FILE, f"{DATABASE_FILE}-wal", SERVER_FILE):
        path = around.data / name
        if path.is_file():
            back_s = path.stat().st_mtime - now.timestamp()
            if back_s > BACK_MOST_S:
                found = tell("clock back", path=path, seconds=round(back_s))
                return _broken("clock", found, "clock do")
    return Finding("clock", "ok", tell("clock well", now=f"{now:%Y-%m-%dT%H:%M:%SZ}"))


def _database(around: Surroundings) -> Finding:
    from backroom.bootstrap import CannotServe, is_shared, shown_database  # noqa: PLC0415
    from backroom.database import missing, wrong  # noqa: PLC0415
    from backroom.domain.errors import StoreUnavailable  # noqa: PLC0415
    from backroom.settings import Settings  # noqa: PLC0415

    database = None if around.served is None else around.served.database
    settings = Settings(data=around.data, database=database)
    try:
        absent = missing(settings)
        if absent is not None:
            if around.served is None:
                return Finding("database", "ok", tell("database none"))
            problems = [f"{absent}: {tell('tool none')}"]
        else:
            problems = run(wrong(settings, quick=True, seen=lambda _count: None))
    except (CannotServe, StoreUnavailable) as error:
        remedy = "database away do" if is_shared(settings) else "database wrong do"
        found = tell("database wrong", why=error)
        return _broken("database", found, remedy, data=around.data)
    if problems:
        found = tell("database wrong", why="; ".join(problems[:3]))
        return _broken("database", found, "database wrong do", data=around.data)
    name = shown_database(settings) or DATABASE_FILE
    return Finding("database", "ok", tell("database well", database=name))


def _tool(check: str, remedy: str, command: tuple[str, ...], wanted: int) -> Finding:
    program = shutil.which(command[0]) or _elsewhere(command[0])
    version = None if program is None else _version_of((program, *command[1:]))
    if version is None:
        return _warning(check, tell("tool none"), remedy, wanted=wanted)
    line, number = version
    if number < wanted:
        return _warning(check, tell("tool old", version=line, wanted=wanted), remedy, wanted=wanted)
    return Finding(check, "ok", tell("tool well", version=line))


def _elsewhere(program: str) -> str | None:
    pattern = _ELSEWHERE.get(program)
    if pattern is None:
        return None
    found = sorted(Path("/").glob(pattern.lstrip("/")))
    return str(found[-1]) if found else None


def _version_of(command: tuple[str, ...]) -> tuple[str, int] | None:
    """The first line that it says with a number, and that number."""
    try:
        done = subprocess.run(  # noqa: S603  one of TOOLS, where the system has it
            command, capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    for line in _COLOURS.sub("", done.stdout + done.stderr).splitlines():
        found = _VERSION.search(line)
        if found is not None:
            numbers = [int(part) for part in found.group().split(".")]
            is_old_java = numbers[0] == 1 and len(numbers) > 1  # 1.8 is Java 8
            return line.strip(), numbers[1] if is_old_java else numbers[0]
    return None


def _broken(check: str, found: str, remedy: str, **values: object) -> Finding:
    return Finding(check, "broken", found, tell(remedy, **values))


def _warning(check: str, found: str, remedy: str, **values: object) -> Finding:
    return Finding(check, "warning", found, tell(remedy, **values))
