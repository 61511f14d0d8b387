"""Methods driven from stored answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError
from eval.replaying.drive import drive
from eval.replaying.plan import CAN_BE_REPLAYED, Plan, plan, refuse_new_text
from eval.replaying.replay import Replayed, replay
from eval.replaying.stored import StoredProblem, read_stored
from its.answers.algebra.workers import Workers
from its.methods.seam import Call, Case, Grader, Program, Reply, Verdict
from its.methods.table import METHODS
from tests.eval.harness import its_eval
from tests.eval.replaying.stores import outputs, run

TEXTS: dict[str, dict[str, object]] = {
    "p1": {"a": "7", "b": "14/2", "c": "3"},
    "p2": {"a": "7", "b": "8", "c": None},
    "p3": {"a": "7", "b": "7"},
}


@pytest.fixture
def graders() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


def figures(place: Path, graders: Workers, at: Plan, **rest: Any) -> Replayed:
    return replay(read_stored([place], graders), at, **rest)


def said(*args: object) -> dict[str, Any]:
    ended = its_eval("replay", *args, "--json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_the_vote_stands_beside_each_member(tmp_path: Path) -> None:
    file = outputs(tmp_path / "outputs.jsonl", TEXTS)
    found = said(file)
    assert found["problems"] == 2, "p3 has two answers only"
    # p1: 7 = 14/2 wins, whatever the order. p2: 7 and 8 tie, so the order decides.
    assert found["accuracy"]["value"] == pytest.approx(0.75, abs=0.06)
    assert found["calls"] == 3
    assert found["decided"] == 0.5
    assert found["tokens_estimated"]
    assert any("estimated" in note for note in found["notes"])
    assert found["beside"]["a"][:2] == [2, 1.0]
    assert found["beside"]["c"][:2] == [2, 0.0]
    assert found["beside"]["c"][2] == found["accuracy"]["value"]
    again = said(file)
    assert again == found, "the orders are drawn by the seed"
    assert said(file, "--seed", 1)["accuracy"] != found["accuracy"]
    assert said(file, "--fewest", 2)["problems"] == 3


def test_the_table_is_for_people(tmp_path: Path) -> None:
    file = outputs(tmp_path / "outputs.jsonl", TEXTS)
    ended = its_eval("replay", file, "--option", "threshold=0.6", "--option", "below=abstain")
    assert ended.returncode == 0, ended.stderr
    lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert "majority threshold=0.6 below=abstain: 2 problems, 200 orders" in lines
    assert "answered 50.0%" in lines
    assert any(line.startswith("right, where answered 100.0%") for line in lines)
    assert "member problems alone majority" in lines
    assert "estimated from the text" in ended.stderr
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_named_members_answer_in_their_order(tmp_path: Path, graders: Workers) -> None:
    """A tie goes to the first member, as in a panel; problems without all of them are left out."""
    file = outputs(tmp_path / "outputs.jsonl", {**TEXTS, "p4": {"a": "7", "c": "8"}})
    found = figures(file, graders, plan("majority", {}, ("b", "c")))
    assert set(found.means) == {"p1", "p2"}
    assert {name: each.right for name, each in found.means.items()} == {"p1": 1, "p2": 0}
    assert figures(file, graders, plan("majority", {}, ("c", "a"))).means["p1"].right == 0


def test_the_stronger_member_is_asked_only_where_the_others_disagree(tmp_path: Path) -> None:
    texts = {"p1": {"a": "7", "b": "7", "c": "3"}, "p2": {"a": "1", "b": "2", "c": "7"}}
    file = outputs(tmp_path / "outputs.jsonl", texts)
    for members in (("--member", "a", "--member", "b"), ()):  # whoever is there, but not c itself
        found = said(file, "--method", "escalate", "--option", "stronger=c", *members,
                     "--fewest", 2)  # fmt: skip
        assert found["accuracy"]["value"] == 1
        assert found["calls"] == 2.5


def test_adaptive_asks_only_what_it_needs(tmp_path: Path, graders: Workers) -> None:
    folder = run(tmp_path / "run", [["7"] * 8, ["7", "3"] * 4])
    found = figures(folder, graders, plan("adaptive", {"confidence": 0.85}))
    assert found.means["p0"].calls == 2
    assert 2 < found.means["p1"].calls <= 8
    assert found.tokens == pytest.approx(10 * found.calls)
    assert not found.stored.estimated


def test_abstaining_is_counted(tmp_path: Path, graders: Workers) -> None:
    folder = run(tmp_path / "run", [["7"] * 4, ["3", "3", "7", "8"]])
    at = plan("majority", {"threshold": 0.75, "below": "abstain"})
    found = figures(folder, graders, at)
    assert (found.coverage, found.accuracy.value) == (0.5, 0.5)
    assert found.precision is not None
    assert found.precision.value == 1
    assert found.precision.low < 1, "one answered problem is no certainty"


def test_what_runs_out_fails_and_is_told(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", [["7", "7"], ["7", "7"]])
    found = said(folder, "--member", "m", "--samples", 4)
    assert found["calls"] == 4
    assert found["ran_out"] == 0.5
    assert any("50.0% of the calls found no stored answer" in note for note in found["notes"])
    found = said(folder, "--method", "adaptive", "--option", "at_most=9", "--fewest", 2,
                 "--option", "confidence=0.999")  # fmt: skip
    assert found["ran_out"] == pytest.approx(7 / 9)


def test_a_failed_call_is_a_failed_reply(tmp_path: Path, graders: Workers) -> None:
    folder = run(tmp_path / "run", [[None, None, "7"], [None, None, None]])
    found = figures(folder, graders, plan("majority"))
    assert found.means["p0"].right == 1
    assert found.means["p1"].answered == 0
    assert found.ran_out == 0


def test_the_first_arrives_by_its_seconds_else_by_its_tokens(
    tmp_path: Path, graders: Workers
) -> None:
    seconds = run(tmp_path / "s", [["3", "7"]], seconds=[9.0, 1.0], tokens=[10, 90])
    at = plan("first_finish")
    found = figures(seconds, graders, at, fewest=2)
    assert found.accuracy.value == 1
    assert found.seconds == 1
    assert found.tokens == pytest.approx(90 + 10 / 9), "the other one is cancelled on the way"
    tokens = run(tmp_path / "t", [["3", "7"]], seconds=0.0, tokens=[10, 90])
    found = figures(tokens, graders, at, fewest=2)
    assert found.accuracy.value == 0
    assert found.seconds is None
    assert found.tokens == 20


def test_calls_of_a_later_round_start_when_they_are_made(tmp_path: Path, graders: Workers) -> None:
    folder = run(tmp_path / "run", [["7", "3", "8"]], seconds=2.0)
    found = figures(folder, graders, plan("adaptive", {"first": 1, "confidence": 0.999}))
    assert found.seconds == 6


def test_first_finish_among_different_models_warns(tmp_path: Path) -> None:
    file = outputs(tmp_path / "outputs.jsonl", TEXTS)
    notes = said(file, "--method", "first_finish")["notes"]
    assert any("meant for samples of one model" in note for note in notes)
    folder = run(tmp_path / "run", [["7"] * 3])
    assert said(folder, "--method", "first_finish")["notes"] == []
    assert said(file, "--method", "majority")["notes"] == notes[:1]


def test_weights_count_where_they_are_stored(tmp_path: Path) -> None:
    sure, unsure = {"mean": -0.01, "tail": None}, {"mean": -5.0}
    folder = run(
        tmp_path / "run", [["7", "3", "3"], ["7", "3", "3"]], logprobs=[sure, unsure, unsure]
    )
    assert said(folder)["accuracy"]["value"] == 0
    assert said(folder, "--method", "weighted")["accuracy"]["value"] == 1
    ended = its_eval("replay", folder, "--method", "weighted", "--option", "measure=tail")
    assert ended.returncode == 2
    assert "no confidence of m is stored (its-eval run --logprobs 20)" in ended.stderr


def test_temperatures_take_answers_of_that_temperature(tmp_path: Path, graders: Workers) -> None:
    cold = run(tmp_path / "cold", [["3", "3", "3"]], temperature=0.2)
    warm = run(tmp_path / "warm", [["7", "7", "7"]], temperature=1.0)
    problems = read_stored([cold, warm], graders)
    options = {"temperatures": [1.0, 0.2]}
    found = replay(problems, plan("temperatures", options, (), 2))
    assert found.means["p0"].ran_out == 0
    one = next(iter(problems))
    program = plan("temperatures", options).method.run(
        Case(("m",) * 4, 1, (), plan("temperatures", options).options), one.grader
    )
    driven = drive(program, one.answers, range(6), by_seconds=True)
    assert driven.drawn == (3, 0, 4, 1), "warm, cold, warm, cold"
    ended = its_eval("replay", cold, "--method", "temperatures")
    assert ended.returncode == 2
    assert (
        "it asks m at temperature 0.3, and the temperatures of its stored answers are: 0.2"
        in ended.stderr
    )


@pytest.mark.parametrize("name", METHODS)
def test_methods_that_need_new_text_are_refused(
    name: str, tmp_path: Path, graders: Workers
) -> None:
    lp = {"mean": -0.1, "tail": 1.0, "worst": 1.0}
    warm = run(tmp_path / "run", [["7", "3", "7"]], temperature=1.0, logprobs=lp)
    cold = run(tmp_path / "cold", [["7", "3", "7"]], temperature=0.2, logprobs=lp)
    problems = read_stored([warm, cold], graders)
    options: dict[str, dict[str, Any]] = {
        "temperatures": {"temperatures": [1.0, 0.2]},
        "escalate": {"stronger": "m"},
        "best_of": {"judge": "m"},
        "tournament": {"judge": "m"},
        "steps": {"judge": "m"},
        "layers": {"layers": [{"method": "majority"}, {"method": "synthesize"}]},
    }
    at = plan(name, options.get(name, {}), ("m",))
    if name in CAN_BE_REPLAYED:
        assert replay(problems, at, number=5).calls >= 1
    else:
        with pytest.raises(EvalError, match=f"{name} cannot be replayed.*majority, adaptive"):
            refuse_new_text(at, problems, 3)


@pytest.mark.parametrize("below", ["synthesize", "refine"])
def test_a_nested_method_is_refused_before_anything_is_replayed(below: str, tmp_path: Path) -> None:
    """Here no problem is below the threshold: what the options allow decides, not the answers."""
    folder = run(tmp_path / "run", [["7"] * 3])
    ended = its_eval("replay", folder, "--option", "threshold=0.5", "--option", f"below={below}")
    assert ended.returncode == 2
    assert "majority cannot be replayed" in ended.stderr
    assert said(folder, "--option", "threshold=0.5", "--option", "below=adaptive")["calls"] == 3


class Longest:
    """A method from elsewhere, which looks at members that it does not ask."""

    options = METHODS["majority"].options

    def needs(self, options: Any) -> frozenset[str]:
        return frozenset()

    def most_calls(self, case: Case) -> int:
        return 1

    def run(self, case: Case, grader: Grader | None) -> Program:
        member = "a" if case.members[-1] == "b" else case.members[0]
        reply: Reply = yield [Call(member, "answer-0")]
        return Verdict(reply)


def test_another_package_s_method_is_replayed(tmp_path: Path, graders: Workers) -> None:
    texts = {"p1": {"a": "7", "b": "3", "c": "3"}}
    problems = read_stored([outputs(tmp_path / "o.jsonl", texts)], graders)
    method: Any = Longest()
    at = Plan("longest", {}, (), None, method, method.options())
    right = replay(problems, at, number=400).accuracy.value
    # Right where b is last (a third) and where a is first and b is not last (a sixth).
    assert right == pytest.approx(1 / 2, abs=0.08)


def test_each_pair_of_answers_is_compared_once(
    tmp_path: Path, graders: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from its.answers.equality import compare as comparing

    texts = {"p1": {"a": r"\frac{14}{2}", "b": "14/2", "c": r"\sqrt{49}", "d": "x+1"}}
    problems = read_stored([outputs(tmp_path / "o.jsonl", texts)], graders)
    seen = []
    real = comparing.compare

    def counted(a: Any, b: Any, judge: Any = None) -> Any:
        seen.append((a.text, b.text))
        return real(a, b, judge)

    monkeypatch.setattr(comparing, "compare", counted)
    found = replay(problems, plan("majority"))
    assert found.accuracy.value == 1
    assert seen
    assert len(seen) == len(set(seen)) <= 6


def test_places_that_disagree_are_refused(tmp_path: Path) -> None:
    run(tmp_path / "a", [["7"] * 3])
    run(tmp_path / "b", [["8"] * 3], gold="8")
    ended = its_eval("replay", tmp_path / "a", tmp_path / "b")
    assert ended.returncode == 2
    assert "problem 'p0' has the answer '8' here and '7' in another place" in ended.stderr


def test_a_panel_s_run_gives_its_members_ballots(tmp_path: Path, graders: Workers) -> None:
    def ballot(member: str, answer: str | None) -> dict[str, Any]:
        spent = {"completion_tokens": 5}
        return {"member": member, "outcome": "voted", "answer": answer, "usage": spent}

    ballots = [ballot("a", "7"), ballot("b", "14/2"), ballot("c", "3")]
    folder = run(tmp_path / "run", [["7"]], model="vote", input_time={"ballots": ballots})
    found = said(folder, "--member", "c", "--member", "b", "--member", "a")
    assert found["accuracy"]["value"] == 1
    assert found["beside"] == {"a": [1, 1.0, 1.0], "b": [1, 1.0, 1.0], "c": [1, 0.0, 1.0]}
    assert not found["tokens_estimated"]
    early = run(tmp_path / "early", [["7"]], model="vote", input_time={
        "ballots": [*ballots[:2], {**ballots[2], "outcome": "cancelled"}]
    })  # fmt: skip
    problems = read_stored([early], graders)
    assert {one.member for one in problems[0].answers} == {"vote"}


def test_runs_of_several_models_are_members(tmp_path: Path) -> None:
    one = run(tmp_path / "a", [["7", "7"], ["3", "3"]], model="a")
    two = run(tmp_path / "b", [["3", "3"], ["7", "7"]], model="b")
    found = said(one / "samples.jsonl", two, "--member", "b", "--member", "a")
    assert found["accuracy"]["value"] == 0.5
    assert found["calls"] == 4
    assert set(found["beside"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--method", "best"], "Unknown method 'best'"),
        (["--option", "treshold=1"], "Did you mean 'threshold'?"),
        (["--option", "threshold"], "write KEY=VALUE"),
        (["--option", "threshold=2"], "threshold"),
        (["--member", "z"], "no answers of 'z' are stored. Stored: a, b, c."),
        (["--member", "a", "--member", "a"], "listed twice"),
        (["--fewest", "9"], "no problem has 9 stored answers: lower --fewest"),
        (["--method", "escalate", "--option", "stronger=z"], "no answers of 'z' are stored"),
    ],
)
def test_bad_usage(args: list[str], told: str, tmp_path: Path) -> None:
    file = outputs(tmp_path / "outputs.jsonl", TEXTS)
    ended = its_eval("replay", file, *args)
    assert ended.returncode == 2, ended.stdout
    assert told in ended.stderr
    assert ended.stdout == ""


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"model": "a"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    for name, told in (
        ("bad.jsonl", "line 1: not {problem_id"),
        ("empty.jsonl", "no answers are stored there"),
        ("missing.jsonl", "cannot read"),
    ):
        ended = its_eval("replay", tmp_path / name)
        assert ended.returncode == 2
        assert told in ended.stderr


def test_stored_problems_know_their_members(tmp_path: Path, graders: Workers) -> None:
    problems: list[StoredProblem] = read_stored(
        [outputs(tmp_path / "o.jsonl", {"p": {"a": ["7", "8"], "b": "7"}})], graders
    )
    assert [one.correct for one in problems[0].of("a")] == [True, False]
