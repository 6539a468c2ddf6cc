"""`backroom db`: bring a database up to date, check it, and carry it from one to another."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backroom.cli.app import Data
from backroom.cli.loop import run

if TYPE_CHECKING:
    from backroom.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///PATH or postgresql://USER@HOST/NAME [default: the one of --data]",
    ),
]


def located(data: Path | None, database: str | None = None) -> "Settings":
    """Where the records are. Raises NothingThere for a folder that no server has filled yet."""
    from backroom.cli.opening import NothingThere  # noqa: PLC0415
    from backroom.database import missing  # noqa: PLC0415

    settings = chosen(data, database)
    absent = missing(settings)
    if absent is not None:
        raise NothingThere(f"there is no database {absent}; choose another one by --data")
    return settings


def chosen(data: Path | None, database: str | None) -> "Settings":
    from backroom.data_folder import last_served  # noqa: PLC0415
    from backroom.settings import Settings, default_data  # noqa: PLC0415

    folder = (data or default_data()).absolute()
    served = last_served(folder)
    if database is None and served is not None:
        database = served.database
    return Settings(data=folder, database=database)


@app.command(epilog="Example: backroom db migrate --data ./data")
def migrate(data: Data = None, database: Database = None) -> None:
    """Bring the database to the schema of this release. `backroom serve` does so, too."""
    from backroom.database import migrated  # noqa: PLC0415

    before, after = run(migrated(located(data, database)))
    if before == after:
        typer.echo(f"schema {after}, up to date")
    else:
        typer.echo(f"schema {before} -> {after}")


@app.command(epilog="Example: backroom db check --data ./data")
def check(
    data: Data = None,
    database: Database = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out indexes and chains of events.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Look for what must not be: damage, counts that don't fit, lanes without tasks, ...

    Looks at one moment, beside a server that may be running, and changes nothing. Prints one line
    for each thing that is wrong. Exit code 0 if there is none, 1 if there is.
    """
    from backroom.cli.progress import progress  # noqa: PLC0415
    from backroom.database import wrong  # noqa: PLC0415

    with progress("events") as seen:
        found = run(wrong(located(data, database), quick=quick, seen=seen))
    if as_json:
        import json  # noqa: PLC0415

        typer.echo(json.dumps({"ok": not found, "problems": found}, indent=2, ensure_ascii=False))
    else:
        for text in found or ["ok"]:
            typer.echo(text)
    if found:
        raise typer.Exit(1)


@app.command(epilog="Example: backroom db export --output backup.jsonl")
def export(
    output: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Write all records of one moment into one file, beside a server that may be running.

    Secrets stay sealed; secret.key, which opens them, is not in it: keep a copy of that apart.
    """
    from backroom.cli.files import writing  # noqa: PLC0415
    from backroom.cli.progress import progress  # noqa: PLC0415
    from backroom.database import exported  # noqa: PLC0415

    settings = located(data, database)
    with writing(output) as write, progress("rows") as seen:
        run(exported(settings, datetime.now(UTC), write, seen))
    typer.echo(f"written: {output}", err=True)


@app.command("import", epilog="Example: backroom db import backup.jsonl --data ./new")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="What export wrote.", exists=True, dir_okay=False, show_default=False),
    ],
    data: Data = None,
    database: Database = None,
) -> None:
    """Fill an empty database with all records of an export: all of them, or none.

    Refused while a server runs on the data folder or the SQLite file, and for a database that
    holds anything.
    """
    from backroom.cli.files import lines  # noqa: PLC0415
    from backroom.cli.progress import progress  # noqa: PLC0415
    from backroom.database import filled  # noqa: PLC0415
    from backroom.server import only_server  # noqa: PLC0415
    from backroom.settings import KEY_FILE  # noqa: PLC0415

    settings = chosen(data, database)
    size = file.stat().st_size
    with only_server(settings), file.open("rb") as opened, progress(file.name, size) as seen:
        counts = run(filled(settings, lines(opened, seen)))
    typer.echo(f"{sum(counts.values())} rows, {counts.get('tasks', 0)} tasks")
    if not (settings.data / KEY_FILE).exists():
        typer.echo(
            f"put the {KEY_FILE} of the old data folder into {settings.data} before you start: "
            "without it no key can sign in",
            err=True,
        )
