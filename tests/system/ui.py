"""Do in a browser what a user does: make a connection, test it, run an example, follow the link to Dify.

It needs Debian's chromium and chromium-driver, and the package selenium. Each step leaves a picture in .pictures/.
On Airflow 2 it is the form of the connection alone.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

from airflow_provider_dify.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_dify.testing import FakeDify
from tests.system import program
from tests.system.browser import Browser
from tests.system.console import Console
from tests.system.handbook import ids
from tests.system.old_form import OldForm
from tests.system.standalone import VERSION, Airflow
from tests.system.tally import Tally, wait_for

ROOT = Path(__file__).parent.parent.parent
DAG = "dify_archive_after_ingestion"
#: No task waits so long: the lock goes when the link was seen.
_LOCK = 3600.0
_TABLE = "Documents by outcome"
_LINK = "Knowledge base in Dify"
_DIALOG = "//*[@role='dialog']"
#: The label of the field for the key.
_KEY = UI_FIELD_BEHAVIOUR["relabeling"]["password"]


def _button(text: str) -> str:
    return f"//button[normalize-space()='{text}' or @aria-label='{text}']"


def _field(label: str, part: str) -> str:
    """Return the path of a part of a field of the dialog that is open."""
    return f"{_DIALOG}//*[@data-scope='field'][.//label[starts-with(normalize-space(), '{label}')]]{part}"


class Visit:
    """One visit of Airflow's web page, from the login on."""

    def __init__(self, tally: Tally, airflow: Airflow, browser: Browser, dify: FakeDify, console: Console) -> None:
        self._tally = tally
        self._airflow = airflow
        self._browser = browser
        self._dify = dify
        self._console = console
        self._keys = (dify.api_key, dify.app_key)
        self._kb = dify.add_dataset("Handbook")

    def log_in(self) -> None:
        with self._tally.story("A user logs in"):
            passwords = json.loads((self._airflow.home / "simple_auth_manager_passwords.json.generated").read_text())
            ((user, password),) = passwords.items()
            self._browser.open(self._airflow.url)
            self._browser.paste("//input[@name='username']", user)
            self._browser.paste("//input[@name='password']", password)
            self._browser.picture("login")
            self._browser.click("//button[@type='submit']")
            self._browser.find("//*[@aria-label='Admin']")
            self._tally.equal("the front page is there", self._browser.url, f"{self._airflow.url}/")

    def connect(self) -> None:
        with self._tally.story("A connection is made by the form, and tested by its button"):
            self._browser.open(f"{self._airflow.url}/connections")
            self._browser.click(_button("Add Connection"))
            self._browser.paste("//input[@name='connection_id']", "dify_default")
            self._browser.choose(f"{_DIALOG}//input[@role='combobox']", "Dify")
            self._check_form()
            self._fill_in(self._dify.app_key)
            self._browser.click(_button("Save"))
            self._browser.find("//td[normalize-space()='dify_default']")
            self._check_test(
                "with the key of an unknown app, it says which key to use", "Failed", "API key of the app", "401"
            )
            self._browser.click(_button("Edit Connection"))
            self._browser.paste(_field(_KEY, "//input"), self._dify.api_key)
            self._browser.picture("key corrected")
            self._browser.click(_button("Save"))
            self._browser.wait("the form to close", lambda: not self._browser.sees(f"{_DIALOG}//input[@name='host']"))
            wanted = ("Successful", f"Dify {self._dify.version} answered", "can access 1 knowledge base.")
            self._check_test("with the right one, which Dify answered and what the key opens", *wanted)
            self._browser.click(_button("Edit Connection"))
            key = self._browser.find(_field(_KEY, "//input")).get_attribute("value")
            self._tally.check("the form does not give the key back", key not in self._keys, key)
            self._browser.picture("form and its test")

    def _check_form(self) -> None:
        placeholders = UI_FIELD_BEHAVIOUR["placeholders"]
        for name, label in UI_FIELD_BEHAVIOUR["relabeling"].items():
            found = self._browser.find(_field(label, "//input"))
            self._tally.equal(f"'{label}' is the field {name}", found.get_attribute("name"), name)
            self._tally.equal("  and shows what belongs there", found.get_attribute("placeholder"), placeholders[name])
        key = self._browser.find(_field(_KEY, "//input"))
        self._tally.equal("the key is masked", key.get_attribute("type"), "password")
        hidden = [
            name for name in UI_FIELD_BEHAVIOUR["hidden-fields"] if self._browser.sees(f"//input[@name='{name}']")
        ]
        self._tally.equal("fields that Dify has no use for are hidden", hidden, [])
        self._browser.picture("form")
        self._browser.click(_button("Extra Fields"))
        for name, field in CONN_FIELDS.items():
            help_text = self._browser.find(_field(field["label"], "//*[@data-part='helper-text']")).text
            self._tally.equal(f"'{field['label']}' is explained", help_text, field["description"])
            found = self._browser.find(_field(field["label"], "//input"))
            self._tally.equal(f"  and is the extra {name}", found.get_attribute("name"), f"element_{name}")

    def _fill_in(self, key: str) -> None:
        port = urlsplit(self._dify.base_url).port
        self._browser.paste(_field(CONN_FIELDS["timeout"]["label"], "//input"), "20")
        self._browser.paste(_field(CONN_FIELDS["console_url"]["label"], "//input"), self._console.url)
        self._browser.picture("further fields")
        self._browser.click(_button("Standard Fields"))
        for label, text in (("Base URL", self._dify.base_url), ("Port", str(port)), (_KEY, key)):
            self._browser.paste(_field(label, "//input"), text)
        self._browser.picture("form filled in")

    def _check_test(self, what: str, *wanted: str) -> None:
        message = "//*[@data-scope='toast'][@data-part='root'][contains(., 'Test Connection')]"
        self._browser.wait("the last message to go", lambda: not self._browser.sees(message))
        self._browser.click(_button("Test Connection"))
        self._browser.find(message + "".join(f"[contains(., '{each}')]" for each in wanted))
        text = self._browser.find(message).text
        self._browser.picture("tested")
        self._tally.check(what, all(each in text for each in wanted), f"{text!r} is without one of {wanted}")
        self._tally.check("  and the key is not in it", not any(key in text for key in self._keys), text)

    def run(self) -> None:
        with self._tally.story("An example is run by its form, and its task leads to Dify"):
            kb = self._kb
            new, old = kb.add_documents(2, "v2 "), kb.add_documents(3, "v1 ")
            for document in new:
                document.set(enabled=False, in_search=False)
            old[0].lock(_LOCK)
            self._trigger(kb.id, ids(new), ids(old))
            (run,) = wait_for("the run", lambda: self._airflow.database.runs(DAG), 30)
            states = self._airflow.database.states
            wait_for("the task to run", lambda: states(DAG, run).get("archive_old") == "running", 300)
            self._look_at_task(run, kb.id)
            old[0].unlock()
            wait_for("the run to end", lambda: self._airflow.database.runs(DAG)[run] in ("success", "failed"), 300)
            self._tally.equal("the run is green", self._airflow.database.runs(DAG)[run], "success")
            done = all(document.archived and not document.in_search for document in old)
            self._tally.check("the documents are archived and out of search", done, old)
            self._browser.open(self._task_url(run))
            self._browser.find("//*[normalize-space()='Success']")
            self._browser.picture("task done")
            self._check_table("v1 1")

    def _check_table(self, name: str) -> None:
        """The log folds the table of documents; a click shows it."""
        row = f"//*[text()[contains(., '{name}')]]"
        folded = not self._browser.sees(row)
        self._browser.click(f"//*[text()[contains(., '{_TABLE}')]]")
        self._browser.find(row)
        self._tally.check("the table of documents is folded until it is wanted", folded)
        self._browser.picture("table of documents")

    def _trigger(self, dataset_id: str, new: list[str], old: list[str]) -> None:
        self._airflow.database.wait_for_dag(DAG)
        self._browser.open(f"{self._airflow.url}/dags/{DAG}")
        self._browser.click(_button("Trigger Dag"))
        self._browser.paste(_field("UUID of the knowledge base", "//input"), dataset_id)
        for label, wanted in (("Documents to enable", new), ("Documents to archive", old)):
            self._browser.paste(_field(label, "//textarea"), json.dumps(wanted))
        self._browser.picture("parameters")
        self._browser.click(f"{_DIALOG}{_button('Trigger')}")

    def _task_url(self, run: str) -> str:
        return f"{self._airflow.url}/dags/{DAG}/runs/{quote(run)}/tasks/archive_old"

    def _look_at_task(self, run: str, dataset_id: str) -> None:
        page = f"/datasets/{dataset_id}/documents"
        link = f"//a[@href='{self._console.url}{page}'][normalize-space()='{_LINK}']"
        self._browser.open(self._task_url(run))
        self._browser.find("//*[normalize-space()='Running']")
        self._browser.click("//a[normalize-space()='Details']")
        self._browser.find(link)
        self._browser.picture("task with its link")
        running = self._browser.sees("//*[normalize-space()='Running']")
        self._tally.check("the link is there while the task runs", running and self._browser.sees(link))
        text = self._browser.follow(link)
        self._tally.check("it leads to the documents in Dify's console", page in text, text)


def main() -> int:
    """Make the visit; return 0 if every assertion held."""
    return program.run("tests.system.ui", __doc__, 420, _run)


def _run(tally: Tally, dify: FakeDify, home: Path) -> None:
    dags = home / "dags"
    dags.mkdir()
    # Only this one: others would run by their schedule.
    shutil.copy(ROOT / "example_dags" / f"{DAG}.py", dags)
    environment = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
    with Console() as console, Airflow(home, environment) as airflow:
        program.tell_to_the_end(tally, airflow, lambda: _tell(tally, airflow, dify, console))


def _tell(tally: Tally, airflow: Airflow, dify: FakeDify, console: Console) -> None:
    airflow.start()
    tally.tell("Airflow is up")
    with Browser(airflow.home, ROOT / ".pictures") as browser:
        if VERSION < (3,):
            OldForm(tally, airflow, browser, dify).tell()
            return
        visit = Visit(tally, airflow, browser, dify, console)
        for story in (visit.log_in, visit.connect, visit.run):
            story()


if __name__ == "__main__":
    sys.exit(main())
