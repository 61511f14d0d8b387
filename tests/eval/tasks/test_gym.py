"""`gym:NAME`: problems of reasoning-gym, seeded, without the packages that a task does not need."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.grading.samples import graded
from eval.grading.scorers import TASK_FILE, keep_task, scorer_for, scorer_of
from eval.samples import EvalSample
from eval.tasks import gym_child
from eval.tasks.gym import OURS, gym_task, parsed, tasks
from eval.tasks.load import Task, load
from its.answers.algebra.workers import Workers
from tests.conftest import require_or_skip
from tests.eval.harness import its_eval, rows, run_args
from tests.scripted import Engine, says


@pytest.fixture(autouse=True)
def library() -> None:
    if not importlib.util.find_spec("reasoning_gym"):
        require_or_skip("no reasoning-gym: pip install --no-deps reasoning-gym==0.1.25")


@pytest.fixture
def graders() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


def said(task: Task, number: int, text: str, answer: str | None = None) -> EvalSample:
    problem = task.problems[number]
    return EvalSample(problem.id, 0, 0, problem.answer, "q", text=text, answer=answer)


def test_all_tasks_are_known_and_most_need_nothing_else() -> None:
    found = tasks()
    assert len(found) == 106
    assert {each["name"] for each in found} >= OURS
    missing = {each["name"]: each["missing"] for each in found if each["missing"]}
    assert set(missing) <= {
        *("arc_agi", "bf", "codeio", "figlet_font", "game_of_life", "game_of_life_halting"),
        *("rubiks_cube", "time_intervals", "zebra_puzzles"),
    }
    if not importlib.util.find_spec("tabulate"):
        with pytest.raises(
            EvalError, match="zebra_puzzles needs the package tabulate: pip install"
        ):
            gym_task("gym:zebra_puzzles", 0)


@pytest.mark.parametrize("name", ["gsm_symbolic", "word_ladder", "list_functions", "countdown"])
def test_problems_are_seeded_and_more_of_them_begin_alike(name: str) -> None:
    few, many = (gym_task(f"gym:{name}:size={size}", 3).problems for size in (4, 7))
    assert few == many[:4]
    assert gym_task(f"gym:{name}:size=4:seed=3", 9).problems == few
    assert gym_task(f"gym:{name}:size=4", 4).problems != few


def test_templates_split_training_from_testing() -> None:
    train = gym_task("gym:gsm_symbolic:templates=0-59:size=120", 0)
    test = gym_task("gym:gsm_symbolic:templates=60-99:size=60", 0)
    of = [{each.row["template"] for each in task.problems} for task in (train, test)]
    assert of[0] & of[1] == set()
    assert max(of[0]) <= 59
    assert min(of[1]) >= 60
    counts = [each.row["template"] for each in train.problems].count
    assert {counts(number) for number in of[0]} <= {2, 3}, "each equally often"
    assert all(f"-t{each.row['template']}-" in each.id for each in train.problems)
    (one,) = {each.row["template"] for each in gym_task("gym:gsm_symbolic:templates=7", 0).problems}
    assert one == 7


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gym:countdwn", "Did you mean 'countdown'"),
        ("gym:gcd:size", "'size' is no option"),
        ("gym:gcd:size=0", "size must be a whole number"),
        ("gym:gcd:seed=x", "seed must be a whole number"),
        ("gym:gcd:bad=1", "no option 'bad'; there are .*min_numbers"),
        ("gym:gcd:templates=1", "gym:gcd has no templates"),
        ("gym:gsm_symbolic:templates=32", "does not use 32; usable are 0, 1"),
        ("gym:gsm_symbolic:templates=a", "write numbers and ranges"),
        ("gym:composite", "at least one dataset"),
    ],
)
def test_a_wrong_name_or_option_is_one_line(name: str, told: str) -> None:
    with pytest.raises(EvalError, match=told):
        gym_task(name, 0)


def test_options_reach_the_task() -> None:
    name, options = parsed("gym:gcd:min_numbers=3:max_numbers=3:size=2", 0)
    assert (name, options["min_numbers"]) == ("gcd", 3)
    task = gym_task("gym:gcd:min_numbers=3:max_numbers=3:size=2", 0)
    assert all(each.problem.count(",") == 2 for each in task.problems)


@pytest.mark.parametrize("name", ["countdown", "spell_backward", "sokoban", "n_queens"])
def test_the_tasks_own_verifier_decides(name: str, graders: Workers) -> None:
    task = gym_task(f"gym:{name}:size=2", 0)
    scorer = scorer_for(task)
    gold = task.problems[0].answer
    right = said(task, 0, f"I think so.\n<answer>\n{gold}\n</answer>")
    assert graded(right, graders, scorer).correct
    assert not graded(said(task, 1, right.text or ""), graders, scorer).correct
    assert not graded(said(task, 0, "no idea"), graders, scorer).correct


def test_any_right_answer_of_countdown_counts_also_in_a_box(graders: Workers) -> None:
    task = gym_task("gym:countdown:size=1", 0)  # 6*(98 - 54) - 34 - 66
    scorer = scorer_for(task)
    for answer in ("(98-54)*6-(34+66)", "0 - 66 - 34 + 6*(98 - 54)"):
        sample = said(task, 0, rf"So \boxed{{{answer}}}.")
        assert graded(sample, graders, scorer).correct == (not answer.startswith("0"))


def test_a_verifier_runs_nothing_that_a_model_wrote(graders: Workers, tmp_path: Path) -> None:
    """Both ways: `sympy.parse_expr` of countdown, `eval` of n_queens; and an endless power."""
    mark = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    for name in ("countdown", "n_queens", "spiral_matrix", "simple_integration"):
        task = gym_task(f"gym:{name}:size=1", 0)
        scorer = scorer_for(task)
        assert not graded(said(task, 0, f"<answer>{code}</answer>"), graders, scorer).correct
    assert not mark.exists()


def test_an_answer_that_takes_for_ever_costs_one_process(
    graders: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = gym_task("gym:countdown:size=1", 0)
    scorer = scorer_for(task)
    assert not graded(said(task, 0, "<answer>9**9**9**9</answer>"), graders, scorer).correct
    right = said(task, 0, f"<answer>{task.problems[0].answer}</answer>")
    assert graded(right, graders, scorer).correct, "a new process goes on"


@pytest.mark.parametrize(
    ("answer", "fine"),
    [
        ("6*(98 - 54) - 34", True), ("-2*x**3*cos(x)/3 + C", True), ("sqrt(2)*exp(1.5)", True),
        ("os.system", False), ("x.__class__", False), ("'a'", False), ("lambda: 0", False),
        ("exec(x)", False), ("[1]", False), ("open(x)", False), ("1 .real", False),
    ],
)  # fmt: skip
def test_only_formulas_are_given_to_the_parser(answer: str, fine: bool) -> None:
    assert gym_child.harmless(answer) is fine


def test_numbers_are_scored_by_our_grader(graders: Workers) -> None:
    """The library's scorer of gsm_symbolic would take the first number of the answer."""
    task = gym_task("gym:gsm_symbolic:size=1", 0)
    assert task.scorer is None
    assert "boxed" in task.instruction
    assert graded(said(task, 0, "", answer="28,080.0"), graders).correct
    assert not graded(said(task, 0, "", answer="28081"), graders).correct
    mixed = gym_task("gym:composite:datasets=gsm_symbolic,countdown:size=6", 0)
    scorer = scorer_for(mixed)
    for number, problem in enumerate(mixed.problems):
        ours = problem.row["task"] == "gsm_symbolic"
        text = rf"12 \boxed{{{problem.answer}}}" if ours else f"<answer>{problem.answer}</answer>"
        assert graded(said(mixed, number, text, problem.answer), graders, scorer).correct


