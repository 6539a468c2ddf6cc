"""`backroom test-server`: a server for one run of tests in any language."""

import asyncio
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import msgspec

from backroom.domain.transition import IMMEDIATE
from backroom.environment import environment
from backroom.server import collect_rarely, running
from backroom.settings import EmulatorSettings, Settings


class TestServerBody(msgspec.Struct, frozen=True, kw_only=True):
    """All that a client needs. `env` is to be added to the environment of a program."""

    endpoint: str
    region: str
    project_id: str
    ak: str
    sk: str
    instance_id: str | None
    ca_path: str | None
    pid: int
    env: dict[str, str]


def with_default(asked: EmulatorSettings | None, texts: list[str]) -> EmulatorSettings:
    """Tasks end at once unless it was said otherwise."""
    asked = asked or EmulatorSettings()
    if any(text.startswith("*=") for text in texts):
        return asked
    plan = msgspec.structs.replace(asked.transitions, default=IMMEDIATE)
    return msgspec.structs.replace(asked, transitions=plan)


async def run_test_server(
    emulator: EmulatorSettings, port: int, *, tls: bool, empty: bool, as_json: bool
) -> None:
    """Until standard input ends, or SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="backroom-") as folder:
        settings = Settings(
            data=Path(folder),
            database="sqlite://",
            port=port,
            is_plain_http=not tls,
            is_empty=empty,
            emulator=msgspec.structs.replace(emulator, is_open=True),
        )
        stop = _stop_at_the_end()
        async with running(settings, stop) as (backroom, endpoint):
            collect_rarely()
            variables = await environment(backroom)
            body = TestServerBody(
                endpoint=endpoint,
                region=settings.region,
                project_id=variables["BACKROOM_PROJECT_ID"],
                ak=variables["CLOUD_SDK_AK"],
                sk=variables["CLOUD_SDK_SK"],
                instance_id=variables.get("BACKROOM_INSTANCE_ID"),
                ca_path=variables.get("SSL_CERT_FILE"),
                pid=os.getpid(),
                env=variables,
            )
            _print(body, as_json=as_json)
            await stop.wait()


def _print(body: TestServerBody, *, as_json: bool) -> None:
    if as_json:
        lines = [msgspec.json.encode(body).decode()]
    else:
        variables = (f"{name}={value}" for name, value in body.env.items())
        lines = [f"ready {body.endpoint}", *variables, "It ends with its standard input (Ctrl-D)."]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def _stop_at_the_end() -> asyncio.Event:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def read() -> None:
        # no buffered reader: one that a thread holds at the end of a process brings it down
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return stop
