"""The page in a real browser: what somebody sees who asks, looks, types, or is attacked."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.browser import chromium, console_errors, inaccessible, look, screenshot
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Body, Engine, chunk, completion, fails, says, speaks, usage

PANELS = """
[members.j]
engine = "e"
model = "j"
strategy = "none"
[panels.fast]
members = ["s", "u", "r"]
[panels.judged]
members = ["s", "u", "r"]
method = "best_of"
options = { judge = "j" }
[panels.sure]
members = ["s", "u", "r"]
options = { threshold = 0.9, below = "abstain" }
allow_options = ["threshold"]
"""
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    " $\\href{javascript:hacked=3}{x}$ $\\text{<script>hacked=4</script>}$"
    " \u202eesrever \u2066 $\\def\\a{\\a\\a}\\a$ \\boxed{<b onclick=hacked=5>7</b>\u202e}"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Chrome, start: Proxy) -> Iterator["Page"]:
    """The page of a proxy without keys, on a screen of 1440 pixels."""
    look(browser, 1440)
    proxy = start(MEMBERS + PANELS)
    browser.get(f"{proxy.base_url}/")
    yield Page(browser, proxy)
    errors = console_errors(browser)
    assert not errors, errors


class Page:
    """A browser that looks at a proxy."""

    def __init__(self, browser: Chrome, proxy: httpx.Client) -> None:
        self.browser, self.proxy = browser, proxy

    def open(self, path: str) -> None:
        self.browser.get(f"{self.proxy.base_url}{path}")

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """Return the element, once it is there."""
        wait = WebDriverWait(self.browser, 15)
        found: WebElement = wait.until(lambda b: b.find_element(By.CSS_SELECTOR, css))
        return found

    def shows(self, text: str, css: str = "main") -> None:
        """Wait until `text` is visible."""
        wait = WebDriverWait(self.browser, 15, ignored_exceptions=[Exception])
        wait.until(
            lambda b: text in b.find_element(By.CSS_SELECTOR, css).text,
            f"{text!r} is not in {self.all(css)[0].text if self.all(css) else css!r}",
        )

    def ask(self, question: str, model: str = "vote3") -> None:
        Select(self.one("select[name=model]")).select_by_value(model)
        self.one("textarea").clear()
        self.one("textarea").send_keys(question)
        self.one("button.primary").click()

    def voted(self, model: str = "vote3", question: str = "How many?") -> None:
        """Have the panel asked by another client, and open the verdict."""
        body = {"model": model, "messages": [{"role": "user", "content": question}]}
        answer = self.proxy.post(CHAT, json=body)
        self.open(f"/verdicts/{answer.headers['x-request-id']}")

    @property
    def overflow(self) -> int:
        """Pixels by which the page is wider than the screen."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        found: int = self.browser.execute_script(script)
        return found


def vote(engine: Engine, **answers: str) -> None:
    for name, text in ({"s": "1/2", "u": "0.5", "r": "8"} | answers).items():
        engine.scripts[name] = says(f"I get \\boxed{{{text}}}")


def test_a_vote(page: Page, engine: Engine) -> None:
    vote(engine)
    page.ask("What is half of one?")
    page.shows("Decided: 2 of 3 for 1/2", ".verdict")
    page.shows("2 votes against 1 vote")
    assert [each.text for each in page.all(".bar span")] == ["2", "1"]
    states = {each.text for each in page.all(".card .state")}
    assert states == {"★ winner", "✓ voted"}
    persona = page.one(".card mark").text
    assert persona in engine.bodies("s")[0]["messages"][0]["content"]
    page.one(".result a.button").click()
    page.shows("Prompts, as the engines saw them")
    assert "/verdicts/" in page.browser.current_url


