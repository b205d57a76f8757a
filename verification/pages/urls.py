"""Addresses of the pages for the browser."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from verification.pages import dashboard, library, teams, tokens, verifications

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path(
        "login/",
        LoginView.as_view(template_name="pages/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("videos/", library.videos, name="videos"),
    path("videos/<uuid:pk>/", library.video, name="video"),
    path("videos/<uuid:pk>/delete/", library.delete_video, name="video-delete"),
    path("classifiers/", library.classifiers, name="classifiers"),
    path("classifiers/<uuid:pk>/", library.classifier, name="classifier"),
    path("classifiers/<uuid:pk>/delete/", library.delete_classifier, name="classifier-delete"),
    path("verifications/new/", verifications.new, name="verification-new"),
    path("verifications/<uuid:pk>/", verifications.live, name="verification"),
    path("verifications/<uuid:pk>/cancel/", verifications.cancel, name="verification-cancel"),
    path("verifications/<uuid:pk>/delete/", verifications.delete, name="verification-delete"),
    path("", include("verification.reports.urls")),
    path("teams/", teams.teams, name="teams"),
    path("teams/switch/", teams.switch, name="team-switch"),
    path("teams/invite/", teams.invite, name="team-invite"),
    path("invitations/<uuid:pk>/revoke/", teams.revoke_invitation, name="invitation-revoke"),
    path("invitations/<str:token>/", teams.invitation, name="invitation"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<uuid:pk>/revoke/", tokens.revoke_token, name="token-revoke"),
]
