"""Knowledge bases as Airflow assets."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_dify.assets import app, host_of, knowledge_base, uri_of
from airflow_provider_dify.get_provider_info import ASSET_URIS

try:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime as ProvidersManager
except ImportError:
    from airflow.providers_manager import ProvidersManager  # type: ignore[assignment,unused-ignore]

KB = "5cd7dc6a-e446-4696-ad00-30036e58194e"
URI = f"dify://dify.example.com/datasets/{KB}"


class TestUri:
    """One knowledge base, one URI."""

    @pytest.mark.parametrize(
        "host",
        [
            "dify.example.com",
            " Dify.Example.COM ",
            "https://dify.example.com/v1",
            "https://dify.example.com:443/prefix/v1",
            "http://dify.example.com:80",
            "https://user:password@dify.example.com",
        ],
    )
    @pytest.mark.parametrize("dataset_id", [KB, KB.upper(), KB.replace("-", "")])
    def test_it_is_the_same_however_it_is_written(self, host: str, dataset_id: str) -> None:
        assert uri_of(host, dataset_id) == knowledge_base(host, dataset_id).uri == URI

    def test_an_unusual_port_belongs_to_it(self) -> None:
        assert host_of("http://localhost:5001/v1") == host_of("localhost:5001") == "localhost:5001"
        assert host_of("http://[::1]:5001/v1") == "[::1]:5001"
        assert host_of("http://dify.example.com:443") == "dify.example.com:443"

    @pytest.mark.parametrize("host", ["::1", "[::1]", "0:0:0:0:0:0:0:1", "https://[::1]:443/v1", "http://::1"])
    def test_an_address_has_brackets_however_it_is_written(self, host: str) -> None:
        assert knowledge_base(host, KB).uri == f"dify://[::1]/datasets/{KB}"

    @pytest.mark.parametrize("uri", [URI, URI + "/", URI.replace(KB, KB.upper()), URI.replace("dify.e", "Dify.E")])
    def test_airflow_brings_what_a_user_wrote_into_its_one_form(self, uri: str) -> None:
        assert Asset(uri=uri).uri == URI

    @pytest.mark.parametrize(
        "uri",
        [
            "dify://dify.example.com/datasets/handbook",
            f"dify://dify.example.com/{KB}",
            f"dify:///datasets/{KB}",
            f"{URI}?key=dataset-1",
            f"{URI}/documents",
        ],
    )
    @pytest.mark.filterwarnings("error")
    def test_what_names_no_knowledge_base_is_refused(self, uri: str) -> None:
        # Airflow 2 warns, Airflow 3 fails.
        with pytest.raises((ValueError, UserWarning), match="knowledge base looks like dify://"):
            Asset(uri=uri)

    @pytest.mark.parametrize(
        ("host", "dataset_id"),
        [("", KB), ("dify.example.com", "handbook"), ("h", ""), ("a b", KB), ("{{ params.host }}", KB)],
    )
    def test_the_helper_refuses_it_on_every_airflow(self, host: str, dataset_id: str) -> None:
        with pytest.raises(ValueError, match="knowledge base looks like dify://"):
            knowledge_base(host, dataset_id)

    def test_a_name_and_a_group(self) -> None:
        made = [knowledge_base("dify.example.com", KB, name="Handbook"), app("dify.example.com", KB, name="Helpdesk")]
        plain = knowledge_base("dify.example.com", KB)
        assert made[0].uri == plain.uri == URI
        if hasattr(plain, "group"):  # Airflow 2 has none
            assert [asset.group for asset in (*made, plain)] == ["dify"] * 3
            assert [asset.name for asset in (*made, plain)] == ["Handbook", "Helpdesk", URI]

    def test_it_says_more_where_asked_to(self) -> None:
        assert knowledge_base("dify.example.com", KB, extra={"team": "support"}).extra == {"team": "support"}


class TestRegistration:
    """What Airflow finds in the provider's metadata."""

    @staticmethod
    def registered(what: str) -> Any:
        made: Any = ProvidersManager  # it has no types
        manager = made()
        kind = "asset" if hasattr(manager, f"asset_{what}") else "dataset"
        return getattr(manager, f"{kind}_{what}")["dify"]

    def test_airflow_knows_the_scheme(self) -> None:
        assert self.registered("uri_handlers").__name__ == "normalized"

    def test_a_hook_of_lineage_can_make_the_asset(self) -> None:
        assert self.registered("factories")(host="dify.example.com", dataset_id=KB, extra={}).uri == URI

    def test_openlineage_calls_it_so(self) -> None:
        pytest.importorskip("openlineage")
        dataset = self.registered("to_openlineage_converters")(knowledge_base("dify.example.com:8443", KB), None)
        assert (dataset.namespace, dataset.name) == ("dify://dify.example.com:8443", f"datasets/{KB}")

    def test_each_of_them_is_named(self) -> None:
        assert set(ASSET_URIS) == {"schemes", "handler", "factory", "to_openlineage_converter"}
