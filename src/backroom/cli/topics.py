"""`backroom topics`: the topics of an instance. None of these makes a task."""

from typing import Annotated, Any

import typer

from backroom.cli.session import Instance, Session, asks
from backroom.cli.tasks import Yes

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list", epilog="Example: backroom topics list --instance kafka-demo --query '[].name'")
@asks()
def list_(session: Session, instance: Instance = None) -> None:
    """List the topics of an instance, by name."""
    from backroom.cli.topic_calls import list_topics  # noqa: PLC0415

    list_topics(session, instance)


@app.command(epilog="Example: backroom topics create orders --partitions 12 --replicas 3")
@asks(changes=True)
def create(  # noqa: PLR0913  one parameter a flag
    session: Session,
    topic: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    instance: Instance = None,
    partitions: Annotated[
        int | None, typer.Option(help="[default: the instance's num.partitions]", min=1)
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(help="[default: default.replication.factor]", min=1)
    ] = None,
    retention_hours: Annotated[
        int | None, typer.Option(help="Messages are kept so long.", min=1)
    ] = None,
    sync_replication: Annotated[
        bool, typer.Option("--sync-replication", help="A write waits for all replicas.")
    ] = False,
    sync_flush: Annotated[
        bool, typer.Option("--sync-flush", help="A write waits for the disk.")
    ] = False,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Create a topic."""
    from backroom.cli.topic_calls import create_topic  # noqa: PLC0415

    content: dict[str, Any] = {
        "id": topic, "partition": partitions, "replication": replicas,
        "retention_time": retention_hours, "sync_replication": sync_replication or None,
        "sync_message_flush": sync_flush or None, "topic_desc": description,
    }  # fmt: skip
    said = {name: value for name, value in content.items() if value is not None}
    create_topic(session, instance, said)


@app.command(epilog="Example: backroom topics delete orders --yes")
@asks(changes=True)
def delete(
    session: Session,
    topics: Annotated[
        list[str], typer.Argument(metavar="TOPIC...", help="Names.", show_default=False)
    ],
    instance: Instance = None,
    yes: Yes = False,
) -> None:
    """Delete topics with all their messages."""
    from backroom.cli.topic_calls import delete_topics  # noqa: PLC0415

    delete_topics(session, instance, topics, is_sure=yes)
