"""`backroom tasks`: look at tasks, wait for them, and act on them."""

from pathlib import Path
from typing import Annotated

import typer

from backroom.cli.session import Instance, Session, asks

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Ids = Annotated[list[str], typer.Argument(metavar="TASK...", help="Ids.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them, however many.")]
Limit = Annotated[int, typer.Option(help="At most so many.", min=1, max=100_000)]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Wait for so long only: 90s, 10m, 1h30m. [default: no end]"),
]
Compact = Annotated[bool, typer.Option("--compact", help="One bar for all; only ends as lines.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]
Interval = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Between two polls of the real service. [default: 2s to 15s]"
    ),
]
State = Annotated[
    str | None, typer.Option(metavar="STATES", help="waiting,running,succeeded,failed,cancelled")
]
Name = Annotated[str | None, typer.Option(metavar="NAMES", help="Of these names, by commas.")]
User = Annotated[str | None, typer.Option(metavar="USER", help="Asked for by this user.")]
Kind = Annotated[str | None, typer.Option(metavar="KINDS", help="background,scheduled,bulk")]
Text = Annotated[str | None, typer.Option(metavar="TEXT", help="With this text in the params.")]
Since = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Asked for since then, UTC if not said."),
]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Asked for until then.")]
EveryInstance = Annotated[bool, typer.Option("--all-instances", "-A", help="Of the whole project.")]


@app.command("list", epilog="Example: backroom tasks list --instance kafka-demo --limit 20")
@asks()
def list_(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: Instance = None,
    every_instance: EveryInstance = False,
    state: State = None,
    name: Name = None,
    user: User = None,
    kind: Kind = None,
    text: Text = None,
    begin: Since = None,
    end: Until = None,
    limit: Limit = 10,
    everything: Everything = False,
) -> None:
    """List background tasks, newest first.

    Of one instance, by the official call. With --state, --name, --user, --kind, --text or
    --all-instances, and where no instance is known, by the native API's search.
    """
    from backroom.cli.task_lists import Wanted, list_tasks  # noqa: PLC0415

    wanted = Wanted(
        instance=instance, is_every_instance=every_instance, state=state, name=name, user=user,
        kind=kind, text=text, begin=begin, end=end,
    )  # fmt: skip
    list_tasks(session, wanted, None if everything else limit)


@app.command(epilog="Example: backroom tasks show f15aec9d550f2c609692329505bd6f6c --full")
@asks()
def show(
    session: Session,
    task: Annotated[str, typer.Argument(help="Id.", show_default=False)],
    instance: Instance = None,
    full: Annotated[
        bool, typer.Option("--full", help="All that is stored: steps, attempts, why it waits.")
    ] = False,
) -> None:
    """Show a task: by the official call where its instance is known; --full by the native API."""
    from backroom.cli.task_records import show_task  # noqa: PLC0415

    show_task(session, task, instance, is_full=full)


@app.command(epilog="Example: backroom tasks wait f15aec9d550f2c609692329505bd6f6c --timeout 10m")
@asks()
def wait(  # noqa: PLR0913  one parameter a flag
    session: Session,
    tasks: Ids,
    instance: Instance = None,
    compact: Compact = False,
    fail_fast: FailFast = False,
    timeout: Timeout = None,
    interval: Interval = None,
) -> None:
    """Wait until tasks have ended, and exit with their outcome.

    Exit code 0 if all succeeded, 1 if one failed, 3 if one was cancelled, 4 if time was up, 5 if
    the server refused or can't be reached, 130 after Ctrl-C. Tasks go on whatever happens here.
    """
    from backroom.cli.durations import seconds_of  # noqa: PLC0415
    from backroom.cli.waiting import Manner, wait_for  # noqa: PLC0415

    manner = Manner(
        is_compact=compact,
        is_fail_fast=fail_fast,
        timeout_s=seconds_of(timeout, "--timeout"),
        interval_s=seconds_of(interval, "--interval"),
    )
    wait_for(session, tasks, manner, instance)


