"""Whatever a model writes: nothing raises, verdicts are symmetric, and nothing takes long."""

import itertools
import json
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from its.answers import Comparison, Kind, cluster, compare, kind_of, read, read_or_parse
from its.answers.algebra.workers import VERDICT_SECONDS, Workers
from its.types import Answer
from tests.conftest import longer

LINES = Path(__file__).with_name("hostile.jsonl").read_text("utf-8").splitlines()
CORPUS: list[str] = [json.loads(line) for line in LINES]
PAIRS = longer(1000, 10_000)

KINDS = ("math", "choice", "json", "text", "label", "tool")
ATOMS = [
    *("1", "2", "0", "-3", "x", "y", "n", r"\pi", "e", "i", r"\frac{1}{2}", r"\frac", "{", "}"),
    *("(", ")", "[", "]", r"\{", r"\}", ",", ";", ":", "=", "<", ">", r"\le", "+", "-", "*", "/"),
    *("^", "^{2}", "_", "_{8}", r"\sqrt", r"\sqrt[3]{2}", r"\sum_{k=1}^{n}", r"\int_0^1", "!"),
    *(r"\sin", r"\cos", r"\log", "%", "$", r"\$", "€", "million", "dozen", "twenty", "and", "or"),
    *("cm", "m", "km/h", "°", r"\circ", "apples", "A", "B)", "Yes", "no", "Tokyo", r"\boxed{"),
    *(r"\boxed{5}", "The answer is", r"\text{", r"\mod", r"\pmod 7", r"\cup", r"\setminus", "|x|"),
    *(r"\infty", r"\begin{pmatrix}", r"\end{pmatrix}", "&", r"\\", r"\ldots", "0.333...", "0.(3)"),
    *("1,234", "1e5", "10^{100}", r"\binom{5}{2}", "f(1)", r"\times", "8:30 PM", "12:00", "to"),
    *("\n", "\n\n", "**", "```", '"', "\u200b", "½", "√2", "五", "答案", "</think>", "\x00", "９"),
    *("∞", "per", r"\overline{3}", r"\lfloor", r"\rfloor", "2^{2024}", "3/4", "0x1F", r"\pm"),
    *(r"\mathbb{R}", r"\in", r"\ne", r"\approx"),
]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1) as found:
        yield found


def seconds() -> float:
    """Return the CPU seconds of this process; the workers' own limit is tested beside them."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def test_the_corpus_is_ours_and_large() -> None:
    assert len(CORPUS) == len(set(CORPUS)) >= 365


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_can_be_read_as_any_kind(kind: str) -> None:
    options = (("A", "x"), ("B", "5")) if kind == "choice" else ()
    for text in CORPUS:
        for said in (text, f"The answer is {text}", rf"\boxed{{{text}}}", f"a\n\nThus {text}."):
            found = read({"content": said}, kind=Kind(kind, options), thinking=False)  # type: ignore[arg-type]
            assert found is None or found.text


def test_any_question_has_a_kind() -> None:
    for text in CORPUS:
        assert kind_of({"messages": [{"role": "user", "content": text}]}).name in KINDS
    for body in ({}, {"messages": None}, {"messages": [3]}, {"tools": 3}, {"response_format": "x"}):
        assert kind_of(body).name in KINDS


def verdict(a: Answer, b: Answer, workers: Workers) -> Comparison:
    before = seconds()
    there, back = compare(a, b, workers.judge()), compare(b, a, workers.judge())
    assert there is back
    assert seconds() - before < 2 * VERDICT_SECONDS
    return there


def test_hostile_answers_are_compared_with_each_other(workers: Workers) -> None:
    answers = [answer for text in CORPUS if (answer := read_or_parse(text)) is not None]
    plain = [read_or_parse(text) for text in ("1", "x", "1, 2", "(1,2)", "x=3", "Tokyo")]
    for answer, other in zip(answers, itertools.cycle(plain), strict=False):
        assert other is not None
        assert verdict(answer, answer, workers) is Comparison.EQUAL
        verdict(answer, other, workers)


@pytest.mark.long
def test_random_pairs(workers: Workers) -> None:
    draw = random.Random(34)
    texts: list[str] = []
    for _ in range(PAIRS):
        a = "".join(draw.choices(ATOMS, k=draw.randint(1, 9)))
        near = a.replace("1", "2") if draw.random() < 0.5 else "".join(draw.choices(ATOMS, k=5))
        b = draw.choice(texts) if texts and draw.random() < 0.2 else near
        texts.append(a)
        first, second = read_or_parse(a), read_or_parse(b)
        if first is not None and second is not None:
            verdict(first, second, workers)


def test_clusters_of_hostile_answers_do_not_depend_on_their_order() -> None:
    draw = random.Random(3)
    answers = [read_or_parse(text) for text in draw.sample(CORPUS, 60)]
    for _ in range(3):
        order = list(range(len(answers)))
        draw.shuffle(order)
        groups = cluster([answers[i] for i in order])
        found = {frozenset(order[i] for i in group) for group in groups}
        assert found == set(map(frozenset, cluster(answers)))
