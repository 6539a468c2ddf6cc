"""What the test kit may cost on a quiet machine, the best of some tries."""

import os
import subprocess
import sys
from time import perf_counter

import pytest
from tests.support.hundred_objects import OBJECTS

from backroom.testing.server import InProcessServer

BUSY = os.getloadavg()[0] > (os.cpu_count() or 1)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BUSY, reason="the machine is busy; the budgets are a quiet one's: again later"
    ),
]

TRIES = 20


@pytest.fixture(scope="module")
def server():
    server = InProcessServer().start()
    yield server
    server.stop()


def best_s(work, tries=TRIES):
    taken = []
    for _ in range(tries):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return min(taken)


def test_a_seed_of_100_objects_takes_less_than_10_ms(server):
    assert best_s(lambda: server.seed(OBJECTS)) < 0.010


def test_a_reset_to_100_objects_takes_less_than_10_ms(server):
    server.seed(OBJECTS)

    assert best_s(server.reset) < 0.010
    assert len(server.instance_ids()) == 11


def test_a_server_is_ready_in_less_than_300_ms():
    def serve():
        InProcessServer().start().stop()

    assert best_s(serve, 3) < 0.300


def test_import_takes_less_than_300_ms():
    program = (
        "import time\nbegan = time.perf_counter()\nimport backroom.testing.server\n"
        "print(time.perf_counter() - began)"
    )
    taken = [
        float(
            subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
        )
        for _ in range(3)
    ]

    assert min(taken) < 0.300
