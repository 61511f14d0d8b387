"""One spelling for what is written in many: spaces, delimiters, sizes, fonts, Unicode, units.

Everything here is string work in time linear in the text; nothing is parsed.
"""

import re
import unicodedata

from .braces import closing_brace, mended
from .plain import as_latex, unescaped, with_i, without_tags

LONGEST = 1_000
"""Characters of an answer that are looked into; a longer one equals only itself."""

_UNICODE = str.maketrans(
    {
        **dict.fromkeys("−–—‒﹣－", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u200a\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u2060\ufeff\u00ad\u200e\u200f", ""),
        **dict.fromkeys("\u2044\u2215", "/"),
        **dict.fromkeys("’‘`´", "'"),
        **dict.fromkeys("“”", '"'),
        **{"×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": r"\div ", "∗": "*"},
        **{"π": r"\pi ", "∞": r"\infty ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta "},
        **{"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm "},
        **{"°": r"^\circ ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset "},
        **{"∶": ":", "、": ",", "。": "."},
        **{"∠": r"\angle ", "∖": r"\setminus ", "ℝ": r"\mathbb{R}"},
        **{
            "∧": r" \land ",
            "∨": r" \lor ",
            "√": r"\sqrt ",
            "∓": r"\mp ",
            "Ω": " ohm",
            "¢": " cents",
        },
        **{"φ": r"\phi ", "λ": r"\lambda ", "μ": r"\mu ", "ω": r"\omega ", "σ": r"\sigma "},
        **{"γ": r"\gamma ", "δ": r"\delta ", "ρ": r"\rho ", "ε": r"\epsilon "},
    }
)
_UNICODE.update({ord(low): f"_{digit}" for digit, low in enumerate("₀₁₂₃₄₅₆₇₈₉")})
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_FULL_WIDTH = re.compile("[！-～]+")
_ROOT = re.compile(r"([√∛∜])\s*(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))")
_DEGREE = {"√": "", "∛": "[3]", "∜": "[4]"}
_MICRO_TEXT = re.compile(r"\\mu\s*\\(?:text|mathrm|rm)\s*\{\s*([mslLg])(?=\s*\})")
_MICRO = re.compile(r"(?<=\d)\s*[\u00b5\u03bc](?=[mslLg]\b)")
_VULGAR = re.compile("[¼-¾⅐-⅞]")

_WRAPPERS = (
    *(("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`")),
    *(('"', '"'), ("'", "'")),
)
_BOX = re.compile(r"\\+(?:boxed|fbox)\s*\{")
_SIZES = re.compile(
    r"\\(?:left|right|[bB]ig{1,2}[lr]?|displaystyle|textstyle|limits|nolimits|rm|bf|it)(?![A-Za-z])"
    r"|\\(?:hphantom|phantom|label|tag)\s*\{[^{}]*\}"
)
_SPACES = re.compile(r"\\[,;:>]\s*|\\q?quad(?![A-Za-z])|(?<!\\)\\ |~|\\hspace\s*\{[^{}]*\}|\s+")
_NEGATIVE_SPACE = re.compile(r"\\!\s*")
_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt)?|math(?:rm|bf|it|sf|tt|bb|cal|bf)|mbox|operatorname\*?|emph"
    r"|textnormal|boldsymbol|bm|underline|hbox)\s*\{([^{}]*)\}"
)
_CASES = re.compile(r"\\begin\{cases\}(.*?)\\end\{cases\}", re.DOTALL)
_REALS = re.compile(r"\\mathbb\s*(?:\{\s*R\s*\}|R)|\\R(?![A-Za-z])")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_FRAC = re.compile(r"\\frac(?![A-Za-z])")
_ARGUMENT = re.compile(r"\s*([0-9A-Za-z]|\\[a-z]+(?![A-Za-z]))")
_OPENED = re.compile(r"\s*\{")
_BARE_ROOT = re.compile(r"\\sqrt\s*([0-9A-Za-z]|\\[a-z]+(?![A-Za-z]))")
_SYNONYMS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:leqslant|leq|le)(?![A-Za-z])|<=|=<|⩽", r"\\le "),
        (r"\\(?:geqslant|geq|ge)(?![A-Za-z])|>=|=>|⩾", r"\\ge "),
        (r"\\(?:neq|ne)(?![A-Za-z])|!=|\\not\s*=", r"\\ne "),
        (r"\\(?:lt)(?![A-Za-z])", "<"),
        (r"\\(?:gt)(?![A-Za-z])", ">"),
        (r"\\(?:mid|vert|lvert|rvert|Vert|lVert|rVert)(?![A-Za-z])", "|"),
        (r"\\(?:lbrace)(?![A-Za-z])", r"\\{"),
        (r"\\(?:rbrace)(?![A-Za-z])", r"\\}"),
        (r"\\(?:lbrack)(?![A-Za-z])", "["),
        (r"\\(?:rbrack)(?![A-Za-z])", "]"),
        (r"\\(?:land|wedge)(?![A-Za-z])", r" and "),
        (r"\\(?:lor|vee)(?![A-Za-z])", r" or "),
        (r"\\(?:ldots|dots|cdots)(?![A-Za-z])|\.\.\.|…", r"\\ldots "),
        (r"\\(?:ast|star)(?![A-Za-z])", "*"),
        (r"\\(?:approx|simeq|sim)(?![A-Za-z])|~=", r"\\approx "),
        (r"\\(?:varnothing|emptyset)(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"\+\s*\\infty(?![A-Za-z])|\binfinity\b|(?<![a-z])\binf\b|\boo\b", r"\\infty "),
        (r"\^\s*\{?\s*\\circ(?![A-Za-z])\s*\}?|\\degree(?![A-Za-z])|\\textdegree", r"^\\circ "),
        (r"\\pi(?=[A-Za-z])", r"\\pi "),
        (r"\\langle(?![A-Za-z])", "("),
        (r"\\rangle(?![A-Za-z])", ")"),
        (r"^(?:the set of )?(?:all )?real(?: number)?s$", r"(-\\infty ,\\infty )"),
        (r"\\binom\s*(\d)\s*(\d)", r"\\binom{\1}{\2}"),
        (
            r"\(-\\infty ,\\infty \)\s*-\s*(?=\\\{)",
            r"(-\\infty ,\\infty )\\setminus ",
        ),
        (
            r"^(?:all )?(?:the )?reals?(?: numbers?)?,?"
            r" (?:except|excluding|other than|but|apart from)(?: for)?(?: x =)? (\S+)$",
            r"(-\\infty ,\\infty )\\setminus \\{\1\\}",
        ),
        (r"\{\s*([^{}]+?)\s*\\choose\s*([^{}]+?)\s*\}", r"\\binom{\1}{\2}"),
    )
)
_PERCENT = re.compile(r"\\%|%|(?<=[\d})\s.])\s*(?:per ?cent(?:age)?|pct)\b\.?", re.IGNORECASE)
_MONEY = (
    ("dollar", re.compile(r"\\\$|\$|\bUSD(?=\s*[\d.])|(?<=\d)\s*USD\b")),
    ("euro", re.compile(r"€|\bEUR(?=\s*[\d.])|(?<=\d)\s*EUR\b")),
    ("pound", re.compile(r"£|\\pounds(?![A-Za-z])|\bGBP(?=\s*[\d.])|(?<=\d)\s*GBP\b")),
    ("yen", re.compile(r"¥|\bJPY(?=\s*[\d.])|(?<=\d)\s*JPY\b")),
    ("rupee", re.compile(r"₹|\b(?:INR|Rs\.?)(?=\s*[\d.])|(?<=\d)\s*INR\b")),
)
_AMOUNT = re.compile(r"[+-]?\s*[\d.,]*\d[\d.,]*(?:\s*(?:thousand|million|billion|trillion))?")
_HEDGE = re.compile(
    r"^(?:(?:the )?(?:final )?(?:answer|ans)\s*[:=]\s*"
    r"|exactly|about|approximately|approx\.?|roughly|around|nearly|almost|only|just)"
    r"(?:(?<=[:=])|(?<=\s)|\s+)(?=[-\d$\\])"
    r"|\s*\((?:exactly|approximately|approx\.?|exact|about|roughly|rounded)\)\s*$",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"(?<![\w'.])\d{1,3}(?:(?:_\d{3})+|(?:'\d{3})+)(?![\w'])")
