"""Debian's Chromium without a window, and what a person does with it: look, click, type."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.system.tally import StuckError, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

#: Whether anything on the page is being faded, turned or moved.
_MOVES = "return document.getAnimations().some(animation => animation.playState === 'running')"
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1200"),
    *("--no-first-run", "--no-proxy-server", "--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


class Browser:
    """A browser with an empty profile, that takes a picture of each step.

    :param home: Where it lives: who stops what lives there, stops it too.
    :param pictures: The folder for the pictures.
    """

    def __init__(self, home: Path, pictures: Path) -> None:
        pictures.mkdir(parents=True, exist_ok=True)
        for old in pictures.glob("*.png"):
            old.unlink()
        self._pictures = pictures
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium")
        for flag in (*_FLAGS, f"--user-data-dir={home / 'profile'}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(
            _program("chromedriver"),
            env={**os.environ, "HOME": str(home)},
            popen_kw={"cwd": home, "start_new_session": True},
        )
        self._driver = webdriver.Chrome(options=options, service=service)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.quit()

    def open(self, url: str) -> None:
        self._driver.get(url)

    @property
    def url(self) -> str:
        return str(self._driver.current_url)

    def picture(self, name: str) -> None:
        """Take a picture of what is to be seen, when nothing moves any more; endless movement is not waited for."""
        end = time.monotonic() + 2
        while self._driver.execute_script(_MOVES) and time.monotonic() < end:
            time.sleep(0.1)
        self._driver.save_screenshot(str(self._pictures / f"{len(list(self._pictures.iterdir())):02d} {name}.png"))

    def wait(self, what: str, probe: Callable[[], T | None], seconds: float = 20) -> T:
        """Return what the probe returns, once it is anything; the page may change under its hands.

        :raises StuckError: It was nothing for so many seconds; there is a picture of that.
        """

        def patient() -> T | None:
            try:
                return probe()
            except WebDriverException:  # not there any more, not there yet, or covered by something that moves
                return None

        try:
            return wait_for(what, patient, seconds)
        except StuckError:
            self.picture("stuck")
            raise

    def find(self, xpath: str, seconds: float = 20) -> WebElement:
        """Wait for something to be seen."""
        return self.wait(xpath, lambda: next(iter(self._visible(xpath)), None), seconds)

    def sees(self, xpath: str) -> bool:
        """Whether it is to be seen now."""
        try:
            return bool(self._visible(xpath))
        except StaleElementReferenceException:
            return False

    def click(self, xpath: str) -> None:
        self.wait(xpath, lambda: self._clicked(xpath))

    def paste(self, xpath: str, text: str) -> None:
        """Put a text in the place of what an input holds, at once: some fields set in order what is typed meanwhile."""
        field = self.find(xpath)
        field.send_keys(Keys.CONTROL, "a")
        self._driver.execute_cdp_cmd("Input.insertText", {"text": text})
        held = "".join(text.split())
        self.wait(f"{xpath} to hold it", lambda: "".join((field.get_attribute("value") or "").split()) == held)

    def choose(self, xpath: str, text: str) -> None:
        """Choose from a list that is searched by what is typed."""
        self.find(xpath).send_keys(text)
        self.click(f"//*[@role='option'][normalize-space()='{text}']")

    def follow(self, xpath: str) -> str:
        """Click a link that opens in a tab of its own; return what is to be read there, and close it."""
        here = self._driver.current_window_handle
        self.click(xpath)
        others = self.wait("a tab to open", lambda: set(self._driver.window_handles) - {here})
        self._driver.switch_to.window(others.pop())
        text = str(self.wait("the page behind the link", lambda: self._driver.find_element(By.TAG_NAME, "body").text))
        self.picture("behind the link")
        self._driver.close()
        self._driver.switch_to.window(here)
        return text

    def _visible(self, xpath: str) -> list[WebElement]:
        return [element for element in self._driver.find_elements(By.XPATH, xpath) if element.is_displayed()]

    def _clicked(self, xpath: str) -> bool:
        for element in self._visible(xpath):
            if element.is_enabled():
                element.click()
                return True
        return False


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise StuckError(f"there is no {name} here; Debian has it: apt-get install chromium chromium-driver")
    return path
