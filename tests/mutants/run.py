#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py [KERNEL_HEADERS]: seeds faults into a copy of the sources, one at a time, and runs the
story against each.  Every fault must make the story fail; the story without one must pass.

A fault is an exact replacement of text that stands once in its file, so that a fault which no
longer applies is an error and not a silent pass.
"""
import filecmp
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(ROOT, "build", "mutants")
SOURCE = os.path.join(WORK, "source")
BUILD = os.path.join(WORK, "build")
STORY = os.path.join(BUILD, "tests", "system", "vtd-story")
TARGETS = ["tests/system/vtd-story", "tests/vmm/vtd-vmm", "broker/vtd-brokerd",
           "broker/vtd-broker-worker-sim"]

# Name, what is wrong, file, text, replacement.
MUTANTS = [
    ("page-invalidation-dropped", "a page-selective invalidation is counted as done and dropped",
     "frontend/engine.c",
     "                if (!vtd_binding_matches_iotlb(binding, descriptor))\n",
     "                if (pages || !vtd_binding_matches_iotlb(binding, descriptor))\n"),
    ("pasid-invalidation-dropped", "a PASID-selective invalidation is dropped",
     "frontend/engine.c",
     "                if (!vtd_binding_matches_iotlb(binding, descriptor))\n",
     "                if (!pages || !vtd_binding_matches_iotlb(binding, descriptor))\n"),
    ("acknowledged-before-the-call", "Invalidate is answered before its host call, which follows "
     "with the next one",
     "broker/worker/invalidate.c",
     "        return flush(vm, call, table, &batch);\n",
     "        static struct vtd_invalidate_batch late;\n"
     "        struct vtd_invalidate_batch now = late;\n\n"
     "        late = batch;\n"
     "        return now.count ? flush(vm, call, table, &now) : 0;\n"),
    ("no-detach-on-removal", "Attach in mode blocked answers without detaching",
     "broker/worker/attach.c",
     "        if (a) {\n                r = block(vm, a);\n                if (r != 0)\n"
     "                        return r;\n                vtd_tables_collect(vm);\n        }\n"
     "        r = settle_bus_master(vm, device);\n",
     "        if (a)\n                return 0;\n        r = settle_bus_master(vm, device);\n"),
    ("wrong-table", "a first-stage table is found by its attributes, whatever its root",
     "broker/worker/tables.c",
     "                    t->config.root == config->root &&\n",
     ""),
    ("replaced-table-leaked", "the table that was replaced is never destroyed",
     "broker/worker/attach.c",
     "                return fall_back_to_blocked(vm, call, a, r);\n        vtd_tables_collect(vm);\n",
     "                return fall_back_to_blocked(vm, call, a, r);\n"),
    ("memory-verdict-ignored", "what is over a limit is granted all the same",
     "broker/worker/quota.c",
     "        if (amount > a->limit - a->used)\n                return VTD_QUOTA_E_LIMIT;\n",
     ""),
    ("device-verdict-ignored", "a device that no section grants is taken for the first one",
     "policy/verify.c",
     "                        return &policy->devices[i];\n        }\n        return NULL;\n",
     "                        return &policy->devices[i];\n        }\n"
     "        return &policy->devices[0];\n"),
    ("audit-missing", "refused requests leave no audit record",
     "broker/worker/audit.c",
     "        if (!call->reply->refused && !always && vm->audit_level < VTD_AUDIT_REQUESTS)\n",
     "        if (call->reply->refused)\n"),
    ("unmap-before-block", "at the end memory is unmapped before the devices are blocked",
     "broker/worker/vm.c",
     "        block_all(vm);\n        release_all(vm);\n",
     "        vtd_memory_unmap_all(vm);\n        block_all(vm);\n        release_all(vm);\n"),
    ("fault-not-recorded", "a refused entry leaves no fault that the guest could read",
     "frontend/engine.c",
     "        if (reason == VTD_FAULT_NONE || !engine->enabled)\n",
     "        if (reason != VTD_FAULT_NONE)\n"),
    ("translation-never-off", "TE = 0 leaves the guest's entry in force",
     "frontend/engine.c",
     "        if (!engine->enabled) {\n",
     "        if (!engine->enabled && binding->current.mode != VTD_ATTACH_FIRST_STAGE) {\n"),
    ("refused-attach-left-attached", "a refused Attach leaves the old table attached",
     "broker/worker/attach.c",
     "        return r == VTD_CALL_E_REFUSED ? block_refused(vm, device, request->pasid) : r;\n",
     "        return r;\n"),
]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)


def fail(message, output=""):
    sys.exit(f"{output[-3000:]}\nmutants: {message}")


def copy_sources():
    """Brings the copy up to date; what is the same already is not built again."""
    names = run(["git", "-C", ROOT, "ls-files", "-z"]).stdout.split("\0")
    for name in filter(None, names):
        source, target = os.path.join(ROOT, name), os.path.join(SOURCE, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or not filecmp.cmp(source, target, shallow=False):
            shutil.copyfile(source, target)
            shutil.copymode(source, target)


def build():
    built = run(["ninja", "-C", BUILD] + TARGETS)
    return built.returncode == 0, built.stdout


def story():
    try:
        told = run([STORY, "--build", BUILD], timeout=120)
    except subprocess.TimeoutExpired:
        return False, "the story did not end"
    lost = [line for line in told.stdout.splitlines()
            if line.startswith(("not ok", "vtd-story:"))]
    return told.returncode == 0, lost[0] if lost else f"exit status {told.returncode}"


def judge(name, what, path, text, replacement):
    """True if the story noticed the fault."""
    path = os.path.join(SOURCE, path)
    with open(path, encoding="utf-8") as file:
        original = file.read()
    if original.count(text) != 1:
        fail(f"{name}: its text stands {original.count(text)} times in {path}, not once")
    with open(path, "w", encoding="utf-8") as file:
        file.write(original.replace(text, replacement))
    built, output = build()
    if not built:
        fail(f"{name}: does not compile", output)
    passed, how = story()
    with open(path, "w", encoding="utf-8") as file:
        file.write(original)
    print(f"{'NOT SEEN' if passed else 'seen    '}  {name}: {what}\n            {'' if passed else how}",
          flush=True)
    return not passed


def main():
    headers = sys.argv[1] if len(sys.argv) > 1 else ""
    copy_sources()
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        made = run(["meson", "setup", BUILD, SOURCE, f"-Dkernel_headers={headers}"])
        if made.returncode:
            fail("the copy does not configure", made.stdout)
    built, output = build()
    if not built:
        fail("the copy does not build", output)
    passed, how = story()
    if not passed:
        fail(f"the story fails without a seeded fault: {how}")
    seen = sum(judge(*mutant) for mutant in MUTANTS)
    print(f"{seen} of {len(MUTANTS)} seeded faults are seen by the story")
    return 0 if seen == len(MUTANTS) else 1


if __name__ == "__main__":
    sys.exit(main())
