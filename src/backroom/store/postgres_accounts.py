"""AccountStore on PostgreSQL. Secret keys are sealed here and nowhere else leave in the clear."""

from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from backroom.domain.account import AccessKey, Project, Token, User
from backroom.domain.errors import NameTaken
from backroom.domain.ids import ProjectId, UserId
from backroom.domain.stamps import stamp
from backroom.ports import Vault
from backroom.store import rows
from backroom.store.batches import Batches
from backroom.store.postgres_connection import Link, Postgres, transaction, within
from backroom.store.postgres_rows import escaped
from backroom.store.queries import load
from backroom.store.rows import optional_stamp

KNOWN_S = 1.0  # how long a key is believed where the notice of its change was lost
TIDY_S = 10.0  # how often signatures that are over are dropped
MOST_SIGNATURES = 200  # in one commit

_SQL = load("postgres/accounts")


class _Use(NamedTuple):
    digest: bytes
    now: str
    until: str


class PostgresAccountStore:
    """Keeps unsealed keys for KNOWN_S at most; `forget` is called when another process wrote."""

    def __init__(self, postgres: Postgres, vault: Vault) -> None:
        self._postgres = postgres
        self._vault = vault
        self._known: dict[str, tuple[AccessKey, float]] = {}
        self._forgotten = 0
        self._uses: Batches[_Use, bool] = Batches(self._use, MOST_SIGNATURES)
        self._tidy_at = 0.0

    def forget(self) -> None:
        self._known.clear()
        self._forgotten += 1

    async def access_key(self, access_key: str) -> AccessKey | None:
        known, until = self._known.get(access_key, (None, 0.0))
        now = monotonic()
        if known is not None and now < until:
            return known
        forgotten = self._forgotten
        row = await self._postgres.first(_SQL.access_key, escaped(access_key))
        if row is None:
            self._known.pop(access_key, None)
            return None
        found = rows.access_key(row, self._vault.unseal)
        if forgotten == self._forgotten:  # else it may have been revoked while it was read
            self._known[access_key] = found, now + KNOWN_S
        return found

    async def access_keys(self) -> list[AccessKey]:
        found = await self._postgres.fetch(_SQL.access_keys)
        return [rows.access_key(row, self._vault.unseal) for row in found]

    async def add_access_key(self, key: AccessKey) -> None:
        row = rows.access_key_row(key, self._vault.seal(key.secret_key.encode()))
        if await self._changed_keys(_SQL.insert_access_key, *row) == 0:
            raise NameTaken(key.access_key)

    async def revoke_access_key(self, access_key: str) -> bool:
        return await self._changed_keys(_SQL.delete_access_key, escaped(access_key)) > 0

    async def _changed_keys(self, statement: str, *values: object) -> int:
        async def both(link: Link) -> int:
            async with transaction(link):
                status = await link.execute(statement, *values)
                await link.execute(_SQL.say_changed)
            return int(status.rpartition(" ")[2])

        try:
            return await self._postgres.run(both)
        finally:
            self.forget()

    async def project(self, project_id: ProjectId) -> Project | None:
        row = await self._postgres.first(_SQL.project, escaped(project_id))
        return None if row is None else Project(id=row[0], name=row[1])

    async def projects(self) -> list[Project]:
        return [
            Project(id=row[0], name=row[1]) for row in await self._postgres.fetch(_SQL.projects)
        ]

    async def add_project(self, project: Project) -> None:
        if await self._postgres.change(_SQL.insert_project, project.id, project.name) == 0:
            raise NameTaken(project.id)

    async def user(self, user_id: UserId) -> User | None:
        row = await self._postgres.first(_SQL.user, escaped(user_id))
        return None if row is None else rows.user(row)

    async def user_named(self, name: str) -> User | None:
        row = await self._postgres.first(_SQL.user_named, escaped(name))
        return None if row is None else rows.user(row)

    async def add_user(self, user: User) -> None:
        row = (user.id, user.name, user.project_id, user.role.value, user.password_hash)
        if await self._postgres.change(_SQL.insert_user, *row) == 0:
            raise NameTaken(user.name)

    async def token(self, digest: str) -> Token | None:
        row = await self._postgres.first(_SQL.token, escaped(digest))
        return None if row is None else rows.token(row)

    async def add_token(self, token: Token) -> None:
        await self._postgres.change(_SQL.drop_old_tokens, stamp(token.issued_at))
        await self._postgres.change(
            _SQL.insert_token, token.digest, token.project_id, token.user_id, token.user_name,
            token.role.value, stamp(token.issued_at), optional_stamp(token.expires_at),
        )  # fmt: skip

    async def remove_token(self, digest: str) -> None:
        await self._postgres.change(_SQL.delete_token, escaped(digest))

    async def use_signature(self, digest: bytes, now: datetime, until: datetime) -> bool:
        async with within():
            return await self._uses.ask(_Use(digest, stamp(now), stamp(until)))

    async def _use(self, uses: list[_Use]) -> Sequence[bool]:
        """Of those with the same digest, the first may be the first use."""
        firsts = {use.digest: at for at, use in reversed(list(enumerate(uses)))}
        chosen = sorted(uses[at] for at in firsts.values())
        now = min(use.now for use in uses)
        added = await self._postgres.fetch(
            _SQL.insert_signatures,
            [use.digest for use in chosen],
            [use.until for use in chosen],
            now,
        )
        good = {firsts[row[0]] for row in added}
        await self._tidy(now)
        return [at in good for at in range(len(uses))]

    async def _tidy(self, now: str) -> None:
        if monotonic() < self._tidy_at:
            return
        self._tidy_at = monotonic() + TIDY_S
        await self._postgres.change(_SQL.drop_old_signatures, now)

    async def forget_signature(self, digest: bytes) -> None:
        await self._postgres.change(_SQL.delete_signature, digest)
