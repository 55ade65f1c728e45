"""Sets up a knowledge base: which settings differ, which Dify cannot change, and whether it accepted the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_dify.exceptions import DifyEndpointError, DifyRequestError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases import api
from airflow_provider_dify.knowledge.bases.api import BaseState, Model, ModelType
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.bases.settings import Setting, covers, same_provider, whole_search
from airflow_provider_dify.knowledge.documents import Technique
from airflow_provider_dify.knowledge.flow import JSON, Flow
from airflow_provider_dify.knowledge.metadata.fields import create_missing, list_fields
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.hints import did_you_mean
from airflow_provider_dify.knowledge.text.names import canonical

_HIGH_QUALITY, _ECONOMY = Technique.HIGH_QUALITY.value, Technique.ECONOMY.value


class Setup:
    """The settings that a knowledge base should have.

    :param options: The settings.
    :param name: Its name, if that is one of the settings.
    """

    def __init__(self, options: KnowledgeBaseOptions, name: str | None = None) -> None:
        technique = options.indexing_technique or (_HIGH_QUALITY if options.embedding_model else None)
        wanted: dict[Setting, Any] = {
            Setting.NAME: name,
            Setting.DESCRIPTION: options.description,
            Setting.PERMISSION: options.permission,
            Setting.INDEXING_TECHNIQUE: technique,
            Setting.EMBEDDING_MODEL: options.embedding_model,
            Setting.RETRIEVAL_MODEL: options.retrieval_model,
            Setting.METADATA_FIELDS: options.metadata_fields,
            Setting.TAGS: options.tags,
        }
        self.wanted = {setting: value for setting, value in wanted.items() if value is not None}
        #: The provider of the embedding model.
        self._provider = options.embedding_model_provider
        #: Messages about single settings.
        self.errors: dict[Setting, str] = {}

    def for_new(self) -> dict[str, JSON]:
        """Return the settings to create a knowledge base with."""
        return self._plain(BaseState("", ""), list(self.wanted))

    def differences(self, base: BaseState) -> list[Setting]:
        """Return the settings that differ."""
        return [setting for setting in self.wanted if not self._is_set(setting, base)]

    def _is_set(self, setting: Setting, base: BaseState) -> bool:
        wanted = self.wanted[setting]
        if setting is Setting.EMBEDDING_MODEL:
            provider = self._provider is None or same_provider(base.embedding_model_provider, self._provider)
            return bool(provider and base.embedding_model == wanted)
        if setting is Setting.METADATA_FIELDS:
            return covers(base.fields, {name: kind.value for name, kind in wanted.items()})
        if setting is Setting.TAGS:
            return {tag.name for tag in base.tags} == set(wanted)
        if setting is Setting.NAME:
            return bool(canonical(base.name).strip() == wanted)
        return covers(getattr(base, setting.value), wanted)

    def refusals(self, base: BaseState) -> dict[Setting, str]:
        """Return why Dify cannot change some of the settings, by setting."""
        different = self.differences(base)
        return {setting: why for setting in self.wanted for why in self._against(setting, base, different)}

    def _against(self, setting: Setting, base: BaseState, different: list[Setting]) -> Iterator[str]:
        wanted = self.wanted[setting]
        if setting is Setting.RETRIEVAL_MODEL and (why := self.against_search(base.indexing_technique)):
            yield why
        if setting not in different:
            return
        if base.external and setting in _NOT_IN_EXTERNAL:
            yield "It is an external knowledge base, which holds no documents. Remove this setting."
        elif setting is Setting.INDEXING_TECHNIQUE:
            yield from self._against_technique(base)
        elif setting is Setting.EMBEDDING_MODEL and base.indexing_technique == _HIGH_QUALITY and base.document_count:
            yield (
                f"It has {number_of(base.document_count)}, indexed with {base.embedding_model}. Create another "
                "knowledge base with this model, and sync or ingest the documents into it."
            )
        elif setting is Setting.METADATA_FIELDS:
            for name, kind in wanted.items():
                if base.fields.get(name, kind.value) != kind.value:
                    yield f"Field {inputs.show(name)} exists with type {base.fields[name]}. Use another name."

    def against_search(self, technique: str | None) -> str | None:
        """Return why it cannot be searched as requested, if it cannot.

        :param technique: Its current technique.
        """
        method = self.wanted.get(Setting.RETRIEVAL_MODEL, {}).get("search_method")
        technique = self.wanted.get(Setting.INDEXING_TECHNIQUE, technique)
        if method in (None, "keyword_search") or technique == _HIGH_QUALITY:
            return None
        has = "is an economy knowledge base, without vectors" if technique else "has no indexing_technique yet"
        return f"It {has}, so search_method cannot be {method}. Use keyword_search, or indexing_technique high_quality."

    def _against_technique(self, base: BaseState) -> Iterator[str]:
        if self.wanted[Setting.INDEXING_TECHNIQUE] == _ECONOMY:
            if base.indexing_technique == _HIGH_QUALITY:
                yield "Dify cannot change high_quality back to economy. Create another knowledge base."
        elif base.document_count:
            yield (
                f"It has {number_of(base.document_count)}, which Dify would embed in the background without telling "
                "whether that worked. Create another knowledge base, and sync or ingest the documents into it."
            )
        elif Setting.EMBEDDING_MODEL not in self.wanted:
            yield "To change it, Dify needs to know the embedding model. Set embedding_model, too."

    def find_model(self, base: BaseState | None) -> Flow[str | None]:
        """Find the provider of the embedding model before it is sent; return what is wrong.

        :param base: The knowledge base; ``None``: there is none yet.
        """
        name = self.wanted.get(Setting.EMBEDDING_MODEL)
        if name is None or (base and self._is_set(Setting.EMBEDDING_MODEL, base)):
            return None
        try:
            models = yield from api.list_models(ModelType.TEXT_EMBEDDING)
        except DifyEndpointError:
            if self._provider:
                return None  # an older Dify, which checks by itself whether it has the model
            raise
        fitting = [one for one in models if one.name == name]
        fitting = [one for one in fitting if self._provider is None or same_provider(one.provider, self._provider)]
        if len(fitting) == 1:
            self._provider = fitting[0].provider
            return None
        return _wrong_model(name, self._provider, models, fitting)

    def apply(self, base: BaseState, settings: list[Setting]) -> Flow[None]:
        """Send settings that differ."""
        if plain := self._plain(base, settings):
            yield from api.update_base(base.id, plain)
        if Setting.METADATA_FIELDS in settings:
            fields = {one.name: one for one in (yield from list_fields(base.id))}
            yield from create_missing(base.id, self.wanted[Setting.METADATA_FIELDS], fields)
        if Setting.TAGS in settings:
            try:
                yield from _set_tags(base, self.wanted[Setting.TAGS])
            except DifyEndpointError as error:
                self.errors[Setting.TAGS] = f"This Dify has no tags in its API. {error.message}"

    def _plain(self, base: BaseState, settings: list[Setting]) -> dict[str, JSON]:
        """Return the settings in a request. A model without the technique would be stored but not used."""
        plain = {one.value: self.wanted[one] for one in settings if one in _AS_THEY_ARE}
        if Setting.RETRIEVAL_MODEL in settings:
            technique = self.wanted.get(Setting.INDEXING_TECHNIQUE, base.indexing_technique)
            plain["retrieval_model"] = whole_search(
                self.wanted[Setting.RETRIEVAL_MODEL], base.retrieval_model, technique
            )
        if {Setting.INDEXING_TECHNIQUE, Setting.EMBEDDING_MODEL} & set(settings):
            plain["indexing_technique"] = self.wanted[Setting.INDEXING_TECHNIQUE]
            if name := self.wanted.get(Setting.EMBEDDING_MODEL):
                plain |= {"embedding_model": name, "embedding_model_provider": self._provider}
        return plain


_AS_THEY_ARE = (Setting.NAME, Setting.DESCRIPTION, Setting.PERMISSION)
_NOT_IN_EXTERNAL = (Setting.INDEXING_TECHNIQUE, Setting.EMBEDDING_MODEL, Setting.RETRIEVAL_MODEL)


def _wrong_model(name: str, provider: str | None, models: tuple[Model, ...], fitting: list[Model]) -> str:
    if fitting:
        providers = ", ".join(one.provider for one in fitting)
        return (
            f"Several providers have the embedding model {inputs.show(name)}: {providers}. Set one of them as "
            "embedding_model_provider."
        )
    of_provider = f" of provider {inputs.show(provider)}" if provider else ""
    known = ", ".join(f"{one.name} ({one.provider})" for one in models[:5]) or "none"
    hint = did_you_mean(name, [one.name for one in models if one.name != name])
    return f"Dify has no embedding model {inputs.show(name)}{of_provider}.{hint} It has {known}."


def _set_tags(base: BaseState, names: tuple[str, ...]) -> Flow[None]:
    """Give a knowledge base these tags, and remove all others."""
    known = {tag.name: tag.id for tag in (yield from api.list_tags())}
    for name in names:
        if name not in known:
            known[name] = yield from _create_tag(name)
    bound = {tag.name for tag in base.tags}
    if missing := [known[name] for name in names if name not in bound]:
        yield from api.bind_tags(base.id, missing)
    for tag in base.tags:
        if tag.name not in names:
            yield from api.unbind_tag(base.id, tag.id)


def _create_tag(name: str) -> Flow[str]:
    try:
        return (yield from api.create_tag(name)).id
    except DifyRequestError as error:
        # Somebody else was faster, or the response to this run was lost.
        found = {tag.name: tag.id for tag in (yield from api.list_tags())}
        if "already exists" not in error.detail.lower() or name not in found:
            raise
        return found[name]
