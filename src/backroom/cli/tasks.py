"""`backroom tasks`: look at tasks, wait for them, and act on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from backroom.cli.nonempty import nonempty, nonempty_list
from backroom.cli.session import Instance, Session, asks, instance_option

if TYPE_CHECKING:
    from backroom.cli.matching import Deed

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
    str | None,
    typer.Option(
        metavar="STATES",
        help="waiting,running,succeeded,failed,cancelled",
        callback=nonempty_list,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Of these names, by commas.", callback=nonempty_list),
]
User = Annotated[
    str | None, typer.Option(metavar="USER", help="Asked for by this user.", callback=nonempty)
]
Kind = Annotated[
    str | None,
    typer.Option(metavar="KINDS", help="background,scheduled,bulk", callback=nonempty_list),
]
Text = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="With this text in the params.", callback=nonempty),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="TIME", help="Asked for since then, UTC if not said.", callback=nonempty
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="Asked for until then.", callback=nonempty),
]
OneOrAll = Annotated[
    str | None,
    instance_option("Of this instance. [default: $BACKROOM_INSTANCE_ID, else all]"),
]
OnlyOne = Annotated[str | None, instance_option("Of this instance. [default: all]")]
OfMatching = Annotated[
    str | None,
    instance_option(
        "With --matching: of this instance. "
        "[default: $BACKROOM_INSTANCE_ID, else the only one; or say --all-instances]"
    ),
]
EveryInstance = Annotated[bool, typer.Option("--all-instances", "-A", help="Of the whole project.")]
SomeIds = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]...", help="Ids.", show_default=False)
]


class Choice(NamedTuple):
    """Tasks by their ids, or all that the filters find."""

    is_matching: bool
    filters: dict[str, Any]

    @property
    def instance(self) -> str | None:
        found: str | None = self.filters["instance"]
        return found

    def ids(self, said: list[str] | None, *, with_instance: bool = False) -> list[str]:
        """Empty for all that match. `with_instance`: --instance may be said beside ids.

        Raises typer.BadParameter.
        """
        if self.is_matching and said:
            raise typer.BadParameter("say ids or filters, not both", param_hint="TASK, --matching")
        if said and self.instance is not None and not with_instance:
            raise typer.BadParameter("an id alone says which", param_hint="--instance")
        if not self.is_matching and not said:
            raise typer.BadParameter("say ids, or --matching", param_hint="TASK")
        return said or []


def _choice(  # noqa: PLR0913  one parameter a flag
    matching: Annotated[
        bool,
        typer.Option(
            "--matching", help="All that the filters find, 10,000 at most, by one bulk task."
        ),
    ] = False,
    instance: OfMatching = None,
    every_instance: EveryInstance = False,
    state: State = None,
    name: Name = None,
    user: User = None,
    kind: Kind = None,
    text: Text = None,
    begin: Since = None,
    end: Until = None,
) -> Choice:
    filters = {
        "instance": instance, "is_every_instance": every_instance, "state": state, "name": name,
        "user": user, "kind": kind, "text": text, "begin": begin, "end": end,
    }  # fmt: skip
    said = [name for name, value in filters.items() if value]
    if matching and not said:
        raise typer.BadParameter(
            "say which, as by --state, or --all-instances for all", param_hint="--matching"
        )
    if not matching and set(said) - {"instance"}:
        raise typer.BadParameter("filters go with it", param_hint="--matching")
    return Choice(matching, filters)


def _act_on_matching(session: Session, choice: Choice, deed: "Deed") -> None:
    from backroom.cli.matching import act_on_matching  # noqa: PLC0415
    from backroom.cli.task_lists import Wanted  # noqa: PLC0415

    act_on_matching(session, Wanted(**choice.filters), deed)


@app.command("list", epilog="Example: backroom tasks list --instance kafka-demo --limit 20")
@asks()
def list_(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: OneOrAll = None,
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
    --all-instances, and where no instance is known, by the native API's search. A server without
    it needs one: said, of $BACKROOM_INSTANCE_ID, or the only one.
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
    instance: OnlyOne = None,
    compact: Compact = False,
    fail_fast: FailFast = False,
    timeout: Timeout = None,
    interval: Interval = None,
) -> None:
    """Watch tasks live: a line for each change where `wait` has one for each end.

    With ids it ends when they have, as `wait` does. Without, it goes on until Ctrl-C. With
    -o json it prints a JSON line for each change. A server without the native API needs an
    instance: said, or of $BACKROOM_INSTANCE_ID.
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