_SUBSCRIPT = re.compile(r"_\s*(\\[a-z]+)(?![A-Za-z])")
_ENGLISH_COMMA = re.compile(r"\s*\{\s*,\s*\}\s*")


def tidy(raw: str) -> str:
    """Return `raw` in one spelling of what does not change an answer; single spaces are kept."""
    text = unescaped(raw).strip()
    if len(text) > LONGEST:
        return text
    text = _MICRO_TEXT.sub(r"\\text{ u\1", text)
    text = mended(unwrap(without_tags(_unicode(text)).rstrip("\\")))
    if r"\begin" not in text:
        text = re.sub(r"\\\\(?=[A-Za-z%$!,;])", r"\\", text)
    text = _NEGATIVE_SPACE.sub("", _SIZES.sub("", text))
    text = _ENGLISH_COMMA.sub(",", text)
    text = _CASES.sub(lambda m: re.sub(r"\\\\", ", ", m[1]).replace("&", ""), text)
    text = _SPACES.sub(" ", text)
    text = _fonts(_REALS.sub(r"(-\\infty ,\\infty )", text))
    text = _PERCENT.sub("%", _without_currency(_HEDGE.sub("", text)))
    for pattern, replacement in _SYNONYMS:
        text = pattern.sub(replacement, text)
    text = _THOUSANDS.sub(lambda m: re.sub("[_']", "", m[0]), text)
    text = _fractions(as_latex(_SUBSCRIPT.sub(r"_{\1}", text)))
    return unwrap(with_i(re.sub(r"\s+", " ", text)))


