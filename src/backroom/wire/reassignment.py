"""Asking for partitions to move (docs/wire/reassignment.md)."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.topic import PARTITIONS_MAX
from backroom.operations.reassign_partitions import Assignment, ReassignPartitions, TopicPlan
from backroom.wire.topics import REPLICAS_MAX

NO_THROTTLE: Final = -1  # [O]
THROTTLE_MAX_MB: Final = 300  # [D] user guide: 1 to 300 MB/s
THROTTLE_MIN_BYTES: Final = 1_000_000  # [I] the page's example of 10000000 can only be bytes
BYTES_PER_MB: Final = 1024 * 1024
TOPICS_MAX: Final = 1_000  # [I]
FARTHEST_MS: Final = 253_402_300_799_000  # the year 9999


class AssignmentAsked(msgspec.Struct, frozen=True):
    partition: int | None = None
    partition_brokers: list[int] | None = None


class ReassignmentAsked(msgspec.Struct, frozen=True, kw_only=True):
    topic: str | None = None
    brokers: list[int] | None = None
    replication_factor: int | None = None
    assignment: list[AssignmentAsked] | None = None


class ReassignBody(msgspec.Struct, frozen=True, kw_only=True):
    reassignments: list[ReassignmentAsked] | None = None
    throttle: int | None = None
    is_schedule: bool | None = None
    execute_at: int | None = None
    time_estimate: bool | None = None


class ReassignedBody(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of them [O: Terraform looks which]."""

    job_id: str | msgspec.UnsetType = msgspec.UNSET
    schedule_id: str | msgspec.UnsetType = msgspec.UNSET
    reassignment_time: int | msgspec.UnsetType = msgspec.UNSET


def decode_reassign(body: ReassignBody) -> ReassignPartitions:
    """What can be checked without looking at the cluster is."""
    asked = body.reassignments
    if not asked:
        raise InvalidInput("reassignments", "must name at least one topic")
    if len(asked) > TOPICS_MAX:
        raise InvalidInput("reassignments", f"may name at most {TOPICS_MAX} topics")
    plans = tuple(map(_plan, asked))
    if len({plan.topic for plan in plans}) < len(plans):
        raise InvalidInput("reassignments", "must name each topic once")
    return ReassignPartitions(topics=plans, throttle_bytes_per_s=_throttle(body.throttle))


def decode_execute_at(body: ReassignBody, now: datetime) -> datetime | None:
    """When it is to begin; None for now."""
    if not body.is_schedule:
        return None
    at_ms = body.execute_at
    if at_ms is None or not 0 <= at_ms <= FARTHEST_MS:
        raise InvalidInput("execute_at", "must be a time in Unix milliseconds")
    execute_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    if execute_at <= now:
        raise InvalidInput("execute_at", "must be in the future")
    return execute_at


def public_params(asked: ReassignPartitions) -> dict[str, Any]:
    """[D] RocketMQ's page: a list inside of a string."""
    return {"reassignment_topics": f"[{', '.join(plan.topic for plan in asked.topics)}]"}


def encode_started(task_id: str) -> ReassignedBody:
    return ReassignedBody(job_id=task_id)


def encode_planned(task_id: str) -> ReassignedBody:
    return ReassignedBody(schedule_id=task_id)


def encode_estimate(seconds: int) -> ReassignedBody:
    return ReassignedBody(reassignment_time=seconds)


def _plan(asked: ReassignmentAsked) -> TopicPlan:
    if not asked.topic:
        raise InvalidInput("topic", "is missing")
    if not asked.brokers and not asked.assignment:
        raise InvalidInput("brokers", f"or assignment must be given for {asked.topic}")
    factor = asked.replication_factor
    if factor is not None and not 1 <= factor <= REPLICAS_MAX:
        raise InvalidInput("replication_factor", f"must be from 1 to {REPLICAS_MAX}")
    brokers = tuple(asked.brokers or ())
    if len(set(brokers)) < len(brokers):
        raise InvalidInput("brokers", "must name each broker once")
    assignment = tuple(map(_assignment, asked.assignment or ()))
    if len({one.partition for one in assignment}) < len(assignment):
        raise InvalidInput("assignment", "must name each partition once")
    return TopicPlan(
        topic=asked.topic, brokers=brokers, replication_factor=factor, assignment=assignment
    )


def _assignment(asked: AssignmentAsked) -> Assignment:
    if asked.partition is None or not 0 <= asked.partition < PARTITIONS_MAX:
        raise InvalidInput("partition", "must be the number of a partition")
    replicas = tuple(asked.partition_brokers or ())
    if not replicas or len(set(replicas)) < len(replicas):
        raise InvalidInput("partition_brokers", "must name at least one broker, each once")
    return Assignment(asked.partition, replicas)


def _throttle(throttle: int | None) -> int | None:
    if throttle is None or throttle in (0, NO_THROTTLE):
        return None
    if 1 <= throttle <= THROTTLE_MAX_MB:
        return throttle * BYTES_PER_MB
    if THROTTLE_MIN_BYTES <= throttle <= THROTTLE_MAX_MB * BYTES_PER_MB:
        return throttle
    why = f"must be {NO_THROTTLE}, from 1 to {THROTTLE_MAX_MB} MB/s, or that in bytes per second"
    raise InvalidInput("throttle", why)
