"""What was said to a proposal, heard once more: each word is put to it as it stood when that was said."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from vmi_domain.replenishment.proposals import Answer, IllegalStep, Proposal, answered
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """A version as it was told. Its answer is what stood in a party's place, if that led to it."""

    at: datetime
    proposal: Proposal
    countered_by: str = ""

    def follows(self, answer: Answer) -> bool:
        """Whether the answer led to it, by what both say."""
        version = self.proposal
        return (
            version.answer is None
            and version.version > answer.version
            and (version.status, version.quantity, version.deliver_at)
            == (answer.status, answer.quantity, answer.deliver_at)
            and self.countered_by == (answer.party if answer.is_counter else "")
        )


def refusals(history: Sequence[Told], words: Sequence[tuple[datetime, Answer]]) -> list[IllegalStep | None]:
    """Return why each word on a proposal was refused, None of one that was not.

    ``history`` holds its versions, the first first, ``words`` what parties said, in their order, with when. A word that
    may lead to a version, and led to none, was refused, if anything that was told meanwhile is a reason to.
    """
    stands, to_come = history[0].proposal, list(history[1:])
    found: list[IllegalStep | None] = []
    for place, (said_at, answer) in enumerate(words):
        still_to_count = [one for _, one in words[place:]]
        ours = _until_a_word_counts(to_come, still_to_count)
        passed = [one for one in ours if one.at <= said_at]
        for one in passed:
            stands = _gone_on(stands, one)
        to_come = to_come[len(passed) :]
        try:
            after = answered(stands, answer, said_at)
        except IllegalStep as refusal:
            found.append(refusal)
            continue
        led_to = next((number for number, one in enumerate(to_come, 1) if one.follows(answer)), 0)
        if after.version == stands.version or led_to:
            found.append(None)
            stands, to_come = after, to_come[led_to:]
            continue
        refused_later = _refused_later(stands, ours[len(passed) :], answer)
        found.append(refused_later)
        if refused_later is None:
            stands = after  # one version tells what came of it and of the next word
    return found


def _until_a_word_counts(to_come: Sequence[Told], words: Sequence[Answer]) -> list[Told]:
    """Return the versions that come before any of the words may have counted."""
    first = next((place for place, one in enumerate(to_come) if any(map(one.follows, words))), len(to_come))
    return list(to_come[:first])


def _refused_later(stands: Proposal, meanwhile: Sequence[Told], answer: Answer) -> IllegalStep | None:
    """Return why a word was refused that was read late: what was told meanwhile went before it."""
    for one in meanwhile:
        stands = _gone_on(stands, one)
        try:
            answered(stands, answer, one.at)
        except IllegalStep as refusal:
            return refusal
    return None


def _gone_on(stands: Proposal, told: Told) -> Proposal:
    return replace(told.proposal, answer=told.proposal.answer or stands.answer)
