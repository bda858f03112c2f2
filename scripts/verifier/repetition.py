"""The figures of one repetition, from its own records alone."""
from verifier.numbers import distribution
from verifier.records import read_json, read_lines

OUTCOMES = ("committed", "rolled_back", "failed", "unknown", "dropped", "censored")


def since(end, begin):
    return (end - begin) / 1e6


def outage_of(rep):
    times = [fault[key] for fault in rep["faults"]
             for key in ("observed_at_ns", "healed_at_ns")]
    if not times or None in times:
        return None
    return (min(fault["observed_at_ns"] for fault in rep["faults"]),
            max(fault["healed_at_ns"] for fault in rep["faults"]))


def dropped_undisturbed(measured, rep):
    outage = outage_of(rep)

    def disturbed(at):
        return outage is not None and outage[0] <= at < 2 * outage[1] - outage[0]

    return sum(op["outcome"] == "dropped" and not disturbed(op["intended_ns"])
               for op in measured)


def operation_figures(operations, rep):
    measured = [op for op in operations if op["phase"] == "measure"]
    figures = {"attempted": len(measured)}
    for outcome in OUTCOMES:
        figures[outcome] = sum(op["outcome"] == outcome for op in measured)
    figures["dropped_undisturbed"] = dropped_undisturbed(measured, rep)
    begin, end, drained = rep["measure_from_ns"], rep["measure_to_ns"], rep["drained_ns"]
    inside = sum(op["outcome"] == "committed" and begin <= op["ended_ns"] < end
                 for op in measured)
    figures["throughput_per_s"] = inside / ((end - begin) / 1e9) if end > begin else None
    sent = [op for op in measured if op["outcome"] not in ("failed", "dropped")]

    def times(key):
        return [since(drained if op["ended_ns"] is None else op["ended_ns"], op[key])
                for op in sent if op[key] is not None]

    figures["response_ms"] = distribution(times("intended_ns"))
    figures["service_ms"] = distribution(times("started_ns"))
    return figures


def observed_figures(folder, path, rep):
    figures = {}
    drained = rep["drained_ns"]
    in_doubt = read_lines(folder / "in_doubt.ndjson")
    if in_doubt is not None and path not in ("cdc", "dual-write"):
        figures["in_doubt_ms"] = distribution(
            since(line["last_seen_ns"], line["first_seen_ns"]) for line in in_doubt)
    blocked = read_lines(folder / "blocked.ndjson")
    if blocked is not None:
        waits = [since(drained if line["ended_ns"] is None else line["ended_ns"],
                       line["started_ns"]) for line in blocked]
        figures["blocked_ms"] = distribution(waits)
        figures["blocked_over_100ms"] = sum(wait > 100 for wait in waits)
    lag = read_lines(folder / "lag.ndjson")
    if lag is not None:
        figures.update(lag_figures(lag, rep))
    return figures


def lag_figures(lag, rep):
    def seen(line):
        return rep["drained_ns"] if line["visible_ns"] is None else line["visible_ns"]

    def over(lines):
        by_store = {}
        for line in lines:
            by_store.setdefault(line["store"], []).append(
                max(0.0, since(seen(line), line["committed_ns"])))
        result = distribution(sum(by_store.values(), []))
        result["by_store"] = {store: distribution(values) for store, values in by_store.items()}
        return result

    figures = {"lag_ms": over(lag)}
    outage = outage_of(rep)
    if outage is None:
        return figures
    begin, end = outage
    figures["lag_before_fault_ms"] = over(
        [line for line in lag if rep["measure_from_ns"] <= line["committed_ns"] < begin])
    figures["lag_after_heal_ms"] = over(
        [line for line in lag if end <= line["committed_ns"] < rep["measure_to_ns"]])
    last = max([seen(line) for line in lag if line["committed_ns"] < end], default=end)
    figures["catch_up_ms"] = since(max(last, end), end)
    return figures


def final_figures(folder, rep):
    final = rep.get("final")
    reads = read_lines(folder / "reads.ndjson")
    figures = {"inconsistent": {"transient": None, "permanent": None}}
    if reads is not None:
        figures["reads"] = len(reads)
        figures["fractured_reads"] = sum(line["fractured"] for line in reads)
    if final is None:
        return figures
    keys = {entry["key"] for entry in final["inconsistent"]}
    figures["inconsistent"]["permanent"] = len(final["inconsistent"])
    if reads is not None:
        torn = {f"order:{line['order']}" for line in reads if line["fractured"]}
        figures["inconsistent"]["transient"] = len(torn - keys)
    for name in ("lost_acknowledged", "resurrected", "unwritable"):
        if final.get(name) is not None:
            figures[name] = len(final[name])
    counts = [count for count in (final.get("leftovers") or {}).values() if count is not None]
    figures["leftovers"] = sum(counts) if counts else None
    figures["recovery_idempotent"] = final.get("recovery_idempotent")
    return figures


