"""Mathematics in plain text, in broken LaTeX and in rare commands, as the usual LaTeX.

`pi/2`, `sin(x)`, `0.(3)`, `\\nicefrac{1}{2}`, `{\\color{blue}5}`, `C(10,3)`, `<sup>2</sup>`.
"""

import re
from collections.abc import Callable

from .braces import closing_brace

_FUNCTIONS = (
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec"),
    *("csc", "ln", "log", "exp", "max", "min", "gcd"),
)
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "phi", "psi", "rho"),
    *("sigma", "tau", "omega"),
)
_NAME = r"(?<![\\A-Za-z])"
_CALLED = re.compile(_NAME + rf"({'|'.join(_FUNCTIONS)})(?=\s*(?:\(|\^|_|\\))")
_APPLIED = re.compile(
    _NAME + rf"({'|'.join(_FUNCTIONS[:-3])})\s+(?=(?:\d*[a-z]|\d+|\\?pi|\\?theta)(?![A-Za-z]))"
)
_GREEK_NAME = re.compile(_NAME + rf"({'|'.join(_GREEK)})(?![A-Za-z])")
_PI = re.compile(_NAME + r"pi(?![A-Za-z])")
_LOG_OF_BASE = re.compile(r"\\?\blog(\d{1,2})(?=\s*\()")
_ANY_ROOT = re.compile(r"(?<![\\A-Za-z])(sqrt|cbrt)(?![A-Za-z])")
_SQRT_CALL = re.compile(r"\\sqrt(\[[^\[\]]*\])?\s*\(")
_INDEX_BARE = re.compile(r"\\sqrt\s*(\[[^\[\]{}]*\])\s*(\d+|[A-Za-z])")
_NOTHING = re.compile(
    r"\\(?:checkmark|square|blacksquare|qed|Box|hfill|null|relax|allowbreak|centering)(?![A-Za-z])"
    r"|</?(?:b|i|em|strong|u|span|p|code|tt|mark)>|<br\s*/?>"
)
_SUP = re.compile(r"<(su[pb])>([^<>]*)</\1>")
_COLOUR = re.compile(
    r"\{\s*\\color\s*(?:\[[^\[\]]*\])?\{[^{}]*\}\s*((?:[^{}]|\{[^{}]*\})*)\}"
    r"|\\(?:text)?color\s*(?:\[[^\[\]]*\])?\{[^{}]*\}\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\})?"
)
_NEVER_ALONE = re.compile(r"\\(?:nicefrac|sfrac|flatfrac|xfrac|fracc)(?![A-Za-z])")
_OF_ROOT = re.compile(r"\\root\s*\{?(\d+)\}?\s*\\of\s*(?:\{([^{}]*)\}|(\d+|[A-Za-z]))")
_BAR = re.compile(r"(\d*\.\d*)\\bar\s*\{?\s*(\d+)\s*\}?")
_DOTS = re.compile(r"(\d*\.\d*?)\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?(?!\d)")
_PERIOD = re.compile(r"(?<![\d.])(\d*\.\d*)\((\d+)\)")
_GOES_ON = re.compile(r"(?<![\d.,])(\d*)\.(\d{2,30})(?:\\ldots|\.{2,}|…)\s*(?![\d,A-Za-z\\+-])")
_CHOOSE = re.compile(
    r"(?<![\\A-Za-z\d])(?:(?:\{\})?(?:\^|_)\{?(\d+)\}?\s*C_\{?(\d+)\}?|C\((\d+),\s*(\d+)\))"
)
_PERMUTE = re.compile(
    r"(?<![\\A-Za-z\d])(?:(?:\{\})?(?:\^|_)\{?(\d+)\}?\s*P_\{?(\d+)\}?|P\((\d+),\s*(\d+)\))$"
)
_CHOOSE_BARE = re.compile(r"^(\d{1,3})C(\d{1,3})$")
_SHARE = re.compile(r"^(\d+) (?:in|out of) (?:every )?(\d+)$")
_PAIRED = {"abs": ("|", "|"), "floor": (r"\lfloor ", r"\rfloor "), "ceil": (r"\lceil ", r"\rceil ")}
_PAIRED_CALL = re.compile(_NAME + r"(abs|floor|ceil)(?:ing)?\s*\(")
_HALVES = re.compile(r"(?:^|(?<=[=+(-]))\s*(\d+)/(\d+)\s+(?=[a-z](?![A-Za-z]))")
_ENGINEER = re.compile(r"([+-]?\d*\.?\d*)\s*([+-])\s*(\d*\.?\d*)j")
_CONJUGATE = re.compile(r"\\overline\{([\d.+\- ]*)i([\d.+\- ]*)\}")
_SPOKEN = {
    **{"plus": "+", "minus": "-", "times": r"\cdot", "squared": "^2", "cubed": "^3"},
}
_DECIMAL_DOTS = re.compile(r"(\.\d{2,})(?:\.{3}|…)(?!\d)")
_ESCAPED = {"\x0c": r"\f", "\x08": r"\b", "\x0b": r"\v"}


