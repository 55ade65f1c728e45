"""What makes no sense is said before anything is started."""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import pytest

from airflow_provider_dify.exceptions import DifyAppError, DifyInputError
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.apps.form import InputForm
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.knowledge.apps.requesting import LocalFile, RemoteFile, RunRequest
from airflow_provider_dify.knowledge.apps.tries import LONGEST_USER, single_try, tries_of
from tests.unit.apps.playing import ECHO, Stage, Task

FORM = InputForm.read(Fields({"user_input_form": ECHO}))
UPLOADED = {"type": "document", "transfer_method": "local_file", "upload_file_id": "x"}


class Bytes:
    size = 3

    def open(self) -> BinaryIO:
        return BytesIO(b"abc")


LOCAL = LocalFile("a.txt", Bytes())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Input 'text' is missing"),
        ({"text": None}, "Input 'text' is missing"),
        ({"text": "x", "tex": "y"}, "no input 'tex'; Dify would drop it silently. Did you mean 'text'?"),
        ({"text": True}, "Input 'text' must be text, not True"),
        ({"text": ["a"]}, "Input 'text' must be text"),
        ({"text": "x" * 49}, "Input 'text' has 49 characters; the app accepts at most 48"),
        ({"text": "x", "number": "seven"}, "Input 'number' must be a number, not 'seven'"),
        ({"text": "x", "number": True}, "Input 'number' must be a number, not True"),
        ({"text": "x", "number": float("inf")}, "Input 'number' is not JSON"),
        ({"text": "x", "choice": "blue"}, "Input 'choice' must be one of red, green, not 'blue'"),
        ({"text": "x", "choice": "gren"}, "Did you mean 'green'?"),
        ({"text": "x", "flag": "yes"}, "Input 'flag' must be True or False, not 'yes'"),
        ({"text": "x", "doc": "a.txt"}, "Input 'doc' must be a file, not 'a.txt'"),
        ({"text": "x", "doc": [UPLOADED]}, "Input 'doc' must be a file"),
        ({"text": "x", "docs": UPLOADED}, "Input 'docs' must be a list of files"),
        ({"text": "x", "docs": [UPLOADED] * 4}, "Input 'docs' has 4 files; the app accepts at most 3"),
        ({"text": "x", "long": object()}, "Input 'long' is not JSON"),
    ],
)
def test_inputs_are_checked(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DifyInputError) as caught:
        FORM.check(given, {})
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"text": ""}, {"text": ""}),
        ({"text": 2024}, {"text": "2024"}),
        ({"text": "x", "number": "7"}, {"text": "x", "number": 7}),
        ({"text": "x", "number": "1.5"}, {"text": "x", "number": 1.5}),
        ({"text": "x", "number": None}, {"text": "x", "number": None}),
        ({"text": "x", "flag": "True"}, {"text": "x", "flag": True}),
        ({"text": "x", "choice": "red"}, {"text": "x", "choice": "red"}),
        ({"text": "x", "docs": [UPLOADED]}, {"text": "x", "docs": [UPLOADED]}),
    ],
)
def test_inputs_get_the_types_that_the_app_asks_for(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert FORM.check(given, {}) == sent


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"text": [LOCAL]}, "Input 'text' of the app is not a file but a text-input"),
        ({"nonsense": [LOCAL]}, "no input 'nonsense'"),
        ({"doc": [LOCAL, LOCAL]}, "Input 'doc' has 2 files; the app accepts at most 1"),
    ],
)
def test_files_are_checked_before_they_are_uploaded(files: dict[str, Any], says: str) -> None:
    stage = Stage()
    done = Task(stage).run(request=RunRequest({} if "text" in files else {"text": "x"}, files))
    assert says in str(done.error)
    assert {request.method for request in stage.requests} == {"GET"}


def test_a_file_that_dify_fetches_itself() -> None:
    stage = Stage()
    files = {"doc": [RemoteFile("https://example.com/a.pdf?x=1")]}
    assert Task(stage).run(request=RunRequest({"text": "x"}, files)).green
    assert stage.runs[0].inputs["doc"] == {
        "type": "document",
        "transfer_method": "remote_url",
        "url": "https://example.com/a.pdf?x=1",
    }


def test_an_input_in_both_places() -> None:
    with pytest.raises(DifyInputError, match="'doc' is in both inputs and files"):
        FORM.check({"text": "x", "doc": UPLOADED}, {"doc": [LOCAL]})


def test_an_app_of_another_mode() -> None:
    stage = Stage()
    stage.mode = "advanced-chat"
    done = Task(stage).run()
    assert isinstance(done.error, DifyInputError)
    assert "its mode is 'advanced-chat'. Use DifyChatMessageOperator" in done.error.message
    assert stage.sent("/workflows/run") == 0


def test_an_app_that_is_not_published() -> None:
    stage = Stage()
    stage.published = False
    done = Task(stage).run()
    assert isinstance(done.error, DifyAppError)
    assert "Publish the app" in done.error.message
    assert stage.sent("/workflows/run") == 0


@pytest.mark.parametrize(
    "options", [{"rerun": "sometimes"}, {"poll_interval": 0}, {"tolerate": ("fine",)}, {"stall_timeout": -1}]
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(DifyInputError):
        RunOptions(**options)


class TestNames:
    """The names of tries in Dify."""

    def test_they_are_readable(self) -> None:
        tries = tries_of("prod", "dag", "task", "manual__2026-01-01T00:00:00+00:00", 4, 3)
        assert tries.user == "prod/dag/task/manual__2026-01-01T00:00:00+00:00[4]/try-3"
        assert [name[-5:] for name in tries.earlier] == ["try-2", "try-1"]

    def test_long_ones_are_cut_and_stay_different(self) -> None:
        one, other = (tries_of("", "d" * 250, "t" * 250, run, -1, 12) for run in ("a", "b"))
        assert len(one.user) == LONGEST_USER
        assert one.user.startswith("ddd")
        assert one.user.endswith("/try-12")
        assert one.user != other.user
        assert len({one.user, *one.earlier}) == 12

    def test_map_indexes_are_told_apart(self) -> None:
        users = {tries_of("", "d", "t", "r", index, 1).user for index in (-1, 0, 1, 11)}
        assert len(users) == 4

    @pytest.mark.parametrize("user", ["", "x" * 256, None, "a\0b"])
    def test_a_name_of_ones_own_is_checked(self, user: str | None) -> None:
        with pytest.raises(DifyInputError):
            single_try(user)
