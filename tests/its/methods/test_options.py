"""Options: what is refused, and how the error names the key and the remedy."""

from typing import Any

import msgspec
import pytest

from its.methods.options import OptionError, named, pairs, parse
from its.methods.seam import Case, Method
from its.methods.table import METHODS, find
from tests.its.methods.driving import case
from tests.its.methods.test_every_method import OPTIONS

NAN = float("nan")


@pytest.mark.parametrize(
    ("method", "raw", "said"),
    [
        (
            "adaptive",
            {"confidance": 0.9},
            "confidance: Unknown option 'confidance'. Did you mean 'confidence'?",
        ),
        ("adaptive", {"zzz": 1}, "Available: threshold, below, confidence, posterior, first"),
        ("adaptive", {"confidence": 1.5}, "confidence: Expected `float` <= 1"),
        ("adaptive", {"confidence": NAN}, "confidence: must be a finite"),
        ("adaptive", {"confidence": "high"}, "confidence: Expected `float`, got `str`"),
        ("adaptive", {"first": 0}, "first: Expected `int` >= 1"),
        ("adaptive", {"first": True}, "first: Expected `int`, got `bool`"),
        ("adaptive", {"posterior": "gamma"}, "posterior: Invalid enum value 'gamma'"),
        ("weighted", {"share": 0}, "share: Expected `float` > 0"),
        ("weighted", {"share": float("inf")}, "share: must be a finite"),
        ("temperatures", {"temperatures": [0.2]}, "temperatures: Expected `array` of length >= 2"),
        ("temperatures", {"temperatures": [0.2, 0.2]}, "`temperatures` lists one twice"),
        (
            "temperatures",
            {"temperatures": [0.2, NAN]},
            "temperatures[1]: must be a finite",
        ),
        ("temperatures", {"temperatures": [0.2, 2.5]}, "temperatures[1]: Expected `float` <= 2"),
        ("escalate", {}, "missing required field `stronger`"),
        ("tournament", {}, "missing required field `judge`"),
        ("best_of", {}, "set one of `judge` and `scorer`"),
        ("best_of", {"judge": "a", "scorer": "b"}, "set one of `judge` and `scorer`"),
        ("best_of", {"scorer": "b", "votes": 2}, "a scorer does not vary"),
        ("best_of", {"judge": ""}, "judge: Expected `str` of length >= 1"),
        ("steps", {"scorer": "b", "temperature": NAN}, "temperature: must be a finite"),
        ("first_finish", {"threshold": 0.5}, "`threshold` needs `votes` of at least 2"),
        ("majority", {"below": "abstain"}, "`below` needs `threshold`"),
        ("majority", {"threshold": 0.5, "below": "majorty"}, "Did you mean 'majority'?"),
        ("majority", {"threshold": 0.5, "below": {}}, "below.method: is missing: name the method"),
        (
            "majority",
            {"threshold": 0.5, "below": {"method": "best_of", "judge": "j", "vote": 2}},
            "below.vote: Unknown option 'vote'. Did you mean 'votes'?",
        ),
        (
            "majority",
            {"threshold": 0.5, "below": {"method": "best_of", "judge": "j", "samples": 0}},
            "below.samples: Expected `int` >= 1",
        ),
        ("layers", {"layers": []}, "layers: Expected `array` of length >= 1"),
        ("layers", {"layers": [{"method": "refine", "rounds": 99}]}, "layers[0].rounds: Expected"),
        ("layers", {"layers": [{"method": "nope"}]}, "layers[0].method: Unknown method 'nope'"),
        (
            "layers",
            {"layers": [{"method": "majority", "threshold": 0.5, "below": {"method": "x"}}]},
            "layers[0].below.method: Unknown method 'x'",
        ),
    ],
)
def test_what_is_refused(method: str, raw: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as error:
        parse(find(method), raw)
    assert said in str(error.value)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_refuses_what_it_does_not_know(method: str) -> None:
    with pytest.raises(OptionError, match=r"Unknown option .*Available: "):
        parse(find(method), {"tempratures_": 1})


def test_a_method_below_may_be_named_alone() -> None:
    assert parse(find("majority"), {"threshold": 0.5, "below": "synthesize"}).below == "synthesize"


def test_the_members_that_options_name_are_found_in_nested_ones_too() -> None:
    options = parse(find("layers"), OPTIONS["layers"])
    assert named(options) == [
        ("layers[0].judge", "j"),
        ("layers[1].members", "d"),
        ("layers[1].members", "e"),
        ("layers[2].writer", "w"),
    ]
    options = parse(find("majority"), OPTIONS["majority, below"])
    assert named(options) == [("below.judge", "j")]
    assert named(parse(find("escalate"), {"stronger": "s"})) == [("stronger", "s")]


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("majority", set()),
        ("majority, below", {"judge"}),
        ("first_finish", {"one_member"}),
        ("weighted", {"logprobs"}),
        ("best_of", {"judge"}),
        ("best_of, scorer", {"scores"}),
        ("tournament", {"judge"}),
        ("thinking_budget", {"prefix"}),
        ("steps", {"prefix", "judge"}),
        ("steps, beams", {"prefix", "scores"}),
        ("layers", {"judge"}),
        ("synthesize, below", {"judge"}),
    ],
)
def test_needs(name: str, needs: set[str]) -> None:
    method = find(name.partition(",")[0])
    assert method.needs(parse(method, OPTIONS[name])) == needs


def cost(name: str, **rest: Any) -> int:
    method, at = case(name.partition(",")[0], "abc", 2, options=OPTIONS[name], **rest)
    assert isinstance(at, Case)
    return method.most_calls(at)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("majority", 6),
        ("majority, below", 12),
        ("adaptive, dirichlet", 7),
        ("escalate", 7),
        ("best_of", 18),
        ("best_of, together", 8),
        ("tournament", 30),
        ("synthesize", 7),
        ("refine", 15),
        ("thinking_budget", 24),
        ("steps", 36),
    ],
)
def test_the_worst_case(name: str, calls: int) -> None:
    assert cost(name) == calls


def test_the_command_line_writes_values_as_toml_does() -> None:
    written = ["confidence=0.85", "posterior=beta", "temperatures=[0.2, 1]", "x.y.z=true", 'q="1"']
    assert pairs(written) == {
        "confidence": 0.85,
        "posterior": "beta",
        "temperatures": [0.2, 1],
        "x": {"y": {"z": True}},
        "q": "1",
    }
    for wrong in (["confidence"], ["=1"], ["a=1", "a.b=2"]):
        with pytest.raises(OptionError):
            pairs(wrong)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_no_option_is_called_as_a_key_of_the_table_that_nests_it(method: Method) -> None:
    keys = {field.name for field in msgspec.structs.fields(method.options)}
    assert not keys & {"method", "members", "samples", "keep"}
