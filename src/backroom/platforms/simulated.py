"""Brokers that only exist as a document. They take their time, so that tasks have something to do.

Sizes decide how long: each broker comes up after the one before it, disks grow by the gigabyte. All
times are the Clock's, so a virtual clock makes hours pass at once. What has happened since the
document was written follows from the clock when it is read; nothing runs in between.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from backroom.domain.errors import StaleTask, StepRejected
from backroom.domain.ids import InstanceId
from backroom.domain.instance import Broker
from backroom.platforms.jumps import earlier, jumped_by
from backroom.ports import Clock, Cluster, ClusterSpec, ClusterStore, Machine, PublicAddress

PORT = 9092
PART = "brokers"  # of what is kept of a cluster
STARTS_KEPT = 4  # of each broker: an observation that lags may be of one before the last


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that the simulated world takes."""

    broker_start_s: float = 1.0
    address_change_s: float = 1.0
    broker_stop_s: float = 0.3
    flavor_change_s: float = 1.0
    disk_s_per_100_gb: float = 0.5
    observation_lag_s: float = 0.0


AT_ONCE = Timings(
    broker_start_s=0.0,
    address_change_s=0.0,
    broker_stop_s=0.0,
    flavor_change_s=0.0,
    disk_s_per_100_gb=0.0,
)


class _Start(msgspec.Struct, frozen=True, kw_only=True):
    """A process of a broker. From `asked_at` to `at`, the one before it is being stopped."""

    number: int
    asked_at: datetime
    at: datetime
    running_at: datetime
    flavor: str
    kept: str | None = None  # its incarnation, where `at` was moved
    configs: tuple[tuple[str, str], ...] = ()  # what its file said when it started

    @property
    def incarnation(self) -> str:
        return self.kept or f"{self.number}@{self.at.isoformat(timespec='milliseconds')}"


