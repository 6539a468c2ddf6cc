"""The hash chain of a project's events: each one seals all before it.

hash(n) = SHA-256(hash(n - 1) + digest(event n)), hash(0) is GENESIS. Whoever has the events can
compute it again, with no database.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec

from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.domain.stamps import stamp
from backroom.domain.task import Event, Task

GENESIS = bytes(32)

_encode = msgspec.json.Encoder().encode


class SealedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event in its place: `sequence` counts from 1 within the project, without gaps."""

    project_id: ProjectId
    sequence: int
    instance_id: InstanceId
    task_id: TaskId
    event: Event
    hash: bytes


class ChainHead(msgspec.Struct, frozen=True):
    sequence: int
    hash: bytes


def digest(project_id: ProjectId, instance_id: InstanceId, task_id: TaskId, event: Event) -> bytes:
    """SHA-256 of the event as a JSON array of its values in the order below, without blanks."""
    return digest_of_values(
        (
            project_id, instance_id, task_id, stamp(event.at), event.verb, event.actor,
            event.from_state, event.to_state, event.step, event.attempt, event.detail,
        )
    )  # fmt: skip


def digest_of_values(values: tuple[Any, ...]) -> bytes:
    """Of an event that is these values already, in the order above."""
    return sha256(_encode(values)).digest()


def digest_of(task: Task, event: Event) -> bytes:
    return digest(task.project_id, task.instance_id, task.id, event)


def link(previous: bytes, event_digest: bytes) -> bytes:
    return sha256(previous + event_digest).digest()


def first_broken(head: ChainHead, events: Iterable[SealedEvent]) -> SealedEvent | None:
    """The first event that does not follow from what is before it; `head` is before them all."""
    sequence, previous = head.sequence, head.hash
    for sealed in events:
        sequence += 1
        own = digest(sealed.project_id, sealed.instance_id, sealed.task_id, sealed.event)
        previous = link(previous, own)
        if sealed.sequence != sequence or sealed.hash != previous:
            return sealed
    return None
