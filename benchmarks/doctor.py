"""How often is the doctor right? Every rule on trainings with one seeded bug each, and on as many healthy ones.

A run counts as found where a rule that should notice the bug blocks or warns; a healthy run counts as a false alarm
where any rule does. Limits were set on seeds 0 to 2; the default seeds are others.
"""

import os
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from _measure import heading, one_thread, parser, table, verdict

RECALL, FALSE_ALARMS, BLOCKING = 0.8, 0.1, 0.01


class Outcome(NamedTuple):
    bug: str
    data: str
    seed: int
    alarms: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    values: dict[str, float]


def examined(bug: str, data: str, seed: int) -> Outcome:
    """One run; an empty name is a healthy one."""
    import _seeded_bugs as corpus
    import torch

    from assay.doctor import examine

    torch.set_num_threads(1)
    made = corpus.draw(data, seed)
    if bug:
        next(each for each in corpus.BUGS if each.name == bug).change(made)
    began = time.perf_counter()
    found = examine(corpus.subject(made), seconds=600, steps=200)
    alarms = tuple(each.rule for each in found.alarms)
    notes = tuple(each.rule for each in found.fired if each.rule not in alarms)
    values = {each.rule: each.value for each in found.findings if each.value is not None}
    return Outcome(bug, data, seed, alarms, notes, time.perf_counter() - began, values)


def runs(seeds: list[int], names: list[str]) -> list[tuple[str, str, int]]:
    """The bugs, and as many healthy runs: with seeds of their own, spread over the data sets."""
    import _seeded_bugs as corpus

    chosen = [each for each in corpus.BUGS if not names or each.name in names]
    ill = [(each.name, data, seed) for each in chosen for data in each.data for seed in seeds]
    sets = [*corpus.CLASSES, corpus.VALUES]
    well = [("", sets[at % len(sets)], 1000 * (1 + seeds[0]) + at // len(sets)) for at in range(len(ill))]
    return ill + well


def report(found: list[Outcome]) -> None:
    import _seeded_bugs as corpus

    from assay.doctor import RULES

    notices = {each.name: set(each.notices) for each in corpus.BUGS}
    ill, well = [each for each in found if each.bug], [each for each in found if not each.bug]
    by_bug: dict[str, list[Outcome]] = defaultdict(list)
    for each in ill:
        by_bug[each.bug].append(each)
    hit = {id(each): bool(notices[each.bug] & set(each.alarms)) for each in ill}
    table(
        ["seeded bug", "runs", "found", "what fired (share of runs)"],
        [
            [name, len(many), f"{sum(hit[id(e)] for e in many) / len(many):.2f}", _fired(many)]
            for name, many in by_bug.items()
        ],
    )
    wrong = Counter(rule for each in well for rule in (*each.alarms, *each.notes))
    right = Counter(rule for each in ill for rule in set(each.alarms) & notices[each.bug])
    meant = Counter(rule for each in ill for rule in notices[each.bug])
    rows = []
    for rule in RULES.values():
        recall = f"{right[rule.id] / meant[rule.id]:.2f} of {meant[rule.id]}" if meant[rule.id] else "not seeded"
        rate = wrong[rule.id] / max(len(well), 1)
        fault = " (must not block)" if rule.level == "block" and rate >= BLOCKING else ""
        rows.append([rule.id, rule.level, recall, f"{rate:.3f}{fault}"])
    table(["rule", "level", "recall", f"false alarms of {len(well)} healthy runs"], rows)
    recall = sum(hit.values()) / max(len(ill), 1)
    false = sum(bool(each.alarms) for each in well) / max(len(well), 1)
    mean = sum(each.seconds for each in found) / len(found)
    table(
        ["figure", "measured", "goal", ""],
        [
            [f"recall, {len(ill)} runs", f"{recall:.3f}", f"at least {RECALL}", verdict(recall >= RECALL)],
            [f"false alarms, {len(well)} runs", f"{false:.3f}", f"below {FALSE_ALARMS}", verdict(false < FALSE_ALARMS)],
            ["seconds an examination", f"{mean:.1f}", "", ""],
        ],
    )


def _fired(many: list[Outcome]) -> str:
    counted = Counter(rule for each in many for rule in each.alarms)
    return ", ".join(f"{rule} {count / len(many):.1f}" for rule, count in counted.most_common(4)) or "nothing"


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--seeds", type=int, nargs="+", default=[10, 11])
    given.add_argument("--bugs", nargs="+", default=[], metavar="NAME", help="only these")
    given.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    given.add_argument("--values", metavar="RULE", help="print the numbers of one rule on the healthy runs")
    chosen = given.parse_args()
    one_thread()
    heading("The doctor", small=chosen.small)
    wanted = runs(chosen.seeds[:1] if chosen.small else chosen.seeds, chosen.bugs)
    with ProcessPoolExecutor(chosen.jobs) as pool:
        found = list(pool.map(examined, *zip(*wanted, strict=True), chunksize=4))
    report(found)
    if chosen.values:
        for each in found:
            if not each.bug:
                print(each.data, each.seed, each.values.get(chosen.values))


if __name__ == "__main__":
    main()
