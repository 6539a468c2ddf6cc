"""The command tree. Each command imports what it needs when it runs: first output comes fast."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from backroom import __version__
from backroom.cli.groups import loaded_when_asked
from backroom.cli.loop import run
from backroom.cli.output import Format, printable
from backroom.domain.errors import BackroomError

app = typer.Typer(
    name="backroom",
    help="Background tasks of Kafka instances: durable, watchable, with the public v2 API.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Data folder. [default: $BACKROOM_DATA or per user]"
    ),
]
Transitions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=WHEN",
        help="When tasks end: immediate, simulated, 900s or 3reads; NAME * for all others.",
    ),
]


def run_typed() -> None:
    try:
        app()
    except BackroomError as error:
        refuse(error)


def refuse(error: BackroomError) -> NoReturn:
    typer.echo(f"backroom: {printable(str(error))}", err=True)
    sys.exit(getattr(error, "exit_code", 1))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: backroom serve --port 8443 --data ./data")
def serve(  # noqa: PLR0913  one parameter a flag
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 8443,
    data: Data = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="sqlite:///PATH or postgresql://USER@HOST/NAME [default: a file in --data]",
        ),
    ] = None,
    http: Annotated[bool, typer.Option("--http", help="Plain HTTP instead of TLS.")] = False,
    workers: Annotated[
        int,
        typer.Option(
            help="Tasks that run at once; an eighth more on idle instances.", min=1, max=1000
        ),
    ] = 64,
    role: Annotated[str, typer.Option(help="all, api or worker.")] = "all",
    retention_days: Annotated[
        int, typer.Option(help="Clear records this long after a task's end; 0: never.", min=0)
    ] = 30,
    keep_most: Annotated[
        int, typer.Option(help="Ended tasks kept of one instance; 0: any number.", min=0)
    ] = 100_000,
    log_format: Annotated[str, typer.Option(help="text or json, on standard error.")] = "text",
    empty: Annotated[
        bool, typer.Option("--empty", help="Make no instance on the first start.")
    ] = False,
    i_know: Annotated[
        bool, typer.Option("--i-know", help="Bind anywhere with the generated keys.")
    ] = False,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Requests a second of one user; beyond: 429. [default: no limit]",
            min=0.001,
        ),
    ] = None,
    emulator: Annotated[
        bool, typer.Option("--emulator", help="For tests: virtual time, faults, seeds, reset.")
    ] = False,
    clock_speed: Annotated[
        float, typer.Option(help="Virtual time, with --emulator.", min=1, max=10_000)
    ] = 1.0,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Time stands still at first, with --emulator.")
    ] = False,
    transition: Transitions = None,
    seed: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML or JSON to begin with, with --emulator."),
    ] = None,
) -> None:
    """Serve the API and run tasks, until SIGTERM.

    Prints `ready URL` when it answers; `ready worker` where it serves no API.
    """
    if role not in {"all", "api", "worker"}:
        raise typer.BadParameter("must be all, api or worker", param_hint="--role")
    from backroom.cli.emulation import EmulatorFlags, emulator_settings  # noqa: PLC0415
    from backroom.cli.logs import FORMATS  # noqa: PLC0415
    from backroom.cli.serving import run_server  # noqa: PLC0415
    from backroom.settings import Settings, default_data  # noqa: PLC0415

    if log_format not in FORMATS:
        raise typer.BadParameter("must be text or json", param_hint="--log-format")
    run(
        run_server(
            Settings(
                data=(data or default_data()).absolute(),
                database=database,
                host=host,
                port=port,
                is_plain_http=http,
                slots=workers,
                role=role,
                retention_days=retention_days,
                keep_most=keep_most,
                is_empty=empty,
                allows_generated_keys_anywhere=i_know,
                rate_limit_per_s=rate_limit,
                emulator=emulator_settings(
                    EmulatorFlags(emulator, clock_speed, frozen, transition or [], seed)
                ),
            ),
            log_format,
        )
    )


@app.command(epilog='Example: eval "$(backroom env --data ./data)"')
def env(
    data: Data = None,
    lang: Annotated[str, typer.Option(help="sh, powershell or dotenv.")] = "sh",
) -> None:
    """Print the environment that points SDKs at this server, ready to be evaluated."""
    from backroom.cli.environment import LANGUAGES, print_environment  # noqa: PLC0415

    if lang not in LANGUAGES:
        raise typer.BadParameter(f"must be one of {', '.join(LANGUAGES)}", param_hint="--lang")
    run(print_environment(data, lang))


@app.command("test-server", epilog="Example: backroom test-server --port 0 --json")
def serve_tests(  # noqa: PLR0913  one parameter a flag
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON with all that a client needs.")
    ] = False,
    tls: Annotated[bool, typer.Option("--tls", help="TLS instead of plain HTTP.")] = False,
    empty: Annotated[bool, typer.Option("--empty", help="Make no instance.")] = False,
    clock_speed: Annotated[float, typer.Option(help="Virtual time.", min=1, max=10_000)] = 1.0,
    frozen: Annotated[bool, typer.Option("--frozen", help="Time stands still at first.")] = False,
    transition: Transitions = None,
    seed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML or JSON to begin with.")
    ] = None,
) -> None:
    """Serve an emulator for one run of tests, in memory, until standard input is closed.

    Whoever reaches its port may use the controls. Every task ends at once, unless told otherwise.
    """
    from backroom.cli.emulation import EmulatorFlags, emulator_settings  # noqa: PLC0415
    from backroom.cli.test_server import run_test_server, with_default  # noqa: PLC0415

    asked = emulator_settings(
        EmulatorFlags(
            emulator=True,
            clock_speed=clock_speed,
            frozen=frozen,
            transitions=transition or [],
            seed=seed,
        )
    )
    emulator = with_default(asked, transition or [])
    run(run_test_server(emulator, port, tls=tls, empty=empty, as_json=as_json))


@app.command(epilog="Example: backroom doctor --data ./data")
def doctor(
    data: Data = None,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Format.TABLE,
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="en|zh", help="[default: the locale's]")
    ] = None,
) -> None:
    """Look for what is wrong with a server on this machine, and say what to do.

    Data folder, server and port, certificates, clock, database, Java, Maven, PostgreSQL. Exit
    code 0 if nothing is broken, 1 if something is; a warning breaks nothing.
    """
    from backroom.cli.doctor import examine  # noqa: PLC0415

    examine(data, output, lang)


def _mount() -> None:
    for name, text in {
        "tasks": "Tasks: look, wait, cancel, retry, export.",
        "instances": "Instances: look, create, change, delete.",
        "topics": "Topics of an instance: list, create, delete.",
        "reassign": "Partitions to other brokers: plan, start.",
        "schedule": "Scheduled tasks: list, move, cancel.",
        "keys": "Key pairs: add, list, revoke.",
        "audit": "Events: verify, export, the key that signs.",
        "db": "Database: migrate, check, export, import.",
        "signature": "Find out why a signature is refused.",
    }.items():
        module = f"backroom.cli.{'database' if name == 'db' else name}"
        mounted = typer.Typer(cls=loaded_when_asked(module), no_args_is_help=True)
        app.add_typer(mounted, name=name, help=text)


_mount()
