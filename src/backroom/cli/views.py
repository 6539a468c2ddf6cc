"""Shows tasks that are followed: bars on a terminal, lines in a pipe, JSON lines for programs."""

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import typer

from backroom.cli.durations import between_s, in_words
from backroom.cli.following import View
from backroom.cli.output import coloured, json_text, shown
from backroom.cli.sentences import tell
from backroom.cli.sources import Sighting

if TYPE_CHECKING:
    from rich.console import Console

TICK_S: Final = 1.0
ID_SHOWN: Final = 8  # characters of an id that tell tasks apart on a bar
BARS_SPARED: Final = 4  # lines of the terminal that are left to others


def chosen_view(*, is_compact: bool, is_every_change: bool, is_for_programs: bool) -> View:
    """`is_every_change`: lines also for steps on the way, not only for ends."""
    if is_for_programs:
        return JsonView() if is_every_change else SilentView()
    if sys.stderr.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return LiveView(is_compact=is_compact)
    return LineView(is_every_change=is_every_change and not is_compact)


class SilentView:
    """For those who print what came of it at the end."""

    tick_s: float | None = None

    def show(self, _seen: Sighting) -> None:
        pass

    def note(self, text: str) -> None:
        typer.echo(text, err=True)

    def close(self) -> None:
        pass


class JsonView(SilentView):
    """A line for each change."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def show(self, seen: Sighting) -> None:
        line = outcome(seen)
        if self._known.get(seen.id) != _moved(seen):
            self._known[seen.id] = _moved(seen)
            typer.echo(json_text(line))
            sys.stdout.flush()


class LineView(SilentView):
    def __init__(self, *, is_every_change: bool) -> None:
        self._is_every_change = is_every_change
        self._known: dict[str, Any] = {}

    def show(self, seen: Sighting) -> None:
        moved = _moved(seen)
        if self._known.get(seen.id) == moved:
            return
        self._known[seen.id] = moved
        if seen.is_final:
            say_line(ended(seen))
        elif self._is_every_change:
            say_line(changed(seen))


class LiveView:
    """A bar for each task, or one for all; what has ended is printed above them and stays."""

    tick_s: float | None = TICK_S

    def __init__(self, *, is_compact: bool, console: "Console | None" = None) -> None:
        from rich.console import Console as RichConsole  # noqa: PLC0415  only for eyes
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
        )

        self._console = console or RichConsole(stderr=True)
        text = "{task.fields[name]} [dim]{task.fields[id]}[/]"
        self._progress = Progress(
            TextColumn(text if not is_compact else "{task.fields[name]}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[step]}", style="cyan"),
            TextColumn("{task.fields[left]}", style="dim"),
            console=self._console,
            transient=True,
        )
        self._is_compact = is_compact
        self._bars: dict[str, Any] = {}
        self._seen: dict[str, Sighting] = {}
        self._progress.start()

    def show(self, seen: Sighting) -> None:
        before = self._seen.get(seen.id)
        self._seen[seen.id] = seen
        if seen.is_final and (before is None or not before.is_final):
            self._print(ended(seen))
        if self._is_compact:
            self._show_all()
        elif seen.is_final:
            self._remove(seen.id)
        else:
            self._show_bar(seen)

    def note(self, text: str) -> None:
        self._print(text)

    def close(self) -> None:
        self._progress.stop()

    def _show_bar(self, seen: Sighting) -> None:
        fields: dict[str, Any] = {
            "name": _plain(seen.name),
            "id": _plain(seen.id[:ID_SHOWN]),
            "step": _plain(seen.step or seen.why or seen.word),
            "left": "" if not seen.remaining_s else f"~{in_words(seen.remaining_s)}",
        }
        total = None if seen.percent is None else 100
        if seen.id in self._bars:
            self._progress.update(
                self._bars[seen.id], completed=seen.percent or 0, total=total, **fields
            )
        elif len(self._bars) < max(1, self._console.height - BARS_SPARED):
            self._bars[seen.id] = self._progress.add_task(
                "", total=total, completed=seen.percent or 0, **fields
            )

    def _show_all(self) -> None:
        every = list(self._seen.values())
        done = [seen for seen in every if seen.is_final]
        failed = sum(seen.state == "failed" for seen in done)
        left = max((seen.remaining_s or 0 for seen in every), default=0)
        fields: dict[str, Any] = {
            "name": f"{len(done)}/{len(every)}",
            "id": "",
            "step": f"{failed} failed" if failed else "",
            "left": "" if not left else f"~{in_words(left)}",
        }
        percent = sum(100 if s.is_final else s.percent or 0 for s in every) // len(every)
        if "" not in self._bars:
            self._bars[""] = self._progress.add_task("", total=100, completed=percent, **fields)
        self._progress.update(self._bars[""], completed=percent, **fields)

    def _remove(self, task_id: str) -> None:
        if task_id in self._bars:
            self._progress.remove_task(self._bars.pop(task_id))

    def _print(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        self._progress.console.print(Text.from_ansi(text), soft_wrap=True)


def ended(seen: Sighting) -> str:
    took_s = between_s(seen.began_at, seen.ended_at)
    return tell(
        seen.state,
        name=shown(seen.name),
        id=shown(seen.id),
        took="?" if took_s is None else in_words(took_s),
        why=shown(seen.why or tell("no reason")),
    ).lstrip()


def changed(seen: Sighting) -> str:
    detail = seen.step or seen.why
    return tell(
        "changed",
        name=shown(seen.name),
        id=shown(seen.id),
        word=coloured(shown(seen.word)),
        step=f" {shown(detail)}" if detail else "",
        percent="" if seen.percent is None else f" {seen.percent}%",
        left="" if not seen.remaining_s else f" ~{in_words(seen.remaining_s)}",
    ).lstrip()


def outcome(seen: Sighting) -> dict[str, Any]:
    """For programs."""
    return {
        "task_id": seen.id,
        "name": seen.name,
        "instance_id": seen.instance_id,
        "state": seen.state,
        "status": seen.word,
        "step": seen.step,
        "percent": seen.percent,
        "remaining_s": seen.remaining_s,
        "why": seen.why,
        "created_at": seen.began_at,
        "ended_at": seen.ended_at,
    }


def say_line(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()


def _moved(seen: Sighting) -> Any:
    """What makes a line worth it: the share done alone doesn't."""
    return seen.word, seen.state, seen.step, seen.why


def _plain(text: str) -> str:
    """Without rich's markup."""
    return shown(text).replace("[", "\\[")
