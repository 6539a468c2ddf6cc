"""What people read is there in both languages, and says the same."""

import re
import string
from pathlib import Path

import pytest

from backroom.cli import sentences
from backroom.cli.sentences import SENTENCES, choose, language, tell

SOURCES = Path(sentences.__file__).parent


@pytest.fixture(autouse=True)
def _own_language(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    choose(None)
    yield
    choose(None)


def names_in(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", SENTENCES)
def test_both_languages_have_the_same_values(name):
    english, chinese = SENTENCES[name]

    assert names_in(english) == names_in(chinese)
    assert not re.search(r"[一-鿿]", english)


def test_chinese_sentences_are_chinese():
    words = re.compile(r"\{\w+\}|[\W\d_]")
    same = {name for name, (english, chinese) in SENTENCES.items() if english == chinese}

    assert {name for name in same if words.sub("", SENTENCES[name][0])} <= {"data open do"}
    assert all(
        re.search(r"[一-鿿]", SENTENCES[n][1]) for n in SENTENCES.keys() - same - {"refused"}
    )


def test_every_sentence_is_told_and_every_told_one_is_there():
    code = "\n".join(
        path.read_text("utf-8") for path in SOURCES.glob("*.py") if path.name != "sentences.py"
    )
    named = set(re.findall(r'"([a-z][\w ]+)"', code))
    told = set(re.findall(r'\btell\(\s*"([^"]+)"', code))

    assert told <= SENTENCES.keys()
    assert SENTENCES.keys() <= named


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
    ],
)
def test_the_language_is_that_of_the_locale(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert language() == expected


def test_what_was_chosen_wins(monkeypatch):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    choose("en")

    assert tell("deleted", id="x") == "deleted x"
