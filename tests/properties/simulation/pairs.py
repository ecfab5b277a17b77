"""Which faults and which acts of people have met which states, of those that could have."""

from collections import Counter
from dataclasses import dataclass, field

from tests.properties.simulation.places import MET, OPERATIONS, REFUSED_FOR_GOOD, STRIPE_FAULTS, aws_faults
from tests.properties.simulation.steps import ACTS

type Pair = tuple[str, str]

EVERY_ACT = frozenset((act, place) for act in ACTS for place in MET)


@dataclass
class Pairs:
    """`faults` and `acts`: how often each was met. `possible`: the faults that what was called could have met."""

    faults: Counter[Pair] = field(default_factory=Counter)
    acts: Counter[Pair] = field(default_factory=Counter)
    possible: set[Pair] = field(default_factory=set)

    def add(self, other: "Pairs") -> None:
        self.faults += other.faults
        self.acts += other.acts
        self.possible |= other.possible

    def called(self, operation: str, place: str, *, by_function: bool) -> None:
        """Note what a call could have met at this place."""
        service, _, name = operation.partition(".")
        if service == "stripe":
            kinds = [f"Stripe: {kind}" for kind in STRIPE_FAULTS]
            kinds += ["Stripe: refuse"] * (name in REFUSED_FOR_GOOD)
        else:
            kinds = [f"{service}: {kind}" for kind in aws_faults(operation)] if operation in OPERATIONS else []
            kinds += ["dynamodb: delayed"] * (operation == "dynamodb.UpdateItem" and place.startswith("Await"))
        if by_function:
            kinds += [f"a function crashes {moment} a call" for moment in ("before", "after")]
        self.possible.update((kind, place) for kind in kinds)

    def report(self) -> list[str]:
        return [
            *_report("fault and state", set(self.faults), self.possible | set(self.faults)),
            *_report("act and state", set(self.acts), EVERY_ACT),
        ]


def _report(what: str, met: set[Pair], possible: frozenset[Pair] | set[Pair]) -> list[str]:
    missing: dict[str, list[str]] = {}
    for kind, place in sorted(possible - met):
        missing.setdefault(place, []).append(kind)
    share = 100 * len(met & possible) / max(1, len(possible))
    lines = [f"{what}: {len(met & possible)} of {len(possible)} pairs met ({share:.1f} %)"]
    return lines + [f"  not met in {place}: {', '.join(kinds)}" for place, kinds in missing.items()]
