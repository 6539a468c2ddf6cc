"""What must be true of what a client printed. Everything here raises AssertionError with both sides."""

import json
import re
from collections.abc import Mapping
from typing import Any

FIELDS = ("id", "name", "user_name", "user_id", "params", "status", "created_at", "updated_at")
REQUEST_ID = re.compile(r"[0-9a-f]{32}")
REFUSED = ("ClientRequestException", "*sdkerr.ServiceResponseError")


def must(is_true: bool, what: str, *seen: object) -> None:
    if not is_true:
        raise AssertionError(": ".join([what, *map(repr, seen)]))


def same(seen: object, wanted: object, what: str) -> None:
    must(seen == wanted, f"{what}: seen and wanted differ", seen, wanted)


def answered(line: Mapping[str, Any]) -> Any:
    must("answer" in line, "an error in place of an answer", line.get("error"))
    return line["answer"]


def is_record(seen: Mapping[str, Any], stored: Mapping[str, str] | None) -> None:
    must(stored is not None, "no such task is stored", seen)
    same({name: seen.get(name) for name in FIELDS}, stored, "the record")


def is_envelope(seen: Mapping[str, Any], stored: Mapping[str, str] | None) -> None:
    """[D] One task comes in the envelope of a list."""
    same(seen.get("task_count"), "1", "task_count")
    same(len(seen["tasks"]), 1, "how many tasks")
    is_record(seen["tasks"][0], stored)


def is_refused(line: Mapping[str, Any], status: int, code: str, part: str) -> None:
    """Status, code, message and request id arrived in the client's own error type."""
    error = line.get("error")
    must(error is not None, "an answer in place of an error", line)
    assert error is not None
    must(error["type"] in REFUSED, "the type of the error", error)
    same((error.get("status"), error.get("code")), (status, code), "status and code")
    must(part in error["message"], f"the message must have {part!r}", error["message"])
    is_request_id(error.get("request_id"))


def is_request_id(text: str | None) -> None:
    must(REQUEST_ID.fullmatch(text or "") is not None, "the request id", text)


def printed_record(language: str, text: str) -> dict[str, Any]:
    """What the page's sample printed, as an envelope. Each SDK has a form of its own."""
    if language == "java":
        return _java_record(text)
    return dict(json.loads(text.removeprefix("ShowBackgroundTaskResponse ")))


def _java_record(text: str) -> dict[str, Any]:
    """`class Name {`, a line for each field as `name: value`, `}`."""
    fields = dict(re.findall(r"^ +(\w+): (.*)$", text, re.MULTILINE))
    task = {re.sub("[A-Z]", lambda c: f"_{c[0].lower()}", name): v for name, v in fields.items()}
    return {"task_count": task.pop("task_count"), "tasks": [task]}


def printed_error(language: str, text: str) -> dict[str, Any]:
    """What the page's sample printed of a refusal, as our programs would."""
    if language == "go":
        told = json.loads(text)
        return {
            "type": "*sdkerr.ServiceResponseError",
            "status": told["status_code"],
            "code": told["error_code"],
            "message": told["error_message"],
            "request_id": told["request_id"],
        }
    status, request_id, code, message = text.strip().splitlines()[-4:]
    return {
        "type": "ClientRequestException",
        "status": int(status),
        "code": code,
        "message": message,
        "request_id": request_id,
    }
