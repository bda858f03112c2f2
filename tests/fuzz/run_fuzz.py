#!/usr/bin/env python3
"""Builds the fuzzers (preset "fuzz") and runs each of them for a while.

    run_fuzz.py [--seconds N] [--seed N] [TARGET...]

10 s each, 60 s with INDOUBT_LONG=1, from seeds that make_corpus writes anew (a real log
and streams captured from PostgreSQL among them). The seed is printed; --seed repeats a run. An input that fails is kept as
build/fuzz/findings/TARGET-*, with the command that runs it again; exit code 1.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "fuzz"
TARGETS = ["gid", "config", "log_reader", "log_records", "pgoutput"]


def must(command):
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"run_fuzz: {' '.join(map(str, command))} exited {ended.returncode}:\n"
                 f"{ended.stdout[-6000:]}")
    return ended.stdout


def fuzz(target, seconds, seed):
    """Whether the target found nothing."""
    corpus, grown, findings = BUILD / "corpus" / target, BUILD / "grown" / target, BUILD / "findings"
    shutil.rmtree(grown, ignore_errors=True)
    grown.mkdir(parents=True)
    findings.mkdir(exist_ok=True)
    for old in findings.glob(f"{target}-*"):
        old.unlink()
    seeds = len(list(corpus.iterdir()))
    program = BUILD / "bin" / f"fuzz_{target}"
    ended = subprocess.run(
        [program, f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=20",
         "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=16384",
         f"-artifact_prefix={findings}/{target}-", grown, corpus],
        cwd=BUILD, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        errors="replace", env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"})
    executed = re.search(r"stat::number_of_executed_units: (\d+)", ended.stdout)
    covered = re.findall(r"cov: (\d+)", ended.stdout)
    runs = int(executed.group(1)) if executed else 0
    print(f"{target}: {runs} runs in {seconds} s from {seeds} seeds, "
          f"{covered[-1] if covered else '?'} edges, seed {seed}", flush=True)
    if ended.returncode == 0 and runs > seeds:
        return True
    print(f"{target}: FAILED (exit code {ended.returncode}):\n{ended.stdout[-6000:]}")
    for found in findings.glob(f"{target}-*"):
        print(f"again: {program.relative_to(ROOT)} {found.relative_to(ROOT)}")
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int,
                        default=60 if os.environ.get("INDOUBT_LONG") else 10)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31))
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []])
    given = parser.parse_args()
    must(["cmake", "--preset", "fuzz"])
    must(["cmake", "--build", "--preset", "fuzz", "--target", "fuzz-targets"])
    print(must([BUILD / "bin" / "make_corpus", BUILD / "corpus"]).strip(), flush=True)
    found = [target for target in given.targets or TARGETS
             if not fuzz(target, given.seconds, given.seed)]
    shutil.rmtree(BUILD / "grown", ignore_errors=True)
    return 1 if found else 0


sys.exit(main())
