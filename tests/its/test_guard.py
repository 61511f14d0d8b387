"""Nothing that a model writes raises: it abstains, or stays undecided, and is counted."""

import logging
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from its import answers
from its.answers import Comparison, Sample, Unread, Watched, cluster, compare, parse, read
from its.answers.algebra.judge import agree, proportion
from its.answers.algebra.measure import measure
from its.answers.algebra.workers import Workers
from its.answers.equality import compare as comparing
from its.answers.faults import FAULTS
from its.methods import Call, Reply
from its.methods.votes import vote
from tests.conftest import longer

BEYOND = [
    r"\prod_{k=1}^{1000} k^{k}",
    r"\prod_{k=1}^{999}\cosh(k^{9})",
    r"\cosh(3000000)",
    r"\sinh(10^{9})",
    r"\exp(10^{20})",
    r"\exp(-10^{20})",
    r"\exp(\exp(100))",
    r"\cosh(10^{30})",
    r"\sum_{k=1}^{999} \exp(k^{8})",
    r"\lfloor \cosh(3000000)\rfloor",
    r"\frac{1}{0}",
    r"\ln(0)",
    r"\infty",
    r"\begin{pmatrix}\end{pmatrix}",
    r"\begin{pmatrix}&\\&\end{pmatrix}",
    r"\begin{pmatrix}1&2\\3\end{pmatrix}",
    "9" * 5000,
    "9" * 5000 + ".5",
    "0." + "0" * 5000 + "1",
    "1" + ",000" * 2000,
    "1:" + "9" * 5000,
    "1e999999999",
    "1e-999999999",
    "{" * 3000 + "}" * 3000,
    "[" * 2000 + "1" + "]" * 2000,
    "-" * 5000 + "1",
    "1/" * 3000 + "1",
    r"\frac" * 2000,
    "x" + "^2" * 100,
    "\ud800",
    "\u0661\u0662\u0663",
    "\u00bd" * 3,
]
"""Values with more digits than `decimal` or `int` can write, matrices without cells, depths."""

