"""What cells say of each other: `control` and `flips`."""
import json
import re

from verifier.cells import values_of
from verifier.numbers import is_number, median_interval, shift_between


def control_of(cells):
    entries = []
    for again in cells:
        prefix = again["path"] + "-again"
        if again["params"].get("again") is not True or not again["name"].startswith(prefix):
            continue
        name = again["path"] + again["name"][len(prefix):]
        first = next((cell for cell in cells
                      if cell["name"] == name and "again" not in cell["params"]), None)
        if first is None:
            continue
        planted = {key: value for key, value in again["params"].items()
                   if key != "again" and first["params"].get(key) != value}
        for figure in ("throughput_per_s", "response_ms.p50", "response_ms.p99"):
            entry = {"cell": name, "again": again["name"], "planted": planted, "figure": figure,
                     "level": None, "difference": None, "ratio": None, "verdict": "cannot tell"}
            left, right = values_of(first, figure), values_of(again, figure)
            if left and right:
                entry["difference"] = shift_between(left, right, lambda a, b: b - a)
                if min(left + right) > 0:
                    entry["ratio"] = shift_between(left, right, lambda a, b: b / a)
                low, high = entry["difference"]["ci_low"], entry["difference"]["ci_high"]
                if low is not None:
                    entry["level"] = 0.99
                    entry["verdict"] = "no difference" if low <= 0 <= high else "difference"
            entries.append(entry)
    return entries


UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def parameter_number(value):
    """A number and whether it was a duration (then in seconds); None: neither."""
    if is_number(value):
        return value, False
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"([0-9]*\.?[0-9]+|[0-9]+\.)(ns|us|ms|s|m|h)", value)
    return (float(match[1]) * UNITS[match[2]], True) if match else None


def series_over(cells, key):
    """Per path and other parameters: the cells by the parameter's value."""
    all_series = []
    for cell in cells:
        number = parameter_number(cell["params"].get(key))
        if number is None or "again" in cell["params"]:
            continue
        others = {name: value for name, value in cell["params"].items() if name != key}
        for series in all_series:
            if series["path"] == cell["path"] and series["others"] == others:
                break
        else:
            series = {"path": cell["path"], "others": others, "cells": {}}
            all_series.append(series)
        series["cells"][number[0]] = cell
    return all_series


def series_name(series):
    parts = [series["path"]]
    for key in sorted(series["others"]):
        value = series["others"][key]
        parts.append(f"{key} {value if isinstance(value, str) else json.dumps(value)}")
    return ", ".join(parts)


def points_of(one, other, figure):
    """Where both were measured: by how much `other` is above `one`, and whether that is told."""
    points = []
    for x in sorted(one["cells"].keys() & other["cells"].keys()):
        left, right = values_of(one["cells"][x], figure), values_of(other["cells"][x], figure)
        if not left or not right:
            continue
        shift = shift_between(left, right, lambda a, b: b - a)
        if shift["ci_low"] is not None:
            sign = (shift["ci_low"] > 0) - (shift["ci_high"] < 0)
        else:
            larger = max(abs(median_interval(left)["median"]),
                         abs(median_interval(right)["median"]))
            told = abs(shift["estimate"]) > 0.1 * larger
            sign = told * ((shift["estimate"] > 0) - (shift["estimate"] < 0))
        points.append({"x": x, "sign": sign, **shift})
    return points


def crossings(points, key):
    """Where the straight lines through the points cross 0, from the left."""
    found = []
    for left, right in zip(points, points[1:]):
        a, b = left[key], right[key]
        if (a > 0) != (b > 0):
            found.append(left["x"] + a / (a - b) * (right["x"] - left["x"]))
    return found


def flips_between(one, other, figure, higher):
    since = []
    for point in points_of(one, other, figure):
        since.append(point)
        if point["sign"] == 0:
            continue
        if since[0]["sign"] == -point["sign"]:
            falls = since[0]["sign"] > 0
            flip = {"between": [since[0]["x"], point["x"]], "figure": figure,
                    "at": crossings(since, "estimate")[0],
                    "better": "higher" if higher else "lower",
                    "ci_low": None, "ci_high": None, "level": None}
            if all(each["ci_low"] is not None for each in since):
                first, last = ("ci_low", "ci_high") if falls else ("ci_high", "ci_low")
                flip.update(ci_low=crossings(since, first)[0], level=0.98,
                            ci_high=crossings(since, last)[-1])
            names = [series_name(one), series_name(other)]
            if falls == higher:
                names.reverse()
            flip["below"], flip["above"] = names
            yield flip
        since = [point]


def flips_of(cells):
    numbers, others = {}, set()
    for cell in cells:
        if "again" in cell["params"]:
            continue
        for key, value in cell["params"].items():
            number = parameter_number(value)
            if number is None:
                others.add(key)
            else:
                numbers.setdefault(key, {})[number[0]] = number[1]
    result = {"over": [], "found": []}
    for key in sorted(numbers):
        values = numbers[key]
        if len(values) < 2 or key in others:
            continue
        unit = "s" if any(values.values()) else ""
        series = series_over(cells, key)
        rivals = [(one, other) for index, one in enumerate(series)
                  for other in series[index + 1:] if one["path"] != other["path"] and all(
                      other["others"].get(name, value) == value
                      for name, value in one["others"].items())]
        if rivals:
            result["over"].append({"key": key, "unit": unit, "from": min(values),
                                   "to": max(values)})
        for one, other in rivals:
            for figure in ("throughput_per_s", "response_ms.p50", "response_ms.p99",
                           "blocked_ms.max", "lag_ms.max"):
                for flip in flips_between(one, other, figure, figure == "throughput_per_s"):
                    result["found"].append({"key": key, "unit": unit, **flip})
    return result
