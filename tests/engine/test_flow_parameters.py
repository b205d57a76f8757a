"""How extractors are written: parameters, their limits, the one spelling that is recorded, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.engine.test_flow_known_motion import clip_of, rotation
from verification.engine import SpecificationError
from verification.engine.flow import DIS, EXTRACTORS, Extractor, Farneback, HornSchunck, build_extractor
from verification.engine.flow.parameters import Parameter


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Whatever is allowed."""
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.whole:
        return st.integers(int(parameter.least), int(parameter.most))
    return st.floats(parameter.least, parameter.most).map(lambda value: value + 0.0)


@st.composite
def extractors(draw: st.DrawFn) -> Extractor:
    """Any extractor with any parameters."""
    kind = draw(st.sampled_from(list(EXTRACTORS.values())))
    chosen = draw(st.fixed_dictionaries({}, optional={key: values(each) for key, each in kind.parameters().items()}))
    if kind is DIS:
        sides = [chosen.get(key, kind.defaults()[key]) for key in ("patch_stride", "patch_size")]
        chosen |= dict(zip(("patch_stride", "patch_size"), sorted(sides), strict=True))
    return kind(**chosen)


@given(extractors())
def test_what_is_spelled_is_read_as_the_same_extractor(extractor: Extractor) -> None:
    assert build_extractor(extractor.spelled) == extractor
    assert build_extractor(extractor.spelled).spelled == extractor.spelled


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("farneback", "farneback"),
        ("farneback:winsize=21,levels=4", "farneback:levels=4,winsize=21"),
        (" farneback : levels = 4 , winsize=21 ", "farneback:levels=4,winsize=21"),
        ("farneback:levels=3", "farneback"),
        ("farneback:levels=4.0,poly_sigma=1.50", "farneback:levels=4,poly_sigma=1.5"),
        ("farneback:window=gaussian", "farneback:window=gaussian"),
        ("horn-schunck:alpha=10,iterations=100,levels=4", "horn-schunck"),
        ("horn-schunck:alpha=1e1", "horn-schunck"),
        ("lucas-kanade:texture=1e-05", "lucas-kanade:texture=1e-05"),
        ("dis:patch_stride=8,gamma=0", "dis:patch_stride=8,gamma=0"),
    ],
)
def test_there_is_one_spelling(text: str, spelled: str) -> None:
    assert build_extractor(text).spelled == spelled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guess", "no flow extractor 'guess'; choose one of farneback, horn-schunck, lucas-kanade, dis"),
        ("Farneback", "no flow extractor 'Farneback'"),
        ("", "no flow extractor ''"),
        ("farneback:", "written as in farneback:winsize=21,levels=4, not ''"),
        ("farneback:21", "written as in farneback:winsize=21,levels=4, not '21'"),
        ("farneback:levels=4,", "written as in .*, not ''"),
        ("farneback:=4", "written as in .*, not '=4'"),
        ("farneback:alpha=1", "'farneback' has no parameter 'alpha'; it has pyr_scale, levels, winsize"),
        ("farneback:levels=4,levels=4", "'levels' of the extractor 'farneback' is said twice"),
        ("farneback:levels=11", "'levels' .* must be a whole number from 0 to 10, not '11'"),
        ("farneback:levels=1.5", "a whole number from 0 to 10, not '1.5'"),
        ("farneback:levels=", "a whole number from 0 to 10, not ''"),
        ("farneback:levels=four", "not 'four'"),
        ("farneback:levels=1_0", "not '1_0'"),
        ("farneback:levels=٣", "not '٣'"),
        ("farneback:poly_n=6", "'poly_n' .* must be 5 or 7, not '6'"),
        ("farneback:window=round", "must be box or gaussian, not 'round'"),
        ("farneback:pyr_scale=1", "a number from 0.1 to 0.95, not '1'"),
        ("farneback:pyr_scale=nan", "not 'nan'"),
        ("horn-schunck:alpha=0", "'alpha' .* must be a number from 0.1 to 1000, not '0'"),
        ("horn-schunck:alpha=inf", "not 'inf'"),
        ("horn-schunck:alpha=1e999", "not '1e999'"),
        ("horn-schunck:warps=" + "9" * 5000, "not '9{40}'"),
        ("lucas-kanade:winsize=2", "a whole number from 3 to 51, not '2'"),
        ("dis:patch_stride=9", "'patch_stride' .* must be at most its 'patch_size', 8, not 9"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        build_extractor(text)


def test_a_program_cannot_set_what_a_person_cannot_write() -> None:
    with pytest.raises(SpecificationError, match=r"'levels' .* not '4'"):
        Farneback(levels="4")  # type: ignore[arg-type]
    with pytest.raises(SpecificationError, match=r"'levels' .* not True"):
        Farneback(levels=True)
    with pytest.raises(SpecificationError, match=r"'alpha' .* not nan"):
        HornSchunck(alpha=float("nan"))


def test_the_default_is_what_it_always_was(frames: Tensor) -> None:
    """Runs, checkpoints and certificates that say `farneback` mean OpenCV's settings of old."""
    settings_of_old = "farneback:pyr_scale=0.5,levels=3,winsize=15,iterations=3,poly_n=5,poly_sigma=1.2,window=box"

    assert build_extractor("farneback") == build_extractor(settings_of_old)
    assert build_extractor(settings_of_old).spelled == "farneback"


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return clip_of(rotation(3))


#: For each parameter a value that is not its default.
OTHERS = {
    "farneback": (
        "pyr_scale=0.8",
        "levels=0",
        "winsize=21",
        "iterations=1",
        "poly_n=7",
        "poly_sigma=2",
        "window=gaussian",
    ),
    "horn-schunck": ("alpha=30", "iterations=10", "levels=1", "warps=1"),
    "lucas-kanade": ("winsize=9", "levels=1", "iterations=1", "spacing=7", "texture=0.02", "agreement=0.01"),
    "dis": (
        "finest_scale=1",
        "patch_size=10",
        "patch_stride=5",
        "iterations=1",
        "refinement=0",
        "alpha=200",
        "delta=100",
        "gamma=0",
    ),
}


def test_no_parameter_is_left_out_here() -> None:
    said = {name: [one.partition("=")[0] for one in others] for name, others in OTHERS.items()}

    assert said == {name: list(extractor.parameters()) for name, extractor in EXTRACTORS.items()}


@pytest.mark.parametrize("text", [f"{name}:{other}" for name, others in OTHERS.items() for other in others])
def test_every_parameter_matters(text: str, frames: Tensor) -> None:
    plain = build_extractor(text.partition(":")[0]).extract(frames)

    assert float((build_extractor(text).extract(frames) - plain).abs().max()) > 1e-4


def test_words_name_method_and_parameters() -> None:
    assert build_extractor("dis").described == "dense inverse search"
    assert (
        build_extractor("farneback:winsize=21,levels=4").described
        == "Farneback’s polynomial expansion (levels = 4, winsize = 21)"
    )
