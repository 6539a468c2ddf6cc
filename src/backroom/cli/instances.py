"""`backroom instances`: look at instances, and change them by tasks."""

from enum import StrEnum, unique
from pathlib import Path
from typing import Annotated

import typer

from backroom.cli.session import Session, asks
from backroom.cli.tasks import Timeout, Yes

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Wait = Annotated[bool, typer.Option("--wait", help="Wait; exit with the outcome.")]
One = Annotated[str, typer.Argument(metavar="INSTANCE", help="Id or name.", show_default=False)]
Many = Annotated[
    list[str], typer.Argument(metavar="INSTANCE...", help="Ids or names.", show_default=False)
]

PASSWORD_VARIABLE = "BACKROOM_INSTANCE_PASSWORD"  # noqa: S105  a name, not a secret


@unique
class Switch(StrEnum):
    ON = "on"
    OFF = "off"


@app.command("list", epilog="Example: backroom instances list --status RUNNING")
@asks()
def list_(
    session: Session,
    name: Annotated[str | None, typer.Option(help="With this in the name.")] = None,
    status: Annotated[str | None, typer.Option(help="With this status: RUNNING.")] = None,
) -> None:
    """List the instances of the project, newest first, failed creations too."""
    from backroom.cli.instance_records import list_instances  # noqa: PLC0415

    list_instances(session, name, status)


@app.command(epilog="Example: backroom instances show kafka-demo --query status")
@asks()
def show(
    session: Session,
    instance: Annotated[
        str | None,
        typer.Argument(
            metavar="[INSTANCE]",
            help="Id or name. [default: $BACKROOM_INSTANCE_ID, else the only one]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show an instance; all of its fields with -o json."""
    from backroom.cli.instance_records import show_instance  # noqa: PLC0415

    show_instance(session, instance)


@app.command(
    epilog="Example: backroom instances create kafka-test --brokers 3 --storage 300 --wait"
)
@asks(changes=True)
def create(  # noqa: PLR0913  one parameter a flag
    session: Session,
    name: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    brokers: Annotated[int, typer.Option(help="Brokers.", min=1)] = 3,
    storage: Annotated[
        int | None,
        typer.Option(metavar="GB", help="Of all brokers. [default: 100 for each]", min=1),
    ] = None,
    flavor: Annotated[str, typer.Option(help="What one broker runs on.")] = "c6.2u4g.cluster",
    kafka: Annotated[str, typer.Option("--kafka", help="Version of Kafka.")] = "2.7",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    user: Annotated[
        str | None, typer.Option("--user", help="Switches SASL on, with this user.")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            help="The user's; - reads it from input. Itself it shows in the list of processes. "
            f"[default: ${PASSWORD_VARIABLE}]"
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The same, in a file."),
    ] = None,
    vpc: Annotated[str, typer.Option(help="Id; any here, a real one there.")] = "backroom-vpc",
    subnet: Annotated[str, typer.Option(help="Id, the same.")] = "backroom-subnet",
    security_group: Annotated[str, typer.Option(help="Id, the same.")] = "backroom-security-group",
    zone: Annotated[
        list[str] | None, typer.Option(help="Id of a zone; one or three. [default: backroom-az1]")
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="More fields of the API, as JSON; they win.", exists=True,
            dir_okay=False,
        ),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:  # fmt: skip
    """Create an instance, and print its task's id and its own."""
    from backroom.cli.instance_changes import Asked, create_instance  # noqa: PLC0415

    asked = Asked(
        name=name, brokers=brokers, storage_gb=storage or 100 * brokers, flavor=flavor,
        kafka=kafka, description=description, user=user, password=password,
        password_file=password_file, vpc=vpc,
        subnet=subnet, security_group=security_group, zones=tuple(zone or ["backroom-az1"]),
        body=body,
    )  # fmt: skip
    create_instance(session, asked, is_awaited=wait, timeout=timeout)


@app.command(epilog="Example: backroom instances delete kafka-test --yes --wait")
@asks(changes=True)
def delete(
    session: Session, instances: Many, yes: Yes = False, wait: Wait = False, timeout: Timeout = None
) -> None:
    """Delete instances with all that is in them."""
    from backroom.cli.instance_changes import delete_instances  # noqa: PLC0415

    delete_instances(session, instances, is_sure=yes, is_awaited=wait, timeout=timeout)


@app.command(epilog="Example: backroom instances restart kafka-demo --reason 'new JVM' --wait")
@asks(changes=True)
def restart(session: Session, instances: Many, wait: Wait = False, timeout: Timeout = None) -> None:
    """Restart instances, one broker after the other."""
    from backroom.cli.instance_changes import restart_instances  # noqa: PLC0415

    restart_instances(session, instances, is_awaited=wait, timeout=timeout)


@app.command(epilog="Example: backroom instances extend kafka-demo --storage 600 --wait")
@asks(changes=True)
def extend(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: One,
    storage: Annotated[
        int | None, typer.Option(metavar="GB", help="Larger disks: of all brokers together.")
    ] = None,
    brokers: Annotated[int | None, typer.Option(help="More brokers: how many then.")] = None,
    flavor: Annotated[str | None, typer.Option(help="Larger machines: what then.")] = None,
    public_ip: Annotated[
        list[str] | None, typer.Option(help="Id of the address of a new broker; one for each.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Extend an instance by larger disks, more brokers or larger machines, one at a time."""
    from backroom.cli.instance_changes import Extension, extend_instance  # noqa: PLC0415

    extension = Extension(
        storage_gb=storage, brokers=brokers, flavor=flavor, public_ips=tuple(public_ip or ())
    )
    extend_instance(session, instance, extension, is_awaited=wait, timeout=timeout)


@app.command(
    "public-ip", epilog="Example: backroom instances public-ip kafka-demo on --bandwidth 5"
)
@asks(changes=True)
def public_ip(  # noqa: PLR0913  one parameter a flag
    session: Session,
    instance: One,
    switch: Annotated[Switch, typer.Argument(help="on or off.", show_default=False)],
    address: Annotated[
        list[str] | None, typer.Option(help="Id of an address; one for each broker, in order.")
    ] = None,
    bandwidth: Annotated[
        int, typer.Option(metavar="MBIT/S", help="Of all addresses.", min=1, max=2000)
    ] = 5,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Switch public access of an instance on or off."""
    from backroom.cli.instance_changes import switch_public_ip  # noqa: PLC0415
    from backroom.wire.answers import public_access_off, public_access_on  # noqa: PLC0415

    if switch is Switch.OFF and address:
        raise typer.BadParameter("goes with on", param_hint="--address")
    content = (
        public_access_on(address or (), bandwidth) if switch is Switch.ON else public_access_off()
    )
    is_on = switch is Switch.ON
    switch_public_ip(session, instance, content, is_on=is_on, is_awaited=wait, timeout=timeout)