Waits = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait", help="Wait; exit with the outcome. [default: with --matching]"
    ),
]


@app.command(epilog="Example: backroom tasks cancel --matching -i kafka-demo --state waiting")
@asks(changes=True, choice=_choice)
def cancel(
    session: Session,
    choice: Choice,
    tasks: SomeIds = None,
    yes: Yes = False,
    wait: Waits = None,
    timeout: Timeout = None,
) -> None:
    """Cancel tasks that wait, ask those to stop that have begun. Native API only.

    Exit code with --wait: 0 if all were cancelled; else as `tasks wait`. With --matching it waits
    for the bulk task: until all were cancelled or asked.
    """
    ids = choice.ids(tasks)
    if choice.is_matching:
        from backroom.cli.matching import Deed  # noqa: PLC0415

        deed = Deed(action="cancel", is_sure=yes, is_awaited=wait is not False, timeout=timeout)
        _act_on_matching(session, choice, deed)
        return
    from backroom.cli.task_actions import cancel_tasks  # noqa: PLC0415

    cancel_tasks(session, ids, is_awaited=bool(wait), timeout=timeout)


@app.command(epilog="Example: backroom tasks retry f15aec9d550f2c609692329505bd6f6c --from-step")
@asks(changes=True, choice=_choice)
def retry(  # noqa: PLR0913  one parameter a flag
    session: Session,
    choice: Choice,
    tasks: SomeIds = None,
    from_step: Annotated[
        bool, typer.Option("--from-step", help="Don't run again what succeeded.")
    ] = False,
    yes: Yes = False,
    wait: Waits = None,
    timeout: Timeout = None,
) -> None:
    """Do again what failed or was cancelled, each as a new task. Native API only.

    With --matching it waits for the bulk task: until all new tasks are submitted.
    """
    ids = choice.ids(tasks)
    if choice.is_matching:
        from backroom.cli.matching import Deed  # noqa: PLC0415

        deed = Deed(
            action="retry", more={"from_step": from_step}, is_sure=yes,
            is_awaited=wait is not False, timeout=timeout,
        )  # fmt: skip
        _act_on_matching(session, choice, deed)
        return
    from backroom.cli.task_actions import retry_tasks  # noqa: PLC0415

    retry_tasks(session, ids, is_from_step=from_step, is_awaited=bool(wait), timeout=timeout)


@app.command(epilog="Example: backroom tasks delete --matching -A --to 2026-11-01 --yes")
@asks(changes=True, choice=_choice)
def delete(
    session: Session,
    choice: Choice,
    tasks: SomeIds = None,
    yes: Yes = False,
    wait: Waits = None,
    timeout: Timeout = None,
) -> None:
    """Delete the records of tasks that have ended. It stops and undoes nothing.

    With --matching by the native API only, and it waits for the bulk task. Ids are done with at
    once. Against the real service an id goes with --instance.
    """
    ids = choice.ids(tasks, with_instance=True)
    if choice.is_matching:
        from backroom.cli.matching import Deed  # noqa: PLC0415

        deed = Deed(action="delete", is_sure=yes, is_awaited=wait is not False, timeout=timeout)
        _act_on_matching(session, choice, deed)
        return
    from backroom.cli.task_actions import delete_tasks  # noqa: PLC0415

    delete_tasks(session, ids, choice.instance, is_sure=yes)


@app.command(
    epilog="Example: backroom tasks export --state failed --format csv --output failed.csv"
)
@asks(prints=False)
def export(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: OnlyOne = None,
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
