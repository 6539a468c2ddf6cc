"""The first minute with Backroom: a server, a task, its record, in one screen.

Starts a server with TLS on a free loopback port and an empty data folder, asks it for public
access of the demo instance, shows the task's record as the official SDK sees it, and stops.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parent / "python"
BACKROOM = str(Path(sys.executable).with_name("backroom"))
STOP_WITHIN_S = 15

NEXT = """
Next:
  1. keep a server running            ./run serve --data ./data
  2. point your own program at it     eval "$(.venv/bin/backroom env --data ./data)"
  3. ask why a signature is refused   .venv/bin/backroom signature explain --help
接下来：1. 常驻运行  2. 让自己的程序连过来  3. 查明签名为何被拒（中文说明见 README.zh-CN.md）"""


@contextmanager
def served(data: Path) -> Iterator[str]:
    """A server's base URL while it runs."""
    command = [BACKROOM, "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline() if server.stdout else ""
        word, _, endpoint = line.strip().partition(" ")
        if word != "ready":
            raise SystemExit(server.wait() or 1)
        try:
            yield endpoint
        finally:
            server.terminate()
            server.wait(STOP_WITHIN_S)


def environment(data: Path) -> dict[str, str]:
    printed = subprocess.run(
        [BACKROOM, "env", "--data", str(data)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    pairs = (word.partition("=") for word in shlex.split(printed) if word != "export")
    return os.environ | {name: value for name, _, value in pairs}


def example(name: str, *arguments: str, env: dict[str, str]) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=env
    ).stdout.strip()


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # in order in a pipe too
    with tempfile.TemporaryDirectory(prefix="backroom-demo-") as folder:
        data = Path(folder)
        print("Starting a server on an empty data folder ...", flush=True)
        with served(data) as endpoint:
            print(f"  ready at {endpoint}")
            env = environment(data)
            print("Asking for public access of instance kafka-demo, with the official SDK:")
            task_id = example("bind_public_ip.py", env=env)
            print("Its record, by examples/python/show_background_task.py:")
            shown = example("show_background_task.py", task_id, env=env)
            print(json.dumps(json.loads(shown), indent=2))
    print(NEXT)


if __name__ == "__main__":
    main()
