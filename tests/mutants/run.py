#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py KERNEL_HEADERS [story | model | administration]: seeds faults into a copy of the sources,
one at a time.  Faults of brokering must make the story fail; faults of what the unit remembers for
emulated devices, which the story has none of, must make the reference model or a unit test fail;
faults of what administrators may do, the tests of the control socket.  Without a fault all of these
must pass.

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
STORY_TARGETS = ["tests/system/vtd-story", "tests/vmm/vtd-vmm", "broker/vtd-brokerd",
                 "broker/vtd-broker-worker-sim"]
MODEL = os.path.join(BUILD, "tests", "model", "test-model")
UNIT_TESTS = ["cache", "translate", "drain", "watch", "paging-first", "paging-second", "paging-nested",
              "paging-marks"]
MODEL_TARGETS = ["tests/model/test-model"] + [f"tests/unit/test-frontend-{t}" for t in UNIT_TESTS]

# Name, what is wrong, file, text, replacement.
STORY_MUTANTS = [
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
     "        r = vtd_attach_settle_bus_master(vm, device);\n",
     "        if (a)\n                return 0;\n        r = vtd_attach_settle_bus_master(vm, device);\n"),
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
     "frontend/attachments.c",
     "        if (reason == VTD_FAULT_NONE || !engine->enabled)\n",
     "        if (reason != VTD_FAULT_NONE)\n"),
    ("translation-never-off", "TE = 0 leaves the guest's entry in force",
     "frontend/attachments.c",
     "        if (!engine->enabled) {\n",
     "        if (!engine->enabled && binding->current.mode != VTD_ATTACH_FIRST_STAGE) {\n"),
    ("refused-attach-left-attached", "a refused Attach leaves the old table attached",
     "broker/worker/attach.c",
     "        return r == VTD_CALL_E_REFUSED ? block_refused(vm, device, request->pasid) : r;\n",
     "        return r;\n"),
]


