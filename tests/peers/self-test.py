#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""That a case which is not as the tables say is noticed: judge.py over made-up results.  Prints TAP."""
import sys

sys.dont_write_bytecode = True  # nothing is written beside the sources
# pylint: disable=wrong-import-position
from judge import PAGE, Outcome, flat_cases, flat_outcome, judge, qtest_outcome, read_tables

CASE = "/iommu-testdev/intel/scalable-slt"
OK = f"ok 1 /x86_64{CASE}\n"
SKIPPED = f"ok 1 /x86_64{CASE} # SKIP ECAP.SSTS not supported\n"
ABORTED = "1..1\n# DMA failed: mode=0 result=0xdead0002\nERROR: assertion failed\nBail out!\n"
BEFORE = "IR table address: 0x104f000\nPASS: vtd_init: QI enablement\nFAIL: vtd_dmar: DMAR 4B memcpy test\n"
AFTER = "PASS: vtd_ir: IR IOAPIC\nPASS: vtd_ir: IR MSI\n"


def holds(_):
    return None


def does_not(_):
    return "the unit is not so"


def refuses(page):
    try:
        read_tables(page)
    except ValueError:
        return True
    return False


def flat_results(helped_at):
    text = BEFORE + AFTER
    return [flat_outcome(text, case, helped_at).result for case in flat_cases(text)]


def points():
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    passed, failed = Outcome("passed", OK), Outcome("failed", ABORTED)
    return [
        ("the page's tables are read", len(read_tables(page)) == 4),
        ("a verdict without a reason is refused", refuses(page.replace("| legacy | legacy |", "| old | old |", 1))),
        ("a row that cannot be read is refused", refuses(page.replace("| passes | passes |", "| passes |", 1))),
        ("a reason that no case has is refused", refuses(page.replace("| source-id | source-id |",
                                                                      "| passes | passes |"))),
        ("a reason that is not explained is refused", refuses(page.replace("\n| legacy | the", "\n| old | the"))),
        ("a case that passes", qtest_outcome(OK, CASE).result == "passed"),
        ("a case that skips itself", qtest_outcome(SKIPPED, CASE).result == "skipped"),
        ("a case whose program aborts", qtest_outcome(ABORTED, CASE).result == "failed"),
        ("a case whose program says nothing", qtest_outcome("", CASE).result == "failed"),
        ("another case's result is not this one's", qtest_outcome(OK, CASE[:-1]).result == "failed"),
        ("lines of kvm-unit-tests", flat_results(None) == ["passed", "failed", "passed", "passed"]),
        ("the case that had to be helped", flat_results(len(BEFORE)) == ["passed", "failed", "helped", "passed"]),
        ("a case that was not reached", flat_outcome(BEFORE, "vtd_ir: IR MSI", len(BEFORE)).result == "silent"),
        ("what passes and should", judge("passes", passed, does_not)[0]),
        ("what fails and should pass", not judge("passes", failed, holds)[0]),
        ("what skips itself and should pass", not judge("passes", qtest_outcome(SKIPPED, CASE), holds)[0]),
        ("what cannot apply, and fails for it", judge("legacy", failed, holds)[0]),
        ("what cannot apply, and passes", not judge("legacy", passed, holds)[0]),
        ("what cannot apply, and fails otherwise", not judge("widths", failed, holds)[0]),
        ("what could apply to the unit that is observed", not judge("legacy", failed, does_not)[0]),
        ("what skips itself on a unit that has it",
         not judge("no-second-stage", qtest_outcome(SKIPPED, CASE), does_not)[0]),
        ("what had to be helped, and should not", not judge("passes", Outcome("helped", ""), holds)[0]),
        ("what is silent", not judge("passes", Outcome("silent", ""), holds)[0]),
    ]


results = points()
for number, (name, good) in enumerate(results, 1):
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
print(f"1..{len(results)}")
sys.exit(not all(good for _, good in results))
