"""Forms of the pages. They check what was typed; whether it makes sense is decided by the services."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet

from verification.engine.flow import DEFAULT_EXTRACTOR, EXTRACTORS, Extractor
from verification.engine.flow.parameters import written
from verification.models import Classifier, Team, Verification, Video
from verification.pages import space_choices
from verification.pages.flow_list import parse_flows

_NORM_HELP = {
    "l1": "The sum of all changes. A radius says how much change there is in total.",
    "l2": "The square root of the sum of squares. The usual choice.",
    "linf": "The largest single change. A radius allows that much at every pixel at once.",
}
_EXTRACTOR_HELP = {
    "farneback": "Fast and smooth; follows the finest changes of the flow, and ignores brightness. The usual choice.",
    "horn-schunck": "The most exact for large and uneven motion. Takes brightness that changes in time for motion.",
    "lucas-kanade": "Exact for shifts, also in noise. Rounds to 8 bits: hardly sees the smallest manipulations.",
    "dis": "Exact and fast, sharp where objects end. Rounds to 8 bits: hardly sees the smallest manipulations.",
}
_EXTRACTORS = [(name, extractor.title) for name, extractor in EXTRACTORS.items()]
#: The fields with the parameters that are written after the name of an extractor.
_EXTRACTOR_DETAILS = {name: f"{name}-parameters" for name in EXTRACTORS}
#: Of videos and of classifiers in the menus of the form.
_MOST_OFFERED = 200
_INTEGER_WIDGET = {"inputmode": "numeric"}


@dataclass(frozen=True)
class Setting:
    """A parameter as it is written with its default, what it is for, and its limits."""

    written: str
    purpose: str
    limits: str


@dataclass(frozen=True)
class Option:
    """One radio button with what it means."""

    value: str
    label: str
    help: str
    checked: bool
    #: What else has to be said where this one is chosen.
    detail: forms.BoundField | None = None
    #: What can be said there.
    settings: tuple[Setting, ...] = ()
    #: Whether there are flows to choose and to extract where this one is chosen.
    of_flow: bool = True


@dataclass(frozen=True)
class OptionGroup:
    """Options that belong together, under a heading."""

    title: str
    options: list[Option]


if TYPE_CHECKING:
    _VideoChoice = forms.ModelChoiceField[Video]
    _ClassifierChoice = forms.ModelChoiceField[Classifier]
else:  # generic for the type checker only
    _VideoChoice = _ClassifierChoice = forms.ModelChoiceField


class VideoField(_VideoChoice):
    """Videos with what decides whether they fit."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.frames} frames, {obj.width} × {obj.height})"


