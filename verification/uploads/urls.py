"""Addresses of uploads, below /api/v1/uploads/."""

from django.urls import path

from verification.uploads.views import UploadsView, UploadView

urlpatterns = [
    path("", UploadsView.as_view(), name="uploads"),
    path("<uuid:pk>/", UploadView.as_view(), name="upload"),
]
