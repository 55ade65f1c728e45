# [START agent_app]
from airflow.providers.common.ai.toolsets import ManagedAgentToolset

from airflow_provider_dify.hooks.apps.agent import DifyAgentHook

helpdesk = ManagedAgentToolset(
    DifyAgentHook("helpdesk").agent("helpdesk"),
    tool_name="ask_helpdesk",
    description="Knows the rules of the building: parking, visitors, opening hours.",
)
# [END agent_app]
