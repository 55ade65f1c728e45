"""A Dify that runs in the test process: the same answers, the same races, faults on demand, and no sleeping.

Nothing in here imports Airflow. Starlette and uvicorn, from the extra ``testing``, are imported when a
:class:`FakeDify` starts.
"""

from __future__ import annotations

from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.chat import Conversation, Message
from airflow_provider_dify.testing.apps.inputs import Input
from airflow_provider_dify.testing.apps.plan import Answer, Node, Partial, Paused, Question
from airflow_provider_dify.testing.apps.run import Inputs, Run
from airflow_provider_dify.testing.fake import FakeDify
from airflow_provider_dify.testing.model.chunks import Chunk
from airflow_provider_dify.testing.model.clock import Clock, SystemClock, VirtualClock
from airflow_provider_dify.testing.model.documents import Dataset, Document
from airflow_provider_dify.testing.web.costs import MEASURED, MEASURED_1_16_0, Costs
from airflow_provider_dify.testing.web.faults import Fault, Faults
from airflow_provider_dify.testing.web.front import RequestRecord

__all__ = [
    "MEASURED",
    "MEASURED_1_16_0",
    "Answer",
    "App",
    "Chunk",
    "Clock",
    "Conversation",
    "Costs",
    "Dataset",
    "Document",
    "FakeDify",
    "Fault",
    "Faults",
    "Input",
    "Inputs",
    "Message",
    "Node",
    "Partial",
    "Paused",
    "Question",
    "RequestRecord",
    "Run",
    "SystemClock",
    "VirtualClock",
]
