#!/usr/bin/env python3
"""Checks tests/model/two_phase_commit.pml with spin: what must hold, and what must fail.

    check_model.py MODEL FOLDER [CHECK...]

Each check gets a folder of its own below FOLDER, made anew. A claim that must fail has
to leave a trail whose replay shows what the check is about; otherwise the model proves
nothing. Prints the states explored and the time of each; exit code 1 when one is not as
it must be.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import time

SAFETY = ["-DSAFETY", "-DNOCLAIM"]
LIVENESS = ["-DNFAIR=3"]
# Name: model switches, how pan is compiled, how it is run, and what the replay of the
# trail must show (None: there must be no trail).
CHECKS = {
    "agreement": ([], SAFETY, [], None),
    "resolution": ([], LIVENESS, ["-a", "-f"], None),
    "blocking": (["-DNEVER_RESTARTS"], LIVENESS, ["-a", "-f"], r"branch\[[01]\] = Prepared"),
    "send before logging": (["-DSEND_BEFORE_LOGGING"], SAFETY, [], r"assertion violated"),
    "ignoring the active set": (["-DIGNORE_ACTIVE"], SAFETY, [], r"assertion violated"),
    "trusting an unsynced record": (["-DTRUST_UNSYNCED"], SAFETY, [], r"assertion violated"),
}
DEPTH = "-m2000000"


def run(command, folder):
    """Output of the command, which may fail only by what it prints."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode < 0 or ended.returncode > 1:
        sys.exit(f"check_model: {' '.join(command)} ended with {ended.returncode}:\n"
                 f"{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.stdout + ended.stderr


def number(pattern, text):
    found = re.search(pattern, text)
    return int(float(found.group(1))) if found else None


def unreached(text):
    """Statements of the model that no state came through, ends of processes aside."""
    lines = re.findall(r"^\s*(\S+:\d+), state \d+, \"(.*)\"$", text, re.MULTILINE)
    return [f"{where}: {what}" for where, what in lines
            if what != "-end-" and ".pml:" in where]


def check(name, model, folder):
    switches, compiled, ran, expected = CHECKS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    said = run(["spin", "-a", *switches, str(model)], folder)
    said += run(["gcc", "-O1", "-w", *compiled, "-o", "pan", "pan.c"], folder)
    if not (folder / "pan").exists():
        return f"does not compile:\n{said}"
    report = run(["./pan", DEPTH, *ran], folder)
    states = number(r"([\d.e+]+) states, stored", report)
    errors = number(r"errors: (\d+)", report)
    print(f"{name}: {states} states, {errors} errors, {time.monotonic() - began:.1f} s", flush=True)
    if states is None or errors is None:
        return f"no result:\n{report}"
    if "max search depth too small" in report or "out of memory" in report:
        return "the search was cut short"
    trails = list(folder.glob("*.trail"))
    if expected is None:
        if errors:
            trail = run(["spin", "-k", str(trails[0]), "-p", *switches, str(model)], folder)
            return f"must hold, and does not:\n{report}\n{trail[-6000:]}"
        if "-DSAFETY" in compiled and unreached(report):
            return "statements that no state came through:\n" + "\n".join(unreached(report))
        return None
    if errors == 0 or not trails:
        return "must fail, and holds: the model proves nothing"
    replay = run(["spin", "-k", str(trails[0]), "-p", "-g", *switches, str(model)], folder)
    if not re.search(expected, replay + report):
        return f"fails, but its trail does not show {expected}:\n{replay[-4000:]}"
    return None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    model, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    wrong = 0
    for name in sys.argv[3:] or CHECKS:
        problem = check(name, model, folder.resolve() / name.replace(" ", "-"))
        if problem:
            wrong += 1
            print(f"{name}: WRONG: {problem}", flush=True)
    return 1 if wrong else 0


sys.exit(main())
