"""What people do in the console, in a real browser."""

import csv
import io
import itertools
import json

import pytest
from tests.browser.conftest import Key, Tab
from tests.support.processes import backroom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LANGUAGES = ("en-US", "zh-CN")


@pytest.fixture(scope="module", autouse=True)
def history(browser, server, key):
    """Tasks that succeeded, one that was cancelled, a topic: what the pages have to show."""
    tab = Tab(browser, server, key).sign_in()
    for _ in range(2):
        tab.bind()
        tab.wait_for_state("succeeded")
    tab.open("/console/instances")
    tab.page.click("td.main a")
    tab.page.click("#topics a[href$='/new-topic']")
    tab.page.fill("[name=topic]", "orders")
    tab.page.click("form.fields button.primary")
    tab.page.wait_for_selector("#topics td.main code")
    _plan(tab)
    yield
    tab.close()


def _plan(tab):
    """A reassignment far in the future; the page is that task's then."""
    tab.open("/console/instances")
    tab.page.click("td.main a")
    tab.page.click(".changes a[href$='/reassign']")
    tab.page.check("[name=topics]")
    tab.page.fill("[name=at]", "2037-01-01T08:00")
    tab.page.click("form.fields button.primary")
    tab.page.wait_for_url("**/console/tasks/*")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_planned_task_is_moved_in_the_readers_zone(another, locale):
    tab = another(locale=locale).sign_in()
    page = tab.open("/console/tasks?kind=scheduled&state=waiting")
    page.click("tbody tr:first-child td.main a")
    page.wait_for_selector(
        "#task dd:has-text('2037-01-01 00:00:00 UTC')"
    )  # Shanghai is eight hours ahead
    page.click(".title a[href$='/move']")
    page.wait_for_selector("dialog[open] #at")
    assert page.input_value("#at") == "2037-01-01T08:00"
    page.fill("#at", "2037-02-03T07:30")
    assert "2037-02-02 23:30:00" in page.inner_text("#at-zone")
    assert "Asia/Shanghai" in page.inner_text("#at-zone")
    page.fill("dialog #reason", "after the holidays")
    tab.shot(f"move-dialog-{locale[:2]}")
    page.click("dialog button.primary")
    page.wait_for_selector("#task dd:has-text('2037-02-02 23:30:00 UTC')")
    assert "after the holidays" in page.inner_text("main")
    tab.expected.append("400")
    page.click(".title a[href$='/move']")
    page.wait_for_selector("dialog[open] #at")
    page.fill("#at", "2020-01-01T00:00")
    page.click("dialog button.primary")
    page.wait_for_selector(".confirm .notice.bad")
    assert page.input_value("#at") == "2020-01-01T00:00"
    assert page.get_attribute("#at", "aria-invalid") == "true"
    page.fill("#at", "2037-01-01T08:00")
    page.click("form.fields button.primary")
    page.wait_for_selector("#task dd:has-text('2037-01-01 00:00:00 UTC')")


def test_a_time_that_was_not_touched_is_sent_as_it_came(another):
    """New York's clocks show 01:30 twice on that day; this is the second."""
    tab = another(timezone_id="America/New_York").sign_in()
    page = tab.open("/console/tasks?kind=scheduled&state=waiting")
    page.click("tbody tr:first-child td.main a")
    page.wait_for_selector("#task")
    task = page.url.partition("?")[0].rpartition("/")[2]
    moment = "2037-11-01T06:30:05.250Z"
    move = f"/console/tasks/{task}/move"
    page = tab.open(move)
    _send_move(page, moment)
    page = tab.open(move)
    assert page.input_value("#at") == "2037-11-01T01:30:05"
    assert "2037-11-01 06:30:05" in page.inner_text("#at-zone")
    page.fill("#reason", "only said why")
    page.click("form.fields button.primary")
    page.wait_for_selector("#task")
    assert "only said why" in page.inner_text("main")
    raw = page.request.get(f"{page.url.partition('?')[0]}/raw").json()
    assert raw["execute_at"] == moment
    _send_move(tab.open(move), "2037-01-01T00:00:00.000Z")  # as the other tests want it


