"""Texts that as a whole are an answer: `42`, `B) Paris`, `Yes`, `It's 42.`, `Tokyo`."""

import re

from .prose import BEFORE_CJK, CJK, DISPLAY, FENCE, INLINE, content, is_prose

LONGEST = 200
MOST_WORDS = 4

_LEAD = re.compile(
    r"^(?i:(?:(?:so|thus|therefore|hence|ok(?:ay)?|well|sure|of course|certainly)[,!.]?\s+)?"
    r"(?:i (?:think|believe|guess) (?:that )?)?(?:it's|it’s|it is|that's|that is|this is"
    r"|(?:it|that|this) (?:would|will|should|must) be|it was"
    r"|we get|i get|you get|we have|i got|it equals|that equals|there are|there is|answer"
    r"|=|[≈~]|sure[,!.]|of course[,!.]|in(?=\s[12]\d{3}\.?$)))\s+"
    r"(?=[-+\d$\\(.A-Z√π½])"
)
_TALK = re.compile(
    r"\b(?:i|i'm|you|we|he|she|they|have|has|can|can't|cannot|could|would|will|are|is|was|were|do"
    r"|does|did|hello|hi|hey|thanks?|thank|sorry|please|welcome|let|lets|let's|sure|try|step|here"
    r"|const|var|echo|pip|npm|sudo|curl|console|select|return|print|import|def|function|note|see|add|use)\b",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"(?:hello|hi|hey)(?: there)?|good (?:bye|morning|evening|afternoon|day|night)|goodbye|welcome"
    r"|thanks|thank you|sure|okay|ok|great|sorry|please|wow|cheers|of course|certainly|absolutely",
    re.IGNORECASE,
)
_ITEM = re.compile(r"(?:[-*•]|\d+[.)])\s+[A-Za-z]")
_LETTER = r"[^\W\d_]"
_WORD = rf"{_LETTER}(?:{_LETTER}|['’.\-])*"
_NAME = re.compile(rf"{_WORD}(?:,?\s+{_WORD}){{0,{MOST_WORDS - 1}}}")
_CAPITALISED = re.compile(
    r"[A-Z][\w'’.\-]*(?:\s+(?:of|the|and|de|la|le|von|van|der|del|du|da|[A-Z][\w'’.\-]*)){0,4}"
)
_IS_NAME = re.compile(
    rf"^(?:[^.!?\n]{{1,120}}?\s)?(?:is|was|are)\s+(?:called\s+|named\s+|the\s+)?({_CAPITALISED.pattern})$"
)
_NAME_IS = re.compile(rf"^({_CAPITALISED.pattern})\s+(?:is|was)\s+the\s+[^.!?\n]{{1,120}}$")
_CHOICE = re.compile(
    r"\([a-j]\)|(?i:option|choice) [(\[]?[A-J][)\]]?[.!]?"
    r"|[(\[]?[A-J](?:[)\].:]{1,2}|\s+-)?(?:(?<=[)\].:-])\s*\S[^.!?\n]{0,100}[.!?]?)?"
)
_RESTATES = re.compile(r"(?<=\d)\s+\([a-z][a-z\s-]*\)\.?$")
_SENTENCE = re.compile(
    r"(?![A-Za-z]+\.?\s+\d)(?!(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|cbrt|pi|arc\w+|max|min|gcd"
    r"|lcm)\b)[A-Za-z]{2,}\s+[a-z]"
)
"""Words at the start: `Jeff receives $80` is a sentence, `July 4` is none."""

_PICTURES = re.compile("[\\s\u2705\u2714\u2728\ufe0f\U0001f300-\U0001faff]+$")
_EXCLAIMED = re.compile(r"(?<=\d)!$")
"""`That's 19!` has no factorial; a bare `19!` has one."""
_EQUATED = re.compile(
    r"^\(?-?[\d.]+(?:\s*[-+*/×÷^()]\s*\(?-?[\d.]+\)?)+\s*(?:=|equals|is)\s*\**(-?[\d.,/]*\d)\**[.!]?$"
)
"""`12 + 30 = **42**`, `12 + 30 equals 42.`"""

_EMPHASIZED = re.compile(r"^([*_]{1,3})(?=\S)(.+?)\1[.!。]?$")
"""`**42**.`: the full stop stands behind the marks."""

_CUE = re.compile(
    r"^[∴⇒→\s]*(?:(?:hence|thus|so|therefore|then|finally)\b,?\s+"
    r"|(?:donc|alors|por (?:lo )?tanto|daher|somit|folglich|следовательно|значит"
    r"|таким образом|quindi|portanto),?\s+(?=[-\d$\\(]|[a-z]\s*=))?",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"\W*(?:for (?:example|instance)|e\.g\.|examples?|note|check)\b", re.IGNORECASE)
_COUNT = (
    r"[-+]?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
)
_COUNTED = re.compile(
    r"^(?:there (?:is|are)|it (?:has|takes|costs|weighs)|(?:you|we|i) (?:get|need|have)"
    r"|(?:an?|the|each|every|all) (?:[a-z'-]+ ){1,6}"
    r"(?:has|have|had|takes|costs|weighs|contains?))\s+"
    rf"(?:exactly\s+|about\s+)?\\?\$?({_COUNT})(?=\s[a-z]|$)",
    re.IGNORECASE,
)
"""`There are 8 legs.`, `A spider has eight legs.`: the count is the answer."""

