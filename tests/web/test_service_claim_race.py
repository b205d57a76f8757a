"""Of many workers that claim at the same time, one gets the verification."""

import threading

import pytest
from django.db import connection

from tests.factories import make_team, make_user, make_verification
from verification.models import Verification
from verification.services import recording

WORKERS = 8


@pytest.mark.django_db(transaction=True)
def test_one_of_many_workers_gets_it() -> None:
    verification = make_verification(make_team(make_user()))
    start = threading.Barrier(WORKERS)
    winners: list[str] = []
    errors: list[Exception] = []

    def work(name: str) -> None:
        start.wait()
        try:
            if recording.claim(verification.pk, name) is not None:
                winners.append(name)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(f"worker {number}",)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(winners) == 1
    row = Verification.objects.get()
    assert (row.lease_owner, row.attempts) == (winners[0], 1)
