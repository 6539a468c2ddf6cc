"""The official API as a client sees it: bodies asked with, and what is taken out of answers.

Only what has words of the wire in it that are spelt once, here; the sources are on the wire pages.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

PUBLIC_ACCESS_PATH: Final = "public-boundwidth"  # [D] sic


def submitted_task_id(body: Mapping[str, Any]) -> str | None:
    """Of an answer that tells the task: [D] an extension, [O] a reassignment, now or later."""
    found = body.get("job_id") or body.get("schedule_id")
    return None if found is None else str(found)


def scheduled_tasks(body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """[D] and how many there are, whatever the page: a number, or text by the page's table."""
    return list(body["jobs"]), int(body["job_count"])


def steps_of(progress: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[D] examples say `statue`, some models `status`."""
    steps = progress.get("step_list") or ()
    return [{**step, "status": step.get("status") or step.get("statue")} for step in steps]


def public_access_on(address_ids: Sequence[str], bandwidth_mbit_per_s: int) -> dict[str, Any]:
    return {"publicip_id": ",".join(address_ids), "public_boundwidth": bandwidth_mbit_per_s}


def public_access_off() -> dict[str, Any]:
    """[O] all three, and all empty."""
    return {"publicip_id": "", "eip_address": "", "public_boundwidth": 0}
