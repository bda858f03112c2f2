"""A cell's repetitions together, and what the expectations say of them."""
import operator

from verifier.numbers import is_number, median_interval
from verifier.repetition import rep_figures

CORRECTNESS = ("inconsistent.transient", "inconsistent.permanent", "lost_acknowledged",
               "resurrected", "leftovers", "unwritable", "own_reads.with_token.stale",
               "pair_reads.with_cut.fractured")
NOT_COUNTED = ("interrupted", "disturbed")
OPERATORS = {"<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
             ">=": operator.ge, ">": operator.gt}


def flat(value, prefix=""):
    for name, child in value.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(child, dict):
            yield from flat(child, path)
        elif is_number(child):
            yield path, child


def summarise_cell(run_folder, cell):
    reps, samples = [], {}
    for entry in cell["reps"]:
        figures = rep_figures(run_folder / entry["dir"], cell["path"])
        if entry["status"] not in NOT_COUNTED:
            for name, value in flat(figures):
                samples.setdefault(name, []).append(value)
        reps.append({**figures, "n": entry["n"], "dir": entry["dir"],
                     "status": entry["status"], "error": entry.get("error")})
    return {"name": cell["name"], "path": cell["path"], "params": cell.get("params", {}),
            "reps": reps,
            "stats": {name: median_interval(values) for name, values in samples.items()}}


def is_judged(cell):
    """No figure counts where the fault does not apply, or nothing was due."""
    return all(rep["not_applicable"] is None and rep["attempted"] != 0 for rep in cell["reps"])


def cell_of(cells, reference):
    matching = [cell for cell in cells if reference.startswith(cell["name"] + ".")]
    return max(matching, key=lambda candidate: len(candidate["name"]), default=None)


def figure_value(cells, reference):
    cell = cell_of(cells, reference)
    if cell is None or not is_judged(cell):
        return None
    figure = reference[len(cell["name"]) + 1:]
    if figure not in CORRECTNESS:
        return cell["stats"].get(figure, {}).get("median")
    values = []
    for rep in cell["reps"]:
        value = rep
        for part in figure.split("."):
            value = value.get(part)
        values.append(value)
    return max(values) if values and None not in values else None


def by_repetition(cells, reference):
    cell = cell_of(cells, reference)
    if cell is None or not is_judged(cell):
        return {}
    values = {}
    for rep in cell["reps"]:
        value = rep
        for part in reference[len(cell["name"]) + 1:].split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if rep["status"] not in NOT_COUNTED and is_number(value):
            values[rep["n"]] = value
    return values


def values_of(cell, figure):
    return list(by_repetition([cell], f"{cell['name']}.{figure}").values())


def term_value(cells, words):
    if words[0] in ("ci_low", "ci_high"):
        above, below = by_repetition(cells, words[1]), by_repetition(cells, words[3])
        ratios = [above[n] / below[n] for n in above if below.get(n)]
        return median_interval(ratios)[words[0]] if ratios else None
    if len(words) == 1:
        try:
            return float(words[0])
        except ValueError:
            return figure_value(cells, words[0])
    above, below = figure_value(cells, words[0]), figure_value(cells, words[2])
    return above / below if above is not None and below else None


def evaluate(check, cells):
    words = check.split()
    at = next(i for i, word in enumerate(words) if word in OPERATORS)
    left, right = term_value(cells, words[:at]), term_value(cells, words[at + 1:])
    if left is None or right is None:
        verdict = "no_data"
    else:
        verdict = "pass" if OPERATORS[words[at]](left, right) else "fail"
    return {"check": check, "observed": left, "limit": right, "verdict": verdict}
