"""What Airflow learns about this provider without running a task: its metadata, its form, and the cost
of loading it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import entry_points, version
from importlib.resources import files
from types import ModuleType
from typing import Any, get_origin

import jsonschema  # type: ignore[import-untyped]
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

import airflow_provider_dify
from airflow_provider_dify.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR, get_provider_info
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.transport.settings import Settings

INFO = get_provider_info()
KINDS: dict[str, type] = {
    "hooks": BaseHook,
    "operators": BaseOperator,
    "sensors": BaseSensorOperator,
    "triggers": BaseTrigger,
}


def schema(name: str) -> Any:
    return json.loads((files("airflow") / name).read_text())


def modules(package: str) -> list[str]:
    """The modules of a package; none if it does not exist."""
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found else None
    return [f"{package}.{module.name}" for module in pkgutil.iter_modules(places or [])]


def defines(module: str, base: type) -> bool:
    """Whether a module defines a subclass of a class; for hooks, one for a type of connections."""
    members = vars(importlib.import_module(module)).values()
    classes = [
        one for one in members if isinstance(one, type) and get_origin(one) is None
    ]  # list[int] is a type on 3.10
    own = [one for one in classes if issubclass(one, base) and one.__module__ == module]
    return any(not issubclass(one, BaseHook) or "conn_type" in vars(one) for one in own)


def python(code: str) -> Any:
    """Run code in a fresh interpreter, and return what it leaves in ``result``."""
    script = f"import json, sys\n{code}\nprint('\\n' + json.dumps(result))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class TestMetadata:
    """What ``get_provider_info`` returns, and where Airflow finds it."""

    def test_is_as_airflow_wants_it(self) -> None:
        jsonschema.validate(INFO, schema("provider_info.schema.json"))
        assert json.loads(json.dumps(INFO)) == INFO

    def test_package_name_and_version_are_those_of_the_distribution(self) -> None:
        assert INFO["package-name"] == "airflow-provider-dify"
        assert INFO["versions"][0] == airflow_provider_dify.__version__ == version(INFO["package-name"])

    def test_the_entry_point_leads_to_it(self) -> None:
        (found,) = (
            point
            for point in entry_points(group="apache_airflow_provider")
            if point.value.startswith("airflow_provider_dify")
        )
        assert found.load() is get_provider_info

    @pytest.mark.parametrize(("kind", "base"), KINDS.items())
    def test_it_names_every_module_that_has_something_for_airflow(self, kind: str, base: type) -> None:
        named = {name for entry in INFO.get(kind, ()) for name in entry["python-modules"]}
        there = {name for name in modules(f"airflow_provider_dify.{kind}") if defines(name, base)}
        assert named == there

    def test_every_integration_that_is_named_is_declared(self) -> None:
        declared = {integration["integration-name"] for integration in INFO["integrations"]}
        used = {entry["integration-name"] for kind in KINDS
                for entry in INFO.get(kind, ())}  # fmt: skip
        assert used == declared

    def test_what_only_newer_airflow_reads(self) -> None:
        """Airflow before 3.4 ignores it: its schema allows keys that it does not know."""
        (entry,) = INFO["retry-policies"]
        assert entry["integration-name"] == "Dify"
        (module,) = entry["python-modules"]
        assert hasattr(importlib.import_module(module), "DifyRetryPolicy")
        known = schema("provider.yaml.schema.json")["properties"]
        if "retry-policies" in known:
            for key in ("retry-policies", "integrations"):
                jsonschema.validate(INFO[key], known[key])

    def test_the_connection_type_is_that_of_the_hook(self) -> None:
        (declared,) = INFO["connection-types"]
        module, _, name = declared["hook-class-name"].rpartition(".")
        assert getattr(importlib.import_module(module), name) is DifyHook
        assert declared["connection-type"] == DifyHook.conn_type
        assert declared["hook-name"] == DifyHook.hook_name
        assert DifyHook.conn_name_attr == "dify_conn_id"
        assert DifyHook().dify_conn_id == DifyHook.default_conn_name == "dify_default"

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_airflow_itself_takes_it(self) -> None:
        """Airflow checks what providers declare, and drops invalid parts with a warning."""
        from airflow.providers_manager import ProvidersManager

        manager = ProvidersManager()  # type: ignore[no-untyped-call]
        assert manager.providers["airflow-provider-dify"].version == airflow_provider_dify.__version__
        hook = manager.hooks["dify"]
        assert hook is not None
        assert hook.hook_class_name == "airflow_provider_dify.hooks.dify.DifyHook"
        assert hook.hook_name == "Dify"
        assert hook.connection_testable
        if version("apache-airflow").startswith("3.1.") and not importlib.util.find_spec("flask_appbuilder"):
            return  # there, the fields are read in another way, with stand-ins for what is not installed
        fields = [field for name, field in manager.connection_form_widgets.items() if name.startswith("extra__dify__")]
        assert [field.field_name for field in fields] == list(CONN_FIELDS)
        assert not any(field.is_sensitive for field in fields)
        assert manager.field_behaviours["dify"] == DifyHook.get_ui_field_behaviour()


class TestForm:
    """The connection form: one declaration, for every Airflow."""

    def test_no_field_is_required_or_pre_filled(self) -> None:
        for name, field in CONN_FIELDS.items():
            assert "null" in field["schema"]["type"], name
            assert "default" not in field["schema"], name
            assert field["label"], name
            assert field["description"], name

    def test_its_fields_are_extras_that_the_connection_knows(self) -> None:
        assert set(CONN_FIELDS) <= set(Settings.__dataclass_fields__) - {"base_url", "api_key"}

    def test_the_defaults_that_it_tells_are_the_true_ones(self) -> None:
        for name in ("timeout", "max_retries"):
            told = re.search(r"Default: (\d+)\.", CONN_FIELDS[name]["description"])
            assert told
            assert float(told[1]) == getattr(Settings, name)
        assert Settings.verify is True
        assert "Default: true." in CONN_FIELDS["verify"]["description"]

    def test_its_standard_fields(self) -> None:
        (declared,) = INFO["connection-types"]
        assert declared["ui-field-behaviour"] == UI_FIELD_BEHAVIOUR
        assert declared["conn-fields"] == CONN_FIELDS
        hidden = set(UI_FIELD_BEHAVIOUR["hidden-fields"])
        assert hidden == {"login", "schema"}
        assert not hidden & set(UI_FIELD_BEHAVIOUR["relabeling"])
        # Placeholders of additional fields that are dropped would make the declaration wrong.
        assert set(UI_FIELD_BEHAVIOUR["placeholders"]) <= {"host", "password", "login", "port", "schema"}

    def test_older_airflow_is_told_the_same_of_the_standard_fields(self) -> None:
        behaviour = DifyHook.get_ui_field_behaviour()
        jsonschema.validate(behaviour, schema("customized_form_field_behaviours.schema.json"))
        assert behaviour == {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}
        assert set(behaviour) == {"hidden_fields", "relabeling", "placeholders"}

    @pytest.mark.parametrize("installed", [False, True], ids=["stand-ins", "wtforms"])
    def test_older_airflow_gets_the_same_further_fields(self, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
        if installed:
            pytest.importorskip("wtforms")
            pytest.importorskip("flask_appbuilder")
        else:
            stand_in(monkeypatch)
        widgets = DifyHook.get_connection_form_widgets()
        assert list(widgets) == list(CONN_FIELDS)
        for name, field in widgets.items():
            label, options = (field.args[0], field.kwargs)  # wtforms makes its fields later, from these
            assert label == CONN_FIELDS[name]["label"]
            assert options["description"] == CONN_FIELDS[name]["description"]
            assert "default" not in options
            assert [type(validator).__name__ for validator in options["validators"]] == ["Optional"]
            assert type(options["widget"]).__name__ == "BS3TextFieldWidget"


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide the part of Flask's forms that the hook uses: only the Airflow 2 that asks for it has them."""

    class UnboundField:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.args = args
            self.kwargs = kwargs

    names: dict[str, dict[str, Any]] = {
        "wtforms": {"StringField": UnboundField},
        "wtforms.validators": {"Optional": type("Optional", (), {})},
        "flask_appbuilder": {},
        "flask_appbuilder.fieldwidgets": {"BS3TextFieldWidget": type("BS3TextFieldWidget", (), {})},
    }
    for name, members in names.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