def _send_move(page, moment):
    csrf = page.input_value("form.fields [name=csrf]")
    assert page.request.post(page.url, form={"csrf": csrf, "at": moment}).ok


def test_a_time_typed_into_an_empty_filter_stays_through_a_refresh(tab, another):
    tab.sign_in()
    page = tab.page
    page.wait_for_selector(".live[data-is=on]")
    page.click(".filters details summary")
    page.fill("[name=from]", "2026-01-01T08:00")
    first = page.locator("tbody tr").count()
    other = another().sign_in()
    other.bind()
    wait_for_rows(page, first + 1)
    assert page.input_value("[name=from]") == "2026-01-01T08:00"
    other.wait_for_state("succeeded")


def test_a_topic_is_changed_and_deleted_from_its_row(tab):
    tab.sign_in()
    page = tab.open("/console/instances")
    page.click("td.main a")
    page.click("#topics a[href$='/new-topic']")
    page.fill("[name=topic]", "passing")
    page.fill("[name=partitions]", "1")
    page.click("form.fields button.primary")
    page.click("#topics a[href$='/partitions?topic=passing']")
    page.fill("[name=partitions]", "4")
    page.click("form.fields button.primary")
    page.wait_for_selector("#topics tr:has(a[href$='=passing']) td:has-text('12 / 12')")
    page.click("#topics a[href$='/topic?topic=passing']")
    page.fill("[name=description]", "soon gone")
    page.click("form.fields button.primary")
    page.wait_for_selector("#topics :text('soon gone')")
    page.click("#topics a[href$='/delete-topics?topic=passing']")
    assert page.locator("[name=topics]:checked").get_attribute("value") == "passing"
    page.click("form.fields button.grave")
    page.wait_for_selector("#topics")
    assert page.locator("#topics a[href$='=passing']").count() == 0


def wait_for_rows(page, count):
    page.wait_for_selector(f"#list tbody tr:nth-child({count})")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_task_is_asked_for_and_followed_to_its_end(another, locale):
    tab = another(locale=locale).sign_in()
    tab.bind()
    tab.wait_for_state("succeeded")  # without anybody reloading the page
    page = tab.page
    assert page.locator(".timeline .succeeded").count() >= 3
    time = page.locator("dl time").first
    assert time.get_attribute("title").endswith(" UTC")
    assert time.inner_text() not in time.get_attribute("title")
    assert page.locator(".diff tbody tr").count() > 0
    page.click("#raw summary")
    assert '"state": "succeeded"' in page.inner_text("#raw pre")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_the_list_is_live_and_pauses_while_rows_are_ticked(another, locale):
    tab, other = another(locale=locale).sign_in(), another().sign_in()
    page = tab.page
    page.wait_for_selector(".live[data-is=on]")
    first = page.locator("tbody tr").count()
    other.bind()
    wait_for_rows(page, first + 1)
    page.check("tbody tr:nth-child(2) input")
    page.wait_for_selector(".live[data-is=paused]")
    assert page.locator(".picked.some").is_visible()
    other.wait_for_state("succeeded")
    other.bind()
    other.wait_for_state("succeeded")
    assert page.locator("tbody tr").count() == first + 1
    page.uncheck("tbody tr:nth-child(2) input")
    wait_for_rows(page, first + 2)


def test_it_pauses_while_text_is_selected(tab, another):
    tab.sign_in()
    tab.page.wait_for_selector(".live[data-is=on]")
    first = tab.page.locator("tbody tr").count()
    tab.page.evaluate("getSelection().selectAllChildren(document.querySelector('tbody td.main'))")
    tab.page.wait_for_selector(".live[data-is=paused]")
    other = another().sign_in()
    other.bind()
    other.wait_for_state("succeeded")
    assert tab.page.locator("tbody tr").count() == first
    tab.page.evaluate("getSelection().removeAllRanges()")
    wait_for_rows(tab.page, first + 1)


