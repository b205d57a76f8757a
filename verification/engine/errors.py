"""One hierarchy for everything the engine refuses. Each message says what is wrong and what to do."""


class EngineError(Exception):
    """Base of all errors that a user can cause and mend; `str(error)` is shown to people as it is."""


class ClipError(EngineError):
    """The video cannot be decoded, or not into the clip that was asked for."""


class ClassifierError(EngineError):
    """The classifier cannot be read, does not fit its architecture, or does not behave like a classifier."""


class UnsupportedOperationError(ClassifierError):
    """The network contains an operation without a bound rule; the message names it and its place."""


class SpecificationError(EngineError):
    """The question makes no sense: an unknown space, a flow that the clip does not have, a radius below zero."""


class CheckpointError(EngineError):
    """A checkpoint cannot be read or belongs to another question."""


class TrainingError(EngineError):
    """Nothing can be learnt from these videos with this recipe: the data, the recipe or the output is not usable."""


class UnavailableError(EngineError):
    """It cannot be done at this moment, through no fault of what was given; later it may."""


class Stopped(BaseException):
    """A signal, not an error: raised inside a long computation when the observer asks to stop; never leaves `verify`."""


def first_line(error: Exception) -> str:
    """What an error of other people's code says first, or the name of its class if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
