"""The HTML report in a browser: what each filter shows, the keyboard, links, sizes and colours."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.browser import chromium, console_errors, inaccessible, look, wait_until
from tests.eval.harness import its_eval
from tests.eval.planted import PERSONA, VOTES, planted, sample, start

MEASURE = Path(__file__).with_name("measure.js").read_text("utf-8")


@pytest.fixture(scope="module")
def opened() -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    page = folder / "report.html"
    assert its_eval("report", *planted(folder), "--html", page, "--title", "t").returncode == 0
    return page


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose answers are compressed."""
    folder = tmp_path_factory.mktemp("packed")
    run = start(folder / "run", "m")
    for number in range(6):
        text = f"needle-{number} {'hay ' * 100_000} \\(x^{number}\\)"
        run.append(sample(f"p{number}", 0, "right", text=text))
    page = folder / "report.html"
    assert its_eval("report", run.path, "--html", page).returncode == 0
    return page


@pytest.fixture
def page(opened: Chrome, file: Path) -> Iterator[Chrome]:
    """The planted runs, as somebody opens them first; nothing may go wrong in the background."""
    show(opened, file)
    yield opened
    assert console_errors(opened) == []


def show(browser: Chrome, file: Path, address: str = "") -> None:
    browser.get("about:blank")
    look(browser, 1440)
    browser.get(file.as_uri() + address)


def shown(browser: Chrome) -> list[str]:
    """Return the problems on the page, in their order."""
    rows = "[...document.querySelectorAll('.problem')].filter(e => !e.hidden)"
    return list(browser.execute_script(f"return {rows}.map(e => e.dataset.id)"))


