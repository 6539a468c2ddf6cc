"""Runs a `backroom` command in this process, as in a pipe."""

from typing import Any

from typer.testing import CliRunner

from backroom.cli.app import app
from backroom.domain.errors import BackroomError


def command(*arguments: Any, input: str | None = None, **environment: str) -> Any:  # noqa: A002  the runner's name
    """Its result; a refusal is in `refusal`, as main() would print it."""
    env = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", **environment}
    result: Any = CliRunner().invoke(app, [str(argument) for argument in arguments], input, env=env)
    result.refusal = ""
    if isinstance(result.exception, BackroomError):
        result.refusal = str(result.exception)
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
