"""What may be asked, as JSON bodies. Only shapes are checked here; services decide whether it makes sense."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers

from verification.api.scope import own
from verification.models import Classifier, Team, Verification, Video

M = TypeVar("M", bound=Model)


class OwnField(serializers.PrimaryKeyRelatedField[M]):
    """An object of the person's teams, by id; another team's object does not exist."""

    def get_queryset(self) -> QuerySet[M]:
        return own(super().get_queryset(), self.context["request"].user)


class VerificationRequest(serializers.Serializer[Verification]):
    """A question. Whatever is left out is taken from the classifier or from the defaults."""

    video = OwnField(queryset=Video.objects.all())
    classifier = OwnField(queryset=Classifier.objects.all())
    name = serializers.CharField(required=False, allow_blank=True, max_length=200)
    frames = serializers.IntegerField(required=False, allow_null=True)
    sampling = serializers.CharField(required=False, allow_null=True, help_text="uniform, floor or fps:X.")
    first = serializers.IntegerField(
        required=False, allow_null=True, help_text="The first frame of the video that may be sampled, from 1."
    )
    last = serializers.IntegerField(
        required=False, allow_null=True, help_text="The last one, included; null: the video's last."
    )
    mirrored = serializers.BooleanField(
        required=False, help_text="Mirror the clip left to right, and ask the question of that."
    )
    norm = serializers.ChoiceField(choices=Verification.Norm.choices, required=False)
    space = serializers.CharField(
        required=False,
        help_text="dense, blocks:RxC, moving:Q, translation, affine or pixels; or a natural distortion, such as brightness, "
        "occlusion:size=8x8,at=12x20,colour=black or brightness+contrast.",
    )
    flows = serializers.ListField(
        child=serializers.IntegerField(),
        required=False,
        allow_null=True,
        help_text="From 1; null means all. Not in the space pixels, nor for natural distortions.",
    )
    radius = serializers.FloatField(
        required=False,
        allow_null=True,
        help_text="In `distance_unit`: pixels of flow, in the space pixels pixel values from 0 to 1; null means no limit.",
    )
    lower_method = serializers.ChoiceField(
        choices=Verification.LowerMethod.choices,
        required=False,
        help_text="How the lower bound is proven: admissible A* over cells where the space has few dimensions, beside one ball; "
        "or that ball alone; or the paper's grid. Natural distortions are proven by cells.",
    )
    tau = serializers.FloatField(
        required=False,
        allow_null=True,
        help_text="The step of the grid in pixels of flow; null: derived from Lipschitz constants.",
    )
    upper_method = serializers.ChoiceField(
        choices=Verification.UpperMethod.choices,
        required=False,
        help_text="How adversarial examples are looked for: by the exact gradient; or by the paper's finite differences, a "
        "forward pass for every pixel of every frame, for reference. In spaces of flows only.",
    )
    query = serializers.BooleanField(
        required=False, help_text="Only whether the radius is safe is asked: the first example within it ends the run."
    )
    eight_bit = serializers.BooleanField(
        required=False,
        help_text="Only examples whose class change survives the rounding of the frames to 8 bits count as the upper bound.",
    )
    certificate = serializers.BooleanField(
        required=False,
        help_text="Write a certificate of the lower bound when the bounds are final, which takes time beyond the budget.",
    )
    seconds = serializers.FloatField(required=False, help_text="Budget.")
    seed = serializers.IntegerField(required=False)
    extractor = serializers.CharField(
        required=False,
        help_text="Of the optical flow: farneback, horn-schunck, lucas-kanade or dis, each also with parameters after a "
        "colon, such as farneback:winsize=21,levels=4.",
    )
    device = serializers.CharField(required=False, help_text="auto, cpu or cuda.")


class SampleQuery(serializers.Serializer[Any]):
    """Which frames of a video to choose."""

    frames = serializers.IntegerField(min_value=2, max_value=512)
    sampling = serializers.CharField(default="uniform", help_text="uniform, floor or fps:X.")
    first = serializers.IntegerField(required=False, help_text="The first frame that may be chosen, from 1.")
    last = serializers.IntegerField(required=False, help_text="The last one, included.")


class FramesQuery(serializers.Serializer[Any]):
    """Which frames of a video to draw."""

    numbers = serializers.RegexField(
        r"^[0-9]{1,7}(,[0-9]{1,7})*$", help_text="Increasing, from 1, divided by commas; at most 64."
    )


class FlowQuery(serializers.Serializer[Any]):
    """Between which frames of a video."""

    first = serializers.IntegerField(default=1, help_text="The earlier frame, from 1.")
    second = serializers.IntegerField(required=False, help_text="The later one; left out: the next.")


class TeamRequest(serializers.Serializer[Team]):
    """A new team; whoever creates it owns it."""

    name = serializers.CharField(max_length=100)


class DaysRequest(serializers.Serializer[Any]):
    """How long a link is valid."""

    days = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=3650, help_text="null: until it is revoked."
    )


class InvitationRequest(serializers.Serializer[Any]):
    """How long an invitation is valid."""

    days = serializers.IntegerField(required=False, min_value=1, max_value=365, default=7)


class TokenRequest(serializers.Serializer[Any]):
    """A new token."""

    name = serializers.CharField(max_length=100)
    days = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=3650, help_text="null: until it is revoked."
    )


class AfterQuery(serializers.Serializer[Any]):
    """From where to go on."""

    after = serializers.IntegerField(default=0, min_value=0)
