"""Lists and exports of tasks: by the official list, or by the native search."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from backroom.cli.calls import Record
from backroom.cli.durations import moment_of
from backroom.cli.exits import NotConnected
from backroom.cli.files import writing
from backroom.cli.output import Column, json_text, printable, warn
from backroom.cli.progress import progress
from backroom.cli.sentences import tell
from backroom.cli.session import Session

# what a spreadsheet would compute, in full width, too
FORMULA: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
FORMATS: Final = ("json", "csv")
SEARCH_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
LIST_FORM: Final = "%Y%m%d%H%M%S"  # [D]

OFFICIAL_COLUMNS = (
    Column("TASK", "id"),
    Column("NAME", "name"),
    Column("STATUS", "status"),
    Column("USER", "user_name"),
    Column("CREATED", "created_at"),
    Column("UPDATED", "updated_at"),
    Column("USER ID", "user_id", is_wide=True),
    Column("PARAMS", "params", is_wide=True),
)
NATIVE_COLUMNS = (
    Column("TASK", "id"),
    Column("NAME", "name"),
    Column("STATE", "state"),
    Column("INSTANCE", "instance_id"),
    Column("USER", "user_name"),
    Column("CREATED", "created_at"),
    Column("ENDED", "ended_at"),
    Column("KIND", "kind", is_wide=True),
    Column("REASON", "reason", is_wide=True),
    Column("ERROR", "error_msg", is_wide=True),
    Column("PARENT", "parent_id", is_wide=True),
    Column("PARAMS", "params", is_wide=True),
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """As options say it."""

    instance: str | None
    is_every_instance: bool
    state: str | None
    name: str | None
    user: str | None
    kind: str | None
    text: str | None
    begin: str | None
    end: str | None

    @property
    def is_search(self) -> bool:
        """Whether the official list can't find it."""
        words = (self.state, self.name, self.user, self.kind, self.text)
        return self.is_every_instance or any(word is not None for word in words)


def list_tasks(session: Session, wanted: Wanted, most: int | None) -> None:
    """`most` None: all of them."""
    is_known = wanted.instance is not None or session.instance_id is not None
    if wanted.is_search or not (is_known or not session.calls.client.is_backroom):
        tasks, has_more = session.calls.search(search_query(session, wanted), most)
        session.output.rows(tasks, NATIVE_COLUMNS)
        _say_how_many(session, len(tasks), len(tasks) + has_more, tell("more native"))
        return
    times = _times(wanted, LIST_FORM, "begin_time", "end_time")
    instance_id = session.instance(wanted.instance)
    tasks, total = session.calls.list_tasks(instance_id, most, times)
    session.output.rows(tasks, OFFICIAL_COLUMNS)
    _say_how_many(session, len(tasks), total, tell("more", shown=len(tasks), total=total))


def export_tasks(session: Session, wanted: Wanted, form: str, output: Path | None) -> None:
    session.calls.require_native("export")
    query = search_query(session, wanted)
    count = 0
    with writing(output) as write, progress("tasks") as seen:
        put = _csv_lines(write) if form == "csv" else _json_lines(write)
        for page, _has_more in session.calls.search_pages(query):
            for task in page:
                put(task)
            count += len(page)
            seen(count)
    warn(tell("exported", count=count))


def _say_how_many(session: Session, shown: int, total: int, more: str) -> None:
    if session.output.is_for_programs:
        return
    if shown < total:
        warn(more)
    elif not shown:
        warn(tell("none"))


def search_query(session: Session, wanted: Wanted) -> dict[str, str]:
    query = {
        "state": wanted.state,
        "name": wanted.name,
        "user": wanted.user,
        "kind": wanted.kind,
        "text": wanted.text,
    }
    if not wanted.is_every_instance and (wanted.instance or session.instance_id):
        query["instance_id"] = session.instance(wanted.instance)
    elif wanted.is_every_instance and wanted.instance:
        raise NotConnected(tell("instance or all"))
    found = {name: text for name, text in query.items() if text}
    return found | _times(wanted, SEARCH_FORM, "created_from", "created_to")


def _times(wanted: Wanted, form: str, begin: str, end: str) -> dict[str, str]:
    said = ((begin, wanted.begin, "--from"), (end, wanted.end, "--to"))
    return {name: moment_of(text, option).strftime(form) for name, text, option in said if text}


def _json_lines(write: Callable[[bytes], object]) -> Callable[[Record], object]:
    return lambda task: write(json_text(task).encode() + b"\n")


def _csv_lines(write: Callable[[bytes], object]) -> Callable[[Record], object]:
    """With a first line of names; what a spreadsheet would run as a formula gets a quote."""
    heads: list[str] = []

    def line(cells: list[Any]) -> object:
        text = io.StringIO()
        csv.writer(text).writerow(cells)
        return write(text.getvalue().encode())

    def put(task: Mapping[str, Any]) -> object:
        if not heads:
            heads.extend(task)
            line(heads)
        return line([_csv_cell(task.get(head)) for head in heads])

    return put


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        value = json_text(value)
    text = printable(str(value))
    return "'" + text if text[:1] in FORMULA else text
