from dataclasses import dataclass

import pytest
from tests.support.clocks import MovedClock
from tests.support.coroutines import pytest_pyfunc_call  # noqa: F401  pytest finds the hook by its name
from tests.support.databases import SqliteMemory

from backroom.platforms.simulated import SimulatedPlatform, Timings
from backroom.ports import Platform

LAGS_S = {"simulated": 0.0, "simulated with lag": 1.5}


@dataclass
class Stage:
    """A platform, and how time passes for it. A real one would sleep a little in `look_again`."""

    platform: Platform
    clock: MovedClock
    patience: int = 400  # looks

    async def look_again(self) -> None:
        self.clock.move(0.25)

    async def until(self, instance_id, is_there):
        """What is observed once `is_there`; a change that was accepted comes in the end."""
        for _ in range(self.patience):
            cluster = await self.platform.observe(instance_id)
            if is_there(cluster):
                return cluster
            await self.look_again()
        raise AssertionError(f"never seen; last: {cluster}")

    async def for_a_while(self, instance_id):
        """Everything observed while what was accepted before has time to show."""
        seen = []
        for _ in range(60):
            seen.append(await self.platform.observe(instance_id))
            await self.look_again()
        return seen


@pytest.fixture(params=LAGS_S)
def stage(request):
    database = SqliteMemory()
    clock = MovedClock()
    timings = Timings(observation_lag_s=LAGS_S[request.param])
    yield Stage(SimulatedPlatform(database.open().clusters, clock, timings), clock)
    database.close()
