"""All errors of this provider, as one tree of exceptions.

Each text says what happened and what to do. No exception of this module ever contains the API key.

An error that a retry cannot fix is an ``AirflowFailException`` too, so that Airflow does not retry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout


class AnyReport(Protocol):
    """What an error needs to know about a report. The report classes belong to their jobs."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""


class DifyError(AirflowException):
    """Base class of all errors of this provider.

    :param message: What happened, and what to do about it.
    :param retry_after: Seconds that Dify asked to wait before the next try, if it did.
    """

    #: Whether a later retry can help; never for an ``AirflowFailException``.
    retryable: bool = False

    def __init_subclass__(cls) -> None:
        """Apply the rule for final errors to a new class, whatever its base class says."""
        super().__init_subclass__()
        if issubclass(cls, AirflowFailException):
            cls.retryable = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        #: HTTP status of the response; ``None`` if there was none.
        self.status: int | None = None
        #: Dify's error code, such as ``invalid_action``.
        self.code: str | None = None
        #: Version of the Dify server (``X-Version``), if known.
        self.server_version: str | None = None
        #: Trace id of the response (``X-Trace-Id``), if it has one.
        self.trace_id: str | None = None
        #: What happened to each document before the task failed.
        self.report: AnyReport | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Support copying and pickling, whatever the constructor's signature."""
        return _remade, (self.to_json(), self.report)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, without its report, so that another process can raise it again."""
        kept = {name: value for name, value in vars(self).items() if name != "report" and value is not None}
        return {"class": type(self).__name__, **kept}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DifyError:
        """Return the error that :meth:`to_json` was called on, with the same class."""
        kind = next((kind for kind in _classes(DifyError) if kind.__name__ == data.get("class")), DifyError)
        error = kind.__new__(kind)
        DifyError.__init__(error, str(data.get("message", "")))
        vars(error).update({name: value for name, value in data.items() if name != "class"})
        return error

    @property
    def final(self) -> bool:
        """Whether a retry cannot fix it, so that Airflow does not retry."""
        return isinstance(self, AirflowFailException)

    def add(self, advice: str) -> None:
        """Add a sentence to the message."""
        self.message = f"{self.message} {advice}".rstrip()
        self.args = (self.message,)


def _remade(data: dict[str, Any], report: AnyReport | None) -> DifyError:
    error = DifyError.from_json(data)
    error.report = report
    return error


def _classes(root: type[DifyError]) -> Iterator[type[DifyError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _classes(kind)


class DifyKilledError(DifyError):
    """The task was killed: nothing more is sent, even if work is left."""


class DifyInputError(DifyError, AirflowFailException, ValueError):
    """The arguments are invalid, or do not work with this knowledge base or this Dify. Nothing was changed."""


class DifyConnectionError(DifyError):
    """Airflow cannot provide the connection: it is not defined, or a secrets backend or the API server does not
    respond.
    """

    retryable = True


class DifySourceError(DifyError):
    """A file that should become a document cannot be read."""

    retryable = True


class DifyStorageError(DifyError):
    """A folder or a bucket, or what Airflow keeps for a task, cannot be read or written."""

    retryable = True


class DifyListChangedError(DifyError):
    """A list kept changing while it was read, so documents may be missing. Nothing was changed because of it."""

    retryable = True


class DifyTransportError(DifyError):
    """There was no response: refused, reset, timed out, or TLS failed.

    :param reached: Whether Dify may have received the request, so it may have been carried out.
    """

    retryable = True

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


class DifyRequestError(DifyError):
    """Dify returned an error.

    :param message: What happened, and what to do about it.
    :param status: HTTP status of the response; ``None`` if the error follows from what Dify says about a knowledge
        base.
    :param code: Dify's error code, if the response has one.
    :param server_version: Dify's version, from ``X-Version``.
    :param trace_id: From ``X-Trace-Id``.
    :param retry_after: Seconds to wait before the next try, from ``Retry-After``.
    :param detail: Dify's own message, unchanged.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        code: str | None = None,
        server_version: str | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.code = code
        self.server_version = server_version
        self.trace_id = trace_id
        self.detail = detail


class DifyAuthenticationError(DifyRequestError, AirflowFailException):
    """401: the API key is missing, wrong, masked, or not a Knowledge API key."""


class DifyAppKeyError(DifyAuthenticationError):
    """401 to a request for an app: the API key is missing, wrong, masked, or not an app key."""


class DifyAppError(DifyRequestError, AirflowFailException):
    """400: the app is not published, has another mode, or does not accept its inputs."""


class DifyAccessError(DifyRequestError, AirflowFailException):
    """403: API access is disabled for the knowledge base or the app, or the key is bound to another knowledge base."""


class DifyPlanLimitError(DifyRequestError):
    """403: the request limit of the subscription plan is used up for now."""

    retryable = True


class DifyNotFoundError(DifyRequestError, AirflowFailException):
    """404 as JSON: the knowledge base or document does not exist."""


class DifyEndpointError(DifyRequestError, AirflowFailException):
    """A page or a redirect instead of Dify's JSON: the base URL is wrong, or Dify is older than 1.5.0."""


class DifyDocumentBusyError(DifyRequestError):
    """400: Dify has locked a document because it "is being indexed" or its metadata is being changed."""

    retryable = True


