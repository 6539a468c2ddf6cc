"""AccountStore on SQLite. Secret keys are sealed here and nowhere else leave in the clear."""

from datetime import datetime
from time import monotonic
from typing import Any

import apsw

from backroom.domain.account import AccessKey, Project, Token, User
from backroom.domain.errors import NameTaken
from backroom.domain.ids import ProjectId, UserId
from backroom.domain.stamps import stamp
from backroom.ports import Vault
from backroom.store import rows
from backroom.store.connection import reading
from backroom.store.queries import load
from backroom.store.rows import optional_stamp
from backroom.store.writer import Writer

LOOK_S = 0.01  # how long another process's change of a key may go unseen

_SQL = load("accounts")


class SqliteAccountStore:
    """Keeps unsealed keys as long as no other connection has written; it looks every LOOK_S."""

    def __init__(self, reader: apsw.Connection, writer: Writer, vault: Vault) -> None:
        self._read = reading(reader)
        self._writer = writer
        self._vault = vault
        self._known: dict[str, AccessKey] = {}
        self._known_at = -1
        self._look_again_at = 0.0

    def forget(self) -> None:
        """Look at what is stored again."""
        self._known.clear()

    async def access_key(self, access_key: str) -> AccessKey | None:
        self._forget_if_written()
        known = self._known.get(access_key)
        if known is None:
            row = self._read(_SQL.access_key, (access_key,)).fetchone()
            if row is None:
                return None
            known = self._known[access_key] = rows.access_key(row, self._vault.unseal)
        return known

    def _forget_if_written(self) -> None:
        now = monotonic()
        if now < self._look_again_at:
            return
        self._look_again_at = now + LOOK_S
        version: Any = self._read("PRAGMA data_version").fetchone()
        if version[0] != self._known_at:
            self._known.clear()
            self._known_at = version[0]

    async def access_keys(self) -> list[AccessKey]:
        return [rows.access_key(row, self._vault.unseal) for row in self._read(_SQL.access_keys)]

    async def add_access_key(self, key: AccessKey) -> None:
        row = rows.access_key_row(key, self._vault.seal(key.secret_key.encode()))

        def piece(connection: apsw.Connection) -> None:
            connection.execute(_SQL.insert_access_key, row)
            if connection.changes() == 0:
                raise NameTaken(key.access_key)

        await self._writer.run(piece)
        self._known.clear()

    async def revoke_access_key(self, access_key: str) -> bool:
        def piece(connection: apsw.Connection) -> bool:
            connection.execute(_SQL.delete_access_key, (access_key,))
            return connection.changes() > 0

        was_there = await self._writer.run(piece)
        self._known.clear()
        return was_there

    async def project(self, project_id: ProjectId) -> Project | None:
        row = self._read(_SQL.project, (project_id,)).fetchone()
        return None if row is None else Project(id=row[0], name=row[1])

    async def projects(self) -> list[Project]:
        return [Project(id=row[0], name=row[1]) for row in self._read(_SQL.projects)]

    async def add_project(self, project: Project) -> None:
        await self._add(_SQL.insert_project, (project.id, project.name), project.id)

    async def user(self, user_id: UserId) -> User | None:
        row = self._read(_SQL.user, (user_id,)).fetchone()
        return None if row is None else rows.user(row)

    async def user_named(self, name: str) -> User | None:
        row = self._read(_SQL.user_named, (name,)).fetchone()
        return None if row is None else rows.user(row)

    async def add_user(self, user: User) -> None:
        row = (user.id, user.name, user.project_id, user.role.value, user.password_hash)
        await self._add(_SQL.insert_user, row, user.name)

    async def token(self, digest: str) -> Token | None:
        row = self._read(_SQL.token, (digest,)).fetchone()
        return None if row is None else rows.token(row)

    async def add_token(self, token: Token) -> None:
        def piece(connection: apsw.Connection) -> None:
            connection.execute(_SQL.drop_old_tokens, (stamp(token.issued_at),))
            connection.execute(
                _SQL.insert_token,
                (
                    token.digest, token.project_id, token.user_id, token.user_name,
                    token.role.value, stamp(token.issued_at), optional_stamp(token.expires_at),
                ),
            )  # fmt: skip

        await self._writer.run(piece)

    async def remove_token(self, digest: str) -> None:
        await self._writer.run(lambda connection: connection.execute(_SQL.delete_token, (digest,)))

    async def use_signature(self, digest: bytes, now: datetime, until: datetime) -> bool:
        def piece(connection: apsw.Connection) -> bool:
            connection.execute(_SQL.drop_old_signatures, (stamp(now),))
            connection.execute(_SQL.insert_signature, (digest, stamp(until)))
            return connection.changes() > 0

        return await self._writer.run(piece)

    async def forget_signature(self, digest: bytes) -> None:
        await self._writer.run(
            lambda connection: connection.execute(_SQL.delete_signature, (digest,))
        )

    async def _add(self, statement: str, row: tuple[str | None, ...], name: str) -> None:
        def piece(connection: apsw.Connection) -> None:
            connection.execute(statement, row)
            if connection.changes() == 0:
                raise NameTaken(name)

        await self._writer.run(piece)
