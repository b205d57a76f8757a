"""The OpenAPI schema: complete, committed as it is generated, and readable without a network."""

from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from tests.factories import make_user
from tests.web.api_support import signed_in

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "schema.yml"


def test_the_committed_schema_is_the_generated_one() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    regenerate = "python manage.py spectacular --validate --fail-on-warn --file docs/schema.yml"
    assert out.getvalue() == COMMITTED.read_text(), f"commit the result of: {regenerate}"


def test_every_operation_says_how_it_refuses_visitors() -> None:
    schema = yaml.safe_load(COMMITTED.read_text())
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/api/v1/uploads/")
    ]
    assert len(operations) > 20
    assert [(path, method) for path, method, operation in operations if "401" not in operation["responses"]] == []


def test_the_schema_does_not_depend_on_the_instance() -> None:
    schema = yaml.safe_load(COMMITTED.read_text())
    assert schema["components"]["securitySchemes"]["session"]["name"] == "flowverify_session"


@pytest.mark.django_db
def test_the_schema_is_served_to_members() -> None:
    response = signed_in(make_user()).get("/api/v1/schema/")
    assert response.status_code == 200
    assert yaml.safe_load(response.content)["info"]["title"] == "FlowVerify"


@pytest.mark.django_db
def test_the_documentation_page_loads_nothing_from_elsewhere() -> None:
    response = signed_in(make_user()).get("/api/v1/docs/")
    page = response.content.decode()
    assert response.status_code == 200
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    assert "https://" not in page
    assert "//cdn" not in page
