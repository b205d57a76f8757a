"""Addresses of uploads, below /api/v1/uploads/."""

from django.urls import path

from verification.uploads.held import ProposalView, SaveView
from verification.uploads.views import UploadsView, UploadView

urlpatterns = [
    path("", UploadsView.as_view(), name="uploads"),
    path("<uuid:pk>/", UploadView.as_view(), name="upload"),
    path("<uuid:pk>/proposal/", ProposalView.as_view(), name="upload-proposal"),
    path("<uuid:pk>/save/", SaveView.as_view(), name="upload-save"),
]
