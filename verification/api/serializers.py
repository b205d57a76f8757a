"""What objects look like as JSON. Reading; `requests` says what may be asked."""

from dataclasses import asdict
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from verification.engine.perturbation import Unit, unit_of
from verification.models import (
    ApiToken,
    Artifact,
    Bound,
    Classifier,
    Event,
    Invitation,
    Membership,
    ShareLink,
    Team,
    Verification,
    Video,
)
from verification.services.distortions import distortion_of


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """One person in a team."""

    username = serializers.CharField(source="user.username")

    class Meta:
        model = Membership
        fields = ["username", "role"]


class TeamSerializer(serializers.ModelSerializer[Team]):
    """A team with its members."""

    members = MemberSerializer(source="memberships", many=True)

    class Meta:
        model = Team
        fields = ["id", "name", "slug", "created_at", "members"]


class VideoSerializer(serializers.ModelSerializer[Video]):
    """A video as the engine decoded it."""

    fps = serializers.FloatField(help_text="Frames a second; 0 where no rate is known.")
    class_name = serializers.CharField(help_text="The class that the name of its folder or file says; may be empty.")
    strip = serializers.SerializerMethodField(help_text="Some of its frames side by side, JPEG; null: there is none.")
    preview = serializers.SerializerMethodField(help_text="A small copy, WebM; null: there is none.")

    class Meta:
        model = Video
        fields = [
            "id",
            "team",
            "name",
            "class_name",
            "sha256",
            "bytes",
            "frames",
            "fps",
            "height",
            "width",
            "strip",
            "preview",
            "created_at",
        ]

    def get_strip(self, video: Video) -> str | None:
        return reverse("api:video-strip", kwargs={"pk": video.pk}) if video.strip else None

    def get_preview(self, video: Video) -> str | None:
        return reverse("api:video-preview", kwargs={"pk": video.pk}) if video.preview else None


class ClassifierSerializer(serializers.ModelSerializer[Classifier]):
    """A classifier and the input that it expects."""

    labels = serializers.ListField(child=serializers.CharField(), help_text="Names, by class number.")
    dropped = serializers.ListField(
        child=serializers.CharField(), help_text="What stands behind the logits and is left out, such as a softmax."
    )

    class Meta:
        model = Classifier
        fields = [
            "id",
            "team",
            "name",
            "sha256",
            "bytes",
            "architecture",
            "labels",
            "frames",
            "height",
            "width",
            "channels",
            "sampling",
            "order",
            "range",
            "mean",
            "deviation",
            "dropped",
            "created_at",
        ]


class VerificationAddresses(serializers.Serializer[Verification]):
    """Where the parts of a verification are."""

    self = serializers.CharField()
    page = serializers.CharField()
    report = serializers.CharField()
    bounds = serializers.CharField()
    events = serializers.CharField()
    artifacts = serializers.CharField()


class LikenessSerializer(serializers.Serializer[Any]):
    """How alike the changed frames are to the original ones. Frames have values from 0 to 1."""

    changed = serializers.IntegerField(help_text="How many frames are changed; the others are identical.")
    psnr = serializers.FloatField(allow_null=True, help_text="dB, mean of the changed frames; null: none is changed.")
    psnr_worst = serializers.FloatField(allow_null=True, help_text="dB, of the worst frame.")
    ssim = serializers.FloatField(help_text="Mean of the changed frames; 1 for identical ones.")
    ssim_worst = serializers.FloatField(help_text="Of the worst frame.")


class ExampleSerializer(serializers.Serializer[Any]):
    """The adversarial example behind the upper bound."""

    distances = serializers.DictField(child=serializers.FloatField(), help_text="By norm: l1, l2 and linf.")
    shares = serializers.ListField(
        child=serializers.FloatField(), help_text="Of each flow (or frame) in the squared L2 size; they sum to 1."
    )
    quality = LikenessSerializer()
    survives_rounding = serializers.BooleanField(
        help_text="The class stays changed when the frames are rounded to 8 bits."
    )
    grey_levels = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        allow_null=True,
        help_text="How far its clip is from the original one, in grey levels (255 make 1), by norm; null in old runs.",
    )
    parameters = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        allow_null=True,
        help_text="Of the natural distortion, by name and with their signs; null in other spaces.",
    )


class ParameterSerializer(serializers.Serializer[Any]):
    """One parameter of a natural distortion; 0 leaves the clip as it is."""

    name = serializers.CharField()
    least = serializers.FloatField()
    most = serializers.FloatField()
    counts = serializers.BooleanField(help_text="Whether it is part of the distance.")


