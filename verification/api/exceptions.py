"""Refusals of services and of the engine as responses: 400, 403 or 409 with the message as it is."""

from typing import Any

from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from verification.engine.errors import EngineError
from verification.services.errors import Conflict, NotAllowed, ServiceError, Unavailable


class NotNow(exceptions.APIException):
    """The object is not in a state in which this can be done."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Later(exceptions.APIException):
    """The server has too much to do."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: `{"detail": ...}`, or `{"field": [...]}` where the service names the field."""
    return exception_handler(_translate(error), context)


def _translate(error: Exception) -> Exception:
    if isinstance(error, NotAllowed):
        return exceptions.PermissionDenied(str(error))
    if isinstance(error, Conflict):
        return NotNow(str(error))
    if isinstance(error, Unavailable):
        return Later(str(error))
    if isinstance(error, ServiceError):
        field = error.field
        return exceptions.ValidationError({field: [str(error)]} if field else {"detail": str(error)})
    if isinstance(error, EngineError):
        return exceptions.ValidationError({"detail": str(error)})
    return error