class ClassifierField(_ClassifierChoice):
    """Classifiers with the input that they take."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.frames} frames of {obj.width} × {obj.height})"


class VerificationForm(forms.Form):
    """A question: the fields of `services.verifications.create_verification`."""

    video = VideoField(
        queryset=Video.objects.none(),
        empty_label="Choose a video",
        error_messages={"required": "Choose a video.", "invalid_choice": "Your team does not have this video."},
    )
    classifier = ClassifierField(
        queryset=Classifier.objects.none(),
        empty_label="Choose a classifier",
        error_messages={
            "required": "Choose a classifier.",
            "invalid_choice": "Your team does not have this classifier.",
        },
    )
    name = forms.CharField(max_length=200, required=False, help_text="For the list; empty: the names of the two files.")
    frames = forms.IntegerField(
        required=False,
        min_value=2,
        error_messages={"min_value": "A clip needs at least 2 frames, or there is no flow between them."},
        widget=forms.NumberInput(_INTEGER_WIDGET | {"placeholder": "As the classifier says"}),
        help_text="How many frames are sampled from the video.",
    )
    sampling = forms.CharField(
        max_length=40,
        required=False,
        widget=forms.TextInput({"placeholder": "As the classifier says"}),
        help_text="How they are chosen: uniform, floor (whole steps from the first) or fps:10 (ten a second).",
    )
    first = forms.IntegerField(
        required=False,
        min_value=1,
        label="First frame",
        widget=forms.NumberInput(_INTEGER_WIDGET | {"placeholder": "1"}),
        help_text="Of the video; the clip is sampled from this frame on.",
    )
    last = forms.IntegerField(
        required=False,
        min_value=2,
        label="Last frame",
        widget=forms.NumberInput(_INTEGER_WIDGET | {"placeholder": "The video's last"}),
        help_text="And up to this one, included.",
    )
    mirrored = forms.BooleanField(
        required=False,
        label="Mirror the clip",
        help_text="Left to right, before everything else: the question is asked of the mirrored clip, and the answer also says "
        "whether its class is that of the clip as given.",
    )
    norm = forms.ChoiceField(choices=Verification.Norm.choices, initial="l2", label="Norm")
    space = forms.ChoiceField(choices=space_choices.CHOICES, initial="dense", label="What may change")
    blocks = forms.CharField(
        required=False,
        initial="2x2",
        max_length=20,
        label="Blocks",
        help_text="Rows x columns of blocks in a frame.",
    )
    still = forms.CharField(
        required=False,
        initial="0.9",
        max_length=20,
        label="Share of pixels that stand still",
        widget=forms.TextInput({"inputmode": "decimal"}),
        help_text="The slowest ones of all chosen flows: at 0.9 the fastest tenth may be manipulated.",
    )
    extractor = forms.ChoiceField(
        required=False, choices=_EXTRACTORS, initial=DEFAULT_EXTRACTOR, label="How optical flow is extracted"
    )
    flows = forms.CharField(
        required=False,
        initial="all",
        max_length=1000,
        help_text="Which flows may change: all, or a list such as 1,3-5. Flow 1 lies between frames 1 and 2. "
        "Pixels and natural distortions change no flow: leave it at all.",
    )
    radius = forms.FloatField(
        required=False,
        widget=forms.NumberInput({"placeholder": "No limit", "step": "any"}),
        help_text="Ask only about changes up to this size, in pixels of flow (Pixels and Brightness: in pixel values from 0 to "
        "1; other natural distortions: in what they are measured in); certified when all of them are safe.",
    )
    query = forms.BooleanField(
        required=False,
        label="Only ask whether the radius is safe",
        help_text="The first adversarial example within the radius ends the run; the proof aims at the radius at once.",
    )
    eight_bit = forms.BooleanField(
        required=False,
        label="Only count examples that survive rounding to 8 bits",
        help_text="Files and screens hold 256 values a colour. Then an example counts only if its class stays changed when its "
        "frames are rounded to them; the upper bound is a little larger.",
    )
    certificate = forms.BooleanField(
        required=False,
        label="Write a certificate",
        help_text="A file by which others can have the lower bound proven again. It is written after the budget is spent, which "
        "takes time of its own; where none can be made, the page says why.",
    )
    lower_method = forms.ChoiceField(
        required=False,
        choices=Verification.LowerMethod.choices,
        initial=Verification.LowerMethod.CELLS,
        label="Proof",
        help_text="Cells tell far more in spaces of few dimensions, such as Translation of one flow.",
    )
    tau = forms.FloatField(
        required=False,
        label="Tau of the grid, px",
        widget=forms.NumberInput({"placeholder": "Derived", "step": "any"}),
        help_text="Only for the paper's grid: the length of an atomic manipulation. Empty: from certified Lipschitz constants.",
    )
    upper_method = forms.ChoiceField(
        required=False,
        choices=Verification.UpperMethod.choices,
        initial=Verification.UpperMethod.GRADIENT,
        label="Search",
        help_text="For adversarial examples. The paper's takes a forward pass for every pixel of every frame: it is there to "
        "compare.",
    )
    seconds = forms.FloatField(
        initial=60,
        label="Budget, s",
        error_messages={"required": "Say after how many seconds to stop."},
        widget=forms.NumberInput({"step": "any"}),
        help_text="When it is spent, both bounds stand as they are.",
    )
    seed = forms.IntegerField(
        initial=0,
        error_messages={"required": "Give any whole number; 0 will do."},
        widget=forms.NumberInput(_INTEGER_WIDGET),
        help_text="The same seed takes the same steps.",
    )

    def __init__(self, user: User, team: Team, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, detail in _EXTRACTOR_DETAILS.items():
            self.fields[detail] = _parameters_field(EXTRACTORS[name])
        self.fields.update(space_choices.argument_fields())
        for name, model in (("video", Video), ("classifier", Classifier)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            owned = model.objects.for_user(user).filter(team=team)
            field.queryset = owned
            # The page is opened to start something: what is there already needs no choosing.
            self.initial.setdefault(name, getattr(owned.first(), "pk", None))
            self._offer(name, field, owned)

    def _offer(self, name: str, field: "_VideoChoice | _ClassifierChoice", owned: QuerySet[Any]) -> None:
        """Show the newest and the chosen one: a menu of ten thousand helps nobody. Any of the team's is accepted."""
        offered = list(owned[:_MOST_OFFERED])
        chosen = self.data.get(name) or self.initial.get(name)
        if chosen and all(str(one.pk) != str(chosen) for one in offered):
            offered += [one for one in owned if str(one.pk) == str(chosen)][:1]
        field.widget.choices = [
            ("", str(field.empty_label)),
            *((str(one.pk), field.label_from_instance(one)) for one in offered),
        ]

    def clean_lower_method(self) -> str:
        return self.cleaned_data["lower_method"] or Verification.LowerMethod.CELLS

    def clean_upper_method(self) -> str:
        return self.cleaned_data["upper_method"] or Verification.UpperMethod.GRADIENT

    def clean_extractor(self) -> str:
        return self.cleaned_data["extractor"] or DEFAULT_EXTRACTOR

    def clean_flows(self) -> list[int] | None:
        return parse_flows(self.cleaned_data["flows"])

    def clean(self) -> dict[str, Any]:
        """Write space and extractor with their details in one, as everything else does."""
        answers = self.cleaned_data
        details, parameters = (
            {name: answers.pop(field, "").strip() for name, field in fields.items()}
            for fields in (space_choices.DETAILS, _EXTRACTOR_DETAILS)
        )
        space, extractor = answers.get("space"), answers.get("extractor")
        if space:
            try:
                answers["space"] = space_choices.as_space(space, details.get(space, ""))
            except forms.ValidationError as error:
                self.add_error("space", error)
        if extractor and parameters[extractor]:
            answers["extractor"] = f"{extractor}:{parameters[extractor]}"
        return answers

    @property
    def norm_options(self) -> list[Option]:
        """The norms, explained."""
        return self._options("norm", Verification.Norm.choices, _NORM_HELP)

    @property
    def space_groups(self) -> list[OptionGroup]:
        """The spaces, explained, those of flows and pixels apart from the natural distortions."""
        chosen = self["space"].value() or self.fields["space"].initial
        return [
            OptionGroup(
                title,
                self._detailed(
                    [Option(one.name, one.title, one.help, one.name == chosen, of_flow=one.of_flow) for one in choices],
                    space_choices.DETAILS,
                ),
            )
            for title, choices in space_choices.GROUPS
        ]

    @property
    def extractor_options(self) -> list[Option]:
        """The flow extractors, explained, each with its parameters."""
        options = self._detailed(self._options("extractor", _EXTRACTORS, _EXTRACTOR_HELP), _EXTRACTOR_DETAILS)
        return [replace(option, settings=_settings(EXTRACTORS[option.value])) for option in options]

    def _options(self, name: str, choices: list[tuple[str, str]], explanations: dict[str, str]) -> list[Option]:
        chosen = self[name].value() or self.fields[name].initial
        return [Option(value, label, explanations.get(value, ""), value == chosen) for value, label in choices]

    def _detailed(self, options: list[Option], details: dict[str, str]) -> list[Option]:
        return [
            replace(option, detail=self[details[option.value]]) if option.value in details else option
            for option in options
        ]