OTHERS = ["7", "1/3", r"\sqrt{2}x", r"\cosh(3000001)", "(1,2)", "x=3", "[1,2)",
          r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"]  # fmt: skip


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as found:
        yield found


@pytest.mark.parametrize("text", BEYOND, ids=lambda text: ascii(text[:24]))
def test_what_is_beyond_any_number_is_read_and_compared_without_an_error(
    workers: Workers, text: str
) -> None:
    before = dict(FAULTS.counts)
    answer = read({"content": rf"\boxed{{{text}}}"}) or parse(text)
    assert answer is not None
    for other in map(parse, OTHERS):
        assert other is not None
        forth = compare(answer, other, workers.judge())
        assert forth is compare(other, answer, workers.judge())
        assert forth is not Comparison.EQUAL
    assert compare(answer, answer, workers.judge()) is Comparison.EQUAL
    assert before == FAULTS.counts, "nothing raised, and so nothing had to be caught"


@pytest.mark.parametrize("text", [r"\cosh(3000000)", r"e^{-300000}"])
def test_a_value_too_large_or_too_small_to_write_down_is_exhausted(text: str) -> None:
    assert measure(text) is Unread.EXHAUSTED


ERRORS = [ValueError, RecursionError, MemoryError, OverflowError, ArithmeticError, AssertionError]


@pytest.mark.parametrize("error", ERRORS)
def test_what_reading_raises_abstains_and_is_told_once_without_the_text(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(text: str) -> str:
        raise error("SECRET " + text)

    class Once(error):  # type: ignore[misc, valid-type]
        """A class that no other test has met."""

    monkeypatch.setattr("its.answers.reading.read.boxed", broken)
    monkeypatch.setattr("its.answers.reading.read.tidy", broken)
    caplog.set_level(logging.WARNING)
    before = FAULTS.counts.get(("read", error.__name__), 0)
    assert read({"content": r"\boxed{SECRET}"}) is None
    assert parse("SECRET") is None
    assert answers.read_or_parse("SECRET") is None
    assert FAULTS.counts["read", error.__name__] >= before + 2
    assert len([r for r in caplog.records if error.__name__ in r.getMessage()]) <= 1
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("error", ERRORS)
def test_what_comparing_raises_is_undecided(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise error("SECRET")

    monkeypatch.setattr(comparing, "readings", broken)
    one, two, three = parse("x+1"), parse("1+x"), parse("x + 1")
    assert one is not None
    assert two is not None
    judge = Watched(measure)
    assert compare(one, two, judge) is Comparison.UNDECIDED
    assert judge.undecided, "it is reported"
    assert cluster([one, two, three, None], judge) == [[0, 2], [1]]
    cast = [
        Reply(Call(name, name), answer=answer)
        for name, answer in zip("abc", (one, two, three), strict=True)
    ]
    assert vote(cast, judge, 3).winner is cast[0]


PIECES = st.sampled_from(
    [
        *r"xyzn0123456789+-*/^_=<>(){}[]|!,.;:%& ",
        *(r"\frac", r"\sqrt", r"\sin", r"\cosh", r"\exp", r"\ln", r"\log_", r"\left", r"\right"),
        *(
            r"\sum_{k=1}^{99}",
            r"\prod_{k=1}^{99}",
            "k^{k}",
            r"\int",
            r"\binom",
            r"\bmod",
            "10^{99}",
        ),
        *(r"\begin{pmatrix}", r"\end{pmatrix}", r"\\", r"\infty", r"\text{and}", r"\pm", r"\cup"),
        *("9" * 400, "9" * 5000, ",000" * 1500, "{" * 400, "}" * 400, "1e9999999", r"\boxed{"),
        *("\u221a", "\u00bd", "\u0663", "\ud800", "\x00", "</think>", "####", "answer is "),
    ]
)
TEXT = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80)
NUMBERS = st.sampled_from(["0", "1", "-1", "1E+999999", "1E-999999", "Infinity", "-Infinity", "NaN",
                           "1E+999999999999", "3.14"]).map(Decimal)  # fmt: skip
SAMPLES = st.builds(
    Sample,
    st.lists(st.none() | st.tuples(NUMBERS, NUMBERS), max_size=8).map(tuple),
    st.booleans(),
    st.sampled_from([(1, 1), (0, 0), (2, 2)]),
)
HOSTILE = settings(
    max_examples=longer(200, 3000),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@given(st.lists(TEXT, min_size=2, max_size=4), st.lists(SAMPLES | st.sampled_from(Unread)))
@pytest.mark.long
@HOSTILE
def test_no_text_and_no_value_raises(texts: list[str], values: list[Sample | Unread]) -> None:
    def judge(text: str) -> Sample | Unread:
        return values[len(text) % len(values)] if values else Unread.EXHAUSTED

    found = [read({"content": text}, thinking=len(text) % 2 == 0) for text in texts]
    found += [parse(text) for text in texts]
    groups = cluster(found, judge)
    assert sorted(i for group in groups for i in group) == [
        i for i, answer in enumerate(found) if answer is not None
    ]
    for first in found:
        for second in found:
            if first and second:
                assert isinstance(compare(first, second, judge), Comparison)


@given(TEXT, TEXT)
@pytest.mark.long
@HOSTILE
def test_no_text_raises_with_real_graders(workers: Workers, one: str, two: str) -> None:
    cluster(
        [parse(one), parse(two), read({"content": one}), read({"content": two})], workers.judge()
    )


def test_the_comparing_ends_when_the_time_is_over() -> None:
    asked: list[str] = []

    def judge(text: str) -> Sample | Unread:
        asked.append(text)
        return measure(text)

    given_ = [parse(text) for text in ("x+1", "1+x", "x + 1", "y")]
    watched = Watched(judge, over=lambda: True)
    assert cluster(given_, watched) == [[0, 2], [1], [3]]
    assert asked == []
    assert watched.undecided == {"1+x", "x+1"}


def test_values_without_end_are_compared() -> None:
    huge = Sample(((Decimal("1E+999999"), Decimal(0)),) * 8, constant=True)
    none = Sample((), constant=True, size=(0, 0))
    assert agree(huge, huge) is True
    assert agree(none, none) is None
    assert proportion(none, none) is None
