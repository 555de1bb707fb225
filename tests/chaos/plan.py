"""plan.py -- what will be done to the system and when: all of it drawn from the seed, before anything runs.

A plan is a list of Act(at, what, dice): seconds after the storm's begin, the name of a method of Storm, and
numbers in [0, 1) for whatever that act has to choose. The same seed and length give the same plan.
"""
import collections
import random

Act = collections.namedtuple("Act", "at what dice")

# name, share of the acts, seconds for which it keeps others of its `slot` away, slot
KINDS = [
    ("kill", 52, 0.0, None),
    ("forge", 6, 0.0, None),
    ("refuse", 10, 0.0, None),
    ("stop_briefly", 8, 0.0, None),
    ("stop_long", 5, 30.0, "long"),
    ("kill_postgres", 4, 8.0, "postgres"),
    ("end_backends", 6, 2.0, "postgres"),
    ("fill_data", 4, 9.0, "data"),
    ("fill_postgres", 2, 20.0, "postgres"),
    ("step_clock", 5, 12.0, "clock"),
    ("pause_campaign", 5, 5.0, "campaign"),
    ("pause_tenant", 3, 6.0, "tenant"),
]
GAPS_S = (0.4, 0.6, 0.95)  # mean time between two acts; which one follows from the seed
IMPORT_S = 2.0  # new people arrive
QUIET_S = 15.0  # before the end nobody new arrives


def make(seed, seconds):
    rng = random.Random("chaos %d" % seed)
    acts = [Act(at * IMPORT_S, "bring_people", (rng.random(),)) for at in range(int((seconds - QUIET_S) / IMPORT_S))]
    gap_s = rng.choice(GAPS_S)
    free_at = collections.defaultdict(float)
    at = 3.0
    while at < seconds - 1:
        kind = rng.choices(KINDS, [k[1] for k in KINDS])[0]
        dice = tuple(rng.random() for _ in range(4))
        name, _, holds, slot = kind
        if slot is None or free_at[slot] <= at:
            if slot:
                free_at[slot] = at + holds
            acts.append(Act(at, name, dice))
        at += rng.expovariate(1 / gap_s)
    # A short storm has met each kind at least once, too.
    missing = [k for k in KINDS if k[0] not in {a.what for a in acts}]
    for i, kind in enumerate(missing):
        acts.append(Act(seconds * (0.2 + 0.5 * i / max(1, len(missing))), kind[0], tuple(rng.random() for _ in range(4))))
    return sorted(acts)
