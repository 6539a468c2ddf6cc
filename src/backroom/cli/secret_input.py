"""Secrets from where no list of processes shows them: a file, standard input, a hidden prompt."""

import sys
from pathlib import Path

import typer

from backroom.cli.output import warn
from backroom.cli.sentences import tell

MOST = 64 * 1024  # characters; what is longer is no secret


def given_secret(value: str | None, file: Path | None, option: str) -> str | None:
    """`value`, or - for input, or the first line of `file`; None where neither is said.

    Raises typer.BadParameter, which never tells what was read.
    """
    if value is not None and file is not None:
        raise typer.BadParameter("say one of them", param_hint=f"{option}, {option}-file")
    if file is not None:
        return _first_line(file, f"{option}-file")
    if value == "-":
        value = _from_input()
    elif value:
        warn(tell("secret shown", option=option))
    if value is not None and not value.strip():
        raise typer.BadParameter("is empty", param_hint=option)
    return value


def _from_input() -> str:
    if sys.stdin.isatty():
        from getpass import getpass  # noqa: PLC0415  few need it

        return getpass().strip()
    return sys.stdin.readline(MOST).strip()


def _first_line(file: Path, option: str) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            secret = opened.readline(MOST).strip()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} is no text", param_hint=option) from None
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint=option) from None
    if not secret:
        raise typer.BadParameter(f"{file} is empty", param_hint=option)
    return secret
