"""Answers that a text states: "the answer is", "Answer:", "####", in several languages."""

import re

from .conclusion import amount, equations
from .prose import (
    BEFORE_CJK,
    BOLD,
    INLINE,
    SENTENCE_END,
    content,
    is_prose,
    joined,
    without_afterword,
)

LONGEST_AFTERWORD = 60
"""Characters that may follow a stated answer on its line; with more it is an explanation."""

_COLON = r"[=-]>|[:=：→⇒]|->|[-–—](?=\s)"
_CUE = (
    r"final answer|the answer|my answer|correct answer|answer|ans|result is|result(?=\s*[:：])"
    r"|solution(?=\s*[:：])|(?:final )?(?:output|total)(?=\s*[:：])|####|^A(?=:)"
    r"|(?:die )?(?:endgültige |richtige )?antwort|(?:das )?(?:end)?ergebnis|lösung(?=\s*:)"
    r"|(?:la )?r[ée]ponse(?: finale)?"
    r"|(?:la )?respuesta(?: final| correcta)?|(?:la )?risposta(?: finale| corretta| esatta)?"
    r"|(?:a )?resposta(?: final| correta)?"
    r"|(?:правильный |окончательный )?ответ|(?:最终|正确)?答案|정답|답|答え|答(?=\s*[:：])"
    r"|cevap|odpowiedź|antwoord|svar(?=\s*:)|đáp án|उत्तर|الجواب|الإجابة"
)
_STATED = re.compile(
    rf"(?:(?<![A-Za-z])(?:{_CUE}))(?:'s)?"
    r"(?:\s*(?:(?:ist|is|are|would be|should be|must be|lautet|est|es|é|è|равен|равно)(?!\w)"
    r"|[是为為は은]))?"
    r"(?:\s+(?:therefore|thus|then|simply|just))?"
    rf"\s*(?:{_COLON}|(?<=is)|(?<=are)|(?<=be)|(?<=therefore)|(?<=thus)|(?<=then)|(?<=simply)"
    r"|(?<=just)|(?<=####)|(?<='s)(?=\s)|(?<=\bist)|(?<=lautet)|(?<=\best)|(?<=\bes)|(?<=\bé)|(?<=\bè)"
    r"|(?<=[是为為は은])|(?<=равен)|(?<=равно)|(?<=\bans)\.|(?<=\bAns)\.|(?<=\bANS)\.)"
    r"(?=[\s*]*([^\n]+))",
    re.IGNORECASE | re.MULTILINE,
)
_EMPHASISED = re.compile(
    r"(?<!\w)(?:\*\*|__|\*|_)\s*((?:the |my )?(?:final |correct )?"
    r"(?:answer|ans|result|solution|total|antwort|réponse|respuesta|ответ|答案|정답)(?: is)?)"
    r"\s*(?:([:：])\s*(?:\*\*|__|\*|_)|(?:\*\*|__|\*|_)\s*([:：]))\s*",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    r"\b(?:get|gives?(?: us)?|giving(?: us)?|have|obtain|yields?|with)(?: the| an?| our)?"
    r"(?: final| correct)? answer(?: of)? (?=[-\d$\\*(√])",
    re.IGNORECASE,
)
"""`This gives an answer of 42.`"""
_TAGGED = re.compile(r"<(answer|final_answer|final|solution)>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TOTAL_IN_CHINESE = re.compile(
    r"(?:因此|所以|故|总共|一共)[^。\n]{0,100}?(?:为|是|等于|有)\s*([^。，\n]+)"
)
_BARE_AMOUNT = re.compile(r"[*$\s]*[-+−]?[\d.,/]+\s?%?[*$\s.]*")
_LAST_STAR = re.compile(r"(?<=\S)\*(?=[\s.,;:!]*$)")
_CORRECTED = re.compile(r"^not\s+.*?,?\s+but\s+(?:rather\s+)?(.*)$", re.IGNORECASE)
_FINAL = re.compile(r"final answer is:?([^\n]+)", re.IGNORECASE)
_HEADING = re.compile(
    r"^[ #*_]*(?:final |correct )?(?:answer|result|antwort|réponse|respuesta|ответ|答案)[ #*_:：]*"
    r"\n{1,3}([^\n]+)$",
    re.IGNORECASE | re.MULTILINE,
)
_DENIED = re.compile(r"\s*(?:\*\*)?not\b", re.IGNORECASE)


