#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""summary.py FAILED LOG...: adds up meson's test logs; `N passed, N failed` is the last line.

FAILED is the number of failures outside the logs (builds, code style).  A test that speaks TAP counts with each of its points.  Nothing is forgiven: a test program that
timed out, crashed or printed no point is one failure; a skipped rig test is a failure.
"""
import json
import os
import re
import sys

POINT = re.compile(r"^\s*(not )?ok\b(.*)$", re.M)


def judge(entry):
    """(passed, failed, skipped) of one test program."""
    if entry["result"] == "SKIP":
        return 0, 0, 1
    points = POINT.findall(entry.get("stdout", ""))
    skipped = sum(1 for _, rest in points if "# SKIP" in rest.upper())
    failed = sum(1 for bad, _ in points if bad)
    passed = len(points) - failed - skipped
    if entry["result"] not in ("OK", "EXPECTEDFAIL"):
        failed = max(failed, 1)
    elif not points:
        passed = 1
    return passed, failed, skipped


def main():
    total = [0, int(sys.argv[1]), 0]
    for path in sys.argv[2:]:
        name = os.path.basename(path)
        run = [0, 0, 0]
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                run = [a + b for a, b in zip(run, judge(json.loads(line)))]
        if name.endswith("-rig.json"):
            if run[2] or not run[0]:
                run[1] += max(run[2], 1)
                run[2] = 0
            print(f"rig tests: {run[0]} passed, {run[1]} failed")
        total = [a + b for a, b in zip(total, run)]
    skipped = f", {total[2]} skipped" if total[2] else ""
    print(f"{total[0]} passed, {total[1]} failed{skipped}")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
