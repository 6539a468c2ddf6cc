"""`backroom serve` that notes each run of a step that returned. Started as a module:

    python -m tests.support.noting_server DATA [serve's arguments]

A line of DATA/runs is the id of the task and the name of the step.
"""

import sys
from collections import Counter
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backroom import bootstrap, cli
from backroom.operations.operation import Step

RUNS = "runs"


def command(data: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.support.noting_server", str(data))


def runs(*folders: Path) -> Counter[tuple[str, ...]]:
    """How often each step of each task returned, in the workers of these folders."""
    found = [folder / RUNS for folder in folders if (folder / RUNS).exists()]
    return Counter(
        tuple(line.split()) for file in found for line in file.read_text("utf-8").splitlines()
    )


def main() -> None:
    data, *more = sys.argv[1:]
    notes = Path(data) / RUNS

    def noted(step: Step[Any]) -> Step[Any]:
        assert iscoroutinefunction(step.run), step.name

        @wraps(step.run)
        async def run(context):
            output = await step.run(context)
            with notes.open("a", encoding="utf-8") as file:
                file.write(f"{context.task.id} {step.name}\n")
            return output

        return replace(step, run=run)

    bootstrap.same_step = noted
    sys.argv = ["backroom", "serve", "--data", data, *more]
    cli.main()


if __name__ == "__main__":
    main()