def unescaped(text: str) -> str:
    r"""Return `text` with what JSON or Python made of `\frac` and `\boxed` put right.

    The dots of `0.333...` become a command here, before final stops are cut off.
    """
    text = _DECIMAL_DOTS.sub(r"\1\\ldots ", text)
    for char, written in _ESCAPED.items():
        if char in text:
            text = re.sub(f"{char}(?=[a-z])", written.replace("\\", "\\\\"), text)
    return text


def without_tags(text: str) -> str:
    """Return `text` without colours, tags of HTML and signs that say nothing."""
    if "<" in text:
        text = _SUP.sub(lambda m: f"{'^' if m[1] == 'sup' else '_'}{{{m[2]}}}", text)
    if "color" in text:
        text = _COLOUR.sub(lambda m: m[1] or m[2] or "", text)
    return _NOTHING.sub("", text)


def as_latex(text: str) -> str:
    """Return `text` with functions, Greek letters and repeating decimals as LaTeX writes them."""
    for sign, steps in _STEPS:
        if sign.search(text):
            for step in steps:
                text = step(text)
    return text


def _sub(
    pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str]
) -> Callable[[str], str]:
    return lambda text: pattern.sub(new, text)


def _rooted(text: str) -> str:
    r"""Return `text` with `sqrt(...)`, `\sqrt(...)` and `cbrt(...)` as `\sqrt{...}`."""
    text = _ANY_ROOT.sub(lambda m: r"\sqrt" + ("[3]" if m[1] == "cbrt" else ""), text)
    text = _INDEX_BARE.sub(r"\\sqrt\1{\2}", text)
    for _ in range(20):
        opened = _SQRT_CALL.search(text)
        close = opened and closing_brace(text, opened.end(), "()")
        if not opened or close is None:
            return text
        inside = text[opened.end() : close]
        text = f"{text[: opened.start()]}\\sqrt{opened[1] or ''}{{{inside}}}{text[close + 1 :]}"
    return text


def _between_bars(text: str) -> str:
    r"""Return `text` with `abs(...)`, `floor(...)` and `ceil(...)` between their signs."""
    for _ in range(20):
        opened = _PAIRED_CALL.search(text)
        close = opened and closing_brace(text, opened.end(), "()")
        if not opened or close is None:
            return text
        left, right = _PAIRED[opened[1]]
        inside = text[opened.end() : close]
        text = f"{text[: opened.start()]}{left}{inside}{right}{text[close + 1 :]}"
    return text


