"""What the server in a test's own process costs: one line of JSON, `[wall, CPU]` in ms.

A process of its own each time, so that nothing has been imported before.
"""

import json
import statistics
import sys
from time import perf_counter, process_time

from tests.support.hundred_objects import OBJECTS

Moment = tuple[float, float]


def now() -> Moment:
    return perf_counter(), process_time()


def since(before: Moment) -> Moment:
    wall, cpu = now()
    return (wall - before[0]) * 1e3, (cpu - before[1]) * 1e3


def median(taken: list[Moment]) -> Moment:
    walls, cpus = zip(*taken, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def main(repeats: int) -> None:
    began = now()
    from backroom.testing.server import InProcessServer  # noqa: PLC0415  its time is measured

    figures = {"import": since(began)}
    began = now()
    server = InProcessServer().start()
    figures["ready"] = since(began)

    seeds, resets = [], []
    for _ in range(repeats):
        began = now()
        server.seed(OBJECTS)
        seeds.append(since(began))
        began = now()
        server.reset()
        resets.append(since(began))
    server.stop()
    print(json.dumps(figures | {"seed": median(seeds), "reset": median(resets)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