class DifyKnowledgeBaseError(DifyRequestError):
    """The knowledge base accepts no documents at the moment, because it is not initialized yet."""

    retryable = True


class DifyKnowledgeBaseFailed(DifyKnowledgeBaseError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The knowledge base never accepts documents: it has no embedding model, is external, has another form, or its
    process rule is invalid.
    """


class DifyRateLimitError(DifyRequestError):
    """429: too many requests. Respects ``Retry-After``."""

    retryable = True


class DifyServerError(DifyRequestError):
    """5xx, 408 or 425: Dify, or a proxy in front of it, failed or was too slow."""

    retryable = True


class DifyReportError(DifyError):
    """A job did not do everything that was requested; its report says what it did.

    :param message: What happened, and what to do about it.
    :param report: The report, of the job's own class.
    """

    retryable = True
    report: Any

    def __init__(self, message: str, report: AnyReport) -> None:
        super().__init__(message)
        self.report = report


class DifyDocumentStatusError(DifyReportError):
    """Documents have an outcome that is not tolerated; ``report`` says which."""


class DifyDocumentStatusFailed(DifyDocumentStatusError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: the only causes are missing or refused documents."""


class DifyDocumentDeleteError(DifyReportError):
    """Documents that should be deleted still exist; ``report`` says which."""


class DifyGuardError(DifyError, AirflowFailException):
    """A task would touch more documents than its limits allow, or none. Nothing was changed."""


class DifyReleaseError(DifyReportError):
    """The new version did not replace the old one; ``report`` is the manifest of what was done."""


class DifyReleaseUndone(DifyReleaseError):  # noqa: N818 - reads as an end state
    """Everything is as it was before: nothing was changed, or all changes were undone, which is confirmed."""


class DifyReleaseFailed(DifyReleaseUndone, AirflowFailException):
    """The same, and a retry cannot fix the cause."""


class DifyReleaseIncomplete(DifyReleaseError):  # noqa: N818 - reads as an end state
    """Not everything was undone, or not all old documents are deleted. A retry continues; ``report`` names them."""


class DifyRollbackError(DifyReportError):
    """Documents do not have their previous flags; ``report`` says which."""


class DifyRollbackFailed(DifyRollbackError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: documents that belong in search were deleted. Nothing was changed."""


class DifyIngestError(DifyReportError):
    """Inputs did not become documents, or were not indexed; ``report`` says which."""


class DifyIngestFailed(DifyIngestError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: the inputs cannot become documents."""


class DifySyncError(DifyReportError):
    """Files and documents of a sync are not in the expected state; ``report`` says which."""


class DifySyncFailed(DifySyncError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: files cannot become documents, or their names are taken."""


class DifyExportError(DifyReportError):
    """Documents were not exported; ``report`` says which."""


class DifyExportFailed(DifyExportError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: Dify has no content of them."""


class DifyReindexError(DifyReportError):
    """Documents were not indexed again, or search does not return them; ``report`` says which."""


class DifyReindexFailed(DifyReindexError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: documents are missing or archived, or have no text."""


class DifyMetadataError(DifyReportError):
    """Documents do not have the requested metadata; ``report`` says which."""


class DifyMetadataFailed(DifyMetadataError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: the only cause is missing documents."""


class DifySetupError(DifyReportError):
    """A knowledge base is not as it should be: settings that Dify ignored, or it was not deleted; see ``report``."""


class DifySetupFailed(DifySetupError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: Dify cannot change, or does not know, some of the settings."""


class DifyChunkError(DifyError):
    """Chunks of a document are not as requested, although Dify accepted the change."""

    retryable = True


class DifyRetrievalCheckFailed(DifyReportError):  # noqa: N818 - reads as an end state
    """Searches did not return the expected documents; ``result`` says which. A retry can help, because search may lag
    behind.
    """

    @property
    def result(self) -> Any:
        """What the queries returned: the same as ``report``."""
        return self.report


class DifyRunError(DifyReportError):
    """An app run did not end well; ``report`` says how it ended. A retry can help."""


class DifyRunFailed(DifyRunError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it."""


class DifyRunUnknown(DifyRunError):  # noqa: N818 - reads as an end state
    """Dify cannot say whether a run was started. A retry checks again, and does not start another run by itself."""


class DifyAnswerCheckFailed(DifyReportError):  # noqa: N818 - reads as an end state
    """An app did not give the expected answers; ``report`` says which."""


class DifyIndexingError(DifyError, AirflowFailException):
    """The indexing of a document failed or was paused, or the document is gone: waiting longer cannot help.

    :param message: What happened, and what to do about it.
    :param documents: What is wrong with each such document, by id.
    """

    def __init__(self, message: str, documents: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.documents = dict(documents or {})


class DifyIndexingStalled(DifyIndexingError):  # noqa: N818 - reads as an end state
    """Indexing made no progress for too long. Usually Dify's worker is down or was killed."""


class DifyIndexingTimeout(DifyError, AirflowSensorTimeout):  # noqa: N818 - as Airflow's own
    """Indexing did not finish in time.

    It is also Airflow's own timeout of a sensor: Airflow does not retry it, and ``soft_fail`` skips the task.

    :param message: What happened, and what to do about it.
    :param documents: The state of each unfinished document, by id.
    """

    retryable = True

    def __init__(self, message: str, documents: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.documents = dict(documents or {})
