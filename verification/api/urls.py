"""Addresses below /api/v1/; uploads/ stands beside them."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from verification.api.artifacts import ArtifactViewSet
from verification.api.classifiers import ClassifierViewSet
from verification.api.shares import ShareViewSet
from verification.api.teams import TeamViewSet
from verification.api.tokens import TokenViewSet
from verification.api.verifications import VerificationViewSet
from verification.api.videos import VideoViewSet

app_name = "api"

router = SimpleRouter(use_regex_path=False)
router.register("teams", TeamViewSet, basename="team")
router.register("videos", VideoViewSet, basename="video")
router.register("classifiers", ClassifierViewSet, basename="classifier")
router.register("verifications", VerificationViewSet, basename="verification")
router.register("artifacts", ArtifactViewSet, basename="artifact")
router.register("shares", ShareViewSet, basename="share")
router.register("tokens", TokenViewSet, basename="token")

urlpatterns = [
    *router.urls,
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api:schema"), name="docs"),
]
