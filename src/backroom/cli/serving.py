"""What `backroom serve` prints."""

import sys

import typer

from backroom.bootstrap import Backroom
from backroom.server import serve
from backroom.settings import Settings


async def run_server(settings: Settings) -> None:
    async def ready(_backroom: Backroom, endpoint: str) -> None:
        typer.echo(f"ready {endpoint}")
        sys.stdout.flush()
        if sys.stdout.isatty():
            typer.echo(f'In another shell: eval "$(backroom env --data {settings.data})"')

    await serve(settings, ready)
