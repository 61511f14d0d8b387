"""Which answers are equal: pairs of our own, by kind."""

from functools import lru_cache

import pytest

from its.answers import Comparison, compare, read_or_parse
from its.answers.measure import measure

judge = lru_cache(maxsize=None)(measure)

EQUAL = {
    "numbers": [
        ("042", "42"),
        ("1.0", "1"),
        ("12", "12.00"),
        (".5", "0.5"),
        ("-0", "0"),
        ("1{,}000", "1000"),
        ("1,234,567", "1234567"),
        ("1 234 567", "1234567"),
        ("10\u202f000", "10000"),
        ("3,14", "3.14"),
        ("0,125", "1/8"),
        ("\u22125", "-5"),
        (r"\frac{1}{2}", "0.5"),
        (r"\dfrac{1}{2}", r"\frac12"),
        (r"-\frac{1}{2}", r"\frac{-1}{2}"),
        (r"\frac{1}{-2}", "-1/2"),
        ("½", r"\frac{1}{2}"),
        ("1 1/2", "1.5"),
        (r"5\frac{1}{2}", r"\frac{11}{2}"),
        (r"2 \times 10^5", "200000"),
        (r"2\cdot10^{-3}", "0.002"),
        ("1.5e3", "1500"),
        (r"0.\overline{3}", "1/3"),
        (r"1.2\overline{45}", r"\frac{137}{110}"),
        (r"\frac{\sqrt{2}}{2}", "0.7071"),
        (r"\sqrt{17}", "4.123105625617661"),
        (r"\frac{1}{12}", "0.0833333"),
    ],
    "percent, money, units": [
        (r"28\%", "28 percent"),
        (r"28\%", "28"),
        (r"5\%", "0.05"),
        (r"\$10", "10"),
        ("$18", "18 dollars"),
        ("18", r"\$18.00"),
        ("10 weeks", "10"),
        ("10", r"10\text{ cm}^2"),
        ("10 cm^2", r"10\,\mathrm{cm}^2"),
        ("60 km/h", "60"),
        ("125 miles", r"125\textnormal{ miles}"),
        (r"90^\circ", "90"),
        ("45°", r"45^{\circ}"),
        ("45 degrees", r"45^\circ"),
        ("5 square units", "5"),
        ("6 Trinkets", "6"),
        (r"16\pi \text{ cm}^3", r"16\pi"),
        ("3 hours", "3 hrs"),
    ],
    "spelling": [
        (r"\left( \frac{1}{3} \right)", r"\frac{1}{3}"),
        (r"\tfrac83", r"\frac{8}{3}"),
        (r"\sqrt2", r"\sqrt{2}"),
        ("√2", r"\sqrt{2}"),
        ("2√3", r"2\sqrt{3}"),
        ("π/2", r"\frac{\pi}{2}"),
        ("x²+1", "x^2+1"),
        (r"\boxed{7}", "7"),
        (r"$\boxed{\frac{3}{4}}$", "3/4"),
        ("**12**", "12"),
        ("7.", "7"),
        (r"\text{Evelyn}", "evelyn"),
        ("The Moon", "moon"),
        (r"\text{odd}", "odd"),
        ("Yes", "yes."),
        ("True", r"\text{true}"),
        (r"\text{(C)}", "C"),
        ("(B)", "B"),
        ("B.", "B"),
        ("(A) 12", "A"),
        ("A, C", "AC"),
        (r"\mathbf{D}", "(D)"),
        ("no solution", r"\emptyset"),
        ("No solutions", r"\varnothing"),
        ("June 20", r"\text{June } 20"),
    ],
    "several": [
        ("1, 2, 3", "3,1,2"),
        ("-2,1", r"\{1,-2\}"),
        ("6 and 8", "6, 8"),
        (r"5 \text{ or } 6", "5,6"),
        ("19, 46, and 82", "19,46,82"),
        ("x = 1 or x = 2", "1, 2"),
        (r"x=2,\ x=-3", "-3, 2"),
        ("n = 1, 2, 3", "1,2,3"),
        (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"),
        (r"\{1\pm\sqrt{5},-2\}", r"-2, 1-\sqrt5, 1+\sqrt5"),
        (r"\pm 2021", "-2021, 2021"),
        ("(1,2)", "(1, 2)"),
        ("(1;2)", "(1,2)"),
        ("(x,y)=(3,2)", "(3,2)"),
        ("x=3, y=2", "(3,2)"),
        ("x=3,y=2", "y=2, x=3"),
        ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
        ("(2,1) and (1,2)", "(1,2),(2,1)"),
        (r"\boxed{1}, \boxed{2}", "1,2"),
        ("{2}", "2"),
        ("(2,100)", "(2, 100)"),
        ("100,200,300", "100, 200, 300"),
    ],
    "intervals": [
        ("[0,1)", r"\left[0, 1\right)"),
        (r"x \in [2,5)", "[2,5)"),
        (r"2 \le x < 5", "[2,5)"),
        (r"5 > x \ge 2", "[2,5)"),
        ("x > 3", r"(3,\infty)"),
        ("x>3", "3 < x"),
        (r"x \leq 2", r"(-\infty, 2]"),
        (r"(-\infty,-1]\cup[1,\infty)", r"x \le -1 \text{ or } x \ge 1"),
        (r"[1,\infty) \cup (-\infty,-1]", r"(-\infty,-1] \cup [1,+\infty)"),
        (r"x \ne 5", r"(-\infty,5)\cup(5,\infty)"),
        (r"\{x \mid x > 2\}", r"(2,\infty)"),
        ("]0,1[", "(0,1)"),
        ("0<f(x)<1", "(0,1)"),
        ("x < 1", "-x > -1"),
    ],
    "equations": [
        ("x = 3", "3"),
        ("f(x) = 2x+1", "2x+1"),
        ("y=2x+1", "2x+1"),
        (r"|AB|=\sqrt{5}", r"\sqrt{5}"),
        (r"\frac{NO}{BO}=\frac{1}{2}", r"\frac12"),
        ("S = 6 + 7 = 13", "13"),
        (r"x \approx 3.5", "3.5"),
        ("x^2+y^2=1", "y^2+x^2-1=0"),
        ("x+2y=3", "2x+4y=6"),
        ("2x+4y-3=0", r"y=-\frac{1}{2}x+\frac{3}{4}"),
        (r"\frac{x^2}{4}+\frac{y^2}{3}=1", r"3x^2+4y^2=12"),
        ("f(2) < f(1) < f(4)", "f(2)<f(1)<f(4)"),
        ("f(4) > f(1) > f(2)", "f(2)<f(1)<f(4)"),
    ],
    "ratios and times": [
        ("1:2", "2:4"),
        ("3 : 4 : 5", "6:8:10"),
        ("7:32", r"7 \colon 32"),
        ("1:2", r"\frac{1}{2}"),
        (r"V_1:V_2=11:21", "11:21"),
        ("12:30 PM", "12:30 p.m."),
        ("6 pm", "6:00 p.m."),
        ("9:05", "9:05"),
    ],
    "matrices": [
        (
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\begin{bmatrix}1&2\\3&4\end{bmatrix}",
        ),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "[[1,2],[3,4]]"),
        (r"\begin{pmatrix} 1 \\ 2 \\ 3 \end{pmatrix}", "(1,2,3)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\left[\begin{array}{c}1\\2\end{array}\right]"),
        (
            r"\begin{pmatrix} \frac12 & 0 \\ 0 & 1 \end{pmatrix}",
            r"\frac12\begin{pmatrix}1&0\\0&2\end{pmatrix}",
        ),
    ],
    "algebra": [
        ("(x+1)^2", "x^2+2x+1"),
        ("2x+3", "3+2x"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}"),
        (r"\sin(90°-x)", r"\cos x"),
        (r"\sin 30^\circ", r"\frac12"),
        (r"\cos^2 x", r"1-\sin^2 x"),
        (r"\ln 4", r"2\ln 2"),
        (r"\log_{10} 100", "2"),
        (r"\log_2 8", "3"),
        ("2^{10}", "1024"),
        ("2^10", "1024"),
        ("10!", "3628800"),
        (r"\binom{5}{2}", "10"),
        (r"{5 \choose 2}", "10"),
        ("6 - 5i", "-5i+6"),
        (r"e^{i\pi}", "-1"),
        ("|x-1|", "|1-x|"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\sqrt[3]{-8}", "-2"),
        (r"3\cdot 4", "12"),
        (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k"),
        (r"x^{-1}", r"\frac1x"),
        (r"\tan^2 y + 1", r"\sec^2 y"),
        (r"\frac{2}{3}x", r"\frac{2x}{3}"),
        ("sqrt(3)/2", r"\frac{\sqrt{3}}{2}"),
        ("x**2", "x^2"),
        ("2*x", "2x"),
    ],
}
DIFFERENT = {
    "numbers": [
        ("12", "21"),
        ("1.5", "15"),
        ("0.5", "5"),
        ("1000", "1"),
        (r"\frac{1}{2}", r"\frac{2}{1}"),
        (r"\frac{63}{400}", r"\frac{64}{400}"),
        ("0.33", "1/3"),
        ("3.14", r"\pi"),
        ("204_5", "203_5"),
        ("5", "-5"),
        ("4", r"4\sqrt{2}"),
        ("32349", "32, 349"),
    ],
    "units": [
        ("10 cm", "10 m"),
        ("5 cm", "5 cm^2"),
        ("10 units", "100"),
        ("4t", "4"),
        ("2xy", "2"),
        ("3 pm", "3 am"),
        (r"28\%", "29"),
    ],
    "words": [
        ("Evelyn", "Briana"),
        ("odd", "even"),
        ("A", "B"),
        ("(C)", "(D)"),
        ("true", "false"),
        ("A, C", "AB"),
    ],
    "several": [
        ("1, 2", "1"),
        (r"\pm 3", "3"),
        ("1, 2, 3", "1, 2, 4"),
        ("(1,2)", "(2,1)"),
        ("(3,1)", "{1,3}"),
        ("10, 4, 2", "4, 12, 2"),
        ("x=1, y=2", "x=2, y=1"),
    ],
    "intervals": [
        ("[0,1)", "[0,1]"),
        ("(0,9)", "[0,9)"),
        ("x > 5", "x < 5"),
        (r"x \ge 5", "x > 5"),
        ("[0,9)", "[0,1)"),
        ("1", "[0,1)"),
        ("x < 1", "x > -1"),
        (r"(-\infty,1)\cup(2,\infty)", r"(-\infty,1)"),
    ],
    "equations": [
        ("7 = 11a+c", "11a+c"),
        ("a + 3z = 0", "0"),
        ("2x + z = 1", "1"),
        ("5x - 7y + 11z + 4 = 0", "x + y - z + 2 = 0"),
        ("y = 2x", "y = 3x"),
        ("x+y=1", "x+y=2"),
        ("D = (0, 1)", "D = (0, 1.5)"),
    ],
    "algebra": [
        ("f(x)", "f(y)"),
        ("x+1", "x-1"),
        (r"\sqrt{x^2}", "x"),
        ("x^2", "x^3"),
        (r"1 - \frac{1}{e}", r"1 + \frac{1}{e}"),
        ("2^n", "n^2"),
        (r"\sin x", r"\cos x"),
        ("12:00", "1:00"),
        ("1:2", "2:1"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&5\end{pmatrix}"),
    ],
}


def verdict(a: str, b: str) -> Comparison:
    first, second = read_or_parse(a), read_or_parse(b)
    assert first is not None
    assert second is not None
    return compare(first, second, judge)


def rows(table: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [pair for pairs in table.values() for pair in pairs]


@pytest.mark.parametrize(("a", "b"), rows(EQUAL))
def test_equal(a: str, b: str) -> None:
    assert verdict(a, b) is Comparison.EQUAL
    assert verdict(b, a) is Comparison.EQUAL


@pytest.mark.parametrize(("a", "b"), rows(DIFFERENT))
def test_different(a: str, b: str) -> None:
    assert verdict(a, b) is Comparison.DIFFERENT
    assert verdict(b, a) is Comparison.DIFFERENT


@pytest.mark.parametrize("text", sorted({side for pair in rows(EQUAL) for side in pair}))
def test_reflexive(text: str) -> None:
    assert verdict(text, text) is Comparison.EQUAL
    assert verdict(f"  ${text}$. " if "$" not in text else text, text) is Comparison.EQUAL