class TestCost:
    """The cost of loading: Airflow loads the metadata while it starts, and the operators with each DAG file."""

    @pytest.mark.parametrize(
        "code",
        [
            "import airflow_provider_dify",
            "import airflow_provider_dify.get_provider_info",
            "from airflow_provider_dify.get_provider_info import get_provider_info as info; assert info()['name']",
        ],
    )
    def test_the_metadata_loads_nothing(self, code: str) -> None:
        # Airflow loads it while its own configuration is loaded: a single import of Airflow, and nobody can start it.
        loaded = python(f"{code}\nresult = sorted(sys.modules)")
        assert "airflow_provider_dify" in loaded
        heavy = re.compile(r"(airflow|requests|httpx2?|structlog|pydantic|sqlalchemy)(\.|$)")
        assert [name for name in loaded if heavy.match(name)] == []

    OPERATORS = tuple(name for entry in INFO["operators"] for name in entry["python-modules"])
    SENSORS = tuple(name for entry in INFO["sensors"] for name in entry["python-modules"])

    @pytest.mark.program
    def test_an_operator_adds_little_to_a_dag_file(self) -> None:
        first, loaded = python(
            "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator\n"
            "before = set(sys.modules)\n"
            "import airflow_provider_dify.operators.documents\n"
            "first = len(set(sys.modules) - before)\n"
            "import importlib\n"
            f"for name in {self.OPERATORS!r}: importlib.import_module(name)\n"
            "result = [first, sorted(set(sys.modules) - before)]"
        )
        assert set(self.OPERATORS) <= set(loaded)
        assert [name for name in loaded if re.match(r"(requests|httpx2?|urllib3|openlineage)(\.|$)", name)] == []
        assert first < 60

    @pytest.mark.program
    @pytest.mark.parametrize("module", [*OPERATORS, *SENSORS])
    def test_each_loads_few_modules_of_this_package(self, module: str) -> None:
        """The jobs themselves load when a task runs."""
        loaded = python(
            "import airflow.providers.common.compat.sdk\n"
            "import sys, importlib\n"
            f"importlib.import_module({module!r})\n"
            "result = sorted(name for name, found in sys.modules.items()\n"
            "    if name.startswith('airflow_provider_dify') and not hasattr(found, '__path__'))"
        )
        assert module in loaded
        assert len(loaded) <= 15, loaded

    @pytest.mark.program
    def test_a_trigger_loads_no_conversation_before_it_runs(self) -> None:
        """Airflow imports a trigger in the event loop that all triggers share."""
        loaded, kinds = python(
            "import airflow.triggers.base\n"
            "before = set(sys.modules)\n"
            "from airflow_provider_dify.triggers import conversation\n"
            "loaded = sorted(set(sys.modules) - before)\n"
            "result = [loaded, {name: conversation._load(name).kind for name in conversation._KINDS}]"
        )
        rooms = (
            "apps",
            "indexing",
            "ingest",
            "metadata",
            "reindex",
            "release",
            "retrieval",
            "selection",
            "status",
            "sync",
        )
        within = re.compile(rf"airflow_provider_dify\.knowledge\.({'|'.join(rooms)})\.")
        assert [name for name in loaded if within.match(name)] == []
        names = ["status", "indexing", "reindex", "release", "rollback", "workflow"]
        assert list(kinds) == list(kinds.values()) == names
