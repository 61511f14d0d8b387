"""What a question asks for."""

import re

from .words import LONGEST_READ

_ASKS_FOR_A_NUMBER = re.compile(
    r"\b(how (many|much|long|far|old|tall|fast|heavy|high|deep|wide|likely)"
    r"|find|compute|calculate|determine|evaluate|solve"
    r"|number of|sum of|product of|value of|what (is|are|was) (the|\(?-?\d+)"
    r"|what (percent(age)?|fraction|time|year)"
    r"|remainder|probability|total)\b",
    re.IGNORECASE,
)
# A dash, a slash and an x without spaces also stand in dates, units and sizes.
_HAS_FORMULAS = re.compile(
    r"\$[^$]+\$|\\[a-zA-Z]+|\b[a-z] ?=|\d\)* ?[+*×÷^=] ?\(*\d|\d\)* [-\u2212/x] \(*\d"
)
_HAS_QUANTITIES = re.compile(
    r"\d|\$|\\frac|\b(one|two|three|four|five|six|seven|eight|nine|ten|dozen|half|twice|pair)\b",
    re.IGNORECASE,
)


def asks_for_a_number(question: str) -> bool:
    """Tell whether `question` names quantities and asks for one, or is written in formulas.

    Its first `LONGEST_READ` characters are read.
    """
    question = question[:LONGEST_READ]
    if _HAS_FORMULAS.search(question):
        return True
    return bool(_HAS_QUANTITIES.search(question) and _ASKS_FOR_A_NUMBER.search(question))
