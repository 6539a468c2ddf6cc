"""Finds what must not be in a database: what its own constraints can't forbid."""

from collections.abc import AsyncIterator, Callable, Iterable
from itertools import groupby
from operator import itemgetter

from backroom.domain.chain import GENESIS, ChainHead, first_broken
from backroom.store import rows
from backroom.store.queries import load
from backroom.store.tables import Tables

_SQL = load("check")
_CHAINS = ("chained_events", "chains")

Seen = Callable[[int], None]


async def problems(
    tables: Tables, *, quick: bool = False, seen: Seen = lambda _count: None
) -> AsyncIterator[str]:
    """All that is wrong, one line each. `quick` leaves out indexes and chains of events."""
    for text in await tables.damage(quick=quick):
        yield f"database: {text}"
    schema = await tables.schema()
    if schema != tables.newest_schema:
        yield f"schema is {schema}, this release's is {tables.newest_schema}"
        return
    async for text in _found(tables):
        yield text
    if not quick:
        async for text in _broken_chains(tables, seen):
            yield text


async def _found(tables: Tables) -> AsyncIterator[str]:
    for name, select in vars(_SQL).items():
        if name in _CHAINS:
            continue
        async for page in tables.rows(select):
            for (text,) in page:
                yield text


async def _broken_chains(tables: Tables, seen: Seen) -> AsyncIterator[str]:
    heads: dict[str, ChainHead] = {}
    broken: set[str] = set()
    count = 0
    async for page in tables.rows(_SQL.chained_events):
        for project_id, of_project in groupby(page, itemgetter(0)):
            if project_id in broken:
                continue
            head = heads.get(project_id, ChainHead(0, GENESIS))
            heads[project_id], is_whole = _followed(head, of_project)
            if not is_whole:
                broken.add(project_id)
                place = heads[project_id].sequence + 1
                yield f"event {place} of project {project_id} is not what was written there"
        count += len(page)
        seen(count)
    async for text in _wrong_heads(tables, heads, broken):
        yield text


def _followed(head: ChainHead, events: Iterable[rows.Row]) -> tuple[ChainHead, bool]:
    """The head after these, as far as they follow, and whether all do."""
    for row in events:
        try:
            sealed = rows.sealed_event(row)
        except (ValueError, TypeError):  # a moment or a state that is none
            return head, False
        if first_broken(head, [sealed]) is not None:
            return head, False
        head = ChainHead(sealed.sequence, sealed.hash)
    return head, True


async def _wrong_heads(
    tables: Tables, heads: dict[str, ChainHead], broken: set[str]
) -> AsyncIterator[str]:
    async for page in tables.rows(_SQL.chains):
        for project_id, sequence, sealed in page:
            head = heads.pop(project_id, ChainHead(0, GENESIS))
            if project_id not in broken and head != ChainHead(sequence, sealed):
                yield f"chain of project {project_id} ends at {sequence}, not as its events"
    for project_id in heads:
        yield f"project {project_id} has events and no chain"