class VerificationSerializer(serializers.ModelSerializer[Verification]):
    """The question and the answer so far. Distances are in `distance_unit` and `norm`."""

    first = serializers.IntegerField(help_text="Of the video's frames that are sampled, from 1.")
    last = serializers.IntegerField(allow_null=True, help_text="Included; null: the video's last.")
    mirrored = serializers.BooleanField(help_text="The clip is mirrored left to right; all is about that.")
    given_label_name = serializers.CharField(
        allow_null=True,
        help_text="Of a mirrored clip: the class of the clip as it was given; null where none is mirrored.",
    )
    pair_agrees = serializers.BooleanField(
        allow_null=True,
        help_text="Whether clip and mirror image have the same class; null: not asked, or not known yet.",
    )
    flows = serializers.ListField(
        child=serializers.IntegerField(min_value=1), allow_null=True, help_text="From 1; null means all."
    )
    distance_unit = serializers.SerializerMethodField(
        help_text="px: pixels of optical flow. value: pixel values from 0 to 1. Of natural distortions also share: of the whole, "
        "degrees: of an angle, log2: doublings of a factor, side: of a square, in pixels."
    )
    parameters = serializers.SerializerMethodField(
        help_text="Of the natural distortion that `space` names; null in other spaces."
    )
    video_name = serializers.CharField(source="video.name")
    video_sha256 = serializers.CharField(source="video.sha256")
    classifier_name = serializers.CharField(source="classifier.name")
    classifier_sha256 = serializers.CharField(source="classifier.sha256")
    label_name = serializers.CharField(allow_null=True)
    upper_label_name = serializers.CharField(allow_null=True)
    lower = serializers.FloatField(help_text="Never falls. Proven if `lower_guarantee` is sound.")
    lower_grey_levels = serializers.FloatField(
        allow_null=True,
        help_text="Every clip that the distortion can make and that differs from the original by less than this in L2, in grey "
        "levels (255 make 1), keeps the class. Known at the end, of distortions with one parameter; null elsewhere.",
    )
    upper = serializers.FloatField(allow_null=True, help_text="Size of the best example, if any.")
    upper_guarantee = serializers.SerializerMethodField(help_text="An example, not a proof.")
    ratio = serializers.SerializerMethodField(help_text="Upper over lower, if both say something.")
    eight_bit = serializers.BooleanField(
        help_text="Only examples that survive the rounding of the frames to 8 bits count; the class is that of the rounded clip."
    )
    example = ExampleSerializer(
        allow_null=True, help_text="More on the example behind `upper`; null until it is recorded."
    )
    certificate = serializers.BooleanField(help_text="One was asked for; `artifacts` lists it when it is there.")
    certifying = serializers.BooleanField(help_text="The bounds are final, the certificate is being written.")
    certificate_radius = serializers.FloatField(
        allow_null=True, help_text="What the certificate proves, perhaps less than `lower`; null: there is none."
    )
    uncertified = serializers.CharField(
        source="no_certificate", help_text="Why there is no certificate although one was asked for; empty: it may come."
    )
    seconds = serializers.FloatField(help_text="Budget.")
    elapsed = serializers.FloatField(help_text="Seconds of work so far, over all attempts.")
    versions = serializers.DictField(child=serializers.CharField())
    urls = serializers.SerializerMethodField()

    class Meta:
        model = Verification
        fields = [
            "id",
            "team",
            "name",
            "video",
            "video_name",
            "video_sha256",
            "classifier",
            "classifier_name",
            "classifier_sha256",
            "frames",
            "sampling",
            "first",
            "last",
            "mirrored",
            "norm",
            "space",
            "distance_unit",
            "parameters",
            "flows",
            "radius",
            "lower_method",
            "tau",
            "upper_method",
            "query",
            "eight_bit",
            "certificate",
            "seconds",
            "seed",
            "extractor",
            "device",
            "status",
            "label",
            "label_name",
            "confidence",
            "given_label",
            "given_label_name",
            "given_confidence",
            "pair_agrees",
            "lower",
            "lower_guarantee",
            "lower_grey_levels",
            "upper",
            "upper_guarantee",
            "upper_label",
            "upper_label_name",
            "upper_confidence",
            "ratio",
            "realisation_rms",
            "realisation_median",
            "example",
            "game",
            "certifying",
            "certificate_radius",
            "uncertified",
            "elapsed",
            "error",
            "attempts",
            "cancel_requested",
            "created_at",
            "started_at",
            "finished_at",
            "versions",
            "urls",
        ]

    def get_distance_unit(self, verification: Verification) -> Unit:
        return unit_of(verification.space)

    @extend_schema_field(ParameterSerializer(many=True, allow_null=True))
    def get_parameters(self, verification: Verification) -> list[dict[str, Any]] | None:
        classifier = verification.classifier
        found = distortion_of(verification.space, verification.frames, classifier.height, classifier.width)
        if found is None:
            return None
        return [asdict(one) | {"name": name} for name, one in zip(found.names, found.parameters, strict=True)]

    def get_upper_guarantee(self, verification: Verification) -> str:
        return Verification.Guarantee.EMPIRICAL.value

    def get_ratio(self, verification: Verification) -> float | None:
        if verification.upper is None or verification.lower <= 0:
            return None
        return verification.upper / verification.lower

    @extend_schema_field(VerificationAddresses)
    def get_urls(self, verification: Verification) -> dict[str, str]:
        key = {"pk": verification.pk}
        return {
            "self": reverse("api:verification-detail", kwargs=key),
            "page": reverse("verification", args=[verification.pk]),
            "report": reverse("verification-report", args=[verification.pk]),
            "bounds": reverse("api:verification-bounds", kwargs=key),
            "events": reverse("api:verification-events", kwargs=key),
            "artifacts": reverse("api:verification-artifacts", kwargs=key),
        }


