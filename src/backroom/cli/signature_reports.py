"""Verdicts on recorded requests as people see them, with both canonical requests side by side."""

import sys
from collections.abc import Iterator, Sequence

import msgspec
import typer

from backroom.cli.output import printable
from backroom.cli.recorded_requests import Vector, clock_of, credential_of, wire_form
from backroom.wire import signing


class Outcome(msgspec.Struct, kw_only=True):
    id: str
    expect: str
    accepted: bool
    variant: str
    reason: str
    as_expected: bool
    server_canonical_request: str = ""
    recorded_canonical_request: str | None = None
    first_difference: int | None = None  # characters that agree before it


def judge(vector: Vector) -> Outcome:
    request = wire_form(vector)
    now = clock_of(vector, request)
    try:
        verdict = signing.verify(request, credential_of(request), vector.sk, now)
    except signing.MalformedAuthorization as error:
        return Outcome(
            id=vector.id,
            expect=vector.expect,
            accepted=False,
            variant="",
            reason=str(error),
            as_expected=vector.expect == "invalid",
        )
    outcome = Outcome(
        id=vector.id,
        expect=vector.expect,
        accepted=verdict.accepted,
        variant=verdict.variant,
        reason=verdict.reason,
        as_expected=verdict.accepted == (vector.expect == "valid"),
    )
    if not verdict.accepted:
        outcome.server_canonical_request = verdict.canonical_request
        outcome.recorded_canonical_request = vector.canonical_request
        if vector.canonical_request is not None:
            outcome.first_difference = agreement(
                vector.canonical_request, verdict.canonical_request
            )
    return outcome


def say(text: str, fg: str | None = None) -> None:
    typer.secho(printable(text), fg=fg)


def print_outcome(outcome: Outcome) -> None:
    word = "accepted" if outcome.accepted else "refused"
    note = "" if outcome.as_expected else f"  NOT AS EXPECTED: {outcome.expect}"
    colour = None if outcome.as_expected else typer.colors.RED
    say(f"{outcome.id}  {word}  {outcome.variant or outcome.reason}{note}", fg=colour)
    if not outcome.accepted:
        _print_difference(outcome.recorded_canonical_request, outcome.server_canonical_request)


def print_marked(lines: Sequence[str]) -> None:
    first, *rest = lines
    colour = typer.colors.GREEN if first.startswith("accepted") else typer.colors.RED
    say(first, fg=colour)
    for line in rest:
        say(line)


def _print_difference(recorded: str | None, server: str) -> None:
    if sys.stdout.isatty():
        _print_table(recorded, server)
    else:
        for line in difference(recorded, server):
            say(f"    {line}")


def _print_table(recorded: str | None, server: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    server = printable(server)
    recorded = None if recorded is None else printable(recorded)
    left, right = Text(recorded or "(not recorded)"), Text(server)
    if recorded is not None and recorded != server:
        at = agreement(recorded, server)
        left.stylize("bold reverse", at, at + 1)
        right.stylize("bold reverse", at, at + 1)
    table = Table()
    for title in ("recorded canonical request", "server's canonical request"):
        table.add_column(title, overflow="fold")  # else the difference may be cut off
    table.add_row(left, right)
    Console().print(table)


def difference(recorded: str | None, server: str) -> Iterator[str]:
    """Both texts line by line; a caret under the first character that differs."""
    if recorded is None:
        yield from (f"server   | {line}" for line in server.split("\n"))
        return
    is_marked = False
    for ours, theirs in line_pairs(recorded, server):
        if ours == theirs:
            yield f"both     | {ours}"
            continue
        yield f"recorded | {'(no such line)' if ours is None else ours}"
        yield f"server   | {'(no such line)' if theirs is None else theirs}"
        if not is_marked:
            is_marked = True
            yield f"         | {' ' * agreement(ours or '', theirs or '')}^ first difference"


def line_pairs(recorded: str, server: str) -> Iterator[tuple[str | None, str | None]]:
    left: list[str | None] = [*recorded.split("\n")]
    right: list[str | None] = [*server.split("\n")]
    longest = max(len(left), len(right))
    for lines in (left, right):
        lines.extend([None] * (longest - len(lines)))
    yield from zip(left, right, strict=True)


def agreement(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    differing = (at for at, (ours, theirs) in enumerate(pairs) if ours != theirs)
    return next(differing, min(len(one), len(other)))
