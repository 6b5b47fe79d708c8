#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""coverage.py BUILD [--lines FILE]... [TARGET...]: which lines the stored corpora reach by themselves.

BUILD was configured with -Dfuzz=coverage.  Each target replays its corpus of tests/fuzz/corpus;
nothing else is run.  Without TARGET, all of them.  For each source file that is linked into one of
them: how many lines there are, how many were reached by any target, and by each; then the functions
that none reached.  With --lines, instead, the lines of FILE that none reached.
"""
import argparse
import collections
import glob
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = ("broker/", "frontend/", "policy/", "protos/", "shared/")


def replay(build, target):
    """Runs one target over its corpus; what llvm-cov says of it, as lines of an lcov trace."""
    program = os.path.join(build, "tests", "fuzz", "fuzz-" + target)
    base = os.path.join(build, "profiles", target)
    os.makedirs(os.path.dirname(base), exist_ok=True)
    corpus = os.path.join(ROOT, "tests", "fuzz", "corpus", target)
    done = subprocess.run([program, corpus], env={**os.environ, "LLVM_PROFILE_FILE": base + ".raw"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{target}: the replay failed:\n{done.stdout}")
    subprocess.run(["llvm-profdata", "merge", "-sparse", base + ".raw", "-o", base + ".profile"],
                   check=True)
    return subprocess.run(["llvm-cov", "export", "-format=lcov", "-instr-profile",
                           base + ".profile", program],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


class Source:
    """One source file: for each line and function, the targets that reached it."""

    def __init__(self):
        self.lines = collections.defaultdict(set)
        self.functions = collections.defaultdict(set)


def collect(sources, target, trace):
    source = None
    starts = {}
    for record in trace:
        kind, _, rest = record.partition(":")
        if kind == "SF":
            path = os.path.relpath(rest, ROOT)
            source = sources[path] if path.startswith(CODE) else None
            starts = {}
        elif source is None:
            continue
        elif kind == "FN":
            line, name = rest.split(",")
            starts[name] = (int(line), name.rpartition(":")[2])
        elif kind == "FNDA":
            count, name = rest.split(",")
            source.functions[starts[name]].update([target] if int(count) else [])
        elif kind == "DA":
            line, count = rest.split(",")[:2]
            source.lines[int(line)].update([target] if int(count) else [])


def percent(part, whole):
    # Rounded down, so that 100% is all.
    return f"{part * 1000 // whole / 10:.1f}%" if whole else "-"


def print_table(sources, targets):
    width = max(len(path) for path in sources)
    print(f"{'':{width}}  lines  reached " + " ".join(f"{t:>12}" for t in targets))
    total = Source()
    for path, source in sorted(sources.items()):
        total.lines.update({(path, line): by for line, by in source.lines.items()})
        print_row(path, width, source, targets)
    print_row("all", width, total, targets)
    print("\nfunctions that no corpus reaches:")
    for path, source in sorted(sources.items()):
        names = [name for (_, name), by in sorted(source.functions.items()) if not by]
        if names:
            print(f"  {path}: {', '.join(names)}")


def print_row(label, width, source, targets):
    count = len(source.lines)
    reached = sum(1 for by in source.lines.values() if by)
    each = [sum(1 for by in source.lines.values() if t in by) for t in targets]
    print(f"{label:{width}}  {count:5}  {percent(reached, count):>7} " +
          " ".join(f"{percent(n, count):>12}" for n in each))


def print_lines(path, source):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        lines = text.read().splitlines()
    for number, by in sorted(source.lines.items()):
        if not by:
            print(f"{path}:{number}:{lines[number - 1]}")


def main():
    parser = argparse.ArgumentParser(prog="coverage")
    parser.add_argument("build")
    parser.add_argument("--lines", action="append", default=[], metavar="FILE")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    options = parser.parse_intermixed_args() # names may follow --lines FILE
    known = sorted(os.path.basename(path)[len("fuzz-"):-len(".c")]
                   for path in glob.glob(os.path.join(ROOT, "tests", "fuzz", "fuzz-*.c")))
    targets = options.targets or known
    sources = collections.defaultdict(Source)
    for target in targets:
        if target not in known:
            sys.exit(f"there is no target {target}; there are {', '.join(known)}")
        collect(sources, target, replay(options.build, target))
    # Of headers without functions, only the constants that were used would be counted.
    sources = {path: source for path, source in sources.items() if source.functions}
    if not options.lines:
        print_table(sources, targets)
    for path in options.lines:
        if path not in sources:
            sys.exit(f"{path} is linked into no target; named from the root, it would be one of\n  " +
                     "\n  ".join(sorted(sources)))
        print_lines(path, sources[path])


if __name__ == "__main__":
    main()
