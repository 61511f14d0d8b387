"""What a model thought, and what it says after it: the marks of several families of models."""

import re

_NAMES = r"(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis)"
_END = re.compile(
    rf"<\s?/\s*{_NAMES}\s*>|\[/\s*{_NAMES}\s*\]|◁/think▷|<\|end_of_thought\|>|<\|/think\|>"
    r"|<\|end_thinking\|>",
    re.IGNORECASE,
)
_START = re.compile(
    rf"\s*(?:<\s*{_NAMES}\s*>|\[\s*{_NAMES}\s*\]|◁think▷|<\|begin_of_thought\|>|<\|think\|>"
    r"|<\|start_thinking\|>)",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")
_END_OF_TURN = re.compile(
    r"<\|end_of_solution\|>|<\|(?:im_start|im_end|endoftext|end_of_text|eot_id|return|end|call|user|end_of_turn)\|>"
    r"|<｜end|<end_of_turn>|</s>"
)


def spoken(text: str, *, opened: bool) -> str:
    """Return what `text` says after its thinking, up to the end of the turn.

    `opened` says that the chat template opened the thinking, so that text before its end is none
    of the answer. Thinking that never ends says nothing.
    """
    channels = list(_CHANNEL.finditer(text))
    if channels:  # harmony: the last message counts, if it is meant for the reader
        last = channels[-1]
        text = text[last.end() :] if last[1].lower() in ("final", "commentary") else ""
        opened = False
    text = _END_OF_TURN.split(text, maxsplit=1)[0]
    ends = list(_END.finditer(text))
    if ends:
        return text[ends[-1].end() :].replace("<|begin_of_solution|>", "", 1)
    return "" if opened or _START.match(text) else text