def derived_figures(folder, rep):
    figures = {}
    slot = read_lines(folder / "slot.ndjson")
    if slot is not None:
        figures["retained_wal_bytes"] = distribution(line["retained_bytes"] for line in slot)
        if slot:
            figures["retained_wal_end_bytes"] = slot[-1]["retained_bytes"]
        first_of_second = {}
        for line in slot:
            if line["t_ns"] >= rep["measure_from_ns"]:
                second = (line["t_ns"] - rep["measure_from_ns"]) // 10**9
                first_of_second.setdefault(second, line)
        figures["retained_wal_series"] = [
            {"at_ms": since(line["t_ns"], rep["measure_from_ns"]),
             "bytes": line["retained_bytes"], "prepared": line["prepared"]}
            for line in first_of_second.values()]
    waits = read_lines(folder / "slot_waits.ndjson")
    if waits is not None:
        figures["slot_wait_ms"] = distribution(
            since(rep["drained_ns"] if line["ended_ns"] is None else line["ended_ns"],
                  line["started_ns"]) for line in waits)
    reads = read_lines(folder / "token_reads.ndjson")
    if reads is not None:
        figures.update(token_read_figures(reads))
    return figures


def token_read_figures(reads):
    def of(kind, care, wrong):
        chosen = [line for line in reads if line["kind"] == kind and line["with"] == care]
        found = [(line["stock"], line["ledger"]) for line in chosen]
        if kind == "pair":
            bad = sum(stock != ledger for stock, ledger in found)
        else:
            bad = sum(True not in stores for stores in found)
        return {"reads": len(chosen), wrong: bad}

    def waits(kind):
        return distribution(line["waited_ms"] for line in reads
                            if line["kind"] == kind and line["with"])

    return {"own_reads": {"without_token": of("own", False, "stale"),
                          "with_token": of("own", True, "stale")},
            "pair_reads": {"without_cut": of("pair", False, "fractured"),
                           "with_cut": of("pair", True, "fractured")},
            "token_wait_ms": waits("own"), "cut_wait_ms": waits("pair")}


def fault_figures(rep):
    def relative(at):
        return None if at is None else since(at, rep["measure_from_ns"])

    return [{"kind": fault["kind"], "target": fault["target"], "point": fault["point"],
             "by_hand": fault.get("by_hand", False),
             **{name: relative(fault[name + "_ns"])
                for name in ("requested_at", "observed_at", "healed_at")}}
            for fault in rep["faults"]]


def rep_figures(folder, path):
    figures = {name: None for name in
               ("attempted", *OUTCOMES, "dropped_undisturbed", "throughput_per_s", "response_ms", "service_ms",
                "in_doubt_ms", "blocked_ms", "blocked_over_100ms", "lag_ms",
                "lag_before_fault_ms", "lag_after_heal_ms", "catch_up_ms",
                "fractured_reads", "reads", "lost_acknowledged", "resurrected", "leftovers",
                "unwritable", "recovery_idempotent", "retained_wal_bytes",
                "retained_wal_end_bytes", "retained_wal_series", "slot_wait_ms",
                "token_wait_ms", "cut_wait_ms")}
    figures["own_reads"] = {kind: {"reads": None, "stale": None}
                            for kind in ("without_token", "with_token")}
    figures["pair_reads"] = {kind: {"reads": None, "fractured": None}
                             for kind in ("without_cut", "with_cut")}
    figures["inconsistent"] = {"transient": None, "permanent": None}
    figures["faults"], figures["not_applicable"] = [], None
    rep = read_json(folder / "rep.json")
    if rep is None:
        return figures
    operations = read_lines(folder / "ops.ndjson")
    if operations is not None:
        figures.update(operation_figures(operations, rep))
    figures.update(observed_figures(folder, path, rep))
    figures.update(derived_figures(folder, rep))
    figures.update(final_figures(folder, rep))
    figures["faults"] = fault_figures(rep)
    figures["not_applicable"] = rep.get("not_applicable")
    return figures
