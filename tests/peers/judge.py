# SPDX-License-Identifier: MIT
"""What became of a case of another project's tests, read from what its program printed, and whether that
is as the tables of README.md say.  Starts nothing."""
import os
import re
from typing import NamedTuple

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
PROFILES = ("first-stage", "nested")
QTEST_PREFIX = "/x86_64"

# By reason: what becomes of the case, and what it then says.
PREDICTED = {
    "legacy": ({"failed"}, r"0xdead0002|\b3735879682\b|DMAR 4B memcpy test"),  # a failed DMA's result
    "no-second-stage": ({"failed", "skipped"}, r"ECAP\.SSTS not supported|huge pages"),
    "widths": ({"failed"}, r"CAP_STAGE_1_FIXED1|VTD_CAP_SAGAW|39 bits address width"),
    "queue-width": ({"failed"}, r"assertion failed \(status == QVTD_INV_WAIT_DATA\)"),
    "source-id": ({"helped"}, "IR IOAPIC"),
}


class Outcome(NamedTuple):
    result: str  # passed, failed, skipped, helped (passed, but only after flat.py's help), silent
    text: str  # what the program said of it


def read_tables(page):
    """{program: {case: {profile: verdict}}} of the page's text; ValueError if it makes no sense."""
    tables = {}
    for title, body in re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", page, flags=re.M | re.S):
        rows = re.findall(r"^\| `([^`]+)` \| (\S+) \| (\S+) \|$", body, flags=re.M)
        tables[title] = {case: dict(zip(PROFILES, verdicts)) for case, *verdicts in rows}
        if len(rows) != len(re.findall(r"^\| `", body, flags=re.M)) or not rows:
            raise ValueError(f"table '{title}' has no rows, or a row that cannot be read")
    used = {verdict for table in tables.values() for row in table.values() for verdict in row.values()}
    explained = set(re.findall(r"^\| (\S+) \|", page.split("\n## Reasons\n")[1], flags=re.M))
    if used - {"passes"} != set(PREDICTED) or not set(PREDICTED) <= explained:
        raise ValueError(f"verdicts {sorted(used)}, reasons {sorted(explained)}, known {sorted(PREDICTED)}")
    return tables


def qtest_outcome(text, case):
    """Of a qtest program that ran this case alone, with --tap."""
    point = re.search(rf"^ok \d+ {re.escape(QTEST_PREFIX + case)}( # SKIP.*)?$", text, flags=re.M | re.I)
    if not point:
        return Outcome("failed", text)
    return Outcome("skipped" if point.group(1) else "passed", text)


def flat_cases(text):
    """The cases that kvm-unit-tests' program said something of."""
    return re.findall(r"^(?:PASS|FAIL|SKIP): (.+)$", text, flags=re.M)


def flat_outcome(text, case, helped_at):
    """@helped_at: how much of the text was there when the program was helped, or None."""
    line = re.search(rf"^(PASS|FAIL|SKIP): {re.escape(case)}$", text, flags=re.M)
    if not line:
        return Outcome("silent", text)
    result = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}[line.group(1)]
    if result == "passed" and helped_at is not None and line.start() >= helped_at:
        if not flat_cases(text[helped_at : line.start()]):
            result = "helped"  # it is the first after that
    return Outcome(result, line.group())


def judge(verdict, outcome, observe):
    """(whether the case is as it should be, what to say).  @observe(reason) returns None if it holds."""
    if verdict == "passes":
        return outcome.result == "passed", f"result: {outcome.result}"
    results, pattern = PREDICTED[verdict]
    if outcome.result not in results or not re.search(pattern, outcome.text):
        return False, f"result: {outcome.result}, not as '{verdict}' predicts"
    wrong = observe(verdict)
    return wrong is None, wrong or verdict
