"""The documents say what the code does, and what they link to is there."""

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
import typer.main

from backroom.cli.app import app
from backroom.domain.lifecycle import Verb
from backroom.domain.task import State
from backroom.operations.catalogue import CATALOGUE
from backroom.settings import Settings
from backroom.wire.error_codes import ErrorCode

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = (
    *READMES,
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
)

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RUN_COMMAND = re.compile(r"^    (\w+)\)$", re.MULTILINE)


def _loaded():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_generate"] = module
    spec.loader.exec_module(module)
    return module


generate = _loaded()


def _text(*folders: str) -> str:
    """All pages below docs/ in these folders, or all pages."""
    pages = PAGES if not folders else [p for f in folders for p in sorted((DOCS / f).glob("*.md"))]
    return "\n".join(page.read_text("utf-8") for page in pages)


def _hand_written_wire() -> str:
    pages = [p for p in sorted((DOCS / "wire").glob("*.md")) if p.name != "error-codes.md"]
    return "\n".join(page.read_text("utf-8") for page in pages)


def _missing(words: Iterable[str], text: str) -> list[str]:
    return [word for word in words if word not in text]


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def _blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in _FENCE.findall(page.read_text("utf-8")) if kind == language]


def _commands(page: Path) -> Iterator[str]:
    """Each command of the shell blocks, continued lines joined."""
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                yield line.strip()


