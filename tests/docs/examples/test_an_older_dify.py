# [START an_older_dify]
from airflow_provider_dify.hooks.dify import DifyHook


def test_two_versions_side_by_side(dify, dify_factory):
    old = dify_factory("dify_old", version="1.12.1", lock_race="always")
    old.add_dataset("handbook").add_document("parking.md", text="parking rules")

    with DifyHook("dify_old") as hook:
        assert "Dify 1.12.1 answered" in hook.test_connection()[1]
    with DifyHook() as hook:  # dify_default leads to `dify`
        assert "Dify 1.16.0 answered" in hook.test_connection()[1]
    # [END an_older_dify]
