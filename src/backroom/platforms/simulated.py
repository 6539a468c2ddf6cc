"""Brokers that only exist as a document. They take their time, so that tasks have something to do.

Sizes decide how long: each broker comes up after the one before it, and so on. All times are the
Clock's, so a virtual clock makes hours pass at once.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from backroom.domain.errors import StepRejected
from backroom.domain.ids import InstanceId
from backroom.domain.instance import Broker
from backroom.ports import Clock, Cluster, ClusterSpec, ClusterStore, PublicAddress

PORT = 9092


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that the simulated world takes."""

    broker_start_s: float = 1.0
    address_change_s: float = 1.0
    broker_stop_s: float = 0.3


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    spec: ClusterSpec
    broker_ready_at: tuple[datetime, ...]
    public: tuple[PublicAddress, ...] = ()
    public_before: tuple[PublicAddress, ...] = ()
    public_changes_at: datetime | None = None
    gone_at: datetime | None = None


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
        return self._seen(instance_id, await self._create(instance_id, spec, 0.0))

    async def _create(
        self, instance_id: InstanceId, spec: ClusterSpec, start_s: float
    ) -> _Document:
        """What is there from now on: what was there before, if anything was."""
        found = await self._found(instance_id)
        if found is not None:
            return found[0]
        now = self._clock.now()
        ready_at = (now + timedelta(seconds=start_s * (n + 1)) for n in range(spec.broker_count))
        document = _Document(spec=spec, broker_ready_at=tuple(ready_at))
        await self._clusters.save(instance_id, _encode(document), 1)
        return document

    async def delete_cluster(self, instance_id: InstanceId) -> None:
        found = await self._found(instance_id)
        if found is None:
            return
        document, version = found
        if document.gone_at is None:
            stop_s = self._timings.broker_stop_s * document.spec.broker_count
            gone_at = self._clock.now() + timedelta(seconds=stop_s)
            gone = msgspec.structs.replace(document, gone_at=gone_at)
            await self._clusters.save(instance_id, _encode(gone), version + 1)

    async def attach_public(
        self, instance_id: InstanceId, addresses: Sequence[PublicAddress]
    ) -> None:
        await self._change_public(instance_id, tuple(addresses))

    async def detach_public(self, instance_id: InstanceId) -> None:
        await self._change_public(instance_id, ())

    async def _change_public(
        self, instance_id: InstanceId, wanted: tuple[PublicAddress, ...]
    ) -> None:
        found = await self._found(instance_id)
        if found is None:
            raise StepRejected("DMS.00400026", f"instance {instance_id} has no brokers")
        document, version = found
        if document.public == wanted:
            return
        now = self._clock.now()
        changed = msgspec.structs.replace(
            document,
            public=wanted,
            public_before=_public_at(document, now),
            public_changes_at=now + timedelta(seconds=self._timings.address_change_s),
        )
        await self._clusters.save(instance_id, _encode(changed), version + 1)

    async def observe(self, instance_id: InstanceId) -> Cluster | None:
        found = await self._found(instance_id)
        return None if found is None else self._seen(instance_id, found[0])

    def _seen(self, instance_id: InstanceId, document: _Document) -> Cluster:
        now = self._clock.now()
        return Cluster(
            brokers=tuple(
                Broker(id=n, host=host, port=PORT)
                for n, host in enumerate(_hosts(instance_id, document.spec.broker_count))
            ),
            running=tuple(n for n, at in enumerate(document.broker_ready_at) if at <= now),
            public=_public_at(document, now),
        )

    async def _found(self, instance_id: InstanceId) -> tuple[_Document, int] | None:
        """What is there, and its version; what has stopped is cleared away first."""
        kept = await self._clusters.load(instance_id)
        if kept is None:
            return None
        document = _decode(kept[0])
        if document.gone_at is not None and document.gone_at <= self._clock.now():
            await self._clusters.remove(instance_id)
            return None
        return document, kept[1]


def _public_at(document: _Document, now: datetime) -> tuple[PublicAddress, ...]:
    changes_at = document.public_changes_at
    is_settled = changes_at is None or changes_at <= now
    return document.public if is_settled else document.public_before


def _hosts(instance_id: InstanceId, count: int) -> list[str]:
    """Private addresses, the same ones for the same instance."""
    subnet = hashlib.sha256(instance_id.encode()).digest()[0]
    return [f"192.168.{subnet}.{10 + n}" for n in range(count)]
