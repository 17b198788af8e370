"""I19: the webhook answers within three seconds, whatever the broker and the database do."""

from __future__ import annotations

from tests.invariants.checker import Checker

LONGEST = 3.0


class QuickAnswers(Checker):
    id = "I19"

    def at_rest(self) -> None:
        for answer in self.facts.answers:
            if answer.took >= LONGEST:
                self.broken(f"the alert of {answer.at:%H:%M:%S} was answered after {answer.took:.1f} s")
            if answer.status >= 500 and answer.status != 503:
                self.broken(f"the alert of {answer.at:%H:%M:%S} was answered {answer.status}")
