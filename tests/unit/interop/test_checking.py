"""The harness must notice what is wrong: each check here is shown something false."""

import pytest
from interop import checking, page

STORED = dict.fromkeys(checking.FIELDS, "text") | {"params": '{"a":"🚀 主题"}', "status": "SUCCESS"}
REFUSAL = {
    "type": "ClientRequestException",
    "status": 404,
    "code": "DMS.00404001",
    "message": "task 7 does not exist",
    "request_id": "0" * 31 + "a",
}


def envelope(**changes):
    return {"task_count": "1", "tasks": [STORED | {"http_status": 200}]} | changes


def test_a_right_envelope_passes():
    checking.is_envelope(envelope(), STORED)


@pytest.mark.parametrize(
    ("seen", "stored"),
    [
        (envelope(task_count=1), STORED),
        (envelope(tasks=[]), STORED),
        (envelope(tasks=[STORED, STORED]), STORED),
        (envelope(), None),
        *((envelope(tasks=[STORED | {name: "other"}]), STORED) for name in checking.FIELDS),
        *(
            (envelope(tasks=[{n: v for n, v in STORED.items() if n != name}]), STORED)
            for name in checking.FIELDS
        ),
    ],
)
def test_a_wrong_envelope_is_noticed(seen, stored):
    with pytest.raises(AssertionError):
        checking.is_envelope(seen, stored)


def test_a_right_refusal_passes():
    checking.is_refused({"error": REFUSAL}, 404, "DMS.00404001", "task 7")


@pytest.mark.parametrize(
    "line",
    [
        {"answer": {}},
        *(
            {"error": REFUSAL | changes}
            for changes in (
                {"type": "ServerResponseException"},
                {"status": 400},
                {"code": None},
                {"message": "no"},
                {"request_id": None},
                {"request_id": "short"},
            )
        ),
    ],
)
def test_a_wrong_refusal_is_noticed(line):
    with pytest.raises(AssertionError):
        checking.is_refused(line, 404, "DMS.00404001", "task 7")


def test_what_java_prints_is_read_field_by_field():
    printed = (
        "class ShowBackgroundTaskResponse {\n    taskCount: 1\n    tasks: [class Task {\n"
        "        id: 7\n        userName: ann\n        createdAt: 2026-01-01T00:00:00.000Z\n"
        '        params: {"a": "b: c"}\n    }]\n}\n'
    )
    assert checking.printed_record("java", printed) == {
        "task_count": "1",
        "tasks": [
            {
                "id": "7",
                "user_name": "ann",
                "created_at": "2026-01-01T00:00:00.000Z",
                "params": '{"a": "b: c"}',
                "tasks": "[class Task {",
            }
        ],
    }


def test_a_placeholder_must_be_there_once():
    assert page.filled("a {x} b", {"{x}": "1"}) == "a 1 b"
    for text in ("a b", "{x} {x}"):
        with pytest.raises(ValueError, match="occurs"):
            page.filled(text, {"{x}": "1"})


def test_an_import_is_one_more_line_and_nothing_else():
    printed = 'package main\n\nimport (\n\t"fmt"\n)\n'
    mended = page.with_import(printed, "os")
    assert mended.replace('\t"os"\n', "") == printed


@pytest.mark.parametrize("language", sorted(page.CUTS))
def test_the_samples_are_cut_whole(language):
    if not page.PAGE.exists():
        pytest.skip(f"needs the page's text as {page.PAGE.name} in ../shared/contract")
    lines = page.sample(language).splitlines()
    assert lines[0] == page.CUTS[language].first
    assert lines[-1] == page.CUTS[language].last
    assert sum("{task_id}" in line for line in lines) == 1
