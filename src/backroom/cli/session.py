"""What all commands that talk to a server have in common: options, a connection, an output.

`asks` gives a command the session as its first parameter, and its options to the command line.
"""

import inspect
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backroom.cli.nonempty import nonempty
from backroom.cli.output import Format, Output, query_problem, warn
from backroom.cli.secret_input import given_secret
from backroom.cli.sentences import LANGUAGES, choose, tell

if TYPE_CHECKING:
    from backroom.cli.calls import Calls


def instance_option(text: str) -> Any:
    return typer.Option("--instance", "-i", metavar="ID|NAME", help=text, callback=nonempty)


Instance = Annotated[
    str | None,
    instance_option("Of this instance. [default: $BACKROOM_INSTANCE_ID, else the only one]"),
]

OutputFormat = Annotated[Format, typer.Option("--output", "-o", help="For people or for programs.")]

Query = Annotated[
    str | None, typer.Option(metavar="JMESPATH", help="Pick from what -o json would print.")
]


class Session:
    """`instance_id` is what the environment names."""

    def __init__(self, output: Output, calls: "Calls", instance_id: str | None) -> None:
        self.output = output
        self.calls = calls
        self.instance_id = instance_id

    def instance(self, named: str | None) -> str:
        """The id of that instance, else of the environment's, else of the only one.

        Raises typer.BadParameter for an empty name: it means no other instance.
        """
        from backroom.cli.naming import chosen_instance  # noqa: PLC0415

        if named is not None and not named.strip():
            raise typer.BadParameter("is empty", param_hint="INSTANCE")
        return chosen_instance(self.calls, named or self.instance_id)

    def require_yes_in_a_pipe(self) -> None:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise typer.BadParameter(tell("needs yes"), param_hint="--yes")

    def confirm(self, what: str, *, is_sure: bool) -> None:
        """Before something is lost: asks on a terminal, and wants --yes elsewhere."""
        if is_sure:
            return
        self.require_yes_in_a_pipe()
        if not typer.confirm(tell("confirm", what=what), err=True):
            typer.echo(tell("not confirmed"), err=True)
            raise typer.Exit(1)


def _connection_options(  # noqa: PLR0913  one parameter a flag
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The server. [default: $BACKROOM_ENDPOINT, else --data]",
            callback=nonempty,
        ),
    ] = None,
    project_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="[default: $BACKROOM_PROJECT_ID, else the key's]",
            callback=nonempty,
        ),
    ] = None,
    ak: Annotated[
        str | None,
        typer.Option(
            "--ak", help="Access key. [default: $CLOUD_SDK_AK, else --data]", callback=nonempty
        ),
    ] = None,
    sk: Annotated[
        str | None,
        typer.Option(
            "--sk",
            help="Secret key; - reads it from input. A key itself shows in the list of processes. "
            "[default: $CLOUD_SDK_SK, else --data]",
        ),
    ] = None,
    sk_file: Annotated[
        Path | None,
        typer.Option("--sk-file", metavar="FILE", help="Secret key, in a file."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="A server's data folder on this machine: its address and key.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="CAs to trust.", exists=True, dir_okay=False),
    ] = None,
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="en|zh", help="[default: the locale's]")
    ] = None,
) -> Any:
    from backroom.cli.connecting import Connection  # noqa: PLC0415

    if (ak is None) is not (sk is None and sk_file is None):
        raise typer.BadParameter("go together", param_hint="--ak, --sk")
    if lang is not None and lang not in LANGUAGES:
        raise typer.BadParameter("must be en or zh", param_hint="--lang")
    choose(lang)
    secret = given_secret(sk, sk_file, "--sk")
    return Connection(
        endpoint=endpoint,
        project_id=project_id,
        access_key=ak,
        secret_key=secret,
        data=data,
        authority=ca,
    )


def output_options(output: OutputFormat = Format.TABLE, query: Query = None) -> Output:
    problem = None if query is None else query_problem(query)
    if problem is not None:
        raise typer.BadParameter(problem, param_hint="--query")
    return Output(output, query)


def _change_options(
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; recorded with the task.")
    ] = None,
    client_token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The same for the same change: it is made once. [default: random]",
            callback=nonempty,
        ),
    ] = None,
) -> Any:
    from backroom.cli.calls import Purpose  # noqa: PLC0415

    if client_token is not None and not (client_token.isascii() and client_token.isprintable()):
        raise typer.BadParameter("must be printable ASCII", param_hint="--client-token")
    is_repeatable = client_token is not None
    return Purpose(client_token or secrets.token_hex(16), reason, is_repeatable)


Command = Callable[..., None]


def asks(
    *, changes: bool = False, prints: bool = True, choice: Callable[..., Any] | None = None
) -> Callable[[Command], Command]:
    """Make `function(session, ...)` a command: `changes` adds --reason, `prints` adds --output.

    `choice` adds its own options, and what it makes of them is passed on as `choice`.
    """
    groups: list[Callable[..., Any]] = [_connection_options]
    if prints:
        groups.insert(0, output_options)
    if changes:
        groups.insert(0, _change_options)
    if choice is not None:
        groups.insert(0, choice)
    shared = {group: inspect.signature(group, eval_str=True).parameters for group in groups}

    def decorated(function: Command) -> Command:
        def command(**values: Any) -> None:
            made = {
                group: group(**{name: values.pop(name) for name in names})
                for group, names in shared.items()
            }
            if choice is not None:
                values["choice"] = made[choice]
            with _session(*map(made.get, _GROUPS)) as session:
                function(session, **values)

        named = inspect.signature(function, eval_str=True).parameters
        own = [p for p in [*named.values()][1:] if choice is None or p.name != "choice"]
        more = [parameter for names in shared.values() for parameter in names.values()]
        return _disguised(command, function, [*own, *more])

    return decorated


_GROUPS: tuple[Callable[..., Any], ...] = (_connection_options, output_options, _change_options)


def _disguised(command: Command, function: Command, parameters: list[Parameter]) -> Command:
    """Typer reads a command's options from its signature."""
    keywords = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters]
    vars(command)["__signature__"] = inspect.Signature(keywords)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    return command


@contextmanager
def _session(said: Any, output: Output | None, purpose: Any) -> Iterator[Session]:
    from backroom.cli.calls import Calls  # noqa: PLC0415
    from backroom.cli.client import Client, is_in_the_clear, shown_endpoint  # noqa: PLC0415
    from backroom.cli.connecting import connected  # noqa: PLC0415

    server, instance_id = connected(said)
    client = Client(server)
    if is_in_the_clear(server.endpoint):
        warn(tell("in the clear", endpoint=shown_endpoint(server.endpoint)))
    try:
        yield Session(output or Output(), Calls(client, purpose), instance_id)
    finally:
        client.close()
