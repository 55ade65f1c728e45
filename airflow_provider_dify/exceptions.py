"""Everything that can go wrong between Airflow and Dify, as one tree of exceptions.

Each text says what happened and what to do about it. No exception of this module ever carries the API key.

An error that a retry cannot fix is an ``AirflowFailException`` too, so that Airflow does not retry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout


class AnyReport(Protocol):
    """What an error needs to know of a report; the classes of reports are with the jobs that write them."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""


class DifyError(AirflowException):
    """Root of all errors of this provider.

    :param message: What happened, and what to do about it.
    :param retry_after: Seconds that Dify asked to wait before the next try, where it did.
    """

    #: Whether trying again later can help.
    retryable: bool = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        #: HTTP status of the answer; ``None`` where there was none.
        self.status: int | None = None
        #: Dify's error code, such as ``invalid_action``.
        self.code: str | None = None
        #: Version of the Dify server (``X-Version``), where it said so.
        self.server_version: str | None = None
        #: Trace id of the answer (``X-Trace-Id``), where there was one.
        self.trace_id: str | None = None
        #: What happened to each document until the task failed.
        self.report: AnyReport | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied and sent between processes, whatever its constructor asks for."""
        return _remade, (self.to_json(), self.report)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, without its report, so that it can be raised again in another process."""
        kept = {name: value for name, value in vars(self).items() if name != "report" and value is not None}
        return {"class": type(self).__name__, **kept}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DifyError:
        """Return the error that :meth:`to_json` was made of, of the same class."""
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
        """Add a sentence to what the error says."""
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
    """The task was killed: nothing more is sent, whatever is still to be done."""


class DifyInputError(DifyError, AirflowFailException, ValueError):
    """What was asked for makes no sense, or not with this knowledge base or this Dify. Nothing was changed."""


class DifyConnectionError(DifyError):
    """Airflow cannot give its connection: it is not defined, or a secrets backend or the API server does not answer."""

    retryable = True


class DifySourceError(DifyError):
    """A file that is to become a document cannot be read."""

    retryable = True


class DifyListChangedError(DifyError):
    """A list kept changing while it was read, and may lack documents. Nothing was changed because of it."""

    retryable = True


class DifyTransportError(DifyError):
    """There was no answer: refused, reset, timed out, or TLS failed.

    :param reached: Whether the request may have reached Dify, so that it may have been carried out.
    """

    retryable = True

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


class DifyRequestError(DifyError):
    """Dify answered with an error.

    :param message: What happened, and what to do about it.
    :param status: HTTP status of the answer; ``None`` if what Dify says of a knowledge base already is the reason.
    :param code: Dify's error code, where the answer had one.
    :param server_version: Dify's version, from ``X-Version``.
    :param trace_id: From ``X-Trace-Id``.
    :param retry_after: Seconds to wait before the next try, from ``Retry-After``.
    :param detail: Dify's own words, unchanged.
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
    """401 to a request for an app: the API key is missing, wrong, masked, or not that of an app."""


class DifyAppError(DifyRequestError, AirflowFailException):
    """400: the app is not published, has another mode, or does not accept its inputs."""


class DifyAccessError(DifyRequestError, AirflowFailException):
    """403: API access is disabled for the knowledge base or the app, or the key is bound to another knowledge base."""


class DifyPlanLimitError(DifyRequestError):
    """403: the request limit of the subscription plan is used up for the moment."""

    retryable = True


class DifyNotFoundError(DifyRequestError, AirflowFailException):
    """404 as JSON: the knowledge base or the document is not there."""


class DifyEndpointError(DifyRequestError, AirflowFailException):
    """A page or a redirect instead of Dify's JSON: wrong base URL, or a Dify older than 1.5.0."""


class DifyDocumentBusyError(DifyRequestError):
    """400: Dify holds a lock on a document, as it "is being indexed", or as its metadata is being changed."""

    retryable = True


class DifyKnowledgeBaseError(DifyRequestError):
    """The knowledge base takes no documents for now, whatever they hold: it is not initialized yet."""

    retryable = True


class DifyKnowledgeBaseFailed(DifyKnowledgeBaseError, AirflowFailException):  # noqa: N818 - reads as an end state
    """It takes none at all: no embedding model, an external one, another form, or a process rule that is not valid."""

    retryable = False


class DifyRateLimitError(DifyRequestError):
    """429: too many requests. Honours ``Retry-After``."""

    retryable = True


class DifyServerError(DifyRequestError):
    """5xx, 408 or 425: Dify or a proxy before it failed, or was too slow."""

    retryable = True


