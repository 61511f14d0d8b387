"""What is called equal, and what is not: one generator of pairs for each convention.

docs/answers.md has the same list in words. Numbers, names and units are drawn anew each time.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from its.answers import Comparison, compare, read, read_or_parse
from its.answers.algebra.measure import measure
from tests.conftest import longer

pytestmark = pytest.mark.long
EXAMPLES = longer(40, 400)
Pairs: TypeAlias = st.SearchStrategy[tuple[str, str]]


judge = lru_cache(maxsize=None)(measure)


SMALL = st.integers(2, 99)
BASES = st.sampled_from([2, 3, 5, 6, 7, 10, 12])
LONG = st.integers(150, 2500)
NAMES = st.sampled_from(["Ada", "Bruno", "Chen", "Dewi", "Ewa", "Farid", "Gita", "Hugo", "Ines"])
LETTERS = st.sampled_from(list("abckmnpqrtuvwxyz"))


def two(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=2, max_size=2, unique=True)


# Constants, however long -----------------------------------------------------------------------
POWERS: tuple[Pairs, Pairs] = (
    st.tuples(BASES, LONG).map(
        lambda n: (rf"{n[0]}^{{{n[1]}}}", rf"{n[0]}\cdot {n[0]}^{{{n[1] - 1}}}")
    )
    | st.tuples(BASES, LONG).map(
        lambda n: (rf"\frac{{1}}{{{n[0]}^{{{n[1]}}}}}", f"{n[0]}^{{-{n[1]}}}")
    )
    | st.tuples(BASES, LONG, SMALL).map(
        lambda n: (rf"{n[0]}^{{{n[1]}}}-{n[2]}", rf"-{n[2]}+{n[0]}^{{{n[1]}}}")
    ),
    st.tuples(BASES, LONG, SMALL).map(
        lambda n: (rf"{n[0]}^{{{n[1]}}}-{n[2]}", rf"{n[0]}^{{{n[1]}}}+{n[2]}")
    )
    | st.tuples(BASES, LONG).map(lambda n: (f"{n[0]}^{{-{n[1]}}}", "0"))
    | st.tuples(BASES, LONG).map(lambda n: (rf"{n[0]}^{{{n[1]}}}+\sqrt{{2}}", f"{n[0]}^{{{n[1]}}}"))
    | st.integers(30, 900).map(lambda n: (f"{n}!+1", f"{n}!")),
)
PARITY: tuple[Pairs, Pairs] = (
    st.tuples(LETTERS, SMALL).map(lambda n: (f"(-1)^{{{n[0]}+{2 * n[1]}}}", f"(-1)^{n[0]}"))
    | LETTERS.map(lambda n: (rf"\cos({n}\pi)", f"(-1)^{n}")),
    LETTERS.map(lambda n: (f"(-1)^{n}", "1"))
    | LETTERS.map(lambda n: (f"(-1)^{n}", "-1"))
    | two(LETTERS).map(lambda n: (f"(-1)^{{{n[0]}+{n[1]}}}", "1"))
    | st.tuples(LETTERS, SMALL).map(lambda n: (f"(-{n[1]})^{n[0]}", f"{n[1]}^{n[0]}")),
)


# Decimals --------------------------------------------------------------------------------------
def _rounded(above: int, below: int, places: int) -> str:
    scaled = Fraction(above, below) * 10**places
    whole = int(scaled + Fraction(1, 2))
    return f"{whole // 10**places}.{whole % 10**places:0{places}d}"


THIRDS = st.tuples(
    st.integers(100, 2000), st.sampled_from([3, 7, 9, 11, 13, 17, 19]), st.integers(4, 9)
)
DECIMALS: tuple[Pairs, Pairs] = (
    THIRDS.map(lambda n: (f"{n[0]}/{n[1]}", _rounded(*n)))
    | st.tuples(st.integers(1, 9999), st.integers(0, 5)).map(
        lambda n: (f"{n[0]}/{10 ** n[1]}", f"{n[0]}e-{n[1]}")
    ),
    THIRDS.filter(lambda n: n[0] % n[1]).map(
        lambda n: (
            f"{n[0]}/{n[1]}",
            _rounded(n[0] * 10 ** n[2] + 3 * n[1], n[1] * 10 ** n[2], n[2]),
        )
    )
    | st.integers(1, 8).map(lambda n: (f"0.000{n}", f"0.000{n}9"))
    | st.integers(2, 9).map(lambda n: (f"10^{{-{n}}}", f"10^{{-{n + 1}}}")),
)
REPEATING: tuple[Pairs, Pairs] = (
    st.tuples(st.integers(0, 50), st.integers(1, 8)).flatmap(
        lambda n: st.sampled_from(
            [
                rf"{n[0]}.\overline{{{n[1]}}}",
                f"{n[0]}.({n[1]})",
                rf"{n[0]}.\bar{{{n[1]}}}",
                f"{n[0]}.{n[1]}{n[1]}{n[1]}...",
                rf"{n[0]}.\dot{{{n[1]}}}",
            ]
        ).map(lambda text: (text, f"{9 * n[0] + n[1]}/9"))
    ),
    st.tuples(st.integers(0, 50), st.integers(1, 7)).map(
        lambda n: (f"{n[0]}.({n[1]})", f"{9 * n[0] + n[1] + 1}/9")
    ),
)
PERCENT: tuple[Pairs, Pairs] = (
    SMALL.flatmap(
        lambda n: st.sampled_from(
            [(f"{n}%", f"{n}"), (f"{n}%", f"{n}/100"), (f"{n} percent", rf"{n}\%")]
        )
    ),
    SMALL.flatmap(
        lambda n: st.sampled_from(
            [(f"{n}%", f"{n + 1}"), (f"{n}%", f"{n}000"), (f"{n}%", f"{n} dollars")]
        )
    ),
)

# Units, money, words ---------------------------------------------------------------------------
CONVERSIONS = [
    ("km", "m", 1000),
    ("m", "cm", 100),
    ("kg", "g", 1000),
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("feet", "inches", 12),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("liters", "ml", 1000),
    ("dollars", "cents", 100),
]
KINDS_OF_UNITS = [
    ["cm", "m", "km", "feet"],
    ["g", "kg", "pounds"],
    ["s", "minutes", "hours"],
    ["dollars"],
    ["euros"],
    ["km/h"],
    ["m/s^2"],
    ["m^2"],
]
COUNTED = st.sampled_from(["apples", "students", "marbles", "books", "tickets", "cookies", "cats"])
UNITS: tuple[Pairs, Pairs] = (
    st.tuples(SMALL, st.sampled_from(CONVERSIONS)).map(
        lambda n: (f"{n[0]} {n[1][0]}", f"{n[0] * n[1][2]} {n[1][1]}")
    )
    | st.tuples(SMALL, st.sampled_from([unit for kind in KINDS_OF_UNITS for unit in kind])).map(
        lambda n: (f"{n[0]} {n[1]}", f"{n[0]}")
    )
    | st.tuples(SMALL, COUNTED).map(lambda n: (f"{n[0]} {n[1]}", f"{n[0]}"))
    | SMALL.map(lambda n: (f"{5 * n} m/s", f"{18 * n} km/h")),
    st.tuples(SMALL, two(st.sampled_from([kind[0] for kind in KINDS_OF_UNITS]))).map(
        lambda n: (f"{n[0]} {n[1][0]}", f"{n[0]} {n[1][1]}")
    )
    | st.tuples(SMALL, st.sampled_from(CONVERSIONS)).map(
        lambda n: (f"{n[0]} {n[1][0]}", f"{n[0]} {n[1][1]}")
    )
    | st.tuples(SMALL, two(COUNTED)).map(lambda n: (f"{n[0]} {n[1][0]}", f"{n[0]} {n[1][1]}"))
    | SMALL.map(lambda n: (f"{n}°C", f"{n}°F"))
    | SMALL.map(lambda n: (rf"{n}^\circ", f"{n} radians")),
)
VARIABLES: tuple[Pairs, Pairs] = (
    st.tuples(SMALL, two(LETTERS)).map(
        lambda n: (f"{n[0]}{n[1][0]} {n[1][1]}", f"{n[1][1]}*{n[0]}*{n[1][0]}")
    ),
    st.sampled_from(["h", "m", "s", "g"]).flatmap(
        lambda unit: st.tuples(SMALL, LETTERS.filter(lambda x: x != unit)).map(
            lambda n: (rf"{n[0]}\pi {n[1]}^2 {unit}", rf"{n[0]}\pi {n[1]}^2")
        )
    ),
)
MONEY: tuple[Pairs, Pairs] = (
    SMALL.flatmap(
        lambda n: st.sampled_from(
            [
                (f"${n}", f"{n} dollars"),
                (rf"\${n}", f"{n}"),
                (f"€{n}", f"{n} euros"),
                (f"{n}00 cents", f"${n}"),
            ]
        )
    ),
    SMALL.flatmap(
        lambda n: st.sampled_from(
            [
                (f"${n}", f"€{n}"),
                (f"{n} dollars", f"{n} euros"),
                (f"£{n}", f"¥{n}"),
                (f"${n}", f"{n} million dollars"),
            ]
        )
    ),
)
ONES = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = [("thousand", 3), ("million", 6), ("billion", 9)]


def _in_words(n: int) -> str:
    return TENS[n // 10 - 2] + (f"-{ONES[n % 10]}" if n % 10 else "")


WORDS: tuple[Pairs, Pairs] = (
    st.integers(20, 99).map(lambda n: (_in_words(n), str(n)))
    | st.tuples(st.integers(1, 9), st.integers(20, 99)).map(
        lambda n: (f"{ONES[n[0]]} hundred and {_in_words(n[1])}", str(100 * n[0] + n[1]))
    )
    | st.tuples(st.integers(1, 999), st.sampled_from(SCALES)).map(
        lambda n: (f"{n[0]} {n[1][0]}", str(n[0] * 10 ** n[1][1]))
    )
    | SMALL.map(lambda n: (f"{n} dozen", str(12 * n))),
    st.integers(20, 98).map(lambda n: (_in_words(n), str(n + 1)))
    | st.tuples(st.integers(1, 999), st.sampled_from(SCALES)).map(
        lambda n: (f"{n[0]} {n[1][0]}", str(n[0]))
    )
    | SMALL.map(lambda n: (f"{n} dozen", str(n)))
    | st.tuples(SMALL, SMALL).map(lambda n: (f"{n[0]} plus {n[1]}", str(n[0]))),
)

# Names, labels, order --------------------------------------------------------------------------
LABELS: tuple[Pairs, Pairs] = (
    NAMES.flatmap(
        lambda n: st.sampled_from(
            [(n, n.lower()), (n, f"{n}."), (n, rf"\text{{{n}}}"), (f"{n} and Zoe", f"Zoe, {n}")]
        )
    ),
    two(NAMES).flatmap(
        lambda n: st.sampled_from(
            [(n[0], n[1]), (f"{n[0]} and {n[1]}", n[0]), (n[0], "no"), (n[0], "7")]
        )
    ),
)
CHOICES: tuple[Pairs, Pairs] = (
    st.tuples(st.sampled_from("ABCDE"), SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (n[0], f"({n[0]})"),
                (n[0], f"{n[0]}) {n[1]}"),
                (n[0], f"Option {n[0]}"),
                (n[0], f"{n[0]}: some text"),
                (n[0], n[0].lower()),
            ]
        )
    ),
    st.tuples(two(st.sampled_from("ABCDE")), SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (n[0][0], n[0][1]),
                (n[0][0], f"{n[0][1]}) {n[1]}"),
                (f"({n[0][0]}) {n[1]}", f"({n[0][1]}) {n[1]}"),
            ]
        )
    ),
)
LABELLED: tuple[Pairs, Pairs] = (
    two(SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"A: {n[0]}, B: {n[1]}", f"B: {n[1]}, A: {n[0]}"),
                (f"(a) {n[0]}, (b) {n[1]}", f"(b) {n[1]}, (a) {n[0]}"),
                (f"f(1)={n[0]}, f(2)={n[1]}", f"f(2)={n[1]}, f(1)={n[0]}"),
            ]
        )
    ),
    two(SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"A: {n[0]}, B: {n[1]}", f"A: {n[1]}, B: {n[0]}"),
                (f"(a) {n[0]}, (b) {n[1]}", f"(a) {n[0]}, (b) {n[0] + n[1]}"),
                (f"f(1)={n[0]}, f(2)={n[1]}", f"f(1)={n[1]}, f(2)={n[0]}"),
                (f"f({n[0]})=3", f"f({n[1]})=3"),
            ]
        )
    ),
)
ORDER: tuple[Pairs, Pairs] = (
    two(SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"{n[0]}, {n[1]}", f"{n[1]} and {n[0]}"),
                (rf"\{{{n[0]}, {n[1]}\}}", rf"\{{{n[1]}, {n[0]}\}}"),
                (f"x={n[0]} or x={n[1]}", f"{n[1]}, {n[0]}"),
                (f"x={n[0]}, y={n[1]}", f"({n[0]}, {n[1]})"),
            ]
        )
    ),
    two(SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"({n[0]}, {n[1]})", f"({n[1]}, {n[0]})"),
                (f"{n[0]}, {n[1]}", f"{n[0]}"),
                (f"x={n[0]}, y={n[1]}", f"x={n[1]}, y={n[0]}"),
                (rf"\{{{n[0]}, {n[1]}\}}", rf"\{{{n[0]}, {n[0] + n[1]}\}}"),
            ]
        )
    ),
)

# Other shapes ----------------------------------------------------------------------------------
NUMERALS: tuple[Pairs, Pairs] = (
    st.tuples(st.text("123", min_size=2, max_size=5), st.integers(4, 9)).flatmap(
        lambda n: st.sampled_from(
            [
                (f"{n[0]}_{n[1]}", f"{n[0]}_{{{n[1]}}}"),
                (f"({n[0]})_{n[1]}", f"{n[0]}_{n[1]}"),
                (f"{n[0]}_{n[1]}", n[0]),
            ]
        )
    ),
    st.tuples(st.text("123", min_size=2, max_size=5), two(st.integers(4, 9))).map(
        lambda n: (f"{n[0]}_{n[1][0]}", f"{n[0]}_{n[1][1]}")
    )
    | st.tuples(st.text("123", min_size=2, max_size=5), st.integers(4, 9)).map(
        lambda n: (f"{n[0]}_{n[1]}", str(int(n[0]) + 1))
    ),
)
INTERVALS: tuple[Pairs, Pairs] = (
    st.tuples(SMALL, SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"|x|<{n[0]}", f"(-{n[0]},{n[0]})"),
                (rf"x\ge {n[0]}", rf"[{n[0]},\infty)"),
                (rf"\mathbb{{R}}\setminus\{{{n[0]}\}}", rf"(-\infty,{n[0]})\cup({n[0]},\infty)"),
                (f"{n[0]}<x<{n[0] + n[1]}", f"({n[0]},{n[0] + n[1]})"),
            ]
        )
    ),
    st.tuples(SMALL, SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"|x|<{n[0]}", f"[-{n[0]},{n[0]}]"),
                (rf"x\ge {n[0]}", rf"({n[0]},\infty)"),
                (f"|x|<{n[0]}", f"|x|>{n[0]}"),
                (f"{n[0]}<x<{n[0] + n[1]}", f"({n[0]},{n[0] + n[1] + 1})"),
            ]
        )
    ),
)
HOURS = st.tuples(st.integers(1, 11), st.integers(0, 59))
TIMES: tuple[Pairs, Pairs] = (
    HOURS.flatmap(
        lambda n: st.sampled_from(
            [
                (f"{n[0]}:{n[1]:02d} PM", f"{n[0] + 12}:{n[1]:02d}"),
                (f"{n[0]}:{n[1]:02d}:00", f"{n[0]}:{n[1]:02d}"),
                (f"{n[0]}:{n[1]:02d} a.m.", f"{n[0]}:{n[1]:02d} AM"),
                (f"{n[0]}:{n[1]:02d} PM", f"{n[0]}:{n[1]:02d}"),
            ]
        )
    ),
    HOURS.flatmap(
        lambda n: st.sampled_from(
            [
                (f"{n[0]}:{n[1]:02d} PM", f"{n[0]}:{n[1]:02d} AM"),
                (f"{n[0]}:{n[1]:02d}", f"{n[0]}:{(n[1] + 7) % 60:02d}"),
                (f"{n[0]}:{n[1]:02d} AM", f"{n[0] + 12}:{n[1]:02d}"),
            ]
        )
    ),
)
REMAINDERS: tuple[Pairs, Pairs] = (
    st.tuples(st.integers(0, 6), st.integers(7, 30)).flatmap(
        lambda n: st.sampled_from(
            [
                (rf"{n[0]} \pmod{{{n[1]}}}", f"{n[0]}"),
                (rf"x\equiv {n[0]} \pmod{{{n[1]}}}", rf"{n[0]} \pmod {n[1]}"),
                (rf"{n[0] + n[1]} \pmod{{{n[1]}}}", rf"{n[0]} \pmod{{{n[1]}}}"),
            ]
        )
    ),
    st.tuples(st.integers(0, 5), st.integers(7, 30)).flatmap(
        lambda n: st.sampled_from(
            [
                (rf"{n[0]} \pmod{{{n[1]}}}", f"{n[0] + 1}"),
                (rf"{n[0]} \pmod{{{n[1]}}}", rf"{n[0]} \pmod{{{n[1] + 1}}}"),
                (rf"{n[0]} \pmod{{{n[1]}}}", rf"{n[0] + 1} \pmod{{{n[1]}}}"),
            ]
        )
    ),
)
RATIOS: tuple[Pairs, Pairs] = (
    st.tuples(SMALL, SMALL, SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"{n[0]} to {n[1]}", f"{n[0]}:{n[1]}"),
                (f"{n[0] * n[2]}:{n[1] * n[2]}", rf"\frac{{{n[0]}}}{{{n[1]}}}"),
                (f"{n[0]}:{n[1]}:{n[2]}", f"{3 * n[0]}:{3 * n[1]}:{3 * n[2]}"),
            ]
        )
    ),
    two(SMALL).flatmap(
        lambda n: st.sampled_from(
            [
                (f"{n[0]} to {n[1]}", f"{n[1]} to {n[0]}"),
                (f"{n[0]}:{n[1]}", f"{n[0]}:{n[1] + 1}"),
                (f"{n[0]}:{n[1]}:5", f"{n[0]}:{n[1]}:6"),
            ]
        )
    ),
)
PLAIN: tuple[Pairs, Pairs] = (
    st.tuples(SMALL, st.sampled_from(["sin", "cos", "ln", "exp"])).map(
        lambda n: (f"{n[0]}*{n[1]}(x)", rf"{n[0]}\{n[1]}(x)")
    )
    | SMALL.flatmap(
        lambda n: st.sampled_from(
            [
                (f"pi/{n}", rf"\frac{{\pi}}{{{n}}}"),
                (f"sqrt({n})", rf"\sqrt{{{n}}}"),
                (f"{n}*theta", rf"{n}\theta"),
                (rf"\nicefrac{{1}}{{{n}}}", f"1/{n}"),
                (rf"{{\color{{red}}{n}}}", f"{n}"),
                (f"x^{n}", f"x^{{{n}}}"),
                (f"cbrt({n})", rf"\sqrt[3]{{{n}}}"),
            ]
        )
    ),
    st.tuples(SMALL, two(st.sampled_from(["sin", "cos", "ln", "exp"]))).map(
        lambda n: (f"{n[0]}*{n[1][0]}(x)", rf"{n[0]}\{n[1][1]}(x)")
    )
    | SMALL.flatmap(
        lambda n: st.sampled_from(
            [
                (f"pi/{n}", rf"\frac{{\pi}}{{{n + 1}}}"),
                (f"sqrt({n})", rf"\sqrt{{{n + 1}}}"),
                (f"{n}*theta", rf"{n}\alpha"),
                (f"x^{n}", f"x^{{{n + 1}}}"),
                (f"cbrt({n})", rf"\sqrt{{{n}}}"),
            ]
        )
    ),
)

CONVENTIONS = {
    "powers": POWERS,
    "parity": PARITY,
    "decimals": DECIMALS,
    "repeating": REPEATING,
    "percent": PERCENT,
    "units": UNITS,
    "variables": VARIABLES,
    "money": MONEY,
    "words": WORDS,
    "labels": LABELS,
    "choices": CHOICES,
    "labelled": LABELLED,
    "order": ORDER,
    "numerals": NUMERALS,
    "intervals": INTERVALS,
    "times": TIMES,
    "remainders": REMAINDERS,
    "ratios": RATIOS,
    "plain text": PLAIN,
}


def verdict(a: str, b: str) -> Comparison:
    first, second = read_or_parse(a), read_or_parse(b)
    assert first is not None
    assert second is not None
    found = compare(first, second, judge)
    assert compare(second, first, judge) is found
    return found


@pytest.mark.parametrize("name", CONVENTIONS)
@given(data=st.data())
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_equal(name: str, data: st.DataObject) -> None:
    a, b = data.draw(CONVENTIONS[name][0])
    assert verdict(a, b) is Comparison.EQUAL, f"{a} should equal {b}"


@pytest.mark.parametrize("name", CONVENTIONS)
@given(data=st.data())
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_unequal(name: str, data: st.DataObject) -> None:
    a, b = data.draw(CONVENTIONS[name][1])
    assert verdict(a, b) is not Comparison.EQUAL, f"{a} should not equal {b}"


# Reading ---------------------------------------------------------------------------------------
VALUES = st.one_of(
    st.integers(-9999, 9999).map(str),
    st.tuples(SMALL, SMALL).map(lambda n: f"{n[0]}/{n[1]}"),
    st.tuples(SMALL, SMALL).map(lambda n: f"{n[0]}.{n[1]}"),
    st.tuples(SMALL, SMALL).map(lambda n: rf"\frac{{{n[0]}}}{{{n[1]}}}"),
    SMALL.map(lambda n: f"{n}%"),
    SMALL.map(lambda n: f"{n} apples"),
)
STATED = (
    *("{}", "{}.", "**{}**", "`{}`", "It's {}.", "We get {}.", "The answer is {}.", "Answer: {}"),
    *("**Answer**: {}", "**Final Answer**: {}", "- **Answer**: {}", "Ans: {}", "Result: {}"),
    *("**The answer is**: {}", "<answer>{}</answer>", "答案：{}", "Antwort: {}", "Réponse : {}"),
    *("Respuesta: {}", "Ответ: {}", "정답: {}", "答え：{}", "\\boxed{{{}}}", "### Answer\n{}"),
    *("<think>\\boxed{{1}}</think>\n{}", "[THINK]1[/THINK]**Answer:** {}", "#### {}"),
    *(
        "◁think▷1◁/think▷The answer is {}.",
        "First \\boxed{{77777}}, but it should be \\boxed{{{}}}.",
    ),
    "<|channel|>analysis<|message|>1<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
)


@given(value=VALUES, stated=st.sampled_from(STATED))
@settings(deadline=None, max_examples=4 * EXAMPLES)
def test_stated_answers_are_read(value: str, stated: str) -> None:
    found, wanted = read({"content": stated.format(value)}), read_or_parse(value)
    assert found is not None
    assert wanted is not None
    assert compare(found, wanted, judge) is Comparison.EQUAL


CHAT = (
    "Hello! How can I help you with your {} questions today?",
    "Hi! I have {} tips:\n\n1. Sleep 8 hours.",
    "Here are some ideas:\n\n1. Walk {} minutes.\n2. Drink water.\n3. Sleep.",
    "```sql\nSELECT * FROM t WHERE id = {} LIMIT 10;\n```",
    "```python\nfor i in range({}):\n    print(i)\n```",
    "I have {} dogs. They are 4 years old and like to play.",
    "Dear team,\n\nplease find attached the {} reports you asked for.\n\nBest regards,\nAnna",
    "In 19{} people wrote letters, and I miss those days a lot.",
    "You should drink **water** about {} times every day, I think.",
)


@given(number=st.integers(2, 99), text=st.sampled_from(CHAT))
@settings(deadline=None, max_examples=EXAMPLES)
def test_chat_and_code_state_no_answer(number: int, text: str) -> None:
    assert read({"content": text.format(number)}) is None
