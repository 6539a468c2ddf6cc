"""Commands on recorded signed requests: do they verify, and if not, why not."""

import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
import typer

BAD_INPUT: Final = 2
SECRET_KEY_VARIABLE: Final = "BACKROOM_SK"  # noqa: S105 - a name, not a secret

app = typer.Typer(
    no_args_is_help=True, help="Check and explain the signatures of recorded requests."
)


@app.command(epilog="Example: backroom signature check tests/golden/signature-vectors.json")
def check(
    file: Annotated[Path, typer.Argument(help="Vectors as JSON.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Verify each recorded request and compare with what it expects.

    The file is {"vectors": [...]} or a bare list; each vector has id, sk, method, target,
    headers, body_base64, now and expect. Exit code 0 if every verdict is as expected, 1 if
    not, 2 if the file can't be read.
    """
    from backroom.cli.recorded_requests import UnreadableRecord, read_vectors  # noqa: PLC0415
    from backroom.cli.signature_reports import judge, print_outcome, say  # noqa: PLC0415

    try:
        outcomes = [judge(vector) for vector in read_vectors(file.read_bytes())]
    except (OSError, UnreadableRecord) as error:
        _give_up(file, error)
    wrong = sum(not outcome.as_expected for outcome in outcomes)
    if as_json:
        document = {"total": len(outcomes), "wrong": wrong, "vectors": outcomes}
        typer.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
    else:
        for outcome in outcomes:
            print_outcome(outcome)
        say(f"{len(outcomes)} checked, {wrong} not as expected")
    raise typer.Exit(1 if wrong else 0)


@app.command(epilog="Example: BACKROOM_SK=... backroom signature explain request.txt")
def explain(
    file: Annotated[
        str, typer.Argument(help="A vector as JSON or a raw HTTP request; - for standard input.")
    ],
    secret_key_env: Annotated[
        str, typer.Option(help="The environment variable that holds the secret key.")
    ] = SECRET_KEY_VARIABLE,
) -> None:
    """Say why one recorded request is refused, or which form it fitted.

    The secret key comes from the environment, else from the record, never from the command
    line. The clock is the record's "now", else the request's own X-Sdk-Date. Exit code 0 if
    the request is accepted, 1 if it is refused, 2 if it can't be read.
    """
    from backroom.cli.recorded_requests import (  # noqa: PLC0415
        UnreadableRecord,
        read_record,
        secret_key_of,
    )
    from backroom.cli.signature_explanations import explained  # noqa: PLC0415
    from backroom.cli.signature_reports import print_marked  # noqa: PLC0415

    try:
        record = read_record(_read_bytes(file))
        lines = list(explained(record, secret_key_of(record, secret_key_env)))
    except (OSError, UnreadableRecord) as error:
        _give_up(file, error)
    accepted = lines[0].startswith("accepted")
    print_marked(lines)
    raise typer.Exit(0 if accepted else 1)


def _give_up(file: object, error: Exception) -> NoReturn:
    from backroom.cli.output import printable  # noqa: PLC0415

    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    typer.echo(printable(f"{file}: {' '.join(text.split())}"), err=True)
    raise typer.Exit(BAD_INPUT)


def _read_bytes(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
