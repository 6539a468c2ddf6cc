"""What `backroom serve` prints."""

import sys

import typer

from backroom.bootstrap import Backroom
from backroom.cli.logs import set_up
from backroom.server import serve
from backroom.settings import Settings


async def run_server(settings: Settings, log_format: str) -> None:
    set_up(log_format)

    async def ready(_backroom: Backroom, endpoint: str) -> None:
        typer.echo(f"ready {endpoint}")
        sys.stdout.flush()
        if sys.stdout.isatty() and settings.role != "worker":
            typer.echo(f'In another shell: eval "$(backroom env --data {settings.data})"')

    await serve(settings, ready)
