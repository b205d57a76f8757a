"""What services refuse, in words for people: pages, API and command line show `str(error)` as it is."""


class ServiceError(Exception):
    """Base of everything a person can cause and mend. `field`: the input that is wrong, when there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Invalid(ServiceError):
    """What was given makes no sense, or does not fit together."""


class NotAllowed(ServiceError):
    """The person may not do this."""


class Conflict(ServiceError):
    """It cannot be done now: somebody else was faster, or holds it."""


class Unavailable(ServiceError):
    """The server cannot do it at this moment, through no fault of the person; later it may."""


class LeaseLost(ServiceError):
    """The worker that writes does not hold the verification any more; it must stop without writing."""
