"""The browser of the tests: its size, its colour scheme, its errors."""

from pathlib import Path

from tests.browser import chromium, console_errors, look, screenshot

PAGE = '<!doctype html><meta charset="utf-8"><title>t</title><script>throw Error("oops")</script>'
ASKED = "return [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]"


def test_a_page_is_seen_as_on_another_device(tmp_path: Path) -> None:
    file, shot = tmp_path / "page.html", tmp_path / "shots" / "page.png"
    file.write_text(PAGE, "utf-8")
    with chromium(390, scheme="dark") as browser:
        browser.get(file.as_uri())
        assert browser.execute_script(ASKED) == [390, True]
        assert any("oops" in line for line in console_errors(browser))
        assert console_errors(browser) == []
        look(browser, 1440)
        assert browser.execute_script(ASKED) == [1440, False]
        screenshot(browser, shot)
    assert shot.read_bytes().startswith(b"\x89PNG")
