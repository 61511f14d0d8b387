"""Sentences and the formulas in them: what the finders of answers share."""

import re

DISPLAY = re.compile(r"\\\[((?:(?!\\\[).)*?)\\\]|\$\$((?:(?!\$\$).)*)\$\$", re.DOTALL)
# A dollar opens a formula as Pandoc reads it: no space after it, none before the closing one, no
# digit behind that; "$5 and $7" are prices.
INLINE = re.compile(
    r"\\\(((?:(?!\\\().)+?)\\\)"
    r"|(?<![\\\d])\$(?=\S)((?:\\.|[^$\n\\])+?)(?<=\S)\$(?!\d)"
    r"|(?<![\\\d])\$\s((?:\\.|[^$\n\\])+?)\s\$(?!\d)"
)
BOLD = re.compile(r"\*\*([^*\n]+)\*\*|__([^_\n]+)__")
SENTENCE_END = re.compile(
    r"(?<=[.!?])(?:\$\$|\\\])?\s+(?=[A-Z*\[<]|\([A-Z])|(?<=[.!?][$)])\s+(?=[A-Z*\[])|(?<=[。！？])\s*"
)
_AFTERWORD = re.compile(
    r"(?<=[\w)}$*])(?:(?:,\s*|\s+)(?:since|because|as|not)\b.*"
    r"|,\s*(?:attained|achieved|reached|obtained)\b.*"
    r"|\s+\((?:(?:since|because|as|see)\b[^()]*|[A-Za-z]{3,}(?:[\s-][A-Za-z]+)*)\)[\s.]*)$"
)
RESTATED = re.compile(r"[^()]*\((?:i\.e\.|that is|or|=),?\s+([^()]+)\)[\s.]*")
CJK = "\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af"
BEFORE_CJK = re.compile(rf"([-+]?\d[\d.,/]*%?)\s*[{CJK}]+")
FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:\n\s*```|\Z)", re.DOTALL)
_COMMAND = re.compile(
    r"\\(?:begin|end)\s*\{[^{}]*\}|\\(?:text\w*|mbox|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_PROSE_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{2,}(?![A-Za-z])")
FEWEST_PROSE_WORDS = 3


_COUNTED = r"\d[\d,.]*(?: [A-Za-z]{2,}){1,2}"
_RATE = re.compile(r"\\?[$€£]?\d[\d,.]*(?:(?: [A-Za-z]+){0,3} per| [A-Za-z]+ an?) [A-Za-z]+\.?")
_AMOUNTS = re.compile(rf"{_COUNTED}(?:(?:,| and|, and) {_COUNTED})+\.?")
"""`12 apples and 5 pears` is an answer of two parts."""
_ALL_BUT = re.compile(
    r"(?:all )?(?:the )?reals?(?: numbers?)?,? (?:except|excluding|other than|but|apart from)"
    r"(?: for)?(?: x =)? \S+",
    re.IGNORECASE,
)


def is_prose(text: str) -> bool:
    """Tell whether `text` is a sentence rather than an answer by itself."""
    if _AMOUNTS.fullmatch(text) or _RATE.fullmatch(text) or _ALL_BUT.fullmatch(text):
        return False
    outside = INLINE.sub(" ", DISPLAY.sub(" ", text))
    return len(_PROSE_WORD.findall(_COMMAND.sub(" ", outside))) >= FEWEST_PROSE_WORDS


def content(span: re.Match[str]) -> str:
    """Return what stands between the delimiters of a formula or of bold text."""
    return next(group for group in span.groups() if group is not None)


def joined(sentence: str, spans: list[re.Match[str]]) -> str:
    """Return the last span, with those before it that only commas, "and" and "or" part from it."""
    held = [content(spans[-1])]
    for earlier, later in zip(spans[-2::-1], spans[:0:-1], strict=True):
        if not re.fullmatch(
            r"\s*(?:,|;|and|or|,\s*and|,\s*or)\s*", sentence[earlier.end() : later.start()]
        ):
            break
        held.insert(0, content(earlier))
    return ", ".join(held)


def sentences(paragraph: str) -> list[str]:
    return [part for part in SENTENCE_END.split(paragraph.strip()) if part.strip()]


def without_code(text: str) -> str:
    """Return `text` without its fenced code: what a program prints is no statement."""
    return FENCE.sub("\n", text) if "```" in text else text


def without_afterword(sentence: str) -> str:
    """Return a sentence without its reasons; what "i.e." restates stands for it."""
    if restated := RESTATED.fullmatch(sentence):
        return restated[1]
    return _AFTERWORD.sub("", sentence)


_LEADING = re.compile(
    r"(?!(?:not?|sin|cos|tan|cot|log|ln|pi|sqrt|minus|negative|plus|twice|half|option|choice|one|two"
    r"|either|between|mod)\b)[a-z]+(?: (?:to|than|about))?\s+(?=\\?[$€£]?-?\d)"
)


def without_lead(said: str) -> str:
    """Return an amount without the word that sticks to it: `worth 50`, `about 50`."""
    return _LEADING.sub("", said, count=1) if _LEADING.match(said) else said
