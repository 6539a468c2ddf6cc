"""Says that this worker lives, and takes tasks away from workers that no longer do."""

import logging
from datetime import datetime, timedelta

from backroom.domain.errors import StoreUnavailable
from backroom.domain.ids import WorkerId
from backroom.engine.surroundings import Surroundings
from backroom.engine.worker import rescue

LEASE_S = 10.0
LOOK_S = 1.0  # how often one is looked at whose next beat is overdue

_log = logging.getLogger(__name__)


class Rescuer:
    """All leases of a worker stand on its one heartbeat row.

    It declares others dead only once its own beats have landed for a whole lease without a gap:
    after an outage or a pause nobody is robbed of a task that still runs.
    """

    def __init__(self, worker_id: WorkerId, around: Surroundings, lease_s: float = LEASE_S) -> None:
        self._worker_id = worker_id
        self._around = around
        self._lease = timedelta(seconds=lease_s)
        self._landing_since: datetime | None = None
        self._last_beat: datetime | None = None
        self._is_suspicious = False

    async def run(self) -> None:
        while not self._around.stopping.is_set():
            try:
                await self.round()
            except StoreUnavailable as error:
                self._landing_since = None
                self._is_suspicious = False
                _log.warning("store away: %s", error)
            pause = timedelta(seconds=LOOK_S) if self._is_suspicious else self._lease / 3
            until = self._around.clock.now() + pause
            await self._around.clock.wait(self._around.stopping, until)

    async def round(self) -> int:
        """One beat, and one look for the dead. Returns how many tasks were rescued."""
        now = self._around.clock.now()
        await self._around.tasks.beat(self._worker_id, now)
        gap = None if self._last_beat is None else now - self._last_beat
        if gap is not None and gap < timedelta():
            await self._around.tasks.hurry(now)
        if gap is None or not timedelta() <= gap <= self._lease:  # a clock that went back is one
            self._landing_since = now
        self._last_beat = now
        if self._landing_since is None or now - self._landing_since < self._lease:
            self._landing_since = self._landing_since or now
            return 0
        return await self._rescue_from_dead(now)

    async def _rescue_from_dead(self, now: datetime) -> int:
        """Those who would be dead by the next beat are looked at again soon."""
        beat = self._lease / 3
        overdue = await self._without_beat_since(now - self._lease + beat)
        dead = await self._without_beat_since(now - self._lease) if overdue else []
        self._is_suspicious = bool(overdue)
        held = [task for one in dead for task in await self._around.tasks.held(one)]
        count = await rescue(self._around, held, self._worker_id)
        if count:
            self._around.leftovers.look_everywhere()
        return count

    async def _without_beat_since(self, moment: datetime) -> list[WorkerId]:
        found = await self._around.tasks.dead_workers(moment)
        return [worker_id for worker_id in found if worker_id != self._worker_id]
