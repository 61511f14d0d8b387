"""What the end of a text concludes, where it states no answer."""

import re

from .prose import (
    BOLD,
    DISPLAY,
    INLINE,
    RESTATED,
    content,
    is_prose,
    joined,
    sentences,
    without_afterword,
    without_lead,
)

_CONCLUDES = re.compile(
    r"^\W*(?:therefore|thus|so|hence|consequently|in conclusion|finally|this means|we conclude"
    r"|in total|altogether|overall|as a result|donc|por (?:lo )?tanto|daher|somit|folglich"
    r"|следовательно|значит|таким образом|quindi|portanto)\b|^\s*∴",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r":\s*$|^\s*(?:note|check|verification|step|final answer|answer)\b", re.IGNORECASE
)
_AMOUNT = r"[-+−]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|,\d{1,2}(?!\d))?(?:\s?/\s?\d+)?\s?%?"
_NUMBER = re.compile(rf"(?<![\w.]){_AMOUNT}(?:(?=[ckm]?[mgls][²³]?\b)|(?![\w/]|[.,]\d))")
_SAID_TO_BE = re.compile(
    r"(?:\b(?:is|are|was|be|equals?|total of|to|of|has|have|had|needs?)\b|=)"
    rf"\s*\\?[$€£]?\s?({_AMOUNT})"
)
_BESIDE = re.compile(
    r"(?:\b(?:out of|of|for|in|after|by|at|all|the|per|every|within|from|over|than|with|between|if"
    r"|when|during|on|until|among|these|those|both|each of|first|last|next|another|whole|only the)"
    r"\s+(?:(?:the|these|those|his|her|its|their|all|about|a|an)\s+)*\\?[$€£]?\s?)$"
)
"""What makes a number a circumstance: "for the 12 of them", "all 36 pages"."""
_PURPOSE = re.compile(r"\s(?:in order )?to (?!be\b)[a-z]+\b")
_STEP = re.compile(r"\W*(?:step\b|\d+[.)])", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s")
_ASIDE = re.compile(
    r"\W*(?:note|check|verification|verify|feel free|let me know|for example|for instance|e\.g\."
    r"|example|examples|here are|hope|i hope|please|however, note)\b",
    re.IGNORECASE,
)
_SIDE = r"(?:[^\s,;=.]|\.(?=\d)|(?<=\d),(?=\d{3})|\s*[-+*/]\s*)+"
_EQUATION = rf"\$?(?<![\w\\])[A-Za-z](?:_\w+)?\s*=\s*{_SIDE}"
_EQUATIONS = re.compile(
    rf"{_EQUATION}(?:\s*(?:,|;|,?\s*and|,?\s*or)\s*(?:{_EQUATION}|-?\d+(?:\.\d+)?(?:/\d+)?))+"
)
_SUBJECT = re.compile(
    rf"^\W*(?:(?:therefore|thus|so|hence)\b\W*)?(?:{INLINE.pattern})\s+is\s+(?:the|a|an|our)\b",
    re.IGNORECASE,
)
_BEST = re.compile(
    r"^\W*(?:(?:[Tt]herefore|[Tt]hus|[Ss]o|[Hh]ence)\W+)?([A-Z][a-z]+)\s+"
    r"(?:wins? the (?:race|game|match|bet|contest|election|competition)\b|[a-z]+\b[^,]*?"
    r"\b(?:the\s+(?:second\s+|third\s+)?(?:most|least|best|worst|winner|[a-z]+est)|won|wins)\b"
    r"(?!\s+(?:of|possible|amount)))"
)
_NAMED_WORDS = (
    r"north(?:east|west)?|south(?:east|west)?|east|west|left|right|up|down|even|odd|prime|composite"
    r"|red|green|blue|yellow|black|white|orange|purple|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|true|false|yes|no|positive|negative|convergent|divergent|clockwise|counterclockwise"
)
_SAID_NAME = re.compile(
    r"\b(?:is|are|was|will be|be|faces?|facing|heading|pointing|on)\s+"
    r"(?:now\s+|still\s+|going to be\s+)?"
    r"(?:(?:facing|heading|pointing|called|named|due|on|a|an|in)\s+)*"
    rf"((?i:{_NAMED_WORDS})|[A-Z][a-z]+(?:\s[A-Z][a-z]+){{0,2}})(?=\s+(?:when|after|because|since"
    r"|as|if|before|once)\b|[\s.!,]*$)"
)


_CALCULATES = re.compile(r"[\d)]\s*[=+*/×÷]\s*\\?[$€£]?\s*[\d(]|\\[A-Za-z(\[]|\$[^$\n]+\$|=\s*-?\d")
_SOLVED = re.compile(r"\b(?:solutions?|roots?|zeros?|values?|answers?|get|obtain|gives?)\b")
_PERSONAL = re.compile(r"\W*(?:they|we|i|you|he|she|these|those)\b", re.IGNORECASE)
_TELLS = re.compile(r"(?:\b(?:is|are|was|were|be|called|named|equals?|gives?|get)|[:=])\s*$")


def concluded(text: str) -> str | None:
    """Read the last sentence: what is bold in it, its last formula, or its number.

    A text of one paragraph concludes nothing, unless it says so ("Therefore ..."). The last item
    of a list concludes nothing either.
    """
    blocks = [block for block in text.split("\n\n") if block.strip()][-3:]
    paragraphs = [part for block in blocks for part in re.split(r"\n(?=[-*#\d])", block)]
    calculates = _CALCULATES.search(text) is not None
    for paragraph in reversed(paragraphs[-3:]):
        if _ASIDE.match(paragraph):
            continue
        parts = sentences(paragraph)
        while len(parts) > 1 and _ASIDE.match(parts[-1]):
            parts.pop()
        concluding = [part for part in parts if _CONCLUDES.match(_ITEM.sub("", part, count=1))]
        alone = len(paragraphs) == 1
        for sentence in (*parts[-1:], *concluding[-1:]):
            goes_on = calculates and not (alone or _STEP.match(sentence))
            found = _of_sentence(sentence, sentence in concluding, goes_on)
            if found is not None:
                return found
    return None


def _of_sentence(sentence: str, concluding: bool, goes_on: bool) -> str | None:
    """Return what a sentence gives that is `concluding`, or that `goes_on` after a calculation."""
    cued = concluding or goes_on
    restated = RESTATED.fullmatch(sentence.strip())
    if restated and re.search(r"\d", restated[1]):
        return restated[1]
    sentence = without_afterword(sentence.strip())
    if subject := _SUBJECT.match(sentence):
        return content(subject)
    if concluding and (said := _said_outright(sentence) or name(sentence)):
        return said
    for pattern in (BOLD, DISPLAY, INLINE):
        spans = [span for span in pattern.finditer(sentence) if not _LABEL.search(content(span))]
        if spans and (cued or _gives(sentence, spans[-1])):
            found = joined(sentence, spans)
            return amount(found, cued=True) if is_prose(found) else found
    if (cued or _SOLVED.search(sentence)) and (solved := equations(sentence)):
        return solved
    return amount(sentence, cued)


def _gives(sentence: str, span: re.Match[str]) -> bool:
    """Tell whether a span is what the sentence tells, and no word that is only stressed."""
    if re.search(r"[\d\\=]", span[0]):
        return True
    return bool(_TELLS.search(sentence[: span.start()])) or not sentence[: span.start()].strip()


def _said_outright(sentence: str) -> str | None:
    """Return what a conclusion says in words: its yes or no, that nothing solves it, a duration."""
    for pattern in (_SO_YES, _SO_NONE, _DURATION):
        if found := pattern.search(sentence):
            return found[1]
    return None


_SO_YES = re.compile(r"^\W*(?:so|thus|therefore|hence)\W+(yes|no),", re.IGNORECASE)
_SO_NONE = re.compile(
    r"\b(?:there (?:is|are)|has|have)\s+(no (?:real |integer |positive )?solutions?)[\s.!]*$",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"\b(\d+ (?:hours?|minutes?|days?|weeks?|years?|feet|foot|yards?)(?:,? and |,? )"
    r"\d+ (?:minutes?|seconds?|hours?|days?|months?|inch(?:es)?|feet))\b"
)


def name(sentence: str) -> str | None:
    """Return the name that a concluding sentence gives: who has the most, which way one faces."""
    if best := _BEST.match(sentence):
        return best[1]
    if re.search(r"\d(?!\d*(?:st|nd|rd|th)\b)", sentence):
        return None
    said = _SAID_NAME.search(sentence)
    return said[1] if said else None


def equations(sentence: str) -> str | None:
    """Return `x = 4, y = 5` or `x = 2 or x = 3` as a whole."""
    found = list(_EQUATIONS.finditer(sentence))
    return found[-1][0].strip(" .") if found else None


def amount(sentence: str, cued: bool) -> str | None:
    """Return the number that a sentence is about: what something is, the only one, a price.

    Only a sentence that is `cued` to be the conclusion has its number read without an "is".
    """
    if _DENIES.match(sentence) or (not cued and _CODE.search(sentence)):
        return None
    *_, last = re.split(r",\s*so\s+", sentence)
    sentence = last if re.search(r"\d", last) else sentence
    if cued and (times := _TIME.findall(sentence)):
        return str(times[-1])
    _, *values = re.split(r"\b(?:is|are)\b:?|=", sentence)
    said = values[-1].strip(" .*:") if values else ""
    personal = not cued and _PERSONAL.match(sentence)
    if re.search(r"\d|[¼-¾√π]", said) and not is_prose(said) and not personal:
        return without_lead(said)
    if not cued:
        return None
    sentence = re.sub(r"\([^()]*\)", "", sentence)
    found = list(_NUMBER.finditer(sentence))
    amounts = [re.sub(r"\s", "", number[0]) for number in found]
    if len(set(amounts)) <= 1:
        return amounts[0] if amounts else None
    return _asked_for(sentence, found) or amounts[-1]


def _asked_for(sentence: str, found: list[re.Match[str]]) -> str | None:
    """Return the number that the sentence tells, not those that say of what or for whom."""
    if strong := _STRONG.findall(sentence):
        return str(strong[-1])
    main = _without_purpose(sentence)
    told = [
        number
        for number in found
        if not _BESIDE.search(sentence[: number.start()].lower()) and number.end() <= len(main)
    ]
    paid = [number for number in told if sentence[: number.start()].rstrip().endswith(_SIGNS)]
    if told:
        return re.sub(r"\s", "", (paid or told)[-1][0])
    said = _SAID_TO_BE.findall(sentence)
    return str(said[-1]) if said else None


def _without_purpose(sentence: str) -> str:
    """Return the sentence up to its purpose: "takes 9 days" of "takes 9 days to read 45 pages"."""
    purposes = list(_PURPOSE.finditer(sentence))
    digits = (
        [n for n, char in enumerate(sentence[: purposes[-1].start()]) if char.isdecimal()]
        if (purposes)
        else []
    )
    if not digits:
        return sentence
    return sentence[: next(p.start() for p in purposes if p.start() > digits[-1])]


_TIME = re.compile(r"\b\d{1,2}:\d{2}\b(?:\s?[AaPp]\.?[Mm]\b\.?)?")
_CODE = re.compile(r"[+=]=|;\s*$|\b(?:const|var|let|int|float|pip|npm|git|sudo)\s")
_DENIES = re.compile(r"^\W*(?:[a-z]+\W+)?\d[\d,.]* (?:is not|isn't|cannot|does not)\b", re.I)
"""`91 is not prime` tells no number."""
_SIGNS = ("$", "€", "£")
_STRONG = re.compile(
    rf"(?:\b(?:is|are|was|were|be|equals?|equal to|total of)\b|=|≈)\s*"
    rf"(?:(?:approximately|about|only|exactly|roughly|around)\s+)?\\?[$€£]?\s?({_AMOUNT})"
)
