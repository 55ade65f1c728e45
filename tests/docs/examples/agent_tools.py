# [START agent_tools]
from airflow.providers.common.ai.toolsets.hook import HookToolset

from airflow_provider_dify.hooks.dify import DifyHook

knowledge = HookToolset(
    DifyHook("dify_default"),
    allowed_methods=["retrieve", "get_document"],
    tool_prefix="dify",
)
# [END agent_tools]
