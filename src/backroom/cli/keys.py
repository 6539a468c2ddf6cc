"""`backroom keys`: for whoever sits at the machine; works beside a running server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from backroom.cli.app import Data
from backroom.cli.loop import run
from backroom.cli.nonempty import nonempty
from backroom.cli.output import Column, Format
from backroom.cli.secret_input import given_secret
from backroom.cli.session import OutputFormat, Query, output_options
from backroom.domain.account import AccessKey, Role
from backroom.domain.errors import BackroomError
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

SECRET_VARIABLE = "BACKROOM_NEW_SK"  # noqa: S105  a name, not a secret


class NoSuchKey(BackroomError):
    pass


@app.command(epilog="Example: backroom keys add --ak MYAK --sk-file sk.txt --project-id ID")
def add(
    ak: Annotated[str, typer.Option("--ak", help="Access key.", callback=nonempty)],
    project_id: Annotated[str, typer.Option("--project-id", help="Its project.")],
    sk: Annotated[
        str | None,
        typer.Option(
            "--sk",
            help="Secret key; - reads it from input. A key itself shows in the list of processes. "
            f"[default: ${SECRET_VARIABLE}]",
        ),
    ] = None,
    sk_file: Annotated[
        Path | None,
        typer.Option("--sk-file", metavar="FILE", help="Secret key, in a file."),
    ] = None,
    role: Annotated[Role, typer.Option(help="viewer reads, operator submits.")] = Role.OPERATOR,
    data: Data = None,
) -> None:
    """Add a key pair. A running server takes it at once."""
    secret = given_secret(sk, sk_file, "--sk") or os.environ.get(SECRET_VARIABLE)
    if not secret:
        raise typer.BadParameter("is empty", param_hint="--sk")
    key = run(_add(data, ak, secret, ProjectId(project_id), role))
    typer.echo(f"added {key.access_key} ({key.role}) in project {key.project_id}")


@app.command("list", epilog="Example: backroom keys list -o json --query '[].access_key'")
def list_(data: Data = None, output: OutputFormat = Format.TABLE, query: Query = None) -> None:
    """List the key pairs, never their secrets."""
    shown = output_options(output, query)
    shown.rows([_row(key) for key in run(_list(data))], _COLUMNS)


@app.command(epilog="Example: backroom keys revoke MYAK")
def revoke(
    ak: Annotated[str, typer.Argument(help="Access key.", show_default=False)],
    data: Data = None,
) -> None:
    """Revoke a key pair. A running server refuses it at once."""
    if not run(_revoke(data, ak)):
        raise NoSuchKey(f"there is no key {ak}; see: backroom keys list")
    typer.echo(f"revoked {ak}")


_COLUMNS = (
    Column("ACCESS KEY", "access_key"),
    Column("ROLE", "role"),
    Column("USER", "user_name"),
    Column("PROJECT", "project_id"),
    Column("EXPIRES", "expires_at"),
    Column("CREATED", "created_at", is_wide=True),
    Column("GENERATED", "is_generated", is_wide=True),
)


def _row(key: AccessKey) -> dict[str, str | bool | None]:
    return {
        "access_key": key.access_key,
        "role": key.role.value,
        "user_name": key.user_name,
        "project_id": key.project_id,
        "created_at": stamp(key.created_at),
        "expires_at": None if key.expires_at is None else stamp(key.expires_at),
        "is_generated": key.is_generated,
    }


async def _add(
    data: Path | None, access_key: str, secret: str, project_id: ProjectId, role: Role
) -> AccessKey:
    from backroom.cli.opening import opened  # noqa: PLC0415

    async with opened(data) as backroom:
        return await backroom.accounts.add_key(None, access_key, secret, project_id, role)


async def _list(data: Path | None) -> list[AccessKey]:
    from backroom.cli.opening import opened  # noqa: PLC0415

    async with opened(data) as backroom:
        return await backroom.accounts.list_keys(None)


async def _revoke(data: Path | None, access_key: str) -> bool:
    from backroom.cli.opening import opened  # noqa: PLC0415

    async with opened(data) as backroom:
        return await backroom.accounts.revoke_key(None, access_key)