class Gate:
    """An engine whose streams hold their second token until the test lets them go on."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, body: Body) -> Response:
        if not body.get("stream"):
            return JSONResponse(completion("\\boxed{7}"))
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[bytes]:
        yield chunk(delta={"reasoning_content": "Let me see."})
        yield chunk(delta={"content": "FIRST "})
        while not self.opened.is_set():  # noqa: ASYNC110 - the test is in another thread
            await asyncio.sleep(0.01)
        yield chunk(delta={"content": "\\boxed{7}"})
        yield chunk(finish_reason="stop", usage=usage(10, 3))
        yield b"data: [DONE]\n\n"


@pytest.mark.parametrize("model", ["vote3", "fast", "s"])
def test_the_first_token_is_seen_before_the_second_is_sent(
    page: Page, engine: Engine, model: str
) -> None:
    gate = Gate()
    engine.scripts |= dict.fromkeys("sur", gate)
    page.ask("How many?", model)
    page.shows("FIRST", ".card .text")
    page.shows("running", ".card .state")
    page.shows("Thinking", ".card")
    assert not page.one(".card details:not([open]) .thought").is_displayed()
    gate.opened.set()
    page.shows("All answers that could be read are equal" if model != "s" else "Answered by one")
    page.shows("7", ".card:not([data-state=cancelled]) .text")  # one may be stopped early


def test_who_comes_later_sees_what_was_said_before(page: Page, engine: Engine) -> None:
    gate = Gate()
    engine.scripts |= dict.fromkeys("sur", gate)
    body = {"model": "fast", "messages": ASK}
    headers = {"x-request-id": "late"}
    url = f"{page.proxy.base_url}"
    asking = threading.Thread(target=httpx.post, args=(url + CHAT,),
                              kwargs={"json": body, "headers": headers, "timeout": 30})  # fmt: skip
    asking.start()
    with httpx.stream("GET", f"{url}/verdicts/late/events", timeout=30) as stream:
        lines = stream.iter_lines()
        assert any("FIRST" in line for line in lines)
        gate.opened.set()
        assert any(line == "event: verdict" for line in lines)
    asking.join(10)


def test_an_early_stop_is_marked(page: Page, engine: Engine) -> None:
    vote(engine, s="7", u="7")
    engine.scripts["r"] = speaks("so ", "slow", hangs=True)
    page.ask("How many?", "fast")
    page.shows("Stopped early: no further answer could have changed the result.")
    page.shows("⊘ stopped early", ".card[data-state=cancelled]")


def test_a_stream_stops_where_the_user_says(page: Page, engine: Engine) -> None:
    engine.scripts |= dict.fromkeys("sur", speaks("one ", "two ", hangs=True))
    page.ask("How many?")
    page.shows("two", ".card .text")
    page.browser.find_element(By.XPATH, "//button[.='Stop']").click()
    page.shows("Stopped")


def test_a_failure(page: Page, engine: Engine) -> None:
    engine.scripts |= {"s": fails(500), "u": fails(500), "r": says("\\boxed{1}")}
    page.ask("How many?")
    page.shows("answered 500", ".result")
    page.one(".result a.button").click()
    page.shows("Failed with 502", ".verdict")
    page.shows("✕ failed", ".card[data-state=failed]")
    console_errors(page.browser)  # the browser notes the 502 that is meant here


def test_a_hostile_answer_is_text(page: Page, engine: Engine) -> None:
    engine.scripts |= dict.fromkeys("sur", says(HOSTILE + "x" * 300_000 + " \\boxed{<b>7</b>}"))
    page.voted(question=HOSTILE)
    page.shows("Show all", ".card")
    page.shows("<script>window.hacked = 1</script>", ".card .text")
    for css in (".part > button", ".card button"):
        page.one(css).click()
    assert page.browser.execute_script("return window.hacked") is None
    assert page.all("main script, main img, main b, main a[href^=javascript]") == []
    assert "\u202e" not in page.one(".verdict").text
    assert page.overflow <= 0


def test_the_policy_forbids_scripts_in_the_page(page: Page) -> None:
    policy = page.proxy.get("/", headers={"accept": "text/html"}).headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    sink = "document.body.innerHTML = '<i>x</i>'"  # trusted types: no text becomes HTML
    script = f"try {{ {sink}; return 'taken' }} catch (error) {{ return error.name }}"
    assert page.browser.execute_script(script) == "TypeError"
    console_errors(page.browser)


def test_why_answers_are_equal(page: Page, engine: Engine) -> None:
    vote(engine, s="\\frac{2}{4}")
    page.voted()
    page.browser.find_element(By.XPATH, "//button[contains(., 'equal or not')]").click()
    page.shows("the same number, exactly")
    page.shows("\\boxed{0.5}")


def test_what_if(page: Page, engine: Engine) -> None:
    vote(engine)
    page.voted()
    asked = len(engine.received)
    page.browser.find_element(By.XPATH, "//button[contains(., 'other ways')]").click()
    page.shows("majority without s")
    page.shows("weighted", ".whatif")
    page.one("input[name=options]").send_keys("threshold=0.9 below=abstain")
    page.browser.find_element(By.XPATH, "//button[.='Decide']").click()
    page.shows("abstains")
    page.shows("differs")
    assert len(engine.received) == asked


def test_judges_stand_beside_what_they_judge(page: Page, engine: Engine) -> None:
    vote(engine)
    engine.scripts["j"] = lambda body: JSONResponse(
        completion("Good.\nScore: 9" if "{8}" in str(body) else "Bad.\nScore: 2")
    )
    page.voted("judged")
    page.shows("Rated 9 by j", "#call-answer-2")
    page.shows("Rated 2 by j", "#call-answer-0")
    page.shows("Round 1", ".tree")
    page.shows("It is rated best.", ".verdict")


def test_a_panel_that_abstains(page: Page, engine: Engine) -> None:
    vote(engine)
    page.voted("sure")
    page.shows("The panel abstained", ".verdict")
    page.shows("threshold 90%", ".verdict")


def test_a_call_that_was_sent_again(page: Page, engine: Engine) -> None:
    vote(engine)
    told = [fails(503, retry_after="0"), says("\\boxed{8}")]
    engine.scripts["r"] = lambda body: told.pop(0)(body)
    page.voted()
    page.shows("1 retry", "#call-answer-2")
    assert page.one(".span.retried").is_displayed()


def test_the_list_and_its_filters(page: Page, engine: Engine) -> None:
    vote(engine)
    engine.scripts["n"] = fails(500)
    page.open("/verdicts")
    page.shows("No request has been answered yet.")
    for model in ("vote3", "sure", "n"):
        page.proxy.post(CHAT, json={"model": model, "messages": ASK})
    page.shows("engine_status", ".list")  # it looks again by itself

    def shown(state: str) -> list[str]:
        page.browser.find_element(By.XPATH, f"//label[contains(., '{state}')]/span").click()
        return [row.text.split()[0] for row in page.all(".list td[data-label=Model]")]

    assert shown("All") == ["n", "sure", "vote3"]
    assert shown("Failed") == ["n"]
    assert shown("Abstained") == ["sure"]
    assert page.all(".list tbody tr")[0].text.startswith("○ abstained")
    shown("All")
    Select(page.one("select[name=model]")).select_by_value("vote3")
    page.one(".list a").click()
    page.shows("Decided", ".verdict")


def test_the_engines(page: Page, engine: Engine) -> None:
    engine.scripts["n"] = fails(500)
    page.proxy.post(CHAT, json={"model": "n", "messages": ASK})
    page.open("/engines")
    page.shows("0 of 256", ".engine")
    page.shows("status 1", ".engine")
    page.shows("ready", ".engine")
    page.shows("calls/s", ".engine")


def test_the_panel_s_options_are_sent(page: Page, engine: Engine) -> None:
    vote(engine, u="9")
    Select(page.one("select[name=model]")).select_by_value("sure")
    page.one(".ask summary").click()
    page.one("[name='option:threshold']").send_keys("0.1")
    page.one("[name=samples]").send_keys("2")
    page.one("[name=temperature]").send_keys("0.5")
    page.ask("How many?", "sure")
    page.shows("threshold 10%", ".verdict")
    assert len(engine.bodies("s")) == 2
    assert engine.bodies("s")[0]["temperature"] == 0.5


def test_by_keyboard_alone(page: Page, engine: Engine) -> None:
    vote(engine)
    page.one("textarea")

    def press(*keys: str) -> WebElement:
        for key in keys:
            page.browser.switch_to.active_element.send_keys(key)
        return page.browser.switch_to.active_element

    focused = press(Keys.TAB)
    assert focused.get_attribute("class") == "skip"
    while page.browser.switch_to.active_element.tag_name != "textarea":
        press(Keys.TAB)
    press("How many?", Keys.CONTROL + Keys.ENTER)
    page.shows("Decided: 2 of 3", ".verdict")
    link = page.one(".result a.button")
    for _ in range(40):
        if press(Keys.TAB) == link:
            break
    press(Keys.ENTER)
    page.shows("Timeline")
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    press(Keys.TAB)
    assert page.browser.execute_script(outline) != "none"


SCREENS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_page_is_accessible_and_fits(
    page: Page, engine: Engine, width: int, scheme: str, tmp_path: Path
) -> None:
    vote(engine)
    engine.scripts["j"] = says("Good.\nScore: 9")
    look(page.browser, width, 900, scheme)
    page.voted("judged", "What is $\\frac{1}{2}$ of one?")
    for button in page.all(".part > button"):
        page.browser.execute_script("arguments[0].click()", button)
    page.shows("Normal form")
    page.shows("Calls used")
    for details in page.all("details"):
        page.browser.execute_script("arguments[0].open = true", details)
    checked(page, tmp_path / "verdict.png")
    page.open("/verdicts")
    page.shows("judged")
    checked(page, tmp_path / "list.png")
    page.open("/engines")
    page.shows("256")
    checked(page, tmp_path / "engines.png")
    page.open("/")
    page.ask("How many?")
    page.shows("Decided")
    checked(page, tmp_path / "ask.png")
    background = "return getComputedStyle(document.body).backgroundColor"
    assert (page.browser.execute_script(background) == "rgb(16, 17, 22)") == (scheme == "dark")


def checked(page: Page, file: Path) -> None:
    """Hold what is on the screen to axe's rules, contrast and names included."""
    screenshot(page.browser, file)
    assert inaccessible(page.browser) == []
    assert page.overflow <= 0