def _parameters_field(extractor: type[Extractor]) -> forms.CharField:
    return forms.CharField(
        required=False,
        max_length=255,
        label=f"Parameters of {extractor.title}",
        widget=forms.TextInput({"placeholder": extractor.example.partition(":")[2]}),
        help_text="Empty for the defaults, or what is to be different, with commas between.",
    )


def _settings(extractor: type[Extractor]) -> tuple[Setting, ...]:
    defaults = extractor.defaults()
    return tuple(
        Setting(f"{key}={written(defaults[key])}", parameter.purpose, parameter.limits)
        for key, parameter in extractor.parameters().items()
    )


class TeamForm(forms.Form):
    """A new team."""

    name = forms.CharField(max_length=100)


class InvitationForm(forms.Form):
    """How long an invitation is valid."""

    days = forms.TypedChoiceField(
        choices=[(1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days")],
        coerce=int,
        initial=7,
        label="Valid for",
    )


class TokenForm(forms.Form):
    """A new access token."""

    name = forms.CharField(max_length=100, label="Name", widget=forms.TextInput({"placeholder": "What it is for"}))
    days = forms.TypedChoiceField(
        choices=[("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked")],
        coerce=int,
        empty_value=None,
        required=False,
        initial="90",
        label="Valid for",
    )