def verification_payload(verification: Verification) -> dict[str, Any]:
    """The verification as the API shows it, made of JSON values only; sockets send the same."""
    return {
        name: str(value) if name in {"id", "team", "video", "classifier"} else value
        for name, value in VerificationSerializer(verification).data.items()
    }


class BoundSerializer(serializers.ModelSerializer[Bound]):
    """Both bounds after one moved; `source` says which."""

    class Meta:
        model = Bound
        fields = ["number", "seconds", "lower", "upper", "source"]


class EventSerializer(serializers.ModelSerializer[Event]):
    """One line for whoever watches."""

    class Meta:
        model = Event
        fields = ["number", "seconds", "text"]


class BoundsSerializer(serializers.Serializer[Any]):
    """Points with numbers above the one asked for."""

    results = BoundSerializer(many=True)
    next_after = serializers.IntegerField(help_text="The last number known now: the next `after`.")
    more = serializers.BooleanField(help_text="There are further points already.")


class EventsSerializer(serializers.Serializer[Any]):
    """Events with numbers above the one asked for."""

    results = EventSerializer(many=True)
    next_after = serializers.IntegerField(help_text="The last number known now: the next `after`.")
    more = serializers.BooleanField(help_text="There are further events already.")


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """One picture or file of a verification."""

    flow = serializers.IntegerField(allow_null=True, help_text="Counts from 1; null: no single flow.")
    url = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = ["id", "kind", "flow", "name", "content_type", "bytes", "revision", "url", "created_at"]

    def get_url(self, artifact: Artifact) -> str:
        return reverse("api:artifact-content", kwargs={"pk": artifact.pk})


class ShareLinkSerializer(serializers.ModelSerializer[ShareLink]):
    """A link to one report; `url` is the address to hand out."""

    created_by = serializers.CharField(source="created_by.username")
    url = serializers.SerializerMethodField()

    class Meta:
        model = ShareLink
        fields = [
            "id",
            "verification",
            "url",
            "created_by",
            "created_at",
            "expires_at",
            "revoked_at",
            "is_open",
        ]

    def get_url(self, share: ShareLink) -> str:
        address = reverse("shared", args=[share.token])
        request = self.context.get("request")
        return request.build_absolute_uri(address) if request else address


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """A link with which people join a team."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Invitation
        fields = ["id", "team", "url", "created_at", "expires_at"]

    def get_url(self, invitation: Invitation) -> str:
        address = reverse("invitation", args=[invitation.token])
        request = self.context.get("request")
        return request.build_absolute_uri(address) if request else address


class ApiTokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token without the secret itself."""

    class Meta:
        model = ApiToken
        fields = ["id", "name", "created_at", "last_used_at", "expires_at", "revoked_at", "is_open"]


class NewApiTokenSerializer(ApiTokenSerializer):
    """A token just created, with the secret that is shown this once."""

    token = serializers.CharField(read_only=True)

    class Meta(ApiTokenSerializer.Meta):
        fields = [*ApiTokenSerializer.Meta.fields, "token"]
