"""Every error that a user can see, in OpenAI's words: message, type, code, param, status.

    OpenHearthError
    ├── InvalidRequest            400 invalid_request_error
    │   ├── UnsupportedParameter  400 unsupported_parameter
    │   └── ContextLengthExceeded 400 context_length_exceeded
    ├── AuthenticationFailed      401 invalid_api_key
    ├── PermissionDenied          403
    ├── NotFound                  404
    │   ├── ModelNotFound         404 model_not_found
    │   └── UnsupportedEndpoint   404 unsupported_endpoint
    ├── MethodNotAllowed          405
    ├── RequestTimeout            408
    ├── Conflict                  409
    ├── PayloadTooLarge           413
    ├── RateLimited               429 rate_limit_exceeded
    │   └── QueueFull             429 queue_full
    ├── ServerError               500 server_error
    │   ├── EngineFailed          500 engine_failed      the engine's process died or broke off
    │   ├── EngineUnavailable     503 engine_unavailable it can't be started or reached now
    │   ├── EngineTimeout         504 engine_timeout     it lives but does not answer
    │   ├── StorageUnavailable    503 storage_unavailable database locked, disk full
    │   └── DownloadFailed        503 download_failed    a model's file can't be had: network, checksum, disk
    └── SetupError                the command line only: a message and an exit status

Services raise these; one handler (`openhearth.web.middleware`) renders them. Nothing here knows HTTP beyond the status number.
"""

from __future__ import annotations

from collections.abc import Mapping


class OpenHearthError(Exception):
    """An error with everything that OpenAI's envelope needs.

    `message` says what is wrong and what to do; it must hold no key and no prompt text.
    """

    status = 500
    type = "server_error"
    code: str | None = None
    headers: Mapping[str, str] = {}

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        if headers is not None:
            self.headers = headers


class InvalidRequest(OpenHearthError):
    """The request can't be understood or honoured as it stands."""

    status = 400
    type = "invalid_request_error"


class UnsupportedParameter(InvalidRequest):
    """A parameter that this model or server can't honour; never silently ignored."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and answer don't fit the model's context; the message carries both numbers."""

    code = "context_length_exceeded"


class AuthenticationFailed(OpenHearthError):
    """No key, or one that isn't known."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class PermissionDenied(OpenHearthError):
    """A known key that may not do this."""

    status = 403
    type = "invalid_request_error"
    code = "permission_denied"


class NotFound(OpenHearthError):
    """Nothing of that name (or not yours)."""

    status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    """No model of that name; the message lists the nearest names."""

    code = "model_not_found"


class UnsupportedEndpoint(NotFound):
    """One of OpenAI's endpoints that this version doesn't have; the message says what to use."""

    code = "unsupported_endpoint"


class MethodNotAllowed(OpenHearthError):
    """The path exists, the method doesn't."""

    status = 405
    type = "invalid_request_error"


class RequestTimeout(OpenHearthError):
    """The client sent its body too slowly."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class Conflict(OpenHearthError):
    """The thing is in a state that doesn't allow this."""

    status = 409
    type = "invalid_request_error"


class PayloadTooLarge(OpenHearthError):
    """The body is larger than the server takes."""

    status = 413
    type = "invalid_request_error"
    code = "payload_too_large"


class RateLimited(OpenHearthError):
    """Too much in too little time; Retry-After says when to come again."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: float, param: str | None = None) -> None:
        super().__init__(message, param=param, headers={"retry-after": str(max(1, round(retry_after_s)))})


class QueueFull(RateLimited):
    """The model's queue is full."""

    code = "queue_full"


class ServerError(OpenHearthError):
    """Our fault. The client may try again."""


class EngineFailed(ServerError):
    """The engine's process died, or broke off its answer."""

    code = "engine_failed"


class EngineUnavailable(ServerError):
    """The engine can't be started or reached now."""

    status = 503
    code = "engine_unavailable"


class EngineTimeout(ServerError):
    """The engine lives but does not answer in time."""

    status = 504
    code = "engine_timeout"


class StorageUnavailable(ServerError):
    """The database or the disk can't take the write now."""

    status = 503
    code = "storage_unavailable"


class DownloadFailed(ServerError):
    """A model's file can't be had: unreachable, not the expected bytes, no room, or downloads are forbidden."""

    status = 503
    code = "download_failed"


class SetupError(Exception):
    """The command line only: what is wrong with this installation and what to do. `exit_status` as in sysexits(3)."""

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_status = exit_status