def _repeated(match: re.Match[str]) -> str:
    r"""Return `0.333...` as `0.\overline{3}`, if its decimals repeat; else as it stands."""
    whole, decimals = match[1], match[2]
    for length in range(1, len(decimals) // 2 + 1):
        for fixed in range(len(decimals) - 2 * length + 1):
            tail = decimals[fixed:]
            period = tail[:length]
            times = -(-len(tail) // length)
            enough = len(tail) >= (3 if length == 1 else 2 * length)
            if enough and (period * times).startswith(tail) and fixed <= length:
                return rf"{whole}.{decimals[:fixed]}\overline{{{period}}}"
    return f"{whole}.{decimals}"


def _arranged(match: re.Match[str]) -> str:
    n, k = int(match[1] or match[3]), int(match[2] or match[4])
    return rf"\frac{{{n}!}}{{{n - k}!}}" if k <= n < 1000 else match[0]


def _conjugated(match: re.Match[str]) -> str:
    times = r"\cdot " if match[1][-1:].isdigit() else ""
    return f"({match[1]}{times}(-i){match[2]})"


_STEPS: tuple[tuple[re.Pattern[str], tuple[Callable[[str], str], ...]], ...] = (
    (re.compile("sqrt|cbrt"), (_rooted,)),
    (re.compile("abs|floor|ceil"), (_between_bars,)),
    (
        re.compile(r"\\root|\\[a-z]*frac"),
        (
            _sub(_OF_ROOT, lambda m: rf"\sqrt[{m[1]}]{{{m[2] or m[3]}}}"),
            _sub(_NEVER_ALONE, r"\\frac"),
        ),
    ),
    (
        re.compile(r"\.\d*(?:\\bar|\\dot|\(\d|\d\d(?:\\ldots|\.\.|…))"),
        (
            _sub(_BAR, r"\1\\overline{\2}"),
            _sub(_DOTS, lambda m: rf"{m[1]}\overline{{{m[2]}{m[3] or ''}{m[4] or ''}}}"),
            _sub(_PERIOD, r"\1\\overline{\2}"),
            _sub(_GOES_ON, _repeated),
        ),
    ),
    (
        re.compile(r"\\lg|log|ln|sin|cos|tan|cot|sec|csc|exp|max|min|gcd"),
        (
            _sub(re.compile(r"\\lg(?![A-Za-z])\s*"), r"\\log_{10} "),
            _sub(_LOG_OF_BASE, r"\\log_{\1}"),
            _sub(_CALLED, r"\\\1 "),
            _sub(_APPLIED, r"\\\1 "),
        ),
    ),
    (re.compile("[a-z]{2}"), (_sub(_PI, r"\\pi "), _sub(_GREEK_NAME, r"\\\1 "))),
    (
        re.compile("[CP]"),
        (
            _sub(_CHOOSE, lambda m: rf"\binom{{{m[1] or m[3]}}}{{{m[2] or m[4]}}}"),
            _sub(_PERMUTE, _arranged),
            _sub(_CHOOSE_BARE, r"\\binom{\1}{\2}"),
        ),
    ),
    (re.compile("/"), (_sub(_HALVES, r"\\frac{\1}{\2} "),)),
    (
        re.compile(r"\d [a-z]{2}"),
        (
            _sub(_SHARE, r"\1/\2"),
            _sub(re.compile(r"(?<=\d) (?:divided by|over)(?= -?\d)"), "/"),
            _sub(re.compile(r"(?<=\d) (plus|minus|times)(?= -?\d)"), lambda m: _SPOKEN[m[1]]),
            _sub(re.compile(r"(?<=\d) factorial\b"), "!"),
            _sub(re.compile(r"(?<=\d) (squared|cubed)$"), lambda m: _SPOKEN[m[1]]),
        ),
    ),
    (re.compile(r"\\overline\{[^{}]*i"), (_sub(_CONJUGATE, _conjugated),)),
)


def with_i(text: str) -> str:
    """Return a complex number of engineers, `3+4j`, with i."""
    match = _ENGINEER.fullmatch(text)
    return f"{match[1]}{match[2]}{match[3]}i" if match else text
