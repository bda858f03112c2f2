"""Whether a repetition's faults happened when rep.json says they did."""
from .records import read_json, read_lines

TIMES = {"fault_requested": "requested_at_ns", "fault_observed": "observed_at_ns",
         "fault_healed": "healed_at_ns"}


def event_differences(run_folder, cell):
    """Where rep.json's faults are not those that events.ndjson has; older runs have none."""
    for entry in cell["reps"]:
        folder = run_folder / entry["dir"]
        rep, events = read_json(folder / "rep.json"), read_lines(folder / "events.ndjson")
        if rep is None or events is None:
            continue
        said = {(event, fault["target"], fault[field]) for fault in rep["faults"]
                for event, field in TIMES.items() if fault[field] is not None}
        happened = {(line["event"], line["target"], line["at_ns"]) for line in events
                    if line["event"] in TIMES}
        for event, target, at in sorted(said ^ happened):
            yield (f"{folder}/rep.json: faults "
                   f"{'lack' if (event, target, at) in happened else 'have'} {event} of "
                   f"{target} at {at}; events.ndjson says otherwise")
