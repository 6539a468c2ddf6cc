"""Tables line up, programs get what they asked for, terminals get no orders."""

import json

import pytest
import yaml

from backroom.cli import output
from backroom.cli.output import Column, Format, Output, query_problem, shown

COLUMNS = (
    Column("TASK", "id"),
    Column("NAME", lambda row: row["name"].upper()),
    Column("NOTE", "note", is_wide=True),
)
ROWS = [
    {"id": "1", "name": "bind", "note": "x"},
    {"id": "22", "name": "创建", "note": None},
    {"id": "333", "name": "z", "note": {"a": [1]}},
]


def test_a_table_lines_up_also_with_wide_letters(capsys):
    Output().rows(ROWS, COLUMNS)

    assert capsys.readouterr().out.splitlines() == [
        "TASK  NAME",
        "1     BIND",
        "22    创建",
        "333   Z",
    ]


def test_a_wide_table_has_all_columns(capsys):
    Output(Format.WIDE).rows(ROWS, COLUMNS)

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["TASK  NAME  NOTE", "1     BIND  x", "22    创建", '333   Z     {"a":[1]}']


def test_nothing_prints_nothing(capsys):
    Output().rows([], COLUMNS)

    assert capsys.readouterr().out == ""


def test_json_is_what_came(capsys):
    Output(Format.JSON).rows(ROWS, COLUMNS)

    assert json.loads(capsys.readouterr().out) == ROWS


def test_yaml_is_what_came(capsys):
    Output(Format.YAML).rows(ROWS, COLUMNS)

    text = capsys.readouterr().out
    assert yaml.safe_load(text) == ROWS
    assert "创建" in text


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("[0].id", ["1"]),
        ("[].id", ["1", "22", "333"]),
        ("length(@)", ["3"]),
        ("[?id=='nope'] | [0]", []),
        ("[].{a: id, b: note}", ["a    b", "1    x", "22", '333  {"a":[1]}']),
        ("[0]", ["id    1", "name  bind", "note  x"]),
    ],
)
def test_a_query_without_a_format_prints_what_a_shell_can_take(capsys, query, lines):
    Output(Format.TABLE, query).rows(ROWS, COLUMNS)

    assert capsys.readouterr().out.splitlines() == lines


def test_a_query_with_json_prints_json(capsys):
    Output(Format.JSON, "[].id").rows(ROWS, COLUMNS)

    assert json.loads(capsys.readouterr().out) == ["1", "22", "333"]


def test_a_bad_query_has_a_problem():
    assert query_problem("[") is not None
    assert query_problem("[].id") is None


def test_a_record_shows_only_what_has_something_to_tell(capsys):
    Output().record({"id": "1", "name": "n", "note": None}, COLUMNS)

    assert capsys.readouterr().out.splitlines() == ["TASK  1", "NAME  N"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines", "two\\nlines"),
        ("\u202eback", "\\u202eback"),
        (True, "yes"),
        (False, "no"),
        (None, ""),
        (0, "0"),
        ([1, "ä"], '[1,"ä"]'),
    ],
)
def test_no_cell_gives_a_terminal_orders(value, cell):
    assert shown(value) == cell


class TestOnATerminal:
    @pytest.fixture(autouse=True)
    def _terminal(self, monkeypatch):
        monkeypatch.setattr(output, "_is_terminal", lambda: True)
        monkeypatch.setenv("COLUMNS", "12")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)

    def test_lines_are_cut_to_its_width(self, capsys):
        Output().rows([{"id": "a" * 20, "name": "x"}], COLUMNS[:1])

        assert capsys.readouterr().out.splitlines() == ["TASK", "a" * 11 + "…"]

    def test_wide_is_never_cut(self, capsys):
        Output(Format.WIDE).rows([{"id": "a" * 20, "name": "x"}], COLUMNS[:1])

        assert "a" * 20 in capsys.readouterr().out

    def test_words_of_state_are_coloured_unless_told_not_to(self, monkeypatch):
        assert output.coloured("failed") == "\x1b[31mfailed\x1b[0m"
        assert output.coloured("other") == "other"
        monkeypatch.setenv("NO_COLOR", "1")
        assert output.coloured("failed") == "failed"


NASTY = {"a": "\x1b[31m\x7f\x9b\u202e\ud800", "b": ["创建", "\n"]}


@pytest.mark.parametrize("kind", [Format.JSON, Format.YAML])
def test_no_document_gives_a_terminal_orders(capsys, kind):
    Output(kind).document(NASTY)

    text = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert (json.loads(text) if kind is Format.JSON else yaml.safe_load(text)) == NASTY


def test_letters_stay_letters_in_documents(capsys):
    for kind in (Format.JSON, Format.YAML):
        Output(kind).document({"name": "创建"})
        assert "创建" in capsys.readouterr().out
