"""The messages that workers answer."""

from uuid import UUID

import dramatiq

#: dramatiq would end a run after ten minutes; the budget of a verification is its own limit.
NO_LIMIT_MILLISECONDS = 10 * 365 * 24 * 3600 * 1000


@dramatiq.actor(
    queue_name="default",
    time_limit=NO_LIMIT_MILLISECONDS,
    max_retries=3,
    min_backoff=2_000,
    max_backoff=30_000,
)
def run_verification(verification_id: str) -> None:
    """Run one verification, or go on with it. A message for one that is taken or done does nothing.

    Retries are for a database that cannot be reached: whatever is wrong with the verification itself is
    recorded.
    """
    from verification.jobs.job import (
        run,
    )  # loads the engine, which the web server that sends messages does not need

    run(UUID(verification_id))
