"""Runs of which everything is known: in each problem something else went wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.samples import EvalSample, RunFolder

HOSTILE = (
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
    " $\\text{<img src=x onerror=alert(1)>}$ $\\href{javascript:alert(1)}{x}$ \u202eevil\u202c"
    " </textarea></style>--> {{ 7*7 }} & \"quoted\" 'single' \x00 \ud800"
)
PERSONA = "You keep bees near Lviv."
R, W, N, C, F = "right", "wrong", "none", "cut", "failed"

RUNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "one": {
        "fine": (R, R), "other": (W, W), "silent": (N, N), "cut": (C, R), "failed": (F, F),
        "unasked": (R, R), "differ": (R, R), "samples": (R, W), "lost": (R, R), "tie": (R, R),
    },
    "two": {
        "fine": (R, R), "other": (W, W), "silent": (N, N), "cut": (C, R), "failed": (F, F),
        "differ": (W, W), "samples": (R, W), "lost": (R, R), "tie": (R, R),
    },
}  # fmt: skip
"""What came of both samples of each problem; `two` was never asked `unasked`."""

VOTES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fine": (R, (R, R, R)), "other": (W, (W, W, W)), "silent": (N, (N, N, N)),
    "cut": (R, (C, R, R)), "failed": (F, ()), "unasked": (R, (R, R, R)), "differ": (R, (R, R, F)),
    "samples": (R, (R, R, R)), "lost": (W, (W, W, R)), "tie": (R, (R, W, N)),
}  # fmt: skip
"""The vote's outcome, and its members' (s, u, r)."""

ANSWERS = {R: "7", W: "8", N: None, C: None, F: None}


def planted(folder: Path) -> list[Path]:
    """Write the runs one, two and vote3; return their folders."""
    made = []
    for name, problems in RUNS.items():
        run = start(folder / name, name, samples=2)
        for problem, outcomes in problems.items():
            for number, outcome in enumerate(outcomes):
                run.append(sample(problem, number, outcome))
        made.append(run.path)
    run = start(folder / "vote3", "vote3")
    for problem, (outcome, ballots) in VOTES.items():
        told = {
            "method": "majority", "winner": "s", "decided": problem != "tie",
            "ballots": [ballot(*each) for each in zip("sur", ballots, strict=False)],
        }  # fmt: skip
        run.append(sample(problem, 0, outcome, input_time=told))
    return [*made, run.path]


def start(
    path: Path, model: str, samples: int = 1, task: str = "aime24", **about: Any
) -> RunFolder:
    """Begin a run of ten problems."""
    run = RunFolder(path)
    settings = {"task": task, "problems": len(VOTES), "samples": samples, "seed": 0, "model": model,
                "temperature": 0.7}  # fmt: skip
    command = f"/somewhere/bin/its-eval run aime24 --model {model} --system 'Think, then answer.'"
    run.start(settings, {"command": command, "commit": "0123456789ab", **about}, fresh=True)
    return run


def sample(problem: str, number: int, outcome: str, **more: Any) -> EvalSample:
    """Return a sample that went as `outcome` says."""
    answer = ANSWERS[outcome]
    if outcome == F:
        failed = {"error": "500 broken <b>engine</b>", **more}
        return EvalSample(problem, number, 0, "7", **{"prompt": prompt(problem), **failed})
    text = f"I am sure: \\boxed{{{answer}}}." if answer else "I cannot say."
    values: dict[str, Any] = {
        "prompt": prompt(problem),
        "text": f"<think>Hmm, {problem}.</think>\n\n{text} {HOSTILE}", "answer": answer,
        "correct": outcome == R, "finish_reason": "length" if outcome == C else "stop",
        "tokens": 400 if outcome == C else 100 + 10 * number, "thinking_tokens": 40,
        "prompt_tokens": 20, "seconds": 2.5, "temperature": 0.7,
    }  # fmt: skip
    return EvalSample(problem, number, 0, "7", **(values | more))


def prompt(problem: str) -> str:
    return f"The problem {problem}: what is $3 + \\frac{{8}}{{2}}$? {HOSTILE}"


def ballot(member: str, outcome: str) -> dict[str, Any]:
    """Return a panel's ballot as the proxy tells it."""
    head = {
        "name": f"{member}-0", "member": member, "strategy": "random", "domain": "apiculture",
        "source": "bank", "persona": f"{PERSONA} {HOSTILE}", "sample": 0, "round": 0,
    }  # fmt: skip
    if outcome == F:
        return {**head, "outcome": "failed", "error": "timeout", "seconds": 1.0, "usage": {}}
    answer = ANSWERS[outcome]
    return {
        **head, "outcome": "voted" if answer else "abstained", "answer": answer,
        "content": f"<think>{member} thinks.</think>{member} says {answer}. {HOSTILE}",
        "finish_reason": "length" if outcome == C else "stop", "seconds": 1.5,
        "usage": {"completion_tokens": 50, "prompt_tokens": 9}, "estimated": False,
    }  # fmt: skip
