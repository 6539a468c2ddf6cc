"""Writes events of a project into a file that proves itself: JSON lines, signed.

The first line is a Header, the last a Trailer, one EventLine each between them. The signature is
over `signed_text` of the SHA-256 of all bytes before the trailer.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import msgspec

from backroom.audit.chains import BrokenChain, begin, follow
from backroom.audit.period import Period, before, first_from
from backroom.domain.chain import ChainHead, SealedEvent
from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.domain.stamps import stamp
from backroom.domain.task import State
from backroom.ports import Journal

FORMAT = "backroom-audit/1"
ALGORITHM = "Ed25519"


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ChainHead, its hash in hex."""

    sequence: int
    hash: str


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`before` is the chain's head before the first event; the period begins at `from`, if told.

    It ends before `to`. What is in it: audit/period.py.
    """

    format: str = FORMAT
    project_id: ProjectId
    before: Head
    from_: str | None = msgspec.field(name="from")
    to: str | None
    exported_at: str


class EventLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    sequence: int
    instance_id: InstanceId
    task_id: TaskId
    at: str
    verb: str
    actor: str
    from_state: State | None
    to_state: State | None
    step: str | None
    attempt: int
    detail: str | None
    hash: str


class Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`sequence` and `hash` are the chain's head after the last event; keys in base64."""

    count: int
    sequence: int
    hash: str
    algorithm: str = ALGORITHM
    public_key: str
    signature: str


class Signer(Protocol):
    @property
    def public_key(self) -> bytes:
        """32 bytes."""

    def sign(self, text: bytes) -> bytes: ...


_encode = msgspec.json.Encoder().encode


def signed_text(content_sha256: str) -> bytes:
    """What the signature is over; the digest in hex."""
    return f"{FORMAT} {content_sha256}\n".encode()


async def written(
    header: Header,
    pages: AsyncIterator[list[SealedEvent]],
    signer: Signer,
    seen: Callable[[int], None] = lambda _count: None,
) -> AsyncIterator[bytes]:
    """The file, part by part. Raises BrokenChain instead of signing what doesn't hold."""
    start = ChainHead(header.before.sequence, bytes.fromhex(header.before.hash))
    followed = begin(header.project_id, start)
    content = sha256()
    part = _encode(header) + b"\n"
    content.update(part)
    yield part
    async for page in pages:
        followed = follow(followed, page)
        if followed.broken is not None:
            raise BrokenChain(f"{header.project_id}: {followed.broken.text}")
        part = b"".join(_encode(_as_line(sealed)) + b"\n" for sealed in page)
        content.update(part)
        yield part
        seen(followed.count)
    trailer = Trailer(
        count=followed.count,
        sequence=followed.end.sequence,
        hash=followed.end.hash.hex(),
        public_key=b64encode(signer.public_key).decode(),
        signature=b64encode(signer.sign(signed_text(content.hexdigest()))).decode(),
    )
    yield _encode(trailer) + b"\n"


def _as_head(head: ChainHead) -> Head:
    return Head(head.sequence, head.hash.hex())


def _as_line(sealed: SealedEvent) -> EventLine:
    event = sealed.event
    return EventLine(
        sequence=sealed.sequence,
        instance_id=sealed.instance_id,
        task_id=sealed.task_id,
        at=stamp(event.at),
        verb=event.verb,
        actor=event.actor,
        from_state=event.from_state,
        to_state=event.to_state,
        step=event.step,
        attempt=event.attempt,
        detail=event.detail,
        hash=sealed.hash.hex(),
    )


async def header_of(
    journal: Journal, project_id: ProjectId, period: Period, now: datetime
) -> tuple[Header, int]:
    """The header of a bundle of that period, and the last sequence that belongs into it."""
    head = await journal.head(project_id)
    first, last = 1, head.sequence
    if period.begin is not None:
        first = await first_from(journal, project_id, period.begin, head)
    if period.end is not None:
        last = await first_from(journal, project_id, period.end, head) - 1
    header = Header(
        project_id=project_id,
        before=_as_head(await before(journal, project_id, first)),
        from_=_optional_stamp(period.begin),
        to=_optional_stamp(period.end),
        exported_at=stamp(now),
    )
    return header, last


def _optional_stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)
