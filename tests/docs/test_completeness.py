"""Everything that exists is documented."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator

import pytest

from airflow_provider_dify import __version__, exceptions, knowledge
from airflow_provider_dify.get_provider_info import CONN_FIELDS, get_provider_info
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import versions
from airflow_provider_dify.knowledge.report import ReportOutcome
from tests.docs.blocks import ROOT, pages

TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in pages()}
ERRORS = [
    name
    for name, kind in inspect.getmembers(exceptions, inspect.isclass)
    if name.startswith("Dify") and kind is not exceptions.DifyError
]


def operators() -> Iterator[type]:
    """Each operator and sensor that is registered with Airflow."""
    info = get_provider_info()
    for module in (
        name for kind in ("operators", "sensors") for entry in info[kind] for name in entry["python-modules"]
    ):
        for name, found in vars(importlib.import_module(module)).items():
            if re.fullmatch(r"Dify\w+(Operator|Sensor)", name) and found.__module__ == module:
                yield found


def verbs() -> set[str]:
    """The public methods of the hook, except those that Airflow and the operators use."""
    of_others = {"get_conn", "get_connection_form_widgets", "get_ui_field_behaviour"}
    of_itself = {"close", "stop", "run", "run_apart", "deadline", "settings", "retries"}
    ours = [kind for kind in DifyHook.__mro__ if kind.__module__.startswith("airflow_provider_dify.")]
    public = {
        name for kind in ours for name, value in vars(kind).items() if name[0] != "_" and not isinstance(value, str)
    }
    return public - of_others - of_itself


@pytest.mark.parametrize("kind", list(operators()), ids=lambda kind: kind.__name__)
def test_each_operator_has_a_page_with_its_parameters(kind: type) -> None:
    (page,) = (name for name, text in TEXTS.items() if f"autoclass:: {kind.__module__}.{kind.__name__}\n" in text)
    assert kind.__name__ in TEXTS["docs/operators/index.md"]
    assert f"[`{kind.__name__}`]({page})" in TEXTS["README.md"]
    told = parameters(kind)
    assert set(told) == set(inspect.signature(kind).parameters) - {"kwargs"}
    templated = {name for name, text in told.items() if "(templated)" in text}
    # Airflow has a method dry_run, so the attribute has another name.
    assert templated == {name.lstrip("_") for name in kind.template_fields}  # type: ignore[attr-defined]


def parameters(kind: type) -> dict[str, str]:
    """What the docstring of a class says about each of its parameters."""
    begin = re.split(r"\n\s*:(?:return|raises)", kind.__doc__ or "")[0]
    return dict(re.findall(r":param (\w+): (.*?)(?=:param |\Z)", begin, re.DOTALL))


def outcomes() -> list[type[ReportOutcome]]:
    """The outcomes of each job."""
    for found in pkgutil.walk_packages(knowledge.__path__, f"{knowledge.__name__}."):
        importlib.import_module(found.name)
    return sorted(ReportOutcome.__subclasses__(), key=lambda kind: kind.__module__)


@pytest.mark.parametrize("kind", outcomes(), ids=lambda kind: kind.__name__)
def test_the_outcomes_of_a_job_are_in_a_table(kind: type[ReportOutcome]) -> None:
    pages = (text for name, text in TEXTS.items() if "operators/" in name)
    cells = (re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE) for text in pages)
    assert any({outcome.value for outcome in kind} <= set(re.findall(r"`(.+?)`", " ".join(found))) for found in cells)


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_in_the_table(name: str) -> None:
    assert f"| {{py:exc}}`{name}`" in TEXTS["docs/errors.md"].replace("· ", "")


def test_each_metric_is_on_its_page() -> None:
    code = "".join(path.read_text() for path in (ROOT / "airflow_provider_dify").rglob("*.py"))
    names = set(re.findall(r"""Measure\(f?"([a-z_.]+[a-z_])""", code)) | set(re.findall(r'measured_as = "(\w+)', code))
    assert {"requests.failed", "retries", "search_lag", "releases", "documents"} <= names
    page = TEXTS["docs/monitoring.md"]
    assert {name for name in names if f"`dify.{name}" not in page} == set()
    jobs = re.findall(r'measured_as = "documents\.(\w+)"', code)
    (sentence,) = re.findall(r"^The jobs are ([^.]+)\.", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", sentence)) == sorted(jobs)


def test_what_differs_by_version_is_in_the_tables() -> None:
    facts = [*versions.ABILITIES, *versions.FAULTS]
    told = {(fact.what, fact.describe(), fact.source) for fact in facts}
    section = TEXTS["docs/compatibility.md"].partition("### What differs by version")[2].partition("### ")[0]
    rows = re.findall(r"^\| (.+) \| (.+) \| (read|measured) \|$", section, re.MULTILINE)
    assert set(rows) == told
    assert len(rows) == len(facts)
    assert {fact for fact in vars(versions).values() if isinstance(fact, versions.Fact)} == set(facts)


def test_options_of_the_hook_are_on_their_page() -> None:
    page = TEXTS["docs/options.md"]
    for name in verbs():
        kinds = re.findall(r"\w+Options", str(getattr(getattr(DifyHook, name), "__annotations__", "")))
        row = re.search(rf"^\| {{py:meth}}`DifyHook\.{name}` \|.*$", page, re.MULTILINE)
        assert kinds == (re.findall(r"`(\w+Options)`", row[0]) if row else []), name
        assert all(re.search(rf"autoclass:: airflow_provider_dify\.[\w.]+\.{kind}\n", page) for kind in kinds)


@pytest.mark.parametrize("name", sorted(verbs() - {"server_version", "test_connection"}))
def test_each_verb_leads_to_the_reference_of_dify(name: str) -> None:
    assert "https://docs.dify.ai/" in (getattr(DifyHook, name).__doc__ or "")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_are_there(page: str) -> None:
    named = set(re.findall(r"`(\.?\w+(?:/[\w.]+)+/?|\w+/)`", TEXTS[page])) - {"docs/_build", "dist/"}
    places = [ROOT, ROOT / "airflow_provider_dify"]
    assert named
    assert {name for name in named if not any((place / name).exists() for place in places)} == set()


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "example_dags").glob("*.py")))
def test_each_example_has_a_section_with_its_graph(name: str) -> None:
    (section,) = (part for part in TEXTS["docs/examples.md"].split("\n## ") if f"(../example_dags/{name}.py)" in part)
    assert f"{{image}} images/graphs/{name}.svg" in section
    assert "](docs/examples.md)" in TEXTS["README.md"]


def test_the_benchmark_begins_with_its_conclusion() -> None:
    lines = json.loads((ROOT / "docs" / "benchmarks" / "results.json").read_text())["lines"]
    measured = {line["key"]: line["value"] for line in lines}
    slow, fast = measured["provider_reads_by_row"], measured["provider"]
    least, most = (100 * measured[key] for key in ("provider_reads_by_row_to_bare", "provider_to_bare"))
    page = " ".join(TEXTS["docs/benchmark.md"].split())
    assert f"In short: this provider archives {slow:.0f} to {fast:.0f} documents per second" in page
    assert f"{least:.0f} to {most:.0f} % of the speed of bare calls" in page
    proof = max(value for key, value in measured.items() if re.match("search_(economy|high)", key))
    assert f"at most {proof:.2f} requests per document, even if Dify lost 15 % of them" in page
    assert f"at {measured['wait_memory']:.0f} kB each" in page


def test_the_readme_has_the_version() -> None:
    assert f"Version {__version__}" in TEXTS["README.md"]


def test_each_setting_of_the_connection_is_in_the_table() -> None:
    settings = {*CONN_FIELDS, "proxies", "headers"}
    assert {name for name in settings if f"| Extra `{name}` |" not in TEXTS["docs/connection.md"]} == set()