def _anchor(heading: str) -> str:
    """The fragment of a heading, as the common forges make it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_anchor(heading) for _, heading in _HEADING.findall(_prose(page))}


def test_generated_pages_are_up_to_date():
    assert [str(page.relative_to(ROOT)) for page in generate.stale()] == []


def test_check_exits_with_one_when_a_page_is_out_of_date(monkeypatch, capsys):
    page = DOCS / "reference" / "states.md"
    monkeypatch.setattr(generate, "wanted", lambda: {page: "another text"})
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    before = page.read_text("utf-8")

    assert generate.main() == 1

    assert capsys.readouterr().out == "out of date: docs/reference/states.md\n"
    assert page.read_text("utf-8") == before


def test_pages_are_the_same_when_made_twice():
    assert generate.wanted() == generate.wanted()


def test_every_block_in_a_page_has_a_maker():
    named = re.findall(r"<!-- generated: ([\w-]+) -->", _text())

    assert sorted(named) == ["coverage", "coverage-zh", "layers", "tables", "transitions"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    dead = []
    for link in _LINK.findall(_prose(page)):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in _anchors(target)):
            dead.append(link)

    assert dead == []


def test_every_page_is_linked_from_a_page():
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in _LINK.findall(_prose(page))
        if "://" not in link and link.partition("#")[0]
    }
    pages = [
        p
        for folder in ("quick-start", "wire", "howto", "reference")
        for p in (DOCS / folder).glob("*.md")
    ]

    assert [page.name for page in pages if page.resolve() not in linked] == []


def test_every_route_is_on_a_page():
    routes = (DOCS / "reference" / "routes.md").read_text("utf-8")
    rows = re.findall(r"^\| \w+ \| `([^`]+)` \| (\w+) \|", routes, re.MULTILINE)
    calls = [operation for path, operation in rows if not path.startswith("/backroom/")]

    assert len(calls) > 15
    assert _missing(calls, _hand_written_wire() + _HEALTH.read_text("utf-8") + _ALSO_ANSWERED) == []


_HEALTH = DOCS / "howto" / "health-and-metrics.md"
_ALSO_ANSWERED = "KeystoneListAuthProjects"  # KeystoneListProjects under another path


def test_every_command_and_option_is_in_the_reference():
    text = (DOCS / "reference" / "commands.md").read_text("utf-8")
    leaves = list(generate.walk(typer.main.get_command(app), "backroom"))
    options = [f"`{o}`" for _, command in leaves for p in command.params for o in p.opts]

    assert _missing([f"## {path}\n" for path, _ in leaves], text) == []
    assert _missing([option for option in options if option != "`--help`"], text) == []


def test_every_command_is_in_both_readmes():
    words = [
        word
        for path, _ in generate.walk(typer.main.get_command(app), "backroom")
        for word in path.split()
    ]
    runs = [f"./run {name}" for name in _run_commands()]

    for readme in READMES:
        assert _missing([*words, *runs], readme.read_text("utf-8")) == []


def test_every_setting_is_in_the_reference():
    text = (DOCS / "reference" / "settings.md").read_text("utf-8")
    names = [f"`{field.name}`" for field in msgspec.structs.fields(Settings)]

    assert _missing(names, text) == []
    assert sorted(generate.SETTINGS) == sorted(name.strip("`") for name in names)


def test_every_error_code_is_on_its_page_in_both_languages():
    text = (DOCS / "wire" / "error-codes.md").read_text("utf-8")
    words = [
        word
        for code in ErrorCode
        for word in (f"`{code.value.code}`", code.value.english, code.value.chinese)
    ]

    assert _missing(words, text) == []


def test_codes_on_hand_written_pages_are_codes_we_answer_with():
    known = {code.value.code for code in ErrorCode}
    others = {"DMS.00400013", "DMS.00400099"}  # named as what the cloud has beside ours
    named = set(re.findall(r"\b(?:DMS|APIGW)\.\d{4,}", _text("howto") + _hand_written_wire()))

    assert named - known - others == set()


def test_every_operation_is_explained():
    reference = (DOCS / "reference" / "operations.md").read_text("utf-8")
    steps = [f"`{step.name}`" for operation in CATALOGUE.values() for step in operation.steps]

    assert _missing([*CATALOGUE, *steps], reference) == []
    assert _missing(CATALOGUE, (DOCS / "wire" / "tasks.md").read_text("utf-8")) == []


def _rows(page: Path) -> Iterator[list[list[str]]]:
    """The cells of each table, its headings first."""
    for table in re.findall(r"(?:^\|.*\|\n)+", page.read_text("utf-8"), re.MULTILINE):
        yield [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_rows_of_tables_have_a_cell_for_each_heading(page):
    odd = [row for table in _rows(page) for row in table if len(row) != len(table[0])]

    assert odd == []


def test_each_operation_is_described_by_words_of_its_own():
    reference = DOCS / "reference" / "operations.md"
    (table,) = _rows(reference)
    said = {row[0].strip(" `"): row[1].strip() for row in table[2:]}
    shared = {name: what for name, what in said.items() if name.startswith("bulk")}

    assert set(said) == set(CATALOGUE)
    assert len(set(shared.values())) == len(shared) == 3


def test_every_state_and_verb_is_in_reference_drawing_and_glossary():
    states = [state.value for state in State]
    verbs = [verb.value for verb in Verb]

    for page in ("reference/states.md", "architecture.md"):
        assert _missing([*states, *verbs], (DOCS / page).read_text("utf-8")) == []
    glossary = (DOCS / "glossary.md").read_text("utf-8")
    assert _missing([*states, *(v for v in verbs if v != "ask_cancel")], glossary) == []


def _marked_rules() -> dict[str, dict[int, set[str]]]:
    """Of each file of tests: the tests that carry the number of a rule."""
    found: dict[str, dict[int, set[str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in ast.walk(ast.parse(path.read_text("utf-8"))):
            for mark in getattr(test, "decorator_list", ()):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.rule":
                    rules = found.setdefault(path.relative_to(ROOT / "tests").as_posix(), {})
                    rules.setdefault(ast.literal_eval(mark.args[0]), set()).add(test.name)
    return found


def _listed_rules() -> dict[str, dict[int, set[str]]]:
    """The same, as the table of rules says."""
    section = (DOCS / "architecture.md").read_text("utf-8").partition("\n## Rules\n")[2]
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|", section, re.MULTILINE)
    found: dict[str, dict[int, set[str]]] = {}
    for number, proofs in rows:
        for proof in proofs.split("; "):
            path, _, tests = proof.partition(": ")
            found.setdefault(path, {})[int(number)] = set(re.findall(r"`(\w+)`", tests))
    return found


def test_each_rule_of_the_engine_has_tests_that_carry_its_number():
    marked = _marked_rules()

    assert {number for rules in marked.values() for number in rules} == set(range(1, 13))
    assert marked == _listed_rules()


def test_facts_on_wire_pages_carry_certainty():
    for page in sorted((DOCS / "wire").glob("*.md")):
        assert {"[D]", "[I]"} <= set(re.findall(r"\[[DOPI]\]", page.read_text("utf-8"))), page.name


def test_decisions_are_numbered_and_have_the_four_parts():
    decisions = sorted((DOCS / "adr").glob("*.md"))

    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {int(page.name[:4])}. ")
        assert "\nStatus: " in text
        found = [heading for mark, heading in _HEADING.findall(text) if mark == "##"]
        assert found == ["Context", "Decision", "Consequences"]


def test_both_readmes_have_the_same_headings_and_commands():
    english, chinese = READMES

    def levels(page):
        return [len(mark) for mark, _ in _HEADING.findall(_prose(page))]

    def code(page):
        return re.findall(r"^\| (`[^|]*`)", _prose(page), re.MULTILINE)

    assert levels(english) == levels(chinese)
    assert list(_commands(english)) == list(_commands(chinese))
    assert _blocks(english, "text") == _blocks(chinese, "text")
    assert [re.findall(r"`[^`]+`", row)[0] for row in code(english)] == [
        re.findall(r"`[^`]+`", row)[0] for row in code(chinese)
    ]


def test_the_chinese_readme_has_no_english_headings():
    headings = [heading for _, heading in _HEADING.findall(_prose(READMES[1]))[1:]]

    assert [heading for heading in headings if not re.search(r"[一-鿿]", heading)] == []


def _run_commands() -> list[str]:
    return _RUN_COMMAND.findall((ROOT / "run").read_text("utf-8"))


@pytest.mark.parametrize(
    "page",
    [
        *READMES,
        *sorted((DOCS / "quick-start").glob("*.md")),
        *sorted((DOCS / "howto").glob("*.md")),
        ROOT / "CONTRIBUTING.md",
    ],
    ids=lambda page: page.name,
)
def test_shell_blocks_call_commands_that_exist(page):
    known = {path for path, _ in generate.walk(typer.main.get_command(app), "backroom")}
    for command in _commands(page):
        for called in re.findall(r"backroom ((?:[a-z]+(?:-[a-z]+)* ?)+)", command):
            path = f"backroom {called.strip()}"
            assert any(path == k or path.startswith(f"{k} ") for k in known), command
        if command.startswith("./run "):
            assert shlex.split(command)[1] in _run_commands()
        for script in re.findall(r"\bexamples/\S+\.py", command):
            assert (ROOT / script).exists()


def test_documents_name_nothing_of_a_single_machine():
    found = re.findall(r"(?<![\w.])/(?:home|root|work|Users)/\S*", _text())

    assert found == []


@pytest.mark.slow
def test_the_demo_of_the_readme_runs():
    done = subprocess.run(
        ["./run", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )

    assert done.returncode == 0, done.stderr
    keys = re.compile(r'^ +"\w+"', re.MULTILINE)
    assert keys.findall(done.stdout) == keys.findall(_blocks(READMES[0], "text")[0])


@pytest.mark.slow
def test_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    command = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stderr
    pages = {str(page.relative_to(tmp_path)): page for page in tmp_path.rglob("*.html")}
    assert {"index.html", "howto/deploy.html", "index.zh-CN.html"} <= set(pages)
    loads = re.compile(r'<(?:script|img|link)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')
    assert [name for name, page in pages.items() if loads.search(page.read_text("utf-8"))] == []
