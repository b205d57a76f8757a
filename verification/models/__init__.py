"""The nouns of the application. Files of one concept each; everything is imported from here."""

from verification.models.artifact import Artifact
from verification.models.classifier import Classifier
from verification.models.links import Invitation, ShareLink
from verification.models.progress import Bound, Event
from verification.models.team import Membership, Team
from verification.models.token import ApiToken
from verification.models.upload import Upload
from verification.models.verification import Verification
from verification.models.video import Video

__all__ = [
    "ApiToken",
    "Artifact",
    "Bound",
    "Classifier",
    "Event",
    "Invitation",
    "Membership",
    "ShareLink",
    "Team",
    "Upload",
    "Verification",
    "Video",
]
