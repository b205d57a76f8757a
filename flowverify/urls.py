"""The site's addresses: REST under /api/v1/, uploads (tus 1.0) beside it, everything else is pages."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/uploads/", include("verification.uploads.urls")),
    path("api/v1/", include("verification.api.urls")),
    path("", include("verification.pages.urls")),
]
