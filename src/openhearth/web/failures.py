"""Any exception -> an OpenHearthError. What we didn't foresee is logged by type and place, never with a prompt, and says nothing inside."""

from __future__ import annotations

import logging
import traceback

from openhearth.errors import OpenHearthError, ServerError

log = logging.getLogger(__name__)


def as_error(error: BaseException) -> OpenHearthError:
    """The error to show. An unforeseen one is logged without its message, which might quote the request."""
    if isinstance(error, OpenHearthError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames[-6:]))
    log.error("unforeseen %s at %s", type(error).__name__, place)
    return ServerError("The server had an error while processing your request. Its log tells more.", code="internal_error")
