"""`backroom reassign`: move partitions to other brokers."""

from pathlib import Path
from typing import Annotated

import typer

from backroom.cli.instances import Wait
from backroom.cli.session import Instance, Session, asks
from backroom.cli.tasks import Timeout

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="To be moved; may be said more than once.")
]
Brokers = Annotated[str | None, typer.Option(metavar="IDS", help="Onto these: 0,1,2.")]
Replicas = Annotated[
    int | None, typer.Option(help="Of each partition then. [default: as many as now]", min=1)
]
Throttle = Annotated[
    int | None, typer.Option(metavar="MB/S", help="Of each broker at most.", min=1, max=300)
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="Instead of --topic: where each partition goes, in Kafka's own JSON.",
        exists=True,
        dir_okay=False,
    ),
]


@app.command(epilog="Example: backroom reassign plan --topic orders --brokers 0,1,2,3")
@asks()
def plan(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: Instance = None,
    topic: Topics = None,
    brokers: Brokers = None,
    replicas: Replicas = None,
    throttle: Throttle = None,
    file: File = None,
) -> None:
    """Show where partitions are, and how long a reassignment would take. Nothing is changed."""
    from backroom.cli.reassignments import Move, plan_reassignment  # noqa: PLC0415

    move = Move(tuple(topic or ()), brokers, replicas, throttle, file)
    plan_reassignment(session, instance, move)


@app.command(epilog="Example: backroom reassign start --topic orders --brokers 0,1,2,3 --wait")
@asks(changes=True)
def start(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: Instance = None,
    topic: Topics = None,
    brokers: Brokers = None,
    replicas: Replicas = None,
    throttle: Throttle = None,
    file: File = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Later: 2026-11-24T08:00:00Z or +90m."),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Start a reassignment, now or at a time, as a task."""
    from backroom.cli.reassignments import Move, start_reassignment  # noqa: PLC0415

    move = Move(tuple(topic or ()), brokers, replicas, throttle, file)
    start_reassignment(session, instance, move, at, is_awaited=wait, timeout=timeout)
