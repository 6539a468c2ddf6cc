"""Breaks a server on purpose: on its path, this wraps the application in one that spoils answers.

How, is in the file that SPOILED_BY names, as long as it is there: code, message, request_id,
status, values or down.
"""

import json
import os
from pathlib import Path

from backroom.api.app import Application

BY = Path(os.environ["SPOILED_BY"])
KAFKA = ("/v1/", "/v2/")
VALUES = {
    "user_name": "somebody else", "task_count": "7777", "progress_percentage": 55,
    "topic_desc": "another", "instance_id": "0", "name": None,
}  # fmt: skip


def how_now():
    return BY.read_text() if BY.exists() else ""


def values(answer, path):
    """`name` only where a topic was made: our program looks for a task by its name."""
    if isinstance(answer, list):
        return [values(one, path) for one in answer]
    if not isinstance(answer, dict):
        return answer
    return {
        name: values(value, path)
        if name not in VALUES
        else ("other" if path.endswith("/topics") else value)
        if name == "name"
        else VALUES[name]
        for name, value in answer.items()
    }


def spoiled(how, path, status, headers, body):
    is_refusal = status >= 400
    answer = json.loads(body) if body else None
    if how == "down":
        return 500, headers, {"error_code": "DMS.00500000", "error_msg": "down"}
    if how == "values":
        return status, headers, answer if is_refusal else values(answer, path)
    if not is_refusal:
        return status, headers, answer
    if how == "code":
        answer["error_code"] = "DMS.00999999"
    elif how == "message":
        answer["error_msg"] = "something else"
    elif how == "request_id":
        headers = [(name, text) for name, text in headers if name.lower() != b"x-request-id"]
    elif how == "status":
        status = 409
    return status, headers, answer


whole = Application.__call__


async def call(self, scope, receive, send):
    if scope["type"] != "http" or not scope["path"].startswith(KAFKA) or not how_now():
        await whole(self, scope, receive, send)
        return
    start, parts = {}, []

    async def kept(message):
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await whole(self, scope, receive, kept)
    how, path = how_now(), scope["path"]
    status, headers, answer = spoiled(
        how, path, start["status"], list(start["headers"]), b"".join(parts)
    )
    body = b"" if answer is None else json.dumps(answer).encode()
    headers = [(name, text) for name, text in headers if name.lower() != b"content-length"]
    if body:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


Application.__call__ = call
