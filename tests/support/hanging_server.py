"""`backroom serve` that knows one more operation, whose step blocks. Started as a module:

    python -m tests.support.hanging_server DATA SECONDS [serve's arguments]

Each instance gets one such task as soon as the server answers, if there is none. The step notes
`begun` and `ended` with the moment in DATA/steps.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.support.engine_world import NoParams, catalogue_with, make_operation

from backroom import cli
from backroom.cli import serving
from backroom.domain.account import Identity
from backroom.domain.filter import Page, TaskSearch
from backroom.domain.instance import InstanceFilter
from backroom.service import Order

NAME = "hangForAWhile"
NOTES = "steps"


def operation(data: Path, seconds: float):
    def note(what: str) -> None:
        with (data / NOTES).open("a", encoding="utf-8") as notes:
            notes.write(f"{what} {datetime.now(UTC).isoformat()}\n")

    def hang(_context):
        note("begun")
        time.sleep(seconds)
        note("ended")
        return "done"

    return make_operation(lambda _context: "first", hang, lambda _context: "last", name=NAME)


def serve_with(data: str, arguments: list[str], order) -> None:
    """`backroom serve`; each instance without a task gets what `order` makes of the moment."""
    real = serving.serve

    async def serve(settings, ready):
        async def submit_and_say(backroom, endpoint):
            await submit_to_all(backroom, order)
            await ready(backroom, endpoint)

        await real(settings, submit_and_say)

    serving.serve = serve
    sys.argv = ["backroom", "serve", "--data", data, *arguments]
    cli.main()


async def submit_to_all(backroom, order) -> None:
    (key,) = await backroom.account_store.access_keys()
    who = Identity(key.project_id, key.user_id, key.user_name, key.role)
    found, _ = await backroom.instances.find(InstanceFilter(project_id=key.project_id), Page())
    for instance in found:
        wanted = TaskSearch(project_id=key.project_id, instance_id=instance.id)
        if not (await backroom.finder.search(wanted, None, 1)).tasks:
            await backroom.service.submit(who, instance.id, order(backroom.clock.now()))


def main() -> None:
    data, seconds, *more = sys.argv[1:]
    hanging = operation(Path(data), float(seconds))
    with catalogue_with(hanging):
        serve_with(data, more, lambda _now: Order(operation=hanging, params=NoParams(), public={}))


if __name__ == "__main__":
    main()
