"""The connection form of Airflow 2, whose further fields come from methods of the hook."""

from __future__ import annotations

from airflow_provider_dify.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_dify.testing import FakeDify
from tests.system.browser import Browser
from tests.system.standalone import Airflow
from tests.system.tally import Tally


def _row(label: str, part: str) -> str:
    return f"//tr[.//label[normalize-space()='{label}']]{part}"


class OldForm:
    """One visit of the web page of Airflow 2, for the sake of its connection form."""

    def __init__(self, tally: Tally, airflow: Airflow, browser: Browser, dify: FakeDify) -> None:
        self._tally = tally
        self._airflow = airflow
        self._browser = browser
        self._dify = dify
        dify.add_dataset("Handbook")

    def tell(self) -> None:
        with self._tally.story("A connection is tested by the form of Airflow 2, and made"):
            self._log_in()
            self._browser.open(f"{self._airflow.url}/connection/add")
            self._browser.paste("//input[@name='conn_id']", "dify_default")
            self._browser.click("//*[@role='combobox']")
            self._browser.choose("//input[contains(@class, 'select2-search__field')]", "Dify")
            self._check_form()
            self._browser.paste(_row("Base URL", "//input"), self._dify.base_url)
            what = "with the key of an unknown app, it says which key to use"
            self._check_test(what, self._dify.app_key, "API key of the app", "401")
            wanted = (f"Dify {self._dify.version} answered", "can access 1 knowledge base.")
            what = "with the right one, which Dify answered and what the key opens"
            self._check_test(what, self._dify.api_key, *wanted)
            self._browser.click("//button[@type='submit'][contains(., 'Save')]")
            self._browser.find("//*[contains(@class, 'alert')][contains(., 'Added Row')]")
            self._browser.open(f"{self._airflow.url}/connection/list/")
            self._tally.equal(
                "it is in the list", self._browser.find("//td[contains(., 'dify_')]").text, "dify_default"
            )
            self._browser.picture("saved")

    def _log_in(self) -> None:
        password = (self._airflow.home / "standalone_admin_password.txt").read_text().strip()
        self._browser.open(f"{self._airflow.url}/login/")
        self._browser.paste("//input[@name='username']", "admin")
        self._browser.paste("//input[@name='password']", password)
        self._browser.click("//input[@type='submit']")
        self._browser.find("//h2[normalize-space()='DAGs']")

    def _check_form(self) -> None:
        for name, label in UI_FIELD_BEHAVIOUR["relabeling"].items():
            found = self._browser.find(_row(label, "//input")).get_attribute("name")
            self._tally.equal(f"'{label}' is the field {name}", found, name)
        key = self._browser.find(_row(UI_FIELD_BEHAVIOUR["relabeling"]["password"], "//input"))
        self._tally.equal("the key is masked", key.get_attribute("type"), "password")
        useless = [f"//input[@name='{name}']" for name in UI_FIELD_BEHAVIOUR["hidden-fields"]]
        self._tally.check("what Dify has no use for is hidden", not any(map(self._browser.sees, useless)), useless)
        for field in CONN_FIELDS.values():
            text = self._browser.find(_row(field["label"], "")).text
            self._tally.check(f"'{field['label']}' is explained", field["description"] in text, text)
        self._browser.picture("form")

    def _check_test(self, what: str, key: str, *wanted: str) -> None:
        self._browser.paste(_row(UI_FIELD_BEHAVIOUR["relabeling"]["password"], "//input"), key)
        self._browser.click("//*[@id='test-connection']")
        text = self._browser.find(f"//*[contains(@class, 'alert')][contains(., '{wanted[0]}')]").text
        self._browser.picture("tested")
        self._tally.check(what, all(each in text for each in wanted), f"{text!r} is without one of {wanted}")
        self._tally.check("  and the key is not in it", key not in text, text)
