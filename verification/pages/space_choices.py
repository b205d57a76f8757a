"""The spaces and natural distortions that the form offers: explained, in groups, each with what else it needs to know."""

from dataclasses import dataclass

from django import forms

from verification.engine.perturbation import DISTORTIONS, SPACES, FlowSpace, is_distortion, name_of
from verification.engine.perturbation.distortions import Superposition
from verification.services import distortions

_SPACE_HELP = {
    "dense": "Every pixel of every chosen flow may change on its own: the strongest statement.",
    "blocks": "Each chosen flow is cut into blocks that shift as a whole: two numbers a block.",
    "moving": "As Dense, but only at pixels that move: what stands still in the clip stays as it is.",
    "translation": "Each chosen flow moves as a whole, as when the camera shakes: two numbers a flow. A weaker statement with "
    "larger radii.",
    "affine": "Each chosen flow is shifted, stretched, turned or sheared as a whole: six numbers a flow.",
    "pixels": "The frames themselves may change, not their flow. To compare with verifiers of pixel perturbations.",
}
#: The fields with what has to be written after the name of a space.
_NEEDED = {"blocks": "blocks", "moving": "still"}
#: The fields with what may be written after the name of a distortion.
_POSSIBLE = {name: f"{name}-argument" for name, kind in DISTORTIONS.items() if ":" in kind.example}
#: The field with the sum of distortions.
_SUM = "sum-parts"
DETAILS = {**_NEEDED, **_POSSIBLE, Superposition.name: _SUM}

_LONGEST = 255


@dataclass(frozen=True)
class SpaceChoice:
    """A space under the name that the form gives it. `of_flow`: it changes flows, so that there are flows to choose."""

    name: str
    title: str
    help: str
    of_flow: bool


GROUPS = (
    (
        "Manipulations of the flow, and pixels",
        [
            SpaceChoice(name, name.title(), _SPACE_HELP.get(name, ""), issubclass(space, FlowSpace))
            for name, space in SPACES.items()
        ],
    ),
    (
        "Natural distortions",
        [
            *(SpaceChoice(name, distortions.title_of(name), kind.summary, False) for name, kind in DISTORTIONS.items()),
            SpaceChoice(
                Superposition.name,
                "Several at once",
                "Such as brightness and contrast; what can be added up, is.",
                False,
            ),
        ],
    ),
)
CHOICES = [(choice.name, choice.title) for _, choices in GROUPS for choice in choices]


def argument_fields() -> dict[str, forms.Field]:
    """The fields with what else can be said of each distortion."""
    fields: dict[str, forms.Field] = {
        field: forms.CharField(
            required=False,
            max_length=_LONGEST,
            label=f"What is different about {distortions.title_of(name).lower()}",
            widget=forms.TextInput({"placeholder": _argument(DISTORTIONS[name].example)}),
            help_text=f"Empty for the default, or as in {_argument(DISTORTIONS[name].example)}, each at will.",
        )
        for name, field in _POSSIBLE.items()
    }
    fields[_SUM] = forms.CharField(
        required=False,
        initial=Superposition.example,
        max_length=_LONGEST,
        label="What is added up",
        help_text="With a plus between, each with what is different about it after a colon, as in "
        f"brightness+{DISTORTIONS['occlusion'].example}. Gamma and what moves or grows cannot be added up.",
    )
    return fields


def as_space(name: str, said: str) -> str:
    """The one spelling of a space: its name and what was said of it in its field. Raises ValidationError."""
    if name == Superposition.name:
        if not is_distortion(said):
            raise forms.ValidationError(f"Say which distortions are added up, as in {Superposition.example}.")
        return said
    if name in _NEEDED:
        return f"{name}:{said}"
    return f"{name}:{said}" if said else name


def as_answers(space: str) -> dict[str, str]:
    """The answers in the form that ask for `space`; none for one that is not offered."""
    name, _, said = space.partition(":")
    if "+" in space and is_distortion(space):
        return {"space": Superposition.name, _SUM: space}
    if name_of(space) not in dict(CHOICES) or name == Superposition.name:
        return {}
    return {"space": name} | ({DETAILS[name]: said} if said and name in DETAILS else {})


def _argument(example: str) -> str:
    return example.partition(":")[2]