def stated(text: str) -> str | None:
    """Read "the answer is ...", "Answer: ..." and "#### ..."; the last one counts."""
    text = _GIVEN.sub("answer: ", _EMPHASISED.sub(r"\1: ", text))
    found = [match for match in _STATED.finditer(text) if _states(match, text)]
    return statement(found[-1][1]) if found else None


def tagged(text: str) -> str | None:
    """Read what stands between tags, `<answer>42</answer>`."""
    found = list(_TAGGED.finditer(text)) if "</" in text else []
    if not found:
        return None
    inside = found[-1][2].strip()
    return stated(inside) or statement(inside)


def heading(text: str) -> str | None:
    """Read the line below a heading "Answer"."""
    found = list(_HEADING.finditer(text))
    return statement(found[-1][1]) if found else None


def concluded_in_chinese(text: str) -> str | None:
    found = list(_TOTAL_IN_CHINESE.finditer(text))
    return gist(found[-1][1].strip()) if found else None


def stated_after_box(text: str, tail: int) -> str | None:
    """Return a "final answer is ..." behind the last box: boxes before it held steps."""
    found = list(_FINAL.finditer(text, max(0, len(text) - tail)))
    if not found or r"\boxed" not in text or r"\boxed" in text[found[-1].start() :]:
        return None
    formula = INLINE.search(SENTENCE_END.split(found[-1][1].strip())[0])
    return content(formula) if formula else None


def _states(match: re.Match[str], text: str) -> bool:
    """Tell a statement from a heading of Markdown, and from the result of a step."""
    cue, after = match[0].lower(), text[match.end(1) :]
    if _DENIED.match(match[1]) and not _CORRECTED.match(match[1].strip()):
        return False
    if cue.startswith("####"):  # GSM8K's last line
        return bool(_BARE_AMOUNT.fullmatch(match[1].strip())) or not after.strip()
    if cue.startswith(("solution", "total", "output", "final total", "final output")):
        return not after.strip()  # elsewhere it begins one, or is a step's
    return not (cue.startswith("result") and "\n\n" in after.strip())


def statement(line: str) -> str | None:
    """Return the answer in a line's first sentence, unless the line goes on to explain it."""
    first, *more = SENTENCE_END.split(_whole_emphasis(line.strip()))
    if is_prose(first) and sum(map(len, more)) > LONGEST_AFTERWORD:
        return None
    return gist(first.strip())


def _whole_emphasis(line: str) -> str:
    """Return `line` without a mark of emphasis whose other one stands outside of it."""
    if line.count("**") % 2:
        line = line.replace("**", "")
    return _LAST_STAR.sub("", line) if line.count("*") % 2 else line


def gist(sentence: str) -> str | None:
    """Return the answer within a sentence: its formula, what is bold, or its amount."""
    sentence = without_afterword(sentence)
    if counted := BEFORE_CJK.match(sentence):
        return counted[1]
    if corrected := _CORRECTED.match(sentence):
        return gist(corrected[1])
    _, said, after = sentence.rpartition(" is ")
    if said:
        return gist(after)
    for pattern in (BOLD, INLINE):
        if spans := list(pattern.finditer(sentence)):
            return joined(sentence, spans)
    if not is_prose(sentence):
        return re.sub(
            r"^([-+]?\d[\d.,/]*)!$", r"\1", sentence
        )  # an exclamation, outside of a formula
    return equations(sentence) or amount(sentence, cued=True)
