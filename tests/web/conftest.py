"""Who tests of the web application are: Ada, her team, and her browser."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_team, make_user
from verification.models import Team


@pytest.fixture
def user() -> User:
    return make_user("ada")


@pytest.fixture
def team(user: User) -> Team:
    return make_team(user)


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
