"""InstanceStore and ClusterStore on SQLite: versioned documents, a few columns to search by."""

import functools

import apsw
import msgspec

from backroom.domain.errors import StaleTask
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance, InstanceFilter
from backroom.domain.stamps import stamp
from backroom.store.connection import reading, reading_one
from backroom.store.queries import load
from backroom.store.writer import Writer

_SQL = load("instances")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Instance).decode
DECODED_MOST = 256


class SqliteInstanceStore:
    """`is_alone`: the reader is also what writes, and the only connection there is."""

    def __init__(self, reader: apsw.Connection, writer: Writer, *, is_alone: bool = False) -> None:
        self._read = reading(reader)
        self._read_one = reading_one(reader, is_alone=is_alone)
        self._writer = writer

    async def get(self, project_id: ProjectId, instance_id: InstanceId) -> Instance | None:
        row = self._read_one(_SQL.instance, (instance_id, project_id))
        return None if row is None else _decoded(row[0])

    async def find(self, wanted: InstanceFilter, page: Page) -> tuple[list[Instance], int]:
        bindings = msgspec.structs.asdict(wanted)
        total = self._read(_SQL.matching_count, bindings).fetchone()
        bindings.update(skip=page.skip, limit=page.limit)
        found = [_decode(row[0]) for row in self._read(_SQL.matching, bindings)]
        return found, 0 if total is None else int(total[0])

    async def save(self, instance: Instance) -> None:
        await self._writer.run(lambda connection: put_instance(connection, instance))

    async def remove(self, instance_id: InstanceId) -> None:
        await self._writer.run(
            lambda connection: connection.execute(_SQL.delete_instance, (instance_id,))
        )


@functools.lru_cache(maxsize=DECODED_MOST)
def _decoded(document: bytes) -> Instance:
    """Those asked for again and again are mostly as they were."""
    return _decode(document)


def put_instance(connection: apsw.Connection, instance: Instance) -> None:
    """Add version 1, or swap the version before; StaleTask where that is not what is stored."""
    document = _encode(instance)
    if instance.version == 1:
        connection.execute(
            _SQL.insert_instance,
            (
                instance.id, instance.project_id, instance.name, instance.status.value,
                instance.enterprise_project_id, stamp(instance.created_at), 1, document,
            ),
        )  # fmt: skip
    else:
        connection.execute(
            _SQL.update_instance,
            (
                instance.name, instance.status.value, instance.enterprise_project_id,
                instance.version, document, instance.id, instance.version - 1,
            ),
        )  # fmt: skip
    if connection.changes() == 0:
        raise StaleTask(instance.id, instance.version - 1)


class SqliteClusterStore:
    def __init__(self, reader: apsw.Connection, writer: Writer) -> None:
        self._read = reading(reader)
        self._writer = writer

    async def load(self, instance_id: InstanceId, part: str) -> tuple[bytes, int] | None:
        row = self._read(_SQL.cluster, (instance_id, part)).fetchone()
        return None if row is None else (row[0], row[1])

    async def save(self, instance_id: InstanceId, part: str, document: bytes, version: int) -> None:
        def piece(connection: apsw.Connection) -> None:
            if version == 1:
                connection.execute(_SQL.insert_cluster, (instance_id, part, 1, document))
            else:
                bindings = (version, document, instance_id, part, version - 1)
                connection.execute(_SQL.update_cluster, bindings)
            if connection.changes() == 0:
                raise StaleTask(instance_id, version - 1)

        await self._writer.run(piece)

    async def remove(self, instance_id: InstanceId) -> None:
        await self._writer.run(
            lambda connection: connection.execute(_SQL.delete_cluster, (instance_id,))
        )