def test_a_run_is_asked_and_keeps_what_its_scorer_needs(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    task = load("gym:spell_backward:size=2", data=None, seed=0)
    engine.scripts["m"] = says(f"<answer>{task.problems[0].answer}</answer>")
    _, *options = run_args(tmp_path, engine_url)
    ended = its_eval("run", "gym:spell_backward:size=2", *options)
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "out"
    assert [row["correct"] for row in rows(folder)] == [True, False]
    assert "<answer> and </answer>" in str(rows(folder)[0]["prompt"])
    scorer = scorer_of(folder)
    assert scorer is not None
    assert scorer(said(task, 1, f"<answer>{task.problems[1].answer}</answer>"))


def test_another_version_of_the_library_is_noticed(tmp_path: Path) -> None:
    task = gym_task("gym:spell_backward:size=1", 0)
    keep_task(task, tmp_path)
    kept = json.loads((tmp_path / TASK_FILE).read_text())
    kept["rows"][task.problems[0].id]["question"] = "Spell this backward: other"
    (tmp_path / TASK_FILE).write_text(json.dumps(kept))
    scorer = scorer_of(tmp_path)
    assert scorer is not None
    with pytest.raises(EvalError, match=r"makes other problems.*reasoning-gym==0\.1\.25"):
        scorer(said(task, 0, "x"))


def test_problems_are_written_with_their_solutions_to_train_on(tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    ended = its_eval("task", "gym:gsm_symbolic:templates=0-9:size=3", "--out", out)
    assert ended.returncode == 0, ended.stderr
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(row["solution"] and row["answer"] in row["solution"] for row in written)


def test_the_tasks_are_listed() -> None:
    ended = its_eval("tasks")
    assert ended.returncode == 0, ended.stderr
    assert "gsm_symbolic" in ended.stdout
    assert "MathArena/hmmt_feb_2025" in ended.stdout
    listed = [json.loads(line) for line in its_eval("tasks", "--json").stdout.splitlines()]
    assert {"gym:countdown", "arith", "aime26"} <= {each["name"] for each in listed}
