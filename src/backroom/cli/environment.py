"""Prints the variables that make each SDK find and trust this server."""

import shlex
from collections.abc import Callable
from pathlib import Path

import typer

from backroom.cli.opening import opened
from backroom.environment import environment

_WRITTEN: dict[str, Callable[[str, str], str]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "powershell": lambda name, value: f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'",
    "dotenv": lambda name, value: f'{name}="{_escaped(value)}"',
}
LANGUAGES = tuple(_WRITTEN)


async def print_environment(data: Path | None, lang: str) -> None:
    async with opened(data) as backroom:
        for name, value in (await environment(backroom)).items():
            typer.echo(_WRITTEN[lang](name, value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
