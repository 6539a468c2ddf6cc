"""`backroom test-server` as programs call it, without the command tree.

Each run of tests in another language starts one, and to build the tree takes a fifth of that time.
Whatever isn't understood here, mistakes above all, is left to the tree.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from backroom.domain.errors import InvalidInput
from backroom.settings import EmulatorSettings
from backroom.wire.seed import decode_seed

MOST_PORT = 65_535


class PlainCall(NamedTuple):
    emulator: EmulatorSettings
    port: int
    as_json: bool

    def serve(self) -> None:
        from backroom.cli.loop import run  # noqa: PLC0415  asked for by whoever serves
        from backroom.cli.test_server import run_test_server, with_default  # noqa: PLC0415

        emulator = with_default(self.emulator, [])
        run(run_test_server(emulator, self.port, tls=False, empty=False, as_json=self.as_json))


def plain_call(arguments: Sequence[str]) -> PlainCall | None:
    """None: it is another command, or has options of other names, or values that are refused."""
    if arguments[:1] != ["test-server"]:
        return None
    said, words = {"--port": "0"}, iter(arguments[1:])
    for word in words:
        if word not in {"--port", "--seed", "--json"}:
            return None
        said[word] = "" if word == "--json" else next(words, "")
    port = said["--port"]
    if not (port.isascii() and port.isdigit() and int(port) <= MOST_PORT):
        return None
    try:
        seed = decode_seed(Path(said["--seed"]).read_bytes()) if "--seed" in said else None
    except (OSError, ValueError, InvalidInput):
        return None
    return PlainCall(EmulatorSettings(seed=seed), int(port), "--json" in said)
