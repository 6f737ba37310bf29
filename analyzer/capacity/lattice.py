"""Fail-over lists as a flow on the lattice of sets of directors.

A VIP whose list begins a, b, c is a path: from nothing to {a}, to {a, b}, to {a, b, c}. It is on
director d, with the directors F down, when all that precede d in its list are in F. So the
number of VIPs whose first entries are the set S (in any order) and whose next is d, for each S and
d, determines all loads; and any such numbers that flow (as many into S as out of S) can be
decomposed into lists again.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb, lcm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.capacity.question import Lists

Directors = frozenset[int]
Step = tuple[Directors, int]
"""The directors that come first, in any order, and the next one."""


def steps(hosts: int, failures: int) -> Iterator[Step]:
    """Every step that is used while at most ``failures`` directors are down."""
    for size in range(failures + 1):
        for before in subsets(hosts, size):
            for director in sorted(frozenset(range(hosts)) - before):
                yield before, director


def step_count(hosts: int, failures: int) -> int:
    """The number of ``steps``."""
    return sum(comb(hosts, size) * (hosts - size) for size in range(failures + 1))


def subsets(hosts: int, size: int) -> Iterator[Directors]:
    """The sets of ``size`` directors."""
    return map(frozenset, combinations(range(hosts), size))


def lists_of(flow: Mapping[Step, int], hosts: int, failures: int) -> Lists:
    """Decompose a flow into the lists of its VIPs, each a permutation of all directors.

    Args:
        flow: VIPs per step, with as many into each set as out of it.
        hosts: directors.
        failures: the most directors that come before a step.
    """
    left = Counter(flow)
    lists = []
    for _ in range(sum(count for (before, _), count in flow.items() if not before)):
        chosen: list[int] = []
        for _ in range(failures + 1):
            before = frozenset(chosen)
            step = max(((before, d) for d in range(hosts) if d not in before), key=left.__getitem__)
            left[step] -= 1
            chosen.append(step[1])
        lists.append((*chosen, *_the_others(chosen, hosts)))
    return tuple(sorted(lists))


def _the_others(chosen: Sequence[int], hosts: int) -> list[int]:
    """The remaining directors of a list, in turn from the last one chosen."""
    others = set(range(hosts)) - set(chosen)
    return sorted(others, key=lambda director: (director - chosen[-1]) % hosts)


def balanced_vips(hosts: int, failures: int) -> int:
    """The fewest VIPs that load all remaining directors equally after 0, 1, ... all failures.

    Evenness fixes the number of VIPs of each step: V / (N C(N-1, |S|)) must be whole for each
    size of S.
    """
    return hosts * lcm(*(comb(hosts - 1, size) for size in range(failures + 1)))


def balanced_lists(hosts: int, failures: int) -> Lists:
    """Lists for ``balanced_vips`` VIPs."""
    vips = balanced_vips(hosts, failures)
    flow = {
        (before, director): vips // (hosts * comb(hosts - 1, len(before)))
        for before, director in steps(hosts, failures)
    }
    return lists_of(flow, hosts, failures)


def loads(
    lists: Lists, shares: Sequence[Fraction], hosts: int, down: Directors
) -> tuple[Fraction, ...]:
    """The share of the traffic that each director carries while some are down."""
    carried = [Fraction(0)] * hosts
    for order, share in zip(lists, shares, strict=True):
        carried[next(director for director in order if director not in down)] += share
    return tuple(carried)


def worst_load(lists: Lists, shares: Sequence[Fraction], hosts: int, failures: int) -> Fraction:
    """The busiest director's share after the worst loss of exactly ``failures`` directors.

    Loads never shrink as directors fail, so fewer losses need not be considered.
    """
    return max(max(loads(lists, shares, hosts, down)) for down in subsets(hosts, failures))
