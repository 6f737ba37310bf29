"""When a yes is needed."""

from __future__ import annotations

import pytest

from loadgen.errors import UsageProblem
from loadgen.load.plan import ClosedModel, LoadPlan
from loadgen.load.preflight import check_consent
from tests.unit.loadgen.load.preflight.asked import plan


@pytest.mark.parametrize(
    ("load_plan", "in_lab", "agreed", "refused"),
    [
        (plan(1000, "203.0.114.1"), False, False, False),
        (plan(1001, "203.0.114.1"), False, False, True),
        (plan(1001, "203.0.114.1"), False, True, False),
        (plan(1001, "203.0.114.1"), True, False, False),
        (plan(None, "203.0.114.1", arrivals=ClosedModel(duration_s=1)), False, False, True),
        (plan(10**6, "192.168.1.1"), False, False, False),
        (plan(10**6, "127.0.0.1"), False, False, False),
        (plan(10**6, "fd00::1"), False, False, False),
        (plan(1001, "2a00::1"), False, False, True),
    ],
)
def test_many_connections_to_a_public_address_need_a_yes(
    load_plan: LoadPlan, in_lab: bool, agreed: bool, refused: bool
) -> None:
    if not refused:
        check_consent(load_plan, in_lab=in_lab, agreed=agreed)
        return
    with pytest.raises(UsageProblem, match="--yes is needed"):
        check_consent(load_plan, in_lab=in_lab, agreed=agreed)
