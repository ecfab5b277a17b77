"""Somebody with a real browser, who notices what no page may do or contain."""

import re
from pathlib import Path
from typing import Literal, Self

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request

from tests.harness.waiting import PATIENCE

# Keys, signing secrets, tokens and whole e-mail addresses.
_SECRET = re.compile(r"[sr]k_(test|live)_\w|whsec_\w|eyJ[\w-]{10}|[\w.+-]+@[\w-]+\.\w{2,}")
# Chromium reports the status of a page that a test makes fail on purpose.
_STATUS = re.compile(r"the server responded with a status of (4\d\d|503)")
LONGEST_WAY = 150  # presses of Tab
HEIGHT = 900
DISPLAYS: list[tuple[int, Literal["light", "dark"]]] = [(390, "light"), (390, "dark"), (1280, "dark"), (1280, "light")]

type Hand = Literal["mouse", "keyboard"]


class Visitor:
    """Uses the mouse, or the keyboard alone.

    `check` examines the page that is open; `close` reports what the browser complained about meanwhile.
    """

    def __init__(self, browser: Browser, url: str, axe: Path, *, hand: Hand = "mouse") -> None:
        context = browser.new_context(
            viewport={"width": DISPLAYS[-1][0], "height": HEIGHT}, locale="en-GB", reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE * 1000)
        self.page: Page = context.new_page()
        self.url, self.hand, self.problems = url, hand, list[str]()
        self._context, self._axe = context, axe.read_text(encoding="utf-8")
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _STATUS.search(message.text):
            self.problems.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.problems.append(f"a request to {request.url}")

    def close(self) -> None:
        self._context.close()
        assert self.problems == []

    def open(self, path: str) -> Self:
        self.page.goto(self.url + path)
        return self

    def sign_in(self, path: str = "/console") -> Self:
        self.open(path).press("Sign in")
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self

    def control(self, name: str | re.Pattern[str]) -> Locator:
        """The first button or link of this name."""
        return self.page.get_by_role("button", name=name, exact=True).or_(self.link(name)).first

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def press(self, target: str | re.Pattern[str] | Locator) -> None:
        """Use a button or a link."""
        target = target if isinstance(target, Locator) else self.control(target)
        if self.hand == "mouse":
            target.click()
        else:
            self._tab_to(target)
            self.page.keyboard.press("Enter")

    def fill(self, label: str, text: str) -> None:
        field = self.page.get_by_label(label)
        if self.hand == "mouse":
            field.fill(text)
        else:
            self._tab_to(field)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)

    def choose(self, label: str, option: str) -> None:
        """Choose the option of a list whose text begins like this."""
        field = self.page.get_by_label(label)
        if self.hand == "mouse":
            field.select_option(label=field.get_by_role("option").filter(has_text=option).first.inner_text())
        else:
            self._tab_to(field)
            self.page.keyboard.type(option)

    def reads(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says this."""
        self.page.get_by_text(text).first.wait_for()

    def check(self) -> None:
        """At both widths, light and dark: no violation of WCAG 2.2 AA, nothing cut off. No secret or e-mail address."""
        for width, scheme in DISPLAYS:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            self.page.emulate_media(color_scheme=scheme)
            self._check_display(f"{self.page.url} at {width} px, {scheme}")
        found = _SECRET.search(self.page.content())
        assert found is None, f"{self.page.url} contains {found}"

    def _check_display(self, shown: str) -> None:
        self.page.wait_for_load_state("networkidle")
        # Playwright evaluates it outside of the page's policy, which would not let it in.
        violations = self.page.evaluate(
            self._axe
            + """
            axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
              .then(found => found.violations.map(one => one.id + ": " + one.nodes.map(node => node.html).join(" | ")))
            """
        )
        assert violations == [], shown
        wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{shown} is {wider} px too wide"

    def _tab_to(self, target: Locator) -> None:
        """Move the focus there by Tab alone."""
        target.wait_for()
        for _ in range(LONGEST_WAY):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {target}")