MODEL_MUTANTS = [
    ("one-page-of-the-mask", "a page-selective invalidation drops one page, whatever AM says",
     "frontend/dma/iotlb.c",
     "        unsigned shift = descriptor->address_mask + VTD_PAGE_SHIFT;\n",
     "        unsigned shift = VTD_PAGE_SHIFT;\n"),
    ("large-block-kept", "a block that begins before the invalidated range is kept",
     "frontend/dma/iotlb.c",
     "        return vtd_iotlb_block(range->first, size) <= entry->words[1] &&\n",
     "        return range->first <= entry->words[1] &&\n"),
    ("last-block-kept", "the last block of the invalidated range is not looked for",
     "frontend/dma/iotlb.c",
     "                for (uint64_t i = 0; i <= more; i++)\n",
     "                for (uint64_t i = 0; i < more || i == 0; i++)\n"),
    ("wide-range-one-size", "a range of many blocks is looked for in the smallest size only",
     "frontend/dma/iotlb.c",
     "                        vtd_cache_drop(iotlb, &selector);\n                        return;\n",
     "                        return;\n"),
    ("domain-misses-nested", "a domain-selective invalidation leaves first-stage and nested blocks",
     "frontend/dma/iotlb.c",
     "        struct vtd_cache_selector selector = {.mask = DOMAIN_MASK, .tag = domain};\n",
     "        struct vtd_cache_selector selector = {.mask = DOMAIN_MASK | VTD_IOTLB_FIRST_STAGE,\n"
     "                                              .tag = domain};\n"),
    ("domain-pages-miss-nested", "pages of a domain are invalidated in the second stage only",
     "frontend/dma/iotlb.c",
     "                if (vtd_cache_kinds_now(iotlb) >> vtd_iotlb_kind(VTD_IOTLB_FIRST_STAGE) == 0)\n"
     "                        return;\n",
     "                return;\n"),
    ("tag-without-domain", "blocks of all domains are taken for each other",
     "frontend/dma/iotlb.h",
     "               (uint64_t)vtd_packed_domain(packed) << VTD_IOTLB_DOMAIN_SHIFT |\n",
     ""),
    ("tag-without-pasid", "blocks of all PASIDs of a domain are taken for each other",
     "frontend/dma/iotlb.h",
     "        uint64_t pasid = type & 1 ? vtd_packed_pasid(packed) : 0;\n",
     "        uint64_t pasid = 0;\n"),
    ("tag-without-type", "first-stage and nested blocks are taken for each other",
     "frontend/dma/iotlb.h",
     "        return VTD_IOTLB_PRESENT | (uint64_t)type << VTD_IOTLB_TYPE_SHIFT |\n",
     "        return VTD_IOTLB_PRESENT | (uint64_t)(type & 1) << VTD_IOTLB_TYPE_SHIFT |\n"),
    ("pasid-cache-by-domain-misses", "a PASID-cache invalidation by domain drops nothing",
     "frontend/dma/pasid-cache.c",
     "        return vtd_packed_domain(&packed) == descriptor->domain_id;\n",
     "        return vtd_packed_domain(&packed) == descriptor->domain_id &&\n"
     "               descriptor->granularity == VTD_PASID_CACHE_PASID;\n"),
    ("pasid-cache-by-key", "PASID-cache invalidation misses RID_PASID of requests without PASID",
     "frontend/dma/pasid-cache.c",
     "vtd_packed_pasid(&packed) == descriptor->pasid;\n",
     "vtd_packed_pasid(&packed) == descriptor->pasid &&\n"
     "               (entry->words[0] & VTD_PACKED_WITH_PASID);\n"),
    ("function-mask-ignored", "context-cache invalidation by device takes no notice of FM",
     "frontend/dma/pasid-cache.c",
     "        uint16_t rids = (uint16_t)~descriptor->source_ignored;\n",
     "        uint16_t rids = UINT16_MAX;\n"),
    ("context-domain-dropped", "context-cache invalidation by domain is not carried out as global",
     "frontend/dma/pasid-cache.c",
     "? descriptor->granularity != VTD_CONTEXT_CACHE_DEVICE\n",
     "? descriptor->granularity == VTD_CONTEXT_CACHE_GLOBAL\n"),
    ("fpd-forgotten", "a cached entry does not suppress faults",
     "frontend/dma/pasid-cache.c",
     "                .fpd = second >> 7 & 1,\n",
     "                .fpd = false,\n"),
    ("inserted-after-invalidation", "what was read before an invalidation is kept after it",
     "frontend/dma/cache.c",
     "        if (atomic_load(cache->invalidations) == before) {\n",
     "        if (before != UINT64_MAX) {\n"),
    ("rights-not-checked", "a hit allows whatever is asked for",
     "frontend/dma/dma.c",
     "                            &page) ||\n"
     "            (request->access & ~rights_of(request, &page)) != 0) {\n",
     "                            &page)) {\n"),
    ("rights-of-users", "a supervisor's request goes by the rights of users",
     "frontend/dma/dma.c",
     "        return request->privileged ? page->supervisor : page->user;\n",
     "        return page->user;\n"),
    ("supervisor-without-sre", "a hit does not ask whether supervisor requests are allowed",
     "frontend/dma/dma.c",
     "        if (request->privileged && !vtd_packed_supervisor(&packed))\n",
     "        if (request->privileged && !vtd_packed_supervisor(&packed) && r != 0)\n"),
    ("root-keeps-blocks", "setting the root or switching translation leaves the IOTLB as it is",
     "frontend/dma/dma.c",
     "        vtd_cache_clear(&dma->pasid_cache);\n        vtd_cache_clear(&dma->iotlb);\n",
     "        vtd_cache_clear(&dma->pasid_cache);\n"),
    ("root-keeps-entries", "setting the root or switching translation leaves the PASID cache",
     "frontend/dma/dma.c",
     "        vtd_cache_clear(&dma->pasid_cache);\n        vtd_cache_clear(&dma->iotlb);\n",
     "        vtd_cache_clear(&dma->iotlb);\n"),
    ("restore-keeps-caches", "what was cached is used after a restore",
     "frontend/engine.c",
     "        vtd_dma_set_mode(&engine->dma, engine->root, engine->enabled);\n",
     "        if (engine->enabled != vtd_dma_is_enabled(&engine->dma))\n"
     "                vtd_dma_set_mode(&engine->dma, engine->root, engine->enabled);\n"),
    ("drain-skipped", "a wait descriptor completes while an access is under way",
     "frontend/engine.c",
     "        if (!vtd_dma_is_drained(&engine->dma))\n                return VTD_ENGINE_E_DRAINING;\n",
     "        if (!vtd_dma_is_drained(&engine->dma) && engine->lost)\n"
     "                return VTD_ENGINE_E_DRAINING;\n"),
    ("not-noticed", "back ends are told of nothing but what invalidates everything",
     "frontend/dma/watch.c",
     "                watches->notices[watches->count++] = *descriptor;\n",
     "                (void)descriptor;\n"),
    ("one-page-told", "back ends are told of one page, whatever AM says",
     "frontend/dma/watch.c",
     "        unsigned shift = descriptor->address_mask + VTD_PAGE_SHIFT;\n",
     "        unsigned shift = VTD_PAGE_SHIFT;\n"),
    ("last-note-counts", "of two entries that a back end's blocks came from, one is forgotten",
     "frontend/dma/watch.c",
     "        return b == NONE ? a : SEVERAL;\n",
     "        return b == NONE ? a : b;\n"),
    ("first-stage-dirty-not-set", "a block that was read may be written without setting D",
     "frontend/dma/first_stage.c",
     "        page->user = allowed(walk.rights & US, (walk.rights & RW) && walk.dirty);\n",
     "        page->user = allowed(walk.rights & US, walk.rights & RW);\n"),
    ("second-stage-dirty-not-set", "the same in the second stage",
     "frontend/dma/second_stage.c",
     "                walk->rights &= ~W; /* for others: a write has to set D first */\n",
     "                walk->rights &= ALL_RIGHTS;\n".replace("ALL_RIGHTS", "R | W")),
    ("accessed-set-each-time", "A is written although it is set",
     "frontend/dma/first_stage.c",
     "        if (wanted == value)\n                return VTD_FAULT_NONE;\n",
     ""),
    ("interrupts-in-block", "a block may hold the interrupt range on the device's side",
     "frontend/dma/paging.c",
     "                if (!meets_interrupts(page->translated, size) &&\n"
     "                    !meets_interrupts(address & ~(size - 1), size))\n",
     "                if (!meets_interrupts(page->translated, size))\n"),
]

