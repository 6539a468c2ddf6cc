"""Instances as people see them."""

from typing import Any, Final

from backroom.cli.output import Column, warn
from backroom.cli.sentences import tell
from backroom.cli.session import Session


def _task(row: Any) -> str | None:
    task = row.get("task")
    return " ".join(filter(None, (task.get("name"), task.get("status")))) if task else None


def _moment(text: Any) -> str | None:
    """[D] milliseconds since 1970, in a string."""
    from datetime import UTC, datetime  # noqa: PLC0415

    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return None


LIST_COLUMNS: Final = (
    Column("INSTANCE", "instance_id"),
    Column("NAME", "name"),
    Column("STATUS", "status"),
    Column("BROKERS", "broker_num"),
    Column("GB", "total_storage_space"),
    Column("KAFKA", "engine_version"),
    Column("FLAVOR", "product_id", is_wide=True),
    Column("PUBLIC", "enable_publicip", is_wide=True),
    Column("CONNECT", "kafka_private_connect_address", is_wide=True),
)
SHOW_COLUMNS: Final = (
    Column("INSTANCE", "instance_id"),
    Column("NAME", "name"),
    Column("STATUS", "status"),
    Column("TASK", _task),
    Column("DESCRIPTION", "description"),
    Column("KAFKA", "engine_version"),
    Column("FLAVOR", "product_id"),
    Column("BROKERS", "broker_num"),
    Column("GB", "total_storage_space"),
    Column("SECURITY", "kafka_security_protocol"),
    Column("CONNECT", "kafka_private_connect_address"),
    Column("PUBLIC", "public_connect_address"),
    Column("CREATED", lambda row: _moment(row.get("created_at"))),
    Column("USER", "user_name"),
)


def list_instances(session: Session, name: str | None, status: str | None) -> None:
    query = {"name": name, "status": status, "include_failure": "true"}
    found = session.calls.list_instances(**{key: text for key, text in query.items() if text})
    session.output.rows(found, LIST_COLUMNS)
    if not found and not session.output.is_for_programs:
        warn(tell("none"))


def show_instance(session: Session, instance: str | None) -> None:
    record = session.calls.show_instance(session.instance(instance))
    session.output.record(record, SHOW_COLUMNS)
