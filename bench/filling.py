"""Fills a data folder with finished tasks of its demo instance, as a long life would have."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from backroom.settings import DATABASE_FILE
from backroom.store.ordering import BASE_SHIFT, LEVELS

PARAMS = (
    '{"public_ip_id":"1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f","public_ip_address":"100.93.2.18",'
    '"enable_public_ip":true}'
)
SPACING = timedelta(seconds=2)
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


def fill(data: Path, count: int) -> list[str]:
    """Add `count` tasks and return a spread of their ids."""
    connection = apsw.Connection(str(data / DATABASE_FILE))
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    instance_id, project_id = connection.execute(
        "SELECT id, project_id FROM instances"
    ).fetchone() or ("", "")
    stream = 1
    key = stream << BASE_SHIFT
    sampled: list[str] = []

    def rows():  # type: ignore[no-untyped-def]
        for ordinal in range(1, count + 1):
            task_id = secrets.token_hex(16)
            if ordinal % max(1, count // 4096) == 0:
                sampled.append(task_id)
            at = _text(BEGAN + SPACING * ordinal)
            yield (
                key + ordinal, task_id, project_id, instance_id, "background",
                "bindInstancePublicIp", "0" * 32, "bench", PARAMS, "succeeded", at, at,
                instance_id, 5, 1, 1, at, at, b"{}",
            )  # fmt: skip

    with connection:
        connection.executemany(
            "INSERT INTO tasks (key, id, project_id, instance_id, kind, name, user_id, user_name,"
            " params, state, created_at, updated_at, lane, version, epoch, attempt, started_at,"
            f" ended_at, internal) VALUES ({', '.join('?' * 19)})",
            rows(),
        )
        connection.execute(
            "INSERT INTO streams (id, instance_id, kind, project_id, first_ordinal, last_ordinal,"
            " last_created_at, live) VALUES (?, ?, 'background', ?, 1, ?, ?, ?)",
            (stream, instance_id, project_id, count, _text(BEGAN + SPACING * count), count),
        )
        for level in LEVELS:
            connection.execute(
                "INSERT INTO task_counts (level, block, live)"
                " SELECT ?, key >> ?, count(*) FROM tasks GROUP BY key >> ?",
                (level, level, level),
            )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return sampled


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
