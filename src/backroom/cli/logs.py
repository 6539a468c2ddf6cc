"""What the server says while it runs: lines for people, or one JSON object a line for programs."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

FORMATS = ("text", "json")
FIELDS = (  # of ours, no values
    "request_id", "task_id", "instance_id", "operation", "attempt", "step", "count",
)  # fmt: skip
A_LINE_A_TASK = "backroom.service.submissions"  # too much for people


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        content = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content |= {
            name: vars(record)[name] for name in FIELDS if vars(record).get(name) is not None
        }
        if record.exc_info:
            content["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(content).decode()


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        fields = [
            f"{name}={vars(record)[name]}" for name in FIELDS if vars(record).get(name) is not None
        ]
        first, newline, rest = text.partition("\n")
        return " ".join((first, *fields)) + newline + rest


def set_up(form: str) -> None:
    """Of the whole process, to standard error: standard output is for the line `ready URL`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger(A_LINE_A_TASK).setLevel(logging.INFO if form == "json" else logging.WARNING)
