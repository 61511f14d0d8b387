"""Words that are numbers, which a writer of personas neither sees nor writes."""

import re

NUMBER_WORDS = re.compile(
    r"\b(?:zero\w*|nought|naught|two\w*|three\w*|four(?:s|th|ths|fold|some|score|teen\w*)?|five\w*"
    r"|six\w*|seven\w*|eigh\w*|nine\w*|ninth\w*|ten(?:s|th|ths|fold)?|eleven\w*|twel(?:ve|fth)\w*"
    r"|twent(?:y|ie)\w*|thirt(?:y|ie|een)\w*|fort(?:y|ie)\w*|fift(?:h|y|ie|een)\w*|thirds?"
    r"|hundred\w*|thousand\w*|(?:m|b|tr)illion\w*|half|halves|halv(?:e|es|ed|ing)|quarters?|doubl\w+"
    r"|tripl\w+|quadrupl\w+|twice|thrice|dozen\w*|couple|percent\w*)\b"
    r"|\b(?-i:[IVXLCDM]{2,})\b",  # Roman numerals are capitals
    re.IGNORECASE,
)
"""From two upwards, with ordinals and shares.

`one`, `first` and `second` are left out: they seldom stand for a number ("the one book that is
lost", "at first light").
"""
