"""No cell of docs/coverage.md is empty: with a server that is broken on purpose, it fails.

With the Python SDK; the cells are judged by the same code for every language.
"""

from pathlib import Path

import pytest
from interop import calls
from interop.coverage import FAILED, GROUPS
from interop.programs import Python
from interop.servers import serving

REFUSALS = {
    "list, odd", "progress", "delete", "wrong secret", "missing task", "forbidden",
    "throttled, write", "temporary key",
}  # fmt: skip
FAILS = {  # which cells, by what of an answer is wrong
    "code": REFUSALS,
    "message": REFUSALS,
    "request_id": REFUSALS,
    "status": REFUSALS | {"throttled"},
    "values": {
        "show", "list", "instances, odd", "progress", "bind", "create topic", "reassign",
        "throttled", "looked up", "regions file", "temporary key", "plain http",
    },
    "down": set(GROUPS["calls"]),
}  # fmt: skip
EXTENDED_GB = 600


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_cell_fails_where_an_answer_is_wrong(tmp_path, monkeypatch):
    spoiled_by = tmp_path / "spoiled-by"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("spoiled")))
    monkeypatch.setenv("SPOILED_BY", str(spoiled_by))
    language = Python()
    language.prepare({})
    with serving(tmp_path / "tls") as server, serving(tmp_path / "plain", "--http") as plain:
        extension = server.extended(EXTENDED_GB)
        server.bind_often(2)
        odd = plain.name_instances([text for text in calls.ODD if text])
        found = {}
        for how in FAILS:
            language.name = how  # topics of its own
            run = calls.Round(language, server, plain, extension, odd)
            spoiled_by.write_text(how)
            calls.run_calls(run)
            spoiled_by.unlink()
            found[how] = {
                cell.removeprefix("calls: ")
                for cell, outcome in run.cells.items()
                if outcome.startswith(FAILED)
            }
    assert found == FAILS
