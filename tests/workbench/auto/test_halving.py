"""Settings that are tried: within the time, on queries that do not judge, and never a person's."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.auto.test_choice import average_precision
from tests.workbench.auto.test_rounds import reader
from workbench.auto import choice, decisions, halving
from workbench.auto.choice import choose
from workbench.auto.decisions import Decision, Effort
from workbench.auto.folds import Material, choosing, deal, rounds
from workbench.auto.halving import (
    FEWEST,
    GoesOn,
    Halving,
    Plan,
    Search,
    Settings,
    Tried,
    best,
    decided,
    planned,
    space,
    upcoming,
)
from workbench.errors import BadInput, JobCancelled, TrainingDiverged
from workbench.models.contract import Contract
from workbench.recipes.train import KINDS, TrainEmbeddingRecipe

#: Of a model 384 wide, and what is tried beside it.
RATE = float(decisions.learning_rate(384, adapter=False, decoder=False).value)
FASTER, SLOWER = 2 * RATE, RATE / 2
RULES: Settings = {"learning_rate": RATE, "negatives": 1, "temperature": 0.05}
SPACE = {
    "learning_rate": (RATE, FASTER, SLOWER),
    "negatives": (1, 0),
    "temperature": (0.05, 0.02, 0.1),
}


def settings(**given: Any) -> tuple[TrainEmbeddingRecipe, list[Decision]]:
    """What the rules say where a person gives this beside the preset auto."""
    recipe = TrainEmbeddingRecipe.read(
        {"dataset": "d", **TrainEmbeddingRecipe.presets["auto"], **given}
    )
    base = Contract(dimensions=384)
    return decisions.scheduled(recipe, base, 3000, 100, recipe.decides)


def plan(trials: int = 9, seconds: float = 1e9, whole: float = 100.0) -> Plan:
    return Plan(trials, seconds, whole, 100)


class World:
    """Trainings whose worth is known, on a clock of their own: a step takes a second."""

    def __init__(self, worth: Callable[[Settings], float], stops_at: int | None = None) -> None:
        self.worth, self.now, self.stops_at = worth, 0.0, stops_at
        self.trained: list[tuple[Settings, int]] = []
        self.names: list[str] = []

    def trains(self, tried: Settings, rungs: tuple[int, ...], name: str, goes_on: GoesOn) -> None:
        if len(self.trained) == self.stops_at:
            raise JobCancelled("Stopped.")
        self.names.append(name)
        self.trained.append((tried, 0))
        before = 0
        for rung in rungs:
            self.now += rung - before
            before = rung
            self.trained[-1] = (tried, rung)
            if not goes_on(self.worth(tried) * (0.5 + rung / 200)):
                return

    def search(
        self, one: Plan | None = None, kept: Any = (), keep: Any = lambda _: None
    ) -> list[Tried]:
        search = Search(SPACE, one or plan(), 7, kept, keep, lambda: self.now)
        return search.run(self.trains)


def worth(tried: Settings) -> float:
    """Best with twice the rate and a colder softmax; other changes do harm."""
    rate = {RATE: 0.0, FASTER: 0.04, SLOWER: -0.02}[tried["learning_rate"]]
    softmax = {0.05: 0.0, 0.02: 0.03, 0.1: -0.01}[tried["temperature"]]
    return 0.5 + rate + softmax - 0.03 * (tried["negatives"] == 0)


# -- what is tried ---------------------------------------------------------------------------------


def test_around_what_the_rules_say() -> None:
    assert space(*settings()) == SPACE
    adapter = decisions.learning_rate(384, adapter=True, decoder=False).value
    tried = space(*settings(method="lora"))["learning_rate"]
    assert tried == (adapter, 2 * float(adapter), float(adapter) / 2)


def test_no_temperature_of_kinds_whose_scores_are_no_cosines() -> None:
    base = Contract(dimensions=384)
    for kind, found in (
        ("reranker", {"learning_rate"}),
        ("late-interaction", {"learning_rate", "negatives"}),
    ):
        read = KINDS[kind].read({"dataset": "d", **KINDS[kind].presets["auto"]})
        recipe, ruled = decisions.scheduled(read, base, 3000, 100, width=384)
        assert set(space(recipe, ruled)) == found


def test_what_a_person_set_is_never_tried() -> None:
    assert set(space(*settings(learning_rate="3e-4"))) == {"negatives", "temperature"}
    assert set(space(*settings(temperature=0.05, negatives=1))) == {"learning_rate"}
    assert space(*settings(temperature=0.05, negatives=1, learning_rate=1e-4)) == {}
    assert space(*settings(max_steps=30)) == {}


def test_what_nothing_is_gained_by_is_not_tried() -> None:
    """No temperature where scores are not divided by one, and no negatives to leave out."""
    recipe, _ = settings()
    longer = Contract(dimensions=384, normalize=False)
    ruled = decisions.scheduled(recipe, longer, 3000, 0, recipe.decides)[1]
    assert set(space(recipe, ruled)) == {"learning_rate"}
    alone, found = settings(in_batch_negatives=False)
    assert "negatives" not in space(alone, found)


def test_the_rules_come_first_then_each_change_alone_then_what_was_ahead_together() -> None:
    world = World(worth)
    world.search(plan(18))
    tried = [one for one, _ in world.trained]
    assert tried[0] == RULES
    for one in tried[1:6]:
        assert len(one.items() - RULES.items()) == 1
    assert tried[6] == {**RULES, "learning_rate": FASTER, "temperature": 0.02}
    assert len({json.dumps(one, sort_keys=True) for one in tried}) == len(tried) == 18


def test_the_order_hangs_on_the_seed_alone() -> None:
    first = [Tried(RULES, (0.5,), 1.0)]
    assert upcoming(SPACE, first, 1) == {**RULES, "learning_rate": FASTER}
    runs = [World(worth) for _ in range(2)]
    assert runs[0].search() == runs[1].search()


# -- pruning ---------------------------------------------------------------------------------------


def test_what_is_behind_is_not_trained_on() -> None:
    world = World(worth)
    found = world.search()
    assert found[0].ended, "the rules' settings are what others are held against"
    assert [rung for _, rung in world.trained[:7]] == [100, 100, 25, 25, 50, 25, 100]
    assert [one.ended for one in found] == [rung == 100 for _, rung in world.trained]
    assert sum(one.ended for one in found) < len(found) / 2


def test_what_the_person_sees_of_it() -> None:
    world = World(worth)
    world.search()
    assert world.names[2] == "Trying settings: 3 of 9"


def test_the_best_of_those_that_were_trained_to_the_end() -> None:
    found = best(World(worth).search())
    assert found and found.settings == {**RULES, "learning_rate": FASTER, "temperature": 0.02}


def test_a_little_ahead_of_the_rules_is_luck() -> None:
    rules = Tried(RULES, (0.1, 0.2, 0.5), 1.0)
    near, far = (Tried({**RULES, "negatives": 0}, (0.1, 0.2, at), 1.0) for at in (0.504, 0.506))
    assert best([rules, near]) is rules and best([rules, far]) is far
    early = Tried({**RULES, "negatives": 0}, (0.9,), 1.0)
    assert best([rules, early]) is rules


def test_a_training_that_fails_is_none_of_the_best() -> None:
    def trains(tried: Settings, rungs: Any, name: str, goes_on: GoesOn) -> None:
        if tried["learning_rate"] > SLOWER:
            goes_on(0.9)
            raise (TrainingDiverged if tried["negatives"] else BadInput)("It went wrong.", "")
        for at, _ in enumerate(rungs):
            goes_on(0.4 + at / 100)

    found = Search(SPACE, plan(5), 7, (), lambda _: None).run(trains)
    assert [bool(one.failed) for one in found] == [True, True, False, True, True]
    assert best(found) is found[2] and found[0].values == (0.9,)
    again = Search(SPACE, plan(6), 7, found, lambda _: None).run(trains)
    assert again[:5] == found and again[5].failed
    said = decided(settings()[1], found, "map@100", 320)
    rate = next(one for one in said if one.name == "learning_rate")
    assert rate.value == SLOWER and f"with {RATE:g} nothing was learnt" in rate.reason
    assert best(found[:2]) is None and decided(settings()[1], found[:2], "m", 3) == settings()[1]


# -- time ------------------------------------------------------------------------------------------


def test_without_time_to_spare_nothing_is_tried() -> None:
    whole = 100 * 2.0 * (1 + decisions.MEASURING)
    assert planned(Effort(1, 1.0), 100, SPACE) is None
    assert planned(Effort(1, 1.0, 2.4 * whole, 2.0), 100, SPACE) is None
    found = planned(Effort(1, 1.0, 2.6 * whole, 2.0), 100, SPACE)
    assert found and found.trials == FEWEST and found.whole == whole
    assert found.rungs == (25, 50, 100)
    much = planned(Effort(1, 1.0, 1e9, 2.0), 100, SPACE)
    assert much and much.trials == 18
    few = planned(Effort(1, 1.0, 1e9, 2.0), 100, {"learning_rate": (1, 2, 3)})
    assert few is None


@pytest.mark.parametrize("slower", [1.0, 2.0, 5.0])
def test_trials_keep_to_their_time_however_long_they_really_take(slower: float) -> None:
    """None is begun that could not be trained to the end; the first one is: that was planned."""
    world = World(lambda tried: 0.5 + 1e-6 * tried["learning_rate"])
    steps = Search(
        SPACE, plan(18, seconds=400.0), 7, (), lambda _: None, lambda: world.now * slower
    )
    found = steps.run(world.trains)
    took = sum(one.seconds for one in found)
    assert took <= 400 or len(found) == 1
    assert len(found) < 18 and (len(found) > 1) == (slower < 4)


# -- going on --------------------------------------------------------------------------------------


def test_a_resumed_job_goes_on_where_it_stood_and_ends_the_same(tmp_path: Path) -> None:
    whole = World(worth).search()
    kept: list[Tried] = []
    stopped = World(worth, stops_at=5)
    with pytest.raises(JobCancelled):
        stopped.search(keep=lambda found: kept.__setitem__(slice(None), found))
    assert kept == whole[:5]
    again = World(worth)
    assert again.search(kept=kept) == whole
    assert [one for one, _ in again.trained] == [one.settings for one in whole[5:]]
    assert again.names[0] == "Trying settings: 6 of 9"


def test_trials_of_other_settings_than_are_tried_now_are_not_taken_over() -> None:
    odd = [Tried({**RULES, "learning_rate": 9e-9}, (1.0, 1.0, 1.0), 1.0)]
    assert World(worth).search(kept=odd) == World(worth).search()


# -- which queries choose --------------------------------------------------------------------------


def material(train: int = 3000, dev: int = 0, *, carved: bool = True) -> Material:
    return Material.of(reader(train, dev, carved=carved))  # type: ignore[arg-type]


def test_what_chooses_neither_judges_nor_trains_meanwhile() -> None:
    data = material()
    (judging,) = rounds(data, 1, seed=0)
    part = choosing(data, judging, 300, seed=0)
    sets = [set(data.clusters[one]) for one in (judging.judge, part.judge, part.train)]
    assert not (sets[0] & sets[1] or sets[1] & sets[2] or sets[0] & sets[2])
    assert 300 <= len(part.judge) <= 302
    assert len(part.train) + len(part.judge) == len(judging.train)


def test_nobody_chooses_where_dev_asks_for_all_documents_of_train() -> None:
    data = material(3000, 400, carved=False)
    (judging,) = rounds(data, 1, seed=0)
    shared = replace(data, together=np.zeros_like(data.together))
    assert len(choosing(shared, judging, 300, seed=0).judge) == 0
    assert len(choosing(data, judging, 300, seed=0).judge) >= 300


def run(
    tmp_path: Path, data: Material, folds: int = 1, effort: Effort | None = None, **given: Any
) -> tuple[World, list[Decision], list[Any]]:
    recipe, ruled = settings(**given)
    recipe = recipe.model_copy(update={one.name: one.value for one in ruled})
    world, asked = World(worth), list[Any]()

    def trains_on(part: Any, steps: int) -> Any:
        asked.append((part, steps))
        return world.trains

    one = Halving(
        recipe, ruled, data, rounds(data, folds, seed=recipe.seed),
        effort or Effort(folds, 1.0, 1e6, 0.1), tmp_path, lambda part: len(part.train) // 20,
        lambda part: len(part.judge), trains_on, lambda: world.now,
    )  # fmt: skip
    return world, one.decided(), asked


def test_what_was_found_is_decided_by_measuring_and_says_so(tmp_path: Path) -> None:
    world, found, asked = run(tmp_path, material())
    by = {one.name: one for one in found}
    assert by["learning_rate"].value == FASTER and by["temperature"].value == 0.02
    assert by["negatives"].value == 1
    assert {one.name for one in found if one.by == "measured"} == set(SPACE)
    ((part, steps),) = asked
    queries = len(part.judge)
    ended = sum(rung >= steps for _, rung in world.trained)
    assert by["learning_rate"].reason == (
        f"map@100 {0.57 * (0.5 + steps / 200):.3f} on {queries} queries against "
        f"{0.5 * (0.5 + steps / 200):.3f} with {RATE:g} and the rules' other settings; "
        f"18 trials, {ended} trained to the end"
    )
    assert queries >= halving.CHOOSING and steps == len(part.train) // 20
    again, same, _ = run(tmp_path, material())
    assert same == found and again.trained == []


def test_with_folds_or_too_few_queries_or_no_time_the_rules_stand(tmp_path: Path) -> None:
    for data, folds, effort in (
        (material(1500), 3, None),
        (material(350), 1, None),
        (material(), 1, Effort(1, 1.0)),
        (material(), 1, Effort(1, 1.0, 1.0, 0.1)),
    ):
        world, found, _ = run(tmp_path, data, folds, effort)
        assert world.trained == [] and all(one.by == "rule" for one in found)
    assert list(tmp_path.iterdir()) == []


# -- two queries must not be mixed up --------------------------------------------------------------

RUNS = 400
#: What 5% may look like in so many runs.
MOST = 0.05 + 4 * (0.05 * 0.95 / RUNS) ** 0.5


def recommended(judges_choose: bool, gain: float = 0.0) -> float:
    """The share of runs in which a model is recommended that is better by ``gain``: its settings
    are chosen by trials, and then the gate chooses its blend. A model's luck is a query's own and
    its cluster's, some of it the same for all settings."""
    random = np.random.default_rng(3)
    found = 0
    for run in range(RUNS):
        clusters = np.repeat(np.arange(200), 3)
        hard = random.normal(0, 2, len(clusters))

        def luck(clusters: np.ndarray = clusters) -> np.ndarray:
            common = random.normal(0, 1, len(clusters))[clusters]
            return (common + random.normal(0, 1, len(clusters))) * 0.5**0.5

        base, model = luck(), luck()
        judges = np.arange(len(clusters)) >= 300
        choosers = judges if judges_choose else ~judges
        values: dict[str, np.ndarray] = {}

        def of(
            tried: Settings,
            ratio: float,
            values: dict[str, np.ndarray] = values,
            hard: np.ndarray = hard,
            model: np.ndarray = model,
            luck: Callable[[], np.ndarray] = luck,
        ) -> np.ndarray:
            name = f"{tried} {ratio}"
            if name not in values:
                latent = hard + 0.5**0.5 * model + 0.5**0.5 * luck() - gain
                values[name] = average_precision(latent)
            return values[name]

        def trains(
            tried: Settings, rungs: Any, name: str, goes_on: GoesOn, of: Any = of,
            choosers: np.ndarray = choosers,
        ) -> None:  # fmt: skip
            for _ in rungs:
                if not goes_on(float(of(tried, 1.0)[choosers].mean())):
                    return

        chosen = best(Search(SPACE, plan(9), run, (), lambda _: None).run(trains))
        assert chosen
        parts = clusters[judges]
        found += choose(
            {"served": average_precision(hard + base)[judges]},
            {str(ratio): of(chosen.settings, ratio)[judges] for ratio in decisions.BLENDS},
            deal(parts, 2, seed=run),
            parts,
            seed=run,
            draws=199,
        ).recommended
    return found / RUNS


def test_what_is_no_better_is_recommended_once_in_twenty_with_halving_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "EXACT_UP_TO", 8)
    assert 0.01 < recommended(judges_choose=False) <= MOST
    assert recommended(judges_choose=True) > MOST, "as it would be were the choice not apart"


def test_a_real_gain_is_still_seen() -> None:
    assert recommended(judges_choose=False, gain=0.6) > 0.9
