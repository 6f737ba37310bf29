"""When requests are due: rates, stages, seeds, and how workers share a schedule."""

from __future__ import annotations

from itertools import chain, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.pacing import due_times_s, length_s, share_of
from loadgen.load.plan import OpenModel, Stage

durations = st.floats(0.01, 20)
rates = st.one_of(st.just(0.0), st.floats(0.1, 300))
stage_lists = st.lists(
    st.builds(lambda d, r: Stage(duration_s=d, rate_per_s=r), durations, rates),
    min_size=1,
    max_size=5,
).filter(lambda stages: any(stage.rate_per_s for stage in stages))
models = st.builds(
    lambda stages, arrivals, seed: OpenModel(stages=tuple(stages), arrivals=arrivals, seed=seed),
    stage_lists,
    st.sampled_from(["uniform", "poisson"]),
    st.integers(0, 2**31),
)


def model(*pairs: tuple[float, float], **more: object) -> OpenModel:
    stages = tuple(Stage(duration_s=duration, rate_per_s=rate) for duration, rate in pairs)
    return OpenModel(stages=stages, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plan", "due"),
    [
        (model((1, 4)), [0, 0.25, 0.5, 0.75]),  # the first at once, the end excluded
        (model((1, 2), (1, 4)), [0, 0.5, 1, 1.25, 1.5, 1.75]),
        (model((0.5, 2), (2, 0), (0.5, 2)), [0, 2.5]),  # nothing is due in a pause
        (model((0.3, 5), (1, 1)), [0, 0.2, 0.8]),  # half an arrival is carried over
        (model((10, 4), requests=2), [0, 0.25]),
    ],
)
def test_uniform_arrivals(plan: OpenModel, due: list[float]) -> None:
    assert list(due_times_s(plan)) == pytest.approx(due)


@given(models)
def test_due_times_ascend_within_the_schedule_and_never_in_a_pause(plan: OpenModel) -> None:
    due = list(due_times_s(plan))
    assert all(before <= after for before, after in pairwise(due))
    assert all(0 <= at <= length_s(plan) * (1 + 1e-9) for at in due)
    begin_s = 0.0
    for stage in plan.stages:
        if not stage.rate_per_s:
            inside = [at for at in due if begin_s + 1e-6 < at < begin_s + stage.duration_s - 1e-6]
            assert not inside
        begin_s += stage.duration_s


@given(stage_lists)
def test_uniform_arrivals_are_as_many_as_the_stages_call_for(stages: list[Stage]) -> None:
    called_for = sum(stage.duration_s * stage.rate_per_s for stage in stages)
    due = list(due_times_s(OpenModel(stages=tuple(stages))))
    assert abs(len(due) - called_for) <= 1


@given(models, st.integers(1, 7))
def test_workers_share_a_schedule_without_gap_or_double(plan: OpenModel, of: int) -> None:
    whole = list(enumerate(due_times_s(plan)))
    dealt = [list(share_of(due_times_s(plan), index, of)) for index in range(of)]
    assert sorted(chain.from_iterable(dealt)) == whole


def test_poisson_arrivals_are_repeated_by_their_seed_and_have_its_mean_rate() -> None:
    first, again, other = (
        list(due_times_s(model((100, 200), arrivals="poisson", seed=seed))) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert 20_000 - 5 * 141 < len(first) < 20_000 + 5 * 141  # 5 standard deviations
    gaps = [after - before for before, after in pairwise(first)]
    beyond = sum(gap > 1 / 200 for gap in gaps) / len(gaps)
    assert beyond == pytest.approx(0.368, abs=0.02)  # e**-1, as of no other distribution of gaps


def test_a_long_schedule_is_not_made_before_it_is_needed() -> None:
    plan = model((1e9, 1e6))
    assert list(islice(due_times_s(plan), 3)) == pytest.approx([0, 1e-6, 2e-6])
