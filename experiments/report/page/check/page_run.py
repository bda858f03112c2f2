#!/usr/bin/env python3
"""page_run.py FOLDER | --hostile: writes the records of a run (docs/run-format.md) of which every chart of
the report has something to draw: two skews of keys, three paths, a step each at which they
die, seven repetitions. Its name and question are hostile. The same records every time.
--hostile prints that name instead."""
import json
import pathlib
import random
import sys

SECOND = 1_000_000_000
MS = 1_000_000
FROM, TO, DRAINED = 1 * SECOND, 21 * SECOND, 26 * SECOND
ACTED, HEALED = 6 * SECOND, 11 * SECOND
HOSTILE = "</script><script>window.hostile=1</script><img src=x onerror=window.hostile=1>&\"'"
POINTS = {"2pc": "voted", "cdc": "cdc_appended", "dual-write": "dual_write_between"}
TARGETS = {"2pc": "coordinator", "cdc": "cdc-worker", "dual-write": "client"}
REPETITIONS = 7


def operations(path, dice):
    for i in range(1, 601):
        due = FROM + i * (TO - FROM) // 601
        took = int((1 + dice.expovariate(0.5)) * MS)
        ended, outcome = due + took, "committed"
        if path == "2pc" and ACTED < due < HEALED:
            outcome, ended = ("unknown", HEALED + took) if i % 40 == 0 else ("failed", due + MS)
        yield {"i": i, "op": "place_order", "phase": "measure", "intended_ns": due,
               "started_ns": due + MS // 10, "ended_ns": ended, "outcome": outcome, "order": i,
               "account": i % 7, "item": i % 5, "quantity": 1, "amount": 10,
               "gid": f"shop-1.{i}" if path == "2pc" and outcome == "committed" else None,
               "reason": None, "participants": None}


def observed(path, zipf, ops, dice):
    blocked = [{"store": "accounts", "key": f"account:{i % 7}", "started_ns": FROM + i * 50 * MS,
                "ended_ns": FROM + i * 50 * MS + int(dice.expovariate(2) * MS) + 1} for i in range(200)]
    in_doubt, lag = [], []
    if path == "2pc":
        in_doubt = [{"store": store, "gid": f"shop-1.dead{n}", "first_seen_ns": ACTED - 5 * MS,
                     "last_seen_ns": HEALED + n * 40 * MS + 60 * MS}
                    for n in range(3) for store in ("accounts", "stock")]
        blocked += [{"store": "accounts", "key": f"account:{n}", "started_ns": ACTED + n * 300 * MS,
                     "ended_ns": HEALED + int(dice.uniform(50, 200) * MS)} for n in range(3 + int(zipf * 8))]
        blocked.append({"store": "stock", "key": "stock:3", "started_ns": DRAINED - SECOND, "ended_ns": None})
    if path == "cdc":
        for op in ops:
            late = HEALED + 30 * MS if ACTED < op["ended_ns"] < HEALED else op["ended_ns"] + int(dice.uniform(2, 9) * MS)
            lag += [{"store": store, "order": op["order"], "committed_ns": op["ended_ns"], "visible_ns": late + n * MS}
                    for n, store in enumerate(("stock", "ledger"))]
    return {"in_doubt": in_doubt, "blocked": blocked, "lag": lag if path == "cdc" else None,
            "reads": [{"t_ns": FROM + i * MS, "order": i, "stores": ["accounts", "stock"],
                       "first": [True, path != "dual-write" or i % 50 > 0],
                       "second": [True, False] if path == "dual-write" and i % 50 == 0 else None,
                       "fractured": path == "dual-write" and i % 50 == 0} for i in range(1, 101)]}


def timeline(path):
    for t in range(0, DRAINED + 1, 100 * MS):
        down = ACTED < t < HEALED
        age = (t - ACTED) / MS if down else 3.0
        yield {"t_ns": t, "completed": 3, "in_flight": 2,
               "in_doubt": (6 if down else 0) if path == "2pc" else None,
               "waiters": min(9, int((t - ACTED) / SECOND * 2)) if down and path == "2pc" else 0,
               "lag_ms": {"stock": age, "ledger": age * 0.9} if path == "cdc" else {}}


def rep_json(path, cell, n):
    broken = [{"key": "order:7", "kind": "order", "values": {"accounts": "1", "stock": None, "ledger": "1"}}]
    return {"path": path, "cell": cell, "n": n, "seed": 40 + n,
            "load": {"mode": "open", "rate_per_s": 30.0, "clients": 32},
            "warmup_from_ns": 0, "measure_from_ns": FROM, "measure_to_ns": TO, "drained_ns": DRAINED,
            "shop": {"accounts": 10, "items": 10, "initial_balance": 1, "initial_stock": 1, "initial_price": 100},
            "faults": [{"kind": "kill", "target": TARGETS[path], "point": POINTS[path], "requested_at_ns": ACTED - MS,
                        "observed_at_ns": ACTED, "healed_at_ns": HEALED}],
            "final": {"checked": {"orders": 600, "stock": 10, "prices": 10, "accounts": 10},
                      "inconsistent": broken if path == "dual-write" else [], "lost_acknowledged": [],
                      "resurrected": [], "unwritable": [], "recovery_idempotent": path != "dual-write" or None,
                      "leftovers": {"pg_prepared_xacts": 0, "redis_intents": 0, "redis_locks": 0,
                                    "sqlite_staged": 0, "sqlite_locks": 0}}}


def lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_rep(folder, path, zipf, cell, n):
    dice = random.Random(f"{cell} {n}")
    folder.mkdir(parents=True)
    ops = list(operations(path, dice))
    (folder / "rep.json").write_text(json.dumps(rep_json(path, cell, n)))
    lines(folder / "ops.ndjson", ops)
    lines(folder / "timeline.ndjson", timeline(path))
    for name, records in observed(path, zipf, ops, dice).items():
        if records is not None:
            lines(folder / f"{name}.ndjson", records)


def main():
    if sys.argv[1] == "--hostile":
        print(HOSTILE, end="")
        return
    root = pathlib.Path(sys.argv[1])
    cells = []
    for zipf in (0.0, 1.2):
        for path in POINTS:
            cell = f"{path}-zipf-{zipf}"
            reps = [{"n": n, "dir": f"cells/{cell}/rep-{n}", "status": "done", "error": None}
                    for n in range(1, REPETITIONS + 1)]
            for rep in reps:
                write_rep(root / rep["dir"], path, zipf, cell, rep["n"])
            cells.append({"name": cell, "path": path, "reps": reps,
                          "params": {"workload.zipf": zipf, f"fault.point.{path}": POINTS[path]}})
    run = {"schema": 1, "id": root.name, "scenario": HOSTILE, "question": f"Is {HOSTILE} text?",
           "status": "done", "seed": 42, "argv": ["indoubt", "run"], "reproduce": "indoubt run page --seed 42",
           "started_at": "2026-11-24T09:30:00.123Z", "ended_at": "2026-11-24T09:33:00.123Z", "cells": cells,
           "expect": [{"check": "2pc-zipf-0.0.inconsistent.permanent == 0"}], "warnings": [f"Careful: {HOSTILE}"]}
    (root / "run.json").write_text(json.dumps(run))


if __name__ == "__main__":
    main()
