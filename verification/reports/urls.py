"""Addresses of report pages."""

from django.urls import path

from verification.reports import views

urlpatterns = [
    path("verifications/<uuid:pk>/report/", views.verification_report, name="verification-report"),
    path("verifications/<uuid:pk>/report/share/", views.share_create, name="share-create"),
    path("shares/<uuid:pk>/revoke/", views.share_revoke, name="share-revoke"),
    path("shared/<str:token>/", views.shared, name="shared"),
]