def test_no_stream_is_open_while_the_tab_is_hidden(tab):
    tab.sign_in()
    page = tab.page
    page.wait_for_selector(".live[data-is=on]")
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    say = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true" + say)
    page.wait_for_selector(".live[data-is=off]")
    page.evaluate(hide % "false" + say)
    page.wait_for_selector(".live[data-is=on]")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_filters_end_up_in_the_address_and_come_back_from_it(another, locale):
    tab = another(locale=locale).sign_in()
    page = tab.page
    page.click(".pill.succeeded")
    page.fill("[name=user]", "backroom")
    page.click(".filters details summary")
    page.fill("[name=from]", "2026-01-01T08:00")
    page.click(".filters button.primary")
    page.wait_for_url("**state=succeeded**")
    assert "user=backroom" in page.url
    assert "from=2026-01-01T00%3A00%3A00.000Z" in page.url  # Shanghai is eight hours ahead
    assert "text=" not in page.url
    assert page.input_value("[name=from]") == "2026-01-01T08:00"
    assert page.is_checked("[name=state][value=succeeded]")
    page.reload()
    assert page.input_value("[name=user]") == "backroom"
    assert str(page.locator("tbody tr").count()) in page.inner_text("#total")


@pytest.mark.parametrize("locale", LANGUAGES)
def test_what_is_filtered_is_exported(another, locale):
    tab = another(locale=locale).sign_in()
    page = tab.open("/console/tasks?state=succeeded")
    wanted = page.locator("tbody tr").count()
    for form, read in (
        ("csv", lambda text: list(csv.DictReader(io.StringIO(text)))),
        ("json", json.loads),
    ):
        with page.expect_download() as waiting:
            page.click(f"a[href*='format={form}']")
        path = waiting.value.path()
        rows = read(path.read_text("utf-8"))
        assert len(rows) >= wanted > 0
        assert {row["state"] for row in rows} == {"succeeded"}


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_refused_retry_explains_itself_in_the_dialog(another, locale):
    tab = another(locale=locale).sign_in()
    tab.expected.append("409")
    page = tab.page
    restart = _restart(tab)
    page.click(".title a.grave")
    page.wait_for_selector("dialog[open] #reason")
    page.fill("dialog #reason", "not now")
    page.click("dialog button.grave")
    page.wait_for_url(f"**/console/tasks/{restart}")
    tab.wait_for_state("cancelled")
    assert "not now" in page.inner_text("main")
    busy = _restart(tab)
    page = tab.open(f"/console/tasks/{restart}")
    page.click(".title a.primary")
    page.wait_for_selector("dialog[open] button.primary")
    page.click("dialog button.primary")
    page.wait_for_selector(".confirm .notice.bad")
    text = page.inner_text(".confirm")
    assert "RESTARTING" in text
    assert page.locator(f".confirm a[href='/console/tasks/{busy}']").count() == 1
    tab.shot(f"refused-retry-{locale[:2]}")
    tab.open(f"/console/tasks/{busy}")
    tab.wait_for_state("succeeded")


def _restart(tab):
    tab.open("/console/instances")
    tab.page.click("td.main a")
    tab.page.click(".changes a[href$='/restart']")
    tab.page.click("form.fields button.grave")
    tab.page.wait_for_url("**/console/tasks/*")
    return tab.page.url.partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("locale", LANGUAGES)
def test_all_that_match_are_deleted_by_a_task_of_its_own(another, locale):
    tab = another(locale=locale).sign_in()
    page = tab.page
    tab.bind()
    tab.wait_for_state("succeeded")
    tab.open("/console/tasks?state=succeeded&name=unbindInstancePublicIp")
    if page.locator("tbody tr").count() == 0:
        tab.bind()
        tab.wait_for_state("succeeded")
        tab.open("/console/tasks?state=succeeded&name=unbindInstancePublicIp")
    page.check("#tick-all")
    page.check("[name=all]")
    page.click("button[name=action][value=delete]")
    page.wait_for_selector(".confirm .big")
    tab.shot(f"bulk-{locale[:2]}")
    page.fill("#reason", "tidying")
    page.click("form.fields button.grave")
    page.wait_for_url("**/console/tasks/*")
    tab.wait_for_state("succeeded")
    tab.open("/console/tasks?state=succeeded&name=unbindInstancePublicIp")
    assert page.locator("tbody tr").count() == 0