class DifyReportError(DifyError):
    """A job did not do all that was asked for; its report says what it did.

    :param message: What happened, and what to do about it.
    :param report: The report, of the class that belongs to the job.
    """

    retryable = True
    report: Any

    def __init__(self, message: str, report: AnyReport) -> None:
        super().__init__(message)
        self.report = report


class DifyDocumentStatusError(DifyReportError):
    """Documents ended in an outcome that is not tolerated; ``report`` tells which."""


class DifyDocumentStatusFailed(DifyDocumentStatusError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: only missing or refused documents stand in the way."""

    retryable = False


class DifyDocumentDeleteError(DifyReportError):
    """Documents are still there that were to be deleted; ``report`` tells which."""


class DifyGuardError(DifyError, AirflowFailException):
    """More documents were selected, or none at all, than a task may touch by its guards. Nothing was changed."""


class DifyReleaseError(DifyReportError):
    """The new version did not take the place of the old one; ``report`` is the manifest of what was done."""


class DifyReleaseUndone(DifyReleaseError):  # noqa: N818 - reads as an end state
    """Everything is as it was before: nothing was changed, or what was has been undone, which is proven."""


class DifyReleaseFailed(DifyReleaseUndone, AirflowFailException):
    """The same, and a retry cannot fix the cause."""

    retryable = False


class DifyReleaseIncomplete(DifyReleaseError):  # noqa: N818 - reads as an end state
    """It could not be wholly undone, or not all old documents are deleted. A retry goes on; ``report`` names them."""


class DifyRollbackError(DifyReportError):
    """Documents do not have the flags again that they had; ``report`` tells which."""


class DifyRollbackFailed(DifyRollbackError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: documents that belong in search are gone. Nothing was changed."""

    retryable = False


class DifyIngestError(DifyReportError):
    """Inputs did not become documents, or were not indexed; ``report`` tells which."""


class DifyIngestFailed(DifyIngestError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: what was to become a document is not fit for it."""

    retryable = False


class DifySyncError(DifyReportError):
    """Files and documents of a sync are not as they should be; ``report`` tells which."""


class DifySyncFailed(DifySyncError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: files are not fit to become documents, or their names are taken."""

    retryable = False


class DifyMetadataError(DifyReportError):
    """Documents do not have the metadata that was asked for; ``report`` tells which."""


class DifyMetadataFailed(DifyMetadataError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: only missing documents stand in the way."""

    retryable = False


class DifySetupError(DifyReportError):
    """A knowledge base is not as it should be: settings that Dify ignored, or it was not deleted; see ``report``."""


class DifySetupFailed(DifySetupError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it: Dify cannot change, or does not know, some of the settings."""

    retryable = False


class DifyRetrievalCheckFailed(DifyReportError):  # noqa: N818 - reads as an end state
    """Searches do not return what they should; ``result`` says which. A retry can help, as search may lag behind."""

    @property
    def result(self) -> Any:
        """What the queries returned: the same as ``report``."""
        return self.report


class DifyRunError(DifyReportError):
    """The run of an app did not end well; ``report`` says how it ended. A retry can help."""


class DifyRunFailed(DifyRunError, AirflowFailException):  # noqa: N818 - reads as an end state
    """The same, and a retry cannot fix it."""

    retryable = False


class DifyRunUnknown(DifyRunError):  # noqa: N818 - reads as an end state
    """Dify cannot say whether a run was started. A retry checks again, and does not start another one by itself."""


class DifyAnswerCheckFailed(DifyReportError):  # noqa: N818 - reads as an end state
    """An app does not give the answers that were expected; ``report`` says which."""


class DifyIndexingError(DifyError, AirflowFailException):
    """The indexing of a document failed, or was paused, or the document is gone: waiting on cannot help.

    :param message: What happened, and what to do about it.
    :param documents: What is the matter with each such document, by id.
    """

    def __init__(self, message: str, documents: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.documents = dict(documents or {})


class DifyIndexingStalled(DifyIndexingError):  # noqa: N818 - reads as an end state
    """Indexing stands still for longer than was to be borne: as a rule its worker is down or was killed."""


class DifyIndexingTimeout(DifyError, AirflowSensorTimeout):  # noqa: N818 - as Airflow's own
    """Indexing had not completed in time.

    It is Airflow's own timeout of a sensor, too: Airflow spends no retries on it, and ``soft_fail`` skips.

    :param message: What happened, and what to do about it.
    :param documents: How far each document is that had not completed, by id.
    """

    retryable = True

    def __init__(self, message: str, documents: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.documents = dict(documents or {})