class _Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Grows evenly from `before_gb` at `asked_at` to `gb` at `done_at`."""

    gb: int
    before_gb: int
    asked_at: datetime
    done_at: datetime


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    spec: ClusterSpec
    broker_ready_at: tuple[datetime, ...] = ()  # of documents from before brokers had starts
    starts: tuple[tuple[_Start, ...], ...] = ()  # of each broker, the last ones
    storage: _Storage | None = None
    created_at: datetime | None = None
    public: tuple[PublicAddress, ...] = ()
    public_before: tuple[PublicAddress, ...] = ()
    public_changes_at: datetime | None = None
    gone_at: datetime | None = None
    configs: tuple[tuple[str, str], ...] = ()  # of the file that brokers read when they start


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Document).decode


class SimulatedPlatform:
    def __init__(self, clusters: ClusterStore, clock: Clock, timings: Timings) -> None:
        self._clusters = clusters
        self._clock = clock
        self._timings = timings

    async def create_cluster(self, instance_id: InstanceId, spec: ClusterSpec) -> None:
        start_s = self._timings.broker_start_s
        await self._create(instance_id, spec, start_s)

    async def adopt_cluster(self, instance_id: InstanceId, spec: ClusterSpec) -> Cluster:
        """A cluster that runs already: for a first start, and for seeds."""
        document = await self._create(instance_id, spec, 0.0)
        return _seen(instance_id, document, self._clock.now())

    async def _create(
        self, instance_id: InstanceId, spec: ClusterSpec, start_s: float
    ) -> _Document:
        """What is there from now on: what was there before, if anything was."""
        found = await self._found(instance_id)
        if found is not None:
            return found[0]
        now = self._clock.now()
        document = _Document(
            spec=spec,
            starts=_first_starts(spec.broker_count, spec.flavor, now, start_s),
            storage=_Storage(
                gb=spec.storage_gb, before_gb=spec.storage_gb, asked_at=now, done_at=now
            ),
            created_at=now,
        )
        await self._clusters.save(instance_id, PART, _encode(document), 1)
        return document

    async def delete_cluster(self, instance_id: InstanceId) -> None:
        found = await self._found(instance_id)
        if found is None:
            return
        document, version = found
        if document.gone_at is None:
            stop_s = self._timings.broker_stop_s * len(document.starts)
            gone_at = self._clock.now() + timedelta(seconds=stop_s)
            await self._save(instance_id, document, version, gone_at=gone_at)

    async def attach_public(
        self, instance_id: InstanceId, addresses: Sequence[PublicAddress]
    ) -> None:
        await self._change_public(instance_id, tuple(addresses))

    async def detach_public(self, instance_id: InstanceId) -> None:
        await self._change_public(instance_id, ())

    async def _change_public(
        self, instance_id: InstanceId, wanted: tuple[PublicAddress, ...]
    ) -> None:
        document, version = await self._existing(instance_id)
        if document.public == wanted:
            return
        now = self._clock.now()
        await self._save(
            instance_id,
            document,
            version,
            public=wanted,
            public_before=_public_at(document, now),
            public_changes_at=now + timedelta(seconds=self._timings.address_change_s),
        )

    async def restart_broker(
        self, instance_id: InstanceId, broker_id: int, incarnation: str | None
    ) -> None:
        document, version = await self._existing(instance_id)
        last = _starts_of(document, instance_id, broker_id)[-1]
        if incarnation == last.incarnation:  # else that one is stopped already, or about to be
            start_s = self._timings.broker_start_s
            start = self._next_start(document, last, last.flavor, start_s)
            await self._save(
                instance_id, document, version, starts=_with(document, broker_id, start)
            )

    async def change_flavor(self, instance_id: InstanceId, broker_id: int, flavor: str) -> None:
        document, version = await self._existing(instance_id)
        last = _starts_of(document, instance_id, broker_id)[-1]
        if last.flavor != flavor:
            start_s = self._timings.flavor_change_s + self._timings.broker_start_s
            start = self._next_start(document, last, flavor, start_s)
            await self._save(
                instance_id, document, version, starts=_with(document, broker_id, start)
            )

    async def configure(self, instance_id: InstanceId, configs: Mapping[str, str]) -> None:
        document, version = await self._existing(instance_id)
        written = tuple(sorted({**dict(document.configs), **configs}.items()))
        if written != document.configs:
            await self._save(instance_id, document, version, configs=written)

    async def files_in_force(self, instance_id: InstanceId) -> Mapping[int, Mapping[str, str]]:
        """Not of the port: what each broker read in its file when it started."""
        loaded = await self._loaded(instance_id)
        now = self._clock.now()
        return {
            broker_id: dict(([one for one in starts if one.at <= now] or starts)[-1].configs)
            for broker_id, starts in enumerate(() if loaded is None else loaded[0].starts)
        }

    def _next_start(self, document: _Document, last: _Start, flavor: str, start_s: float) -> _Start:
        now = self._clock.now()
        at = now + timedelta(seconds=self._timings.broker_stop_s)
        return _Start(
            number=last.number + 1,
            asked_at=now,
            at=at,
            running_at=at + timedelta(seconds=start_s),
            flavor=flavor,
            configs=document.configs,
        )

    async def extend_storage(self, instance_id: InstanceId, storage_gb: int) -> None:
        document, version = await self._existing(instance_id)
        storage = _storage_of(document)
        if storage_gb <= storage.gb:
            return
        now = self._clock.now()
        has_gb = _gb_at(storage, now)
        grow_s = self._timings.disk_s_per_100_gb * (storage_gb - has_gb) / 100
        growing = _Storage(
            gb=storage_gb,
            before_gb=has_gb,
            asked_at=now,
            done_at=now + timedelta(seconds=grow_s),
        )
        await self._save(instance_id, document, version, storage=growing)

    async def add_brokers(self, instance_id: InstanceId, broker_count: int) -> None:
        document, version = await self._existing(instance_id)
        there = len(document.starts)
        if broker_count <= there:
            return
        now, storage = self._clock.now(), _storage_of(document)
        flavor = document.starts[-1][-1].flavor
        added = _first_starts(broker_count - there, flavor, now, self._timings.broker_start_s)
        growing = _Storage(
            gb=storage.gb * broker_count // there,
            before_gb=_gb_at(storage, now),
            asked_at=now,
            done_at=max(storage.done_at, added[-1][-1].running_at),
        )
        reads = document.configs
        starts = document.starts + tuple(
            tuple(msgspec.structs.replace(start, configs=reads) for start in of_broker)
            for of_broker in added
        )
        await self._save(instance_id, document, version, starts=starts, storage=growing)

    async def observe(self, instance_id: InstanceId) -> Cluster | None:
        loaded = await self._loaded(instance_id)
        if loaded is None:
            return None
        document, _ = loaded
        moment = self._clock.now() - timedelta(seconds=self._timings.observation_lag_s)
        if document.created_at is not None and document.created_at > moment:
            return None
        if document.gone_at is not None and document.gone_at <= moment:
            await self._clusters.remove(instance_id)
            return None
        return _seen(instance_id, document, moment)

    async def _existing(self, instance_id: InstanceId) -> tuple[_Document, int]:
        found = await self._found(instance_id)
        if found is None:
            raise StepRejected("DMS.00400026", f"instance {instance_id} has no brokers")
        return found

    async def _found(self, instance_id: InstanceId) -> tuple[_Document, int] | None:
        """What is there, and its version; what has stopped is cleared away first."""
        loaded = await self._loaded(instance_id)
        if loaded is None:
            return None
        gone_at = loaded[0].gone_at
        if gone_at is not None and gone_at <= self._clock.now():
            await self._clusters.remove(instance_id)
            return None
        return loaded

    async def _loaded(self, instance_id: InstanceId) -> tuple[_Document, int] | None:
        """As it was kept, and its version; where the clock went back, its moments went with it."""
        while True:
            kept = await self._clusters.load(instance_id, PART)
            if kept is None:
                return None
            document, version = _upgraded(_decode(kept[0])), kept[1]
            by = jumped_by(_asked_last(document, self._timings), self._clock.now())
            if by is None:
                return document, version
            moved = earlier(_named(document), by)
            with suppress(StaleTask):
                await self._clusters.save(instance_id, PART, _encode(moved), version + 1)

    async def _save(
        self, instance_id: InstanceId, document: _Document, version: int, **changes: object
    ) -> None:
        changed = msgspec.structs.replace(document, **changes)
        await self._clusters.save(instance_id, PART, _encode(changed), version + 1)


def _first_starts(
    count: int, flavor: str, now: datetime, start_s: float
) -> tuple[tuple[_Start, ...], ...]:
    """Of brokers that come up one after the other."""
    return tuple(
        (
            _Start(
                number=1,
                asked_at=now,
                at=now,
                running_at=now + timedelta(seconds=start_s * (nth + 1)),
                flavor=flavor,
            ),
        )
        for nth in range(count)
    )


def _asked_last(document: _Document, timings: Timings) -> datetime:
    """When the last change was asked for."""
    moments = [start.asked_at for starts in document.starts for start in starts]
    if document.storage is not None:
        moments.append(document.storage.asked_at)
    if document.public_changes_at is not None:
        change = timedelta(seconds=timings.address_change_s)
        moments.append(document.public_changes_at - change)
    if document.gone_at is not None:
        stop_s = timings.broker_stop_s * len(document.starts)
        moments.append(document.gone_at - timedelta(seconds=stop_s))
    return max(moments)


def _named(document: _Document) -> _Document:
    """The same, and no incarnation depends on a moment any more."""
    starts = tuple(
        tuple(msgspec.structs.replace(start, kept=start.incarnation) for start in of_broker)
        for of_broker in document.starts
    )
    return msgspec.structs.replace(document, starts=starts)


def _upgraded(document: _Document) -> _Document:
    if document.starts:
        return document
    starts = tuple(
        (_Start(number=1, asked_at=at, at=at, running_at=at, flavor=document.spec.flavor),)
        for at in document.broker_ready_at
    )
    return msgspec.structs.replace(document, starts=starts, broker_ready_at=())


def _starts_of(document: _Document, instance_id: InstanceId, broker_id: int) -> tuple[_Start, ...]:
    if not 0 <= broker_id < len(document.starts):
        raise StepRejected("DMS.00400026", f"instance {instance_id} has no broker {broker_id}")
    return document.starts[broker_id]


def _with(document: _Document, broker_id: int, start: _Start) -> tuple[tuple[_Start, ...], ...]:
    return tuple(
        (*starts, start)[-STARTS_KEPT:] if nth == broker_id else starts
        for nth, starts in enumerate(document.starts)
    )


def _storage_of(document: _Document) -> _Storage:
    if document.storage is not None:
        return document.storage
    gb, at = document.spec.storage_gb, document.starts[0][0].asked_at
    return _Storage(gb=gb, before_gb=gb, asked_at=at, done_at=at)


def _gb_at(storage: _Storage, moment: datetime) -> int:
    if moment >= storage.done_at:
        return storage.gb
    if moment <= storage.asked_at:
        return storage.before_gb
    done = (moment - storage.asked_at) / (storage.done_at - storage.asked_at)
    return storage.before_gb + int((storage.gb - storage.before_gb) * done)


def _seen(instance_id: InstanceId, document: _Document, moment: datetime) -> Cluster:
    there = [
        (nth, starts)
        for nth, starts in enumerate(document.starts)
        if starts[0].number > 1 or starts[0].asked_at <= moment
    ]
    hosts = _hosts(instance_id, len(there))
    return Cluster(
        brokers=tuple(Broker(id=nth, host=hosts[nth], port=PORT) for nth, _ in there),
        running=tuple(nth for nth, starts in there if _is_running(starts, moment)),
        public=_public_at(document, moment),
        machines=tuple(_machine(nth, starts, moment) for nth, starts in there),
        storage_gb=_gb_at(_storage_of(document), moment),
    )


def _is_running(starts: tuple[_Start, ...], moment: datetime) -> bool:
    asked = [start for start in starts if start.asked_at <= moment]
    return bool(asked) and asked[-1].running_at <= moment


def _machine(broker_id: int, starts: tuple[_Start, ...], moment: datetime) -> Machine:
    """Of the process that has begun last; one that is being stopped is still there."""
    begun = [start for start in starts if start.at <= moment]
    if not begun:
        return Machine(id=broker_id, incarnation=None, flavor=starts[0].flavor)
    return Machine(id=broker_id, incarnation=begun[-1].incarnation, flavor=begun[-1].flavor)


def _public_at(document: _Document, now: datetime) -> tuple[PublicAddress, ...]:
    changes_at = document.public_changes_at
    is_settled = changes_at is None or changes_at <= now
    return document.public if is_settled else document.public_before


def _hosts(instance_id: InstanceId, count: int) -> list[str]:
    """Private addresses, the same ones for the same instance."""
    subnet = hashlib.sha256(instance_id.encode()).digest()[0]
    return [f"192.168.{subnet}.{10 + n}" for n in range(count)]
