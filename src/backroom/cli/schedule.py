"""`backroom schedule`: what is to begin later."""

from typing import Annotated

import typer

from backroom.cli.session import Instance, Session, asks
from backroom.cli.tasks import Everything, Ids, Limit

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list", epilog="Example: backroom schedule list --instance kafka-demo")
@asks()
def list_(
    session: Session, instance: Instance = None, limit: Limit = 10, everything: Everything = False
) -> None:
    """List the scheduled tasks of an instance, newest first."""
    from backroom.cli.schedules import list_scheduled  # noqa: PLC0415

    list_scheduled(session, instance, None if everything else limit)


@app.command(epilog="Example: backroom schedule cancel f15aec9d550f2c609692329505bd6f6c")
@asks(changes=True, prints=False)
def cancel(session: Session, tasks: Ids, instance: Instance = None) -> None:
    """Cancel scheduled tasks that have not started."""
    from backroom.cli.schedules import cancel_scheduled  # noqa: PLC0415

    cancel_scheduled(session, instance, tasks)


@app.command(epilog="Example: backroom schedule move f15aec9d550f2c609692329505bd6f6c +2h")
@asks(changes=True, prints=False)
def move(
    session: Session,
    task: Annotated[str, typer.Argument(help="Id.", show_default=False)],
    to: Annotated[
        str,
        typer.Argument(
            metavar="TIME",
            help="2026-11-24T08:00:00Z, UTC if not said, or +90m.",
            show_default=False,
        ),
    ],
    instance: Instance = None,
) -> None:
    """Give a scheduled task another time."""
    from backroom.cli.schedules import move_scheduled  # noqa: PLC0415

    move_scheduled(session, instance, task, to)