@pytest.mark.parametrize("locale", LANGUAGES)
def test_all_of_it_can_be_done_with_the_keyboard_alone(another, key, locale):
    tab = another(locale=locale)
    page = tab.open("/console/sign-in")
    assert page.evaluate("document.activeElement.id") == "name"
    page.keyboard.type(key.access_key)
    page.keyboard.press("Tab")
    page.keyboard.type(key.secret_key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/tasks")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    _tab_to(page, "[name=state][value=succeeded]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**state=succeeded**")
    _tab_to(page, "tbody tr:first-child td.main a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/tasks/*")
    _tab_to(page, ".title a.grave")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert page.evaluate("document.activeElement.matches('.title a.grave')")


def _tab_to(page, selector, most=60):
    for _ in range(most):
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            outline = page.evaluate(
                "getComputedStyle(document.activeElement.matches('.pill input')"
                " ? document.activeElement.nextElementSibling"
                " : document.activeElement).outlineStyle"
            )
            assert outline != "none", f"nobody sees that {selector} has the focus"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} can't be reached with the keyboard")


def _pages(tab):
    """Each page by a name, one after the other in this window."""
    page = tab.page
    tab.open("/console/tasks")
    yield "tasks"
    tab.open("/console/tasks?state=failed&text=nothing")
    yield "tasks-none"
    tab.open("/console/tasks?state=succeeded")
    page.click("tbody tr:first-child td.main a")
    page.wait_for_selector("#task")
    yield "task"
    task = page.url.partition("?")[0]
    tab.open(task[task.index("/console") :] + "/delete")
    yield "confirm"
    tab.open("/console/instances")
    yield "instances"
    page.click("td.main a")
    page.wait_for_selector("#instance")
    yield "instance"
    instance = page.url[page.url.index("/console") :]
    for form in ("configs", "extend", "reassign", "topic?topic=orders", "partitions?topic=orders"):
        tab.open(f"{instance}/{form}")
        yield f"form-{form.partition('?')[0]}"
    tab.open("/console/tasks?kind=scheduled")
    page.click("tbody tr:first-child td.main a")
    page.wait_for_selector("#task")
    yield "task-planned"
    tab.open(page.url[page.url.index("/console") :] + "/move")
    yield "move"
    tab.open("/console/instances/new")
    yield "form-new"
    tab.open("/console/tasks/bulk?action=delete&state=succeeded")
    yield "bulk"
    tab.open("/console/overview")
    yield "overview"


LOOKS = list(itertools.product(LANGUAGES, ("light", "dark"), ("desktop", "phone")))


@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_every_page_fits_and_keeps_nobody_out(another, axe, locale, scheme, size):
    tab = another(locale=locale, color_scheme=scheme, size=size, bypass_csp=True)
    tab.open("/console/sign-in")
    _look_at(tab, axe, f"sign-in-{locale[:2]}-{scheme}-{size}")
    tab.sign_in()
    for name in _pages(tab):
        _look_at(tab, axe, f"{name}-{locale[:2]}-{scheme}-{size}")


def _look_at(tab, axe, name):
    page = tab.page
    page.evaluate("document.fonts.ready")
    tab.shot(name)
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide"
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]][:3])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == [], name


def test_a_viewer_is_offered_nothing(browser, server, key, another):
    added = backroom(
        "keys", "add", "--data", str(server.data), "--ak", "VIEWERKEY", "--role", "viewer",
        "--project-id", key.project_id, "--sk", "-", input="secret-of-the-viewer",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    tab = Tab(browser, server, Key("VIEWERKEY", "secret-of-the-viewer", key.project_id)).sign_in()
    tab.page.click("tbody tr:first-child td.main a")
    tab.page.wait_for_selector("#task")
    assert tab.page.locator("#task a.button").count() == 0
    tab.close()


def test_the_choice_of_language_and_look_is_kept(tab):
    tab.sign_in()
    page = tab.page
    page.click("[name=language]")
    page.wait_for_selector("html[lang=zh-CN]")
    page.click("[name=theme][value=dark]")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    tab.open("/console/overview")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.inner_text("h1") == "概览"


def test_nothing_is_fetched_from_elsewhere(tab, server):
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.sign_in()
    for _ in _pages(tab):
        pass
    assert asked
    assert [url for url in asked if not url.startswith(server.endpoint)] == []