_COUNTS = re.compile(rf"(?<!\w)(?:{_COUNT})(?!\w)", re.IGNORECASE)
_YEAR = re.compile(
    r"^[A-Z][^\d.!?\n]{1,100}\b(?:ended|began|started|founded|born|died|landed|discovered|invented|built"
    r"|completed|signed|happened|place|published|released|established|opened|fell)\s+in\s+(\d{3,4})$"
)
"""`World War II ended in 1945.`"""
_YES_OR_NO = re.compile(r"^\W*(yes|no)\b\s*(?:[,.;:!](?!\d)|[-\u2013\u2014]\s|$)", re.IGNORECASE)
_NO_NAMES = frozenset(
    ("I", "It", "This", "That", "There", "He", "She", "They", "We", "You", "What", "Here", "The")
)
_PLAIN_FENCES = ("", "text", "txt", "plaintext", "math", "latex", "tex", "json")


def whole(text: str) -> str | None:
    """Return the answer that `text` is as a whole, or `None` if it is prose or code."""
    bare = _unfenced(_CUE.sub("", text.strip(), count=1))
    if bare is None or not bare or len(bare) > LONGEST:
        return None
    for formula in (DISPLAY, INLINE):
        if match := formula.fullmatch(bare.rstrip(".")):
            return content(match)
    if "\n" in bare or _ITEM.match(bare):
        return None
    if counted := BEFORE_CJK.fullmatch(bare.rstrip("。")):
        return counted[1]
    led = _without_frame(bare)
    said = _EMPHASIZED.sub(r"\2", led).strip("*_ ") or led
    if is_name(said):
        return said.rstrip("!.。")
    return said if _is_short(said) else None


def _without_frame(text: str) -> str:
    """Return what `It's ...`, a calculation before it or a picture behind it stand around."""
    led = _LEAD.sub("", text)
    bare = _RESTATES.sub("", _PICTURES.sub("", led))
    if led != text:
        bare = _EXCLAIMED.sub("", bare)
    equated = _EQUATED.match(bare)
    return equated[1] if equated else bare


def alone_at_end(text: str) -> str | None:
    """Return the last paragraph, if it is an amount or a formula on one line."""
    before, _, last = text.strip().rpartition("\n\n")
    bare = _CUE.sub("", last.strip(), count=1)
    if not before or "\n" in bare or len(bare) > LONGEST or _ITEM.match(bare):
        return None
    if _ASIDE.match(bare):
        return None
    return bare if not is_choice(bare) and not INLINE.search(bare) and _is_short(bare) else None


def _unfenced(text: str) -> str | None:
    """Return what a text that is one fence holds; `None` if that is a program."""
    if not text.startswith("```"):
        return text
    fence = FENCE.fullmatch(text)
    language = text[3:].partition("\n")[0].strip().lower()
    return fence[1].strip() if fence and language in _PLAIN_FENCES else None


def _is_short(text: str) -> bool:
    """Tell whether `text` is an amount, a formula or a choice, and not a sentence."""
    if is_choice(text):
        return True
    if INLINE.search(text) and re.search(r"[A-Za-z]{2}", INLINE.sub("", text)):
        return False  # a formula in a sentence
    if re.search(f"[{CJK}]{{2}}", text) or _SENTENCE.match(text):
        return False
    if text.endswith(";") or re.search(r"[-+*/=]=", text):
        return False  # a program
    return not is_prose(text) and not _TALK.search(text) and bool(re.search(r"[\d\\=<>^√π½]", text))


def is_choice(text: str) -> bool:
    return _CHOICE.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Tell whether `text` is a word or a name: up to two words, or more with capital letters."""
    bare = text.strip().rstrip(".!。").strip("\"'“”*`")
    if not _NAME.fullmatch(bare):
        return False
    words = bare.split()
    if _GREETING.fullmatch(bare):
        return False
    if len(words) > 1 and _TALK.search(bare):
        return False
    if not bare.isascii() and len(words) == 1:
        return len(bare) <= 10 or bare[:1].isupper()
    return len(words) <= 2 or _CAPITALISED.fullmatch(bare) is not None


def _counted(sentence: str) -> str | None:
    """Return the one count that a sentence states; a colon announces something else."""
    found = _COUNTED.match(sentence)
    if not found or re.search(r"[.!?]\s|:", sentence) or len(_COUNTS.findall(sentence)) > 1:
        return None
    return found[1]


def named(text: str) -> str | None:
    """Return the name that a text of one sentence states, or its yes or no."""
    bare = text.strip().replace("**", "")
    if "\n\n" in bare or len(bare) > 2 * LONGEST:
        return None
    if answer := _YES_OR_NO.match(bare):
        return answer[1].capitalize()
    sentence = bare.rstrip(".!")
    if counted := _counted(sentence):
        return counted
    if year := _YEAR.match(sentence):
        return year[1]
    for pattern in (_IS_NAME, _NAME_IS):
        found = pattern.match(sentence)
        if found and found[1].split()[0] not in _NO_NAMES:
            return re.sub(r"^(?:The|A|An)\s+", "", found[1])
    return None