ADMINISTRATION_TESTS = ["unit/test-grant-policy", "unit/test-report", "system/test-administration",
                        "system/test-administrators"]
ADMINISTRATION_TARGETS = [f"tests/{t}" for t in ADMINISTRATION_TESTS] + [
    "broker/vtd-brokerd", "broker/vtd-brokerctl", "broker/vtd-broker-worker-sim"]
ADMINISTRATION_MUTANTS = [
    ("grant-widens", "a grant's limit may be above its tenant's",
     "broker/brokerd/grant_policy.c",
     "        if (value > limit->value)\n",
     "        if (value > limit->value && index != VTD_POLICY_MEMORY)\n"),
    ("grant-for-any-user", "the user that is asked for is not compared",
     "broker/brokerd/grant_policy.c",
     "        if (uid != policy->uid)\n",
     "        if (uid == 0)\n"),
    ("grant-not-charged", "a grant that waits does not count",
     "broker/brokerd/grants.c",
     "        vtd_tenant_charge(tenant, &policy);\n",
     "        tenant->vms++;\n"),
    ("grant-charged-twice", "the VM of a grant counts besides it",
     "broker/brokerd/worker.c",
     "        if (!arrival->charged)\n                vtd_tenant_charge(",
     "        vtd_tenant_charge("),
    ("grant-takes-many", "a grant's socket takes one VM after the other",
     "broker/brokerd/grants.c",
     "                .on_started = on_started,\n",
     "                .on_started = getenv(\"VTD_BUILD\") ? NULL : on_started,\n"),
    ("grant-for-ever", "an unused grant does not expire",
     "broker/brokerd/grants.c",
     "        grant->expiry = 0;\n        vtd_grant_end(",
     "        grant->expiry = 0;\n        if (grant->door == NULL)\n                vtd_grant_end("),
    ("connection-for-the-group", "any member of the group gets a tenant's connection",
     "broker/brokerd/administration.c",
     "        if (wanted && caller != 0 && caller != geteuid() && caller != tenant->policy.uid) {\n",
     "        if (wanted && caller == UINT32_MAX) {\n"),
    ("anybody-administers", "who connects to the control socket is not looked at",
     "broker/brokerd/admin_server.c",
     "        if (!is_allowed(server, connection, &credentials)) {\n",
     "        if (!is_allowed(server, connection, &credentials) && credentials.uid == UINT32_MAX) {\n"),
    ("revoked-tenant-comes-back", "a revoked tenant keeps its socket",
     "broker/brokerd/policies.c",
     "        tenant->revoked = tenant->revoked || tenant->door != NULL;\n"
     "        tenant->door = vtd_door_free(tenant->door);\n",
     "        tenant->revoked = tenant->revoked || tenant->door != NULL;\n"),
    ("bad-policies-by-halves", "good files are taken although another is bad",
     "broker/brokerd/tenants.c",
     "        return first_error < 0 ? first_error : check_unique(tenants, log);\n",
     "        return tenants->array->len == 0 ? first_error : check_unique(tenants, log);\n"),
    ("lost-device-stays", "a VM keeps a device that its tenant has lost",
     "broker/brokerd/worker_view.c",
     "        if (!reason && (worker->lost & vtd_worker_view(worker).open) != 0)\n",
     "        if (!reason && (worker->lost & ~vtd_worker_view(worker).open) == UINT32_MAX)\n"),
    ("lost-device-plugged", "a VM may plug a device that its tenant has lost",
     "broker/brokerd/worker.c",
     "        if (worker->lost & UINT32_C(1) << index) {\n",
     "        if (worker->lost == UINT32_MAX) {\n"),
    ("client-is-waited-for", "a client that does not read keeps its connection",
     "broker/brokerd/admin_client.c",
     "        if (client->queued > 0)\n                return since > STUCK_MS;\n",
     "        if (client->queued > 0)\n                return since == UINT64_MAX;\n"),
    ("report-cut", "what does not fit into one report is not asked for any more",
     "broker/worker/report.c",
     "                        report->next = at;\n",
     "                        report->next = 0;\n"),
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


def build(targets):
    built = run(["ninja", "-C", BUILD] + targets)
    return built.returncode == 0, built.stdout


def story():
    try:
        told = run([STORY, "--build", BUILD], timeout=120)
    except subprocess.TimeoutExpired:
        return False, "the story did not end"
    lost = [line for line in told.stdout.splitlines()
            if line.startswith(("not ok", "vtd-story:"))]
    return told.returncode == 0, lost[0] if lost else f"exit status {told.returncode}"


def test(command, **options):
    """Whether a program of tests passes, and how not."""
    name = os.path.basename(command[0])
    try:
        told = run(command, timeout=120, **options)
    except subprocess.TimeoutExpired:
        return False, f"{name} did not end"
    lost = [line for line in told.stdout.splitlines() if line.startswith(("not ok", "# action"))]
    return told.returncode == 0, f"{name}: " + " ".join(lost[:2] or ["ended early"])


def model():
    """The model, and then the unit tests, until one of them fails."""
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    passed, how = test([MODEL, "--actions", "1000000", "--seed", "1"])
    for name in UNIT_TESTS:
        if not passed:
            break
        passed, how = test([os.path.join(BUILD, "tests", "unit", f"test-frontend-{name}")],
                           env=environment)
    return passed, how


def administration():
    """The tests of the control socket, until one of them fails."""
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", VTD_BUILD=BUILD)
    passed, how = True, ""
    for name in ADMINISTRATION_TESTS:
        if passed:
            passed, how = test([os.path.join(BUILD, "tests", name)], env=environment)
    return passed, how


PARTS = {"story": (STORY_MUTANTS, STORY_TARGETS, story),
         "model": (MODEL_MUTANTS, MODEL_TARGETS, model),
         "administration": (ADMINISTRATION_MUTANTS, ADMINISTRATION_TARGETS, administration)}


def judge(mutant, targets, check):
    """True if @check noticed the fault."""
    name, what, path, text, replacement = mutant
    path = os.path.join(SOURCE, path)
    with open(path, encoding="utf-8") as file:
        original = file.read()
    if original.count(text) != 1:
        fail(f"{name}: its text stands {original.count(text)} times in {path}, not once")
    with open(path, "w", encoding="utf-8") as file:
        file.write(original.replace(text, replacement))
    built, output = build(targets)
    if not built:
        fail(f"{name}: does not compile", output)
    passed, how = check()
    with open(path, "w", encoding="utf-8") as file:
        file.write(original)
    print(f"{'NOT SEEN' if passed else 'seen    '}  {name}: {what}\n            {'' if passed else how}",
          flush=True)
    return not passed


def judge_part(part):
    """True if all faults of the part were noticed."""
    mutants, targets, check = PARTS[part]
    built, output = build(targets)
    if not built:
        fail("the copy does not build", output)
    passed, how = check()
    if not passed:
        fail(f"the {part} fails without a seeded fault: {how}")
    seen = sum(judge(mutant, targets, check) for mutant in mutants)
    print(f"{seen} of {len(mutants)} seeded faults are seen by the {part}", flush=True)
    return seen == len(mutants)


def main():
    headers = sys.argv[1] if len(sys.argv) > 1 else ""
    parts = sys.argv[2:] or list(PARTS)
    if not set(parts) <= set(PARTS):
        fail(f"there is no such part as {' '.join(parts)}, but {' and '.join(PARTS)}")
    copy_sources()
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        made = run(["meson", "setup", BUILD, SOURCE, f"-Dkernel_headers={headers}"])
        if made.returncode:
            fail("the copy does not configure", made.stdout)
    return 0 if all([judge_part(part) for part in parts]) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("mutants: interrupted; the rest was not tried")