KEYS = '\n[keys.ann]\nsecret = "env:ANN"\n'


def test_with_keys_the_page_asks_for_one(
    browser: Chrome, start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANN", "ann-secret")
    vote(engine)
    look(browser, 1440)
    proxy = start(f"[server]\nkeep_verdicts = 10\n{MEMBERS}{KEYS}")
    browser.get(f"{proxy.base_url}/")
    page = Page(browser, proxy)
    page.shows("A key is needed")
    page.one("input[type=password]").send_keys("wrong", Keys.ENTER)
    page.shows("This key is not valid.")
    page.one("input[type=password]").send_keys("ann-secret", Keys.ENTER)
    page.ask("How many?")
    page.shows(
        "Decided: 2 of 3 for 1/2", ".verdict"
    )  # who asks sees the texts, though none is kept
    page.one(".result a.button").click()
    page.shows("Texts are not kept, because this proxy has keys.")
    page.shows("Decided: 2 of 3 for answer 1", ".verdict")
    assert browser.get_cookies() == []
    assert browser.execute_script("return localStorage.length") == 0
    assert browser.execute_script("return sessionStorage['its-key']") == "ann-secret"
    for path in ("/", "/page/app.js", "/page/ask.js"):
        text = proxy.get(path, headers={"accept": "text/html"}).text
        assert "ann-secret" not in text
        assert text
    console_errors(browser)  # the browser notes the 401s


def test_the_page_can_be_turned_off(start: Proxy) -> None:
    proxy = start(f"[server]\npage = false\n{MEMBERS}")
    browser = {"accept": "text/html"}
    for path in ("/", "/page/app.js", "/verdicts/x"):
        assert proxy.get(path, headers=browser).status_code == 404, path
    assert "text/html" not in proxy.get("/verdicts", headers=browser).headers["content-type"]
    assert proxy.get("/verdicts").json()["kept"] == 0


def test_the_page_is_small_and_our_own() -> None:
    from proxy.page.files import FOLDER

    files = list(FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= 200_000
    for file in files:
        text = file.read_text("utf-8")
        text = text.replace("http://www.w3.org/", "")  # names of XML, not addresses
        assert "innerHTML" not in text
        assert "https://" not in text, file
        assert "http://" not in text, file


def test_a_member_s_stream_is_kept_for_who_looked_on(page: Page, engine: Engine) -> None:
    engine.scripts["s"] = speaks("Seven ", "it is.")
    page.ask("How many?", "s")
    page.shows("Answered by one member")
    page.one(".result a.button").click()
    page.shows("Seven it is.", ".card .text")
    answer = page.proxy.post(CHAT, json={"model": "s", "messages": ASK, "stream": True})
    page.open(f"/verdicts/{answer.headers['x-request-id']}")
    page.shows("passed on unread")
