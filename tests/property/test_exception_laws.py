"""Laws of an exception's life, whatever is seen and said in whatever order."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vmi_domain.exceptions.lifecycle import (
    Kind,
    NotActive,
    Observation,
    Standing,
    Status,
    Subject,
    acknowledged,
    observed,
    suppressed,
)
from vmi_testing.builders import HOUR, NOON

SUBJECT = Subject(Kind.BELOW_MINIMUM, "retailer-1", "store-1", "milk")
ACTS = st.sampled_from(["wrong", "between", "right", "acknowledge", "suppress", "suppress for good"])


def lived(acts: list[str], must_last: timedelta) -> list[tuple[str, Standing | None, bool]]:
    """Return, after each act, how the exception stands and whether that was told."""
    standing: Standing | None = None
    life = []
    for number, act in enumerate(acts):
        now = NOON + number * HOUR
        step = None
        if act in ("wrong", "between", "right"):
            is_wrong = {"wrong": True, "between": None, "right": False}[act]
            step = observed(standing, Observation(SUBJECT, is_wrong, must_last=must_last), now)
        elif standing is not None and act == "acknowledge":
            try:
                step = acknowledged(standing, author="ann", note="", now=now)
            except NotActive:
                step = None
        elif standing is not None:
            until = None if act == "suppress for good" else now + 3 * HOUR
            step = suppressed(standing, author="ann", note="", until=until, now=now)
        if step is not None:
            standing = step.standing
        life.append((act, standing, step is not None and step.is_told))
    return life


@given(acts=st.lists(ACTS, max_size=30), hours=st.integers(0, 3))
def test_whatever_happens_versions_count_up_and_openings_and_closings_take_turns(acts: list[str], hours: int) -> None:
    told = [standing for _, standing, is_told in lived(acts, hours * HOUR) if is_told and standing is not None]

    assert [one.version for one in told] == list(range(1, len(told) + 1))
    opened = [one for before, one in zip([None, *told], told, strict=False)
              if one.is_active and (before is None or not before.is_active)]  # fmt: skip
    assert [one.occurrence for one in opened] == list(range(1, len(opened) + 1))
    assert len({one.exception_id for one in told}) <= 1


@given(acts=st.lists(ACTS, max_size=30), hours=st.integers(0, 3))
def test_when_the_last_look_found_it_right_it_is_closed(acts: list[str], hours: int) -> None:
    looks = [act for act in acts if act in ("wrong", "right")]
    life = lived(acts, hours * HOUR)
    last = life[-1][1] if life else None

    if looks and looks[-1] == "right":
        assert last is None or not last.is_active
    if looks and looks[-1] == "wrong" and hours == 0:
        assert last is not None
        assert last.is_active


@given(acts=st.lists(ACTS, max_size=30))
def test_what_is_seen_twice_changes_nothing_the_second_time(acts: list[str]) -> None:
    life = lived([act for act in acts for _ in range(2 if act == "wrong" else 1)], timedelta(0))

    for (one, before, _), (other, _, is_told) in pairwise(life):
        if one == other == "wrong" and before is not None and before.status is not Status.SUPPRESSED:
            assert not is_told