def _without_currency(text: str) -> str:
    """Return `text` without signs of money; of one amount, the currency is its unit."""
    for name, sign in _MONEY:
        bare, signs = sign.subn("", text)
        if signs:
            single = signs == 1 and _AMOUNT.fullmatch(bare.strip())
            text = f"{bare.strip()} {name}s" if single else bare
    return text


def unwrap(text: str) -> str:
    """Return `text` without math delimiters, a box, emphasis, quotes and a final stop around it."""
    while True:
        bare = text.strip().rstrip(".;,:!").strip() if not text.endswith("!") else text.strip()
        bare = _without_box(bare)
        for left, right in _WRAPPERS:
            longer = len(bare) > len(left) + len(right)
            inside = bare[len(left) : len(bare) - len(right)]
            if longer and bare.startswith(left) and bare.endswith(right) and left not in inside:
                bare = inside.strip()
        if bare == text:
            return text
        text = bare


def _without_box(text: str) -> str:
    opened = _BOX.match(text)
    if not opened:
        return text
    end = closing_brace(text, opened.end())
    if end is None:
        return text[opened.end() :]
    return text[opened.end() : end] if not text[end + 1 :].strip(" .$") else text


def _unicode(text: str) -> str:
    if text.isascii():
        return text
    text = _MICRO.sub(" u", unicodedata.normalize("NFC", text))
    text = _FULL_WIDTH.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _SUPERSCRIPTS.sub(lambda m: "^{" + m[0].translate(_SUPERSCRIPT) + "}", text)
    text = _ROOT.sub(lambda m: rf"\sqrt{_DEGREE[m[1]]}{{{m[2] or m[3]}}}", text)
    return text.translate(_UNICODE)


def _vulgar_fraction(match: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return rf"\frac{{{above}}}{{{below}}}"


def _fonts(text: str) -> str:
    """Take words out of their font commands; a space on each side keeps them apart."""
    for _ in range(4):
        replaced = _FONT.sub(_said, text)
        if replaced == text:
            break
        text = replaced
    return text


def _said(match: re.Match[str]) -> str:
    inside = match[1]
    return inside if len(inside.strip()) == 1 else f" {inside} "


def _fractions(text: str) -> str:
    text = _FRACTION.sub(r"\\frac", text)
    text = _BARE_ROOT.sub(r"\\sqrt{\1}", text)
    for start in [match.end() for match in _FRAC.finditer(text)][::-1]:
        above, end = _argument(text, start)
        below, end = _argument(text, end)
        if above and below:
            text = f"{text[:start]}{above}{below}{text[end:]}"
    return text


def _argument(text: str, start: int) -> tuple[str, int]:
    """Return a command's argument that begins at `start`, in braces, and where it ends."""
    if opened := _OPENED.match(text, start):
        end = closing_brace(text, opened.end())
        return ("", start) if end is None else ("{" + text[opened.end() : end + 1], end + 1)
    bare = _ARGUMENT.match(text, start)
    return ("{" + bare[1] + "}", bare.end()) if bare else ("", start)
