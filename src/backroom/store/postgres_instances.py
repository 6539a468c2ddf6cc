"""InstanceStore and ClusterStore on PostgreSQL: versioned documents, a few columns to search by."""

import msgspec

from backroom.domain.errors import StaleTask
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance, InstanceFilter
from backroom.domain.stamps import stamp
from backroom.store.batches import Batches
from backroom.store.postgres_connection import Postgres, within
from backroom.store.postgres_rows import escaped, optional_escaped
from backroom.store.queries import load

MOST_LOADS = 500  # by one statement
MOST_READ = 100

_SQL = load("postgres/instances")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Instance).decode


class PostgresInstanceStore:
    """Each task looks at its instance twice: those that look at once share a statement."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._reads: Batches[tuple[InstanceId, ProjectId], bytes | None] = Batches(
            self._read, MOST_READ
        )

    async def get(self, project_id: ProjectId, instance_id: InstanceId) -> Instance | None:
        async with within():
            document = await self._reads.ask((instance_id, project_id))
        return None if document is None else _decode(document)

    async def _read(self, wanted: list[tuple[InstanceId, ProjectId]]) -> list[bytes | None]:
        rows = await self._postgres.fetch(_SQL.instances, list({one for one, _ in wanted}))
        found = {(row[0], row[1]): row[2] for row in rows}
        return [found.get(key) for key in wanted]

    async def find(self, wanted: InstanceFilter, page: Page) -> tuple[list[Instance], int]:
        conditions = (
            wanted.project_id, optional_escaped(wanted.name), wanted.name_is_exact,
            optional_escaped(wanted.instance_id), optional_escaped(wanted.status),
            optional_escaped(wanted.enterprise_project_id), wanted.with_failed,
        )  # fmt: skip
        total = await self._postgres.first(_SQL.matching_count, *conditions)
        found = await self._postgres.fetch(_SQL.matching, *conditions, page.limit, page.skip)
        return [_decode(row[0]) for row in found], 0 if total is None else int(total[0])

    async def save(self, instance: Instance) -> None:
        name, project = escaped(instance.name), escaped(instance.enterprise_project_id)
        document = _encode(instance)
        if instance.version == 1:
            changed = await self._postgres.change(
                _SQL.insert_instance, instance.id, instance.project_id, name,
                instance.status.value, project, stamp(instance.created_at), 1, document,
            )  # fmt: skip
        else:
            changed = await self._postgres.change(
                _SQL.update_instance, name, instance.status.value, project, instance.version,
                document, instance.id, instance.version - 1,
            )  # fmt: skip
        if changed == 0:
            raise StaleTask(instance.id, instance.version - 1)

    async def remove(self, instance_id: InstanceId) -> None:
        await self._postgres.change(_SQL.delete_instance, instance_id)


class PostgresClusterStore:
    """Many tasks look at their clusters all the time: those that look at once share a statement."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._loads: Batches[tuple[InstanceId, str], tuple[bytes, int] | None] = Batches(
            self._read, MOST_LOADS
        )

    async def load(self, instance_id: InstanceId, part: str) -> tuple[bytes, int] | None:
        async with within():
            return await self._loads.ask((instance_id, part))

    async def _read(self, wanted: list[tuple[InstanceId, str]]) -> list[tuple[bytes, int] | None]:
        keys = set(wanted)
        rows = await self._postgres.fetch(
            _SQL.clusters, [one for one, _ in keys], [part for _, part in keys]
        )
        found = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        return [found.get(key) for key in wanted]

    async def save(self, instance_id: InstanceId, part: str, document: bytes, version: int) -> None:
        if version == 1:
            changed = await self._postgres.change(
                _SQL.insert_cluster, instance_id, part, 1, document
            )
        else:
            changed = await self._postgres.change(
                _SQL.update_cluster, version, document, instance_id, part, version - 1
            )
        if changed == 0:
            raise StaleTask(instance_id, version - 1)

    async def remove(self, instance_id: InstanceId) -> None:
        await self._postgres.change(_SQL.delete_cluster, instance_id)
