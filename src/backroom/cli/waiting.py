"""What `wait`, `watch` and `--wait` share: choose how to look and how to show, tell the outcome."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from backroom.cli import exits
from backroom.cli.durations import in_words
from backroom.cli.exits import NotConnected
from backroom.cli.following import Followed, Follower, Terms
from backroom.cli.sentences import tell
from backroom.cli.session import Session
from backroom.cli.sources import NativeSource, OfficialSource, Source
from backroom.cli.views import chosen_view, outcome

Wait = Annotated[bool, typer.Option("--wait", help="Wait for its end; exit with its outcome.")]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Wait for so long only: 90s, 10m, 1h30m. [default: no end]"),
]


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    is_compact: bool = False
    is_every_change: bool = False
    is_fail_fast: bool = False
    timeout_s: float | None = None
    interval_s: float | None = None  # between two polls of official calls
    is_outcome_told: bool = True  # for programs; else the caller does


def wait_for(
    session: Session, task_ids: Sequence[str], manner: Manner, instance: str | None = None
) -> None:
    """Raises typer.Exit with the outcome's code, unless that is a success.

    No `task_ids`: all that are in flight, and what comes.
    """
    source = source_of(session, instance, manner.interval_s, is_everything=not task_ids)
    view = chosen_view(
        is_compact=manner.is_compact,
        is_every_change=manner.is_every_change,
        is_for_programs=session.output.is_for_programs,
    )
    terms = Terms(timeout_s=manner.timeout_s, is_fail_fast=manner.is_fail_fast)
    follower = Follower(source, view, terms)
    try:
        followed = follower.follow(task_ids) if task_ids else follower.follow_all()
    except KeyboardInterrupt:
        view.close()
        typer.echo(tell("interrupted", ids=" ".join(follower.followed.pending)), err=True)
        raise typer.Exit(exits.INTERRUPTED) from None
    finally:
        view.close()
        source.close()
    _tell(session, followed, manner)
    if task_ids and followed.exit_code:
        raise typer.Exit(followed.exit_code)


def source_of(
    session: Session, instance: str | None, interval_s: float | None, *, is_everything: bool
) -> Source:
    calls = session.calls
    if calls.client.is_backroom:
        only = session.instance(instance) if instance and is_everything else None
        return NativeSource(calls, only)
    if instance is None and session.instance_id is None:
        raise NotConnected(tell("official needs instance", endpoint=calls.client.shown_endpoint))
    return OfficialSource(calls, session.instance(instance), interval_s)


def _tell(session: Session, followed: Followed, manner: Manner) -> None:
    if session.output.is_for_programs and manner.is_outcome_told and not manner.is_every_change:
        session.output.document([outcome(seen) for seen in followed.seen.values()])
    pending = followed.pending
    if followed.is_late and pending:
        after = in_words(manner.timeout_s or 0)
        said = tell("timed out", after=after, count=len(pending), ids=" ".join(pending))
        typer.echo(said, err=True)
    elif pending:
        typer.echo(tell("failed fast", count=len(pending)), err=True)
