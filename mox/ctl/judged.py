"""A classification as it goes over the control socket."""

from mox.ctl.commands import JunkChecked, WordLine
from mox.junk.classify import Classification, ScoredWord


def junk_checked(found: Classification) -> JunkChecked:
    """A classification as it is sent."""

    def lines(words: tuple[ScoredWord, ...]) -> tuple[WordLine, ...]:
        return tuple(
            WordLine(word=one.word.decode(), score=one.score, ham=one.ham, spam=one.spam)
            for one in words
        )

    return JunkChecked(
        probability=found.probability,
        significant=found.significant,
        ham=lines(found.ham),
        spam=lines(found.spam),
    )