@app.command(epilog="Example: backroom tasks watch --instance kafka-demo")
@asks()
def watch(  # noqa: PLR0913  one parameter a flag
    session: Session,
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Ids. [default: all in flight, and what comes]",
            show_default=False,
        ),
    ] = None,
    instance: Instance = None,
    compact: Compact = False,
    fail_fast: FailFast = False,
    timeout: Timeout = None,
    interval: Interval = None,
) -> None:
    """Watch tasks live: a line for each change where `wait` has one for each end.

    With ids it ends when they have, as `wait` does. Without, it goes on until Ctrl-C. With
    -o json it prints a JSON line for each change.
    """
    from backroom.cli.durations import seconds_of  # noqa: PLC0415
    from backroom.cli.waiting import Manner, wait_for  # noqa: PLC0415

    manner = Manner(
        is_compact=compact,
        is_every_change=True,
        is_fail_fast=fail_fast,
        timeout_s=seconds_of(timeout, "--timeout"),
        interval_s=seconds_of(interval, "--interval"),
    )
    wait_for(session, tasks or [], manner, instance)


@app.command(epilog="Example: backroom tasks cancel f15aec9d550f2c609692329505bd6f6c --reason oops")
@asks(changes=True)
def cancel(
    session: Session,
    tasks: Ids,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they have stopped.")] = False,
    timeout: Timeout = None,
) -> None:
    """Cancel tasks that wait, ask those to stop that have begun. Native API only.

    Exit code with --wait: 0 if all were cancelled; else as `tasks wait`.
    """
    from backroom.cli.task_actions import cancel_tasks  # noqa: PLC0415

    cancel_tasks(session, tasks, is_awaited=wait, timeout=timeout)


@app.command(epilog="Example: backroom tasks retry f15aec9d550f2c609692329505bd6f6c --from-step")
@asks(changes=True)
def retry(
    session: Session,
    tasks: Ids,
    from_step: Annotated[
        bool, typer.Option("--from-step", help="Don't run again what succeeded.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait; exit with the outcome.")] = False,
    timeout: Timeout = None,
) -> None:
    """Do again what failed or was cancelled, each as a new task. Native API only."""
    from backroom.cli.task_actions import retry_tasks  # noqa: PLC0415

    retry_tasks(session, tasks, is_from_step=from_step, is_awaited=wait, timeout=timeout)


@app.command(epilog="Example: backroom tasks delete f15aec9d550f2c609692329505bd6f6c --yes")
@asks(changes=True, prints=False)
def delete(session: Session, tasks: Ids, instance: Instance = None, yes: Yes = False) -> None:
    """Delete the records of tasks that have ended. It stops and undoes nothing."""
    from backroom.cli.task_actions import delete_tasks  # noqa: PLC0415

    delete_tasks(session, tasks, instance, is_sure=yes)


@app.command(
    epilog="Example: backroom tasks export --state failed --format csv --output failed.csv"
)
@asks(prints=False)
def export(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: Instance = None,
    state: State = None,
    name: Name = None,
    user: User = None,
    kind: Kind = None,
    text: Text = None,
    begin: Since = None,
    end: Until = None,
    format: Annotated[str, typer.Option(help="json (a line for each task) or csv.")] = "json",  # noqa: A002  the flag's name
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file. [default: standard output]")
    ] = None,
) -> None:
    """Write all tasks that are found, newest first, as JSON lines or CSV. Native API only."""
    from backroom.cli.task_lists import FORMATS, Wanted, export_tasks  # noqa: PLC0415

    if format not in FORMATS:
        raise typer.BadParameter("must be json or csv", param_hint="--format")
    wanted = Wanted(
        instance=instance, is_every_instance=instance is None, state=state, name=name, user=user,
        kind=kind, text=text, begin=begin, end=end,
    )  # fmt: skip
    export_tasks(session, wanted, format, output)