def press(browser: Chrome, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def focused(browser: Chrome) -> str:
    script = (
        "return document.activeElement.closest('.problem')?.dataset.id ?? document.activeElement.id"
    )
    return str(browser.execute_script(script))


ALL = list(VOTES)
FILTERS = {
    "wrong": {"other", "silent", "cut", "failed", "differ", "samples", "lost"},
    "other": {"other", "differ", "samples", "lost"},
    "silent": {"silent", "cut"},
    "cut": {"cut"},
    "failed": {"failed"},
    "missing": {"unasked"},
    "runs": {"cut", "differ", "samples", "lost"},
    "samples": {"cut", "samples"},
    "lost": {"lost"},
    "undecided": {"tie"},
    "none": {"other", "silent", "failed"},
}
"""What each filter shows of all runs. Half of the answers are not more than half: `cut` differs."""

OF_ONE = {
    "wrong": {"other", "silent", "cut", "failed", "samples"}, "other": {"other", "samples"},
    "runs": set(), "missing": set(), "lost": set(), "undecided": set(),
}  # fmt: skip
OF_MEMBER_R = {
    "wrong": {"other", "silent", "differ", "tie"},
    "failed": {"differ"},
    "silent": {"silent", "tie"},
}


@pytest.mark.parametrize(("name", "expected"), FILTERS.items(), ids=list(FILTERS))
def test_a_filter_shows_exactly_what_was_planted(
    page: Chrome, name: str, expected: set[str]
) -> None:
    button = page.find_element(By.CSS_SELECTOR, f"#filters [data-name={name}]")
    assert button.find_element(By.CLASS_NAME, "count").text == str(len(expected))
    button.click()
    assert shown(page) == [problem for problem in ALL if problem in expected]
    assert button.get_attribute("aria-pressed") == "true"
    assert page.find_element(By.ID, "status").text == f"{len(expected)} of {len(ALL)} problems"
    button.click()
    assert shown(page) == ALL


@pytest.mark.parametrize(
    ("column", "name", "expected"),
    [
        *(("A", name, expected) for name, expected in OF_ONE.items()),
        *(("E", name, expected) for name, expected in OF_MEMBER_R.items()),
        ("B", "missing", {"unasked"}),
    ],
)
def test_a_filter_of_one_column(page: Chrome, column: str, name: str, expected: set[str]) -> None:
    Select(page.find_element(By.ID, "in")).select_by_value(column)
    assert shown(page) == ALL
    page.find_element(By.CSS_SELECTOR, f"#filters [data-name={name}]").click()
    assert set(shown(page)) == expected


def test_filters_add_up_and_are_cleared(page: Chrome) -> None:
    for name in ("wrong", "samples"):
        page.find_element(By.CSS_SELECTOR, f"#filters [data-name={name}]").click()
    assert shown(page) == ["cut", "samples"]
    find = page.find_element(By.ID, "find")
    find.send_keys("no such words")
    wait_until(lambda: not shown(page))
    assert page.find_element(By.ID, "empty").is_displayed()
    page.find_element(By.ID, "clear-too").click()
    assert shown(page) == ALL
    assert page.execute_script("return location.hash") in ("", "#")


def test_search_finds_problems_and_answers(page: Chrome) -> None:
    find = page.find_element(By.ID, "find")
    find.send_keys("PROBLEM lost")
    wait_until(lambda: shown(page) == ["lost"])
    find.clear()
    find.send_keys('"says 8"')
    wait_until(lambda: shown(page) == [])
    page.find_element(By.ID, "deep").click()
    wait_until(lambda: set(shown(page)) == {"other", "lost", "tie"})


def test_sorting_brings_the_hardest_first(page: Chrome) -> None:
    sort = Select(page.find_element(By.ID, "sort"))
    sort.select_by_value("hard")
    assert set(shown(page)[:3]) == {"other", "silent", "failed"}
    sort.select_by_value("easy")
    assert set(shown(page)[:3]) == {"fine", "unasked", "tie"}
    sort.select_by_value("long")
    assert shown(page)[0] == "cut"
    sort.select_by_value("id")
    assert shown(page) == sorted(ALL)


def test_the_heat_map_tells_outcomes_without_colours(page: Chrome) -> None:
    cells = page.execute_script(
        """const cells = e => [...e.querySelectorAll("summary .cell")];
        const texts = e => cells(e).map(c => c.textContent.replace(/^\\w+ /, ""));
        return Object.fromEntries([...document.querySelectorAll(".problem")]
            .map(e => [e.dataset.id, texts(e)]))"""
    )
    assert cells["fine"] == ["2/2", "2/2", "✓", "✓", "✓", "✓"]
    assert cells["cut"] == ["1/2", "1/2", "✂", "✓", "✓", "✓"]
    assert cells["silent"] == ["0/2", "0/2", "∅", "∅", "∅", "∅"]
    assert cells["lost"] == ["2/2", "2/2", "✗", "✗", "✓", "✗"]
    assert cells["differ"][4] == "!"
    assert cells["unasked"][1] == ""


def test_ballots_stand_side_by_side_with_their_texts(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-id=lost] summary").click()
    cards = page.find_elements(By.CSS_SELECTOR, "[data-id=lost] .vote .card")
    assert len({card.rect["y"] for card in cards}) == 1, "in one line"
    assert [card.find_element(By.CLASS_NAME, "verdict").text for card in cards] == [
        "wrong", "wrong", "right",
    ]  # fmt: skip
    assert "u says 8." in cards[1].text
    assert PERSONA not in cards[1].text, "folded"
    assert "u thinks." not in cards[1].text, "folded"
    press(page, "u")
    assert PERSONA in cards[1].text
    assert "u thinks." in cards[1].text
    assert (
        "The vote lost a right answer." in page.find_element(By.CSS_SELECTOR, "[data-id=lost]").text
    )


def test_nothing_that_a_model_wrote_is_run_or_reorders_the_page(page: Chrome) -> None:
    for summary in page.find_elements(By.CSS_SELECTOR, ".problem > summary"):
        summary.click()
    assert page.title == "t"
    count = "return document.querySelectorAll(arguments[0]).length"
    assert page.execute_script(count, ".problem img, .problem script, .problem a[href^=java]") == 0
    assert page.execute_script(count, ".problem math") > 10
    text = page.find_element(By.CSS_SELECTOR, "[data-id=fine] .body").text
    assert "<script>document.title = 'taken'</script>" in text
    assert "\u202e" not in text
    assert "U+202E" in text
    assert "{{ 7*7 }}" in text


def test_the_keyboard_is_enough(page: Chrome) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys("j")
    assert focused(page) == "fine"
    press(page, "j", Keys.ENTER)
    assert focused(page) == "other"
    assert page.find_element(By.CSS_SELECTOR, "[data-id=other]").get_attribute("open")
    press(page, "n")
    wait_until(lambda: focused(page) == "silent")
    assert not page.find_element(By.CSS_SELECTOR, "[data-id=other]").get_attribute("open")
    press(page, Keys.ESCAPE)
    assert focused(page) == "silent"
    assert not page.find_element(By.CSS_SELECTOR, "[data-id=silent]").get_attribute("open")
    press(page, "4")
    assert shown(page) == ["cut"]
    press(page, "c", "/")
    assert focused(page) == "find"
    press(page, "tie")
    wait_until(lambda: shown(page) == ["tie"])
    press(page, Keys.ESCAPE, "k", "?")
    dialog = page.find_element(By.ID, "keys")
    assert dialog.is_displayed()
    press(page, Keys.ESCAPE)
    assert not dialog.is_displayed()


def test_a_link_shows_what_its_sender_saw(page: Chrome, file: Path) -> None:
    page.find_element(By.CSS_SELECTOR, "#filters [data-name=wrong]").click()
    Select(page.find_element(By.ID, "in")).select_by_value("A")
    Select(page.find_element(By.ID, "sort")).select_by_value("id")
    page.find_element(By.CSS_SELECTOR, "[data-id=samples] summary").click()
    wait_until(lambda: "p=samples" in page.current_url)
    seen, address = shown(page), page.current_url.partition("#")[2]
    show(page, file, f"#{address}")
    wait_until(lambda: focused(page) == "samples")
    assert shown(page) == seen == ["cut", "failed", "other", "samples", "silent"]
    assert page.find_element(By.CSS_SELECTOR, "[data-id=samples]").get_attribute("open")
    assert (
        Select(page.find_element(By.ID, "in")).first_selected_option.get_attribute("value") == "A"
    )


def test_a_link_to_a_problem_that_a_filter_hides_shows_it(page: Chrome, file: Path) -> None:
    show(page, file, "#p=fine&show=wrong")
    wait_until(lambda: focused(page) == "fine")
    assert "fine" in shown(page)


def test_back_goes_to_the_problem_before(page: Chrome) -> None:
    for name in ("fine", "lost"):
        page.find_element(By.CSS_SELECTOR, f"[data-id={name}] summary").click()
        wait_until(lambda name=name: f"p={name}" in page.current_url)  # type: ignore[misc]
    page.back()
    wait_until(lambda: "p=fine" in page.current_url and focused(page) == "fine")


def test_a_column_is_sorted_by_its_values(page: Chrome) -> None:
    page.find_element(By.XPATH, "//th[button[text()='pass@1']]/button").click()
    cells = "[...document.querySelectorAll('#figures tbody [data-figure=pass_at_1]')]"
    values = page.execute_script(f"return {cells}.map(e => +e.dataset.value)")
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 1


def test_compressed_answers_are_read_and_searched(opened: Chrome, packed: Path) -> None:
    show(opened, packed)
    assert not opened.find_elements(By.CSS_SELECTOR, ".body *"), "they are read when opened"
    opened.find_element(By.CSS_SELECTOR, "[data-id=p3] summary").click()
    wait_until(lambda: "needle-3" in opened.find_element(By.CSS_SELECTOR, "[data-id=p3]").text)
    assert opened.find_elements(By.CSS_SELECTOR, "[data-id=p3] .said math")
    opened.find_element(By.ID, "deep").click()
    opened.find_element(By.ID, "find").send_keys("needle-5")
    wait_until(lambda: shown(opened) == ["p5"])
    assert console_errors(opened) == []


def test_tables_fit_every_page(page: Chrome) -> None:
    for width in (1920, 1440, 1280, 1152, 1024, 768, 390, 320):
        look(page, width)
        found = json.loads(page.execute_script(MEASURE))
        assert found["wide"] <= 0, width
        assert found["tables"] == [], width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_is_readable_and_accessible(page: Chrome, width: int, scheme: str) -> None:
    look(page, width, scheme=scheme)
    for name in ("lost", "samples", "failed"):
        page.find_element(By.CSS_SELECTOR, f"[data-id={name}] summary").click()
    found = json.loads(page.execute_script(MEASURE))
    assert found["wide"] <= 0, "the page is not wider than the screen"
    assert found["tables"] == [], "no table is wider than the page"
    assert len(found["plots"]) == 4
    for plot in found["plots"]:
        assert plot["over"] == [], plot["label"]
        assert plot["out"] == [], plot["label"]
        assert plot["smallest"] >= 8, plot["label"]
    if (width, scheme) in ((1440, "light"), (390, "dark")):  # a check takes seconds
        assert inaccessible(page) == []


def test_the_switch_goes_before_the_system(page: Chrome) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = page.execute_script(paper)
    look(page, 1440, scheme="dark")
    dark = page.execute_script(paper)
    assert light != dark
    switch = page.find_element(By.ID, "theme")
    switch.click()
    assert switch.text == "Theme: light"
    assert page.execute_script(paper) == light
    page.refresh()
    assert page.execute_script(paper) == light, "it is kept"
    page.find_element(By.ID, "theme").click()
    page.find_element(By.ID, "theme").click()
    assert page.execute_script(paper) == dark


def test_plots_have_a_colour_and_a_mark_for_each_line(page: Chrome) -> None:
    found = page.execute_script(
        """const marks = f => [...f.querySelectorAll(".mark")]
            .map(m => [getComputedStyle(m).color, m.textContent]);
        return [...document.querySelectorAll(".plots figure")]
            .map(f => [f.querySelector("figcaption").textContent, marks(f)])"""
    )
    plots = dict(found)
    budget = plots["Solved within a token budget"]
    assert len(budget) == 6
    assert len({colour for colour, _ in budget}) == len({mark for _, mark in budget}) == 6
