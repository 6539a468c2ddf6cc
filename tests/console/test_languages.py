"""Both languages say everything, and no template says anything by itself."""

import re
from importlib.resources import files
from string import Formatter

import pytest
from tests.support.person import Person

from backroom.console.deeds import BY_NAME
from backroom.console.forms import FORMS, _config_field, new_fields
from backroom.console.surroundings import Choices
from backroom.console.texts import LANGUAGES, TEXTS
from backroom.domain.account import Role
from backroom.domain.lifecycle import Verb
from backroom.domain.task import Kind, Outcome, State
from backroom.operations.catalogue import CATALOGUE

TEMPLATES = {
    entry.name: entry.read_text("utf-8")
    for entry in files("backroom.console").joinpath("templates").iterdir()
    if entry.name.endswith(".html")
}
SPOKEN = ("title", "placeholder", "alt", "aria-label", "data-label", "data-on", "value")
WORD = re.compile(r"[A-Za-z\u4e00-\u9fff]{2,}")
ALIKE = {"brand", "gb", "p50", "p95", "topics", "topic", "field_topics"}
FAMILIES = {
    "state": State, "kind": Kind, "op": CATALOGUE, "verb": Verb, "role": Role, "outcome": Outcome,
    "form": FORMS, "about": FORMS, "deed": BY_NAME, "do": BY_NAME, "ask": BY_NAME,
    "theme": ("auto", "light", "dark"), "with": ("key", "password"),
    "bulk": ("cancel", "retry", "delete"), "extend": ("storage", "horizontal", "vertical"),
}  # fmt: skip


def placeholders(text):
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_is_there_in_both_languages_with_the_same_values(key):
    english, chinese = TEXTS[key]
    assert len(TEXTS[key]) == len(LANGUAGES)
    assert english.strip()
    assert chinese.strip()
    if not key.endswith("_one"):
        assert placeholders(english) == placeholders(chinese)
    assert english != chinese or key in ALIKE
    if key not in ("other_language", "to_other_language"):
        assert not re.search(r"[\u4e00-\u9fff]", english)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_has_a_text_of_its_own(name):
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", TEMPLATES[name], flags=re.DOTALL)
    for tag in re.findall(r"<[^>]*>", text):
        for attribute, value in re.findall(r'([\w-]+)="([^"]*)"', tag):
            if attribute in SPOKEN and not (attribute == "value" and "type=" in tag):
                assert not WORD.search(value) or attribute == "value", (tag, value)
    bare = re.sub(r"<[^>]*>", " ", text, flags=re.DOTALL)
    assert WORD.findall(bare) == []


def test_every_key_that_a_template_names_is_there():
    for name, text in TEMPLATES.items():
        for key in re.findall(r'\bt(?:\.count)?\("([\w-]+)"[,)]', text):
            assert key in TEXTS, (name, key)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_of_the_domain_has_a_text(family):
    for word in FAMILIES[family]:
        assert f"{family}_{word}" in TEXTS


def test_every_field_has_its_texts():
    fields = new_fields(Choices((), (), ()))
    config = {"name": "n", "valid_values": "1~2", "value_type": "integer", "value": "1"}
    fields += tuple(
        _config_field({**config, "config_type": kind}) for kind in ("dynamic", "static")
    )
    for field in fields:
        assert not field.label or field.label in TEXTS
        assert not field.help or field.help in TEXTS


def test_every_text_is_used():
    source = "".join(TEMPLATES.values())
    for entry in files("backroom.console").iterdir():
        if entry.name.endswith(".py") and entry.name != "texts.py":
            source += entry.read_text("utf-8")
    families = tuple(f"{family}_" for family in FAMILIES)
    spoken = [
        key for key in TEXTS
        if not key.startswith((*families, "will_", "config_", "bulk_", "row_"))
        and not key.endswith("_one")
    ]  # fmt: skip
    assert [key for key in spoken if f'"{key}"' not in source and f"'{key}'" not in source] == []


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "任务"),
        ("en-US,en;q=0.9,zh;q=0.8", "Tasks"),
        ("fr,zh;q=0.3,en;q=0.2", "任务"),
        ("fr", "Tasks"),
        ("", "Tasks"),
        (";;q=x,zh", "任务"),
    ],
)
def test_the_browsers_wish_is_heard(world, wish, words):
    page = Person(world, wish).sign_in().get("/console/tasks")
    assert words in page.text
    lang = next(given["lang"] for tag, given in page.attributes if tag == "html")
    assert lang == ("zh-CN" if words == "任务" else "en")


def test_language_and_look_can_be_chosen_before_and_after_signing_in(world):
    person = Person(world)
    form = person.get("/console/sign-in").form("/console/preferences")
    page = person.follow(person.send(form, ("language", "zh")))
    assert "登录" in page.text
    person.sign_in()
    page = person.get("/console/tasks?state=failed")
    assert "没有匹配的任务" in page.text
    answer = person.send(page.form("/console/preferences"), ("theme", "dark"))
    assert answer.headers["location"] == "/console/tasks?state=failed"
    page = person.follow(answer)
    assert next(given["data-theme"] for tag, given in page.attributes if tag == "html") == "dark"
    answer = person.send(page.form("/console/preferences"), ("language", "xx"))
    assert "没有匹配的任务" in person.follow(answer).text


def test_a_refusal_is_told_in_chinese(world):
    person = Person(world, "zh").sign_in()
    restart = f"/console/instances/{world.instance.id}/restart"
    form = person.get(restart).form(restart)
    person.send(form)
    refused = person.send(form, once="")
    assert refused.status == 409
    assert "已被拒绝" in refused.text
    assert "未做任何更改" in refused.text


def test_every_page_is_whole_in_chinese(world):
    person = Person(world, "zh").sign_in()
    task_id = world.submit()
    world.run_until_idle()
    for target in (
        "/console/tasks", f"/console/tasks/{task_id}", f"/console/tasks/{task_id}/delete",
        "/console/instances", f"/console/instances/{world.instance.id}", "/console/overview",
        "/console/instances/new", "/console/nothing",
    ):  # fmt: skip
        page = person.get(target)
        assert page.status in (200, 404)
        english = {TEXTS[key][0] for key in TEXTS if len(TEXTS[key][0]) > 12 and key not in ALIKE}
        assert not [words for words in english if words in page.text], target
