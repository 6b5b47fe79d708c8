# SPDX-License-Identifier: MIT
"""What run.py checks: each proof is a function prove_NAME of prove-HARNESS.c, each fault an exact
replacement of text that stands once in its file, which its proof must refute."""
from typing import NamedTuple


class Proof(NamedTuple):
    harness: str
    name: str
    unwind: int  # one more than the most often that any loop runs
    options: tuple = ()
    other_solver: bool = False


class Fault(NamedTuple):
    harness: str
    proof: str
    what: str
    path: str
    text: str
    replacement: str


CONVERSION = ("--conversion-check",)
WRAP = ("--conversion-check", "--unsigned-overflow-check")

PROOFS = [
    Proof("frame", "decode", 2),
    Proof("frame", "encode_after_decode", 2),
    Proof("frame", "decode_after_encode", 2),

    Proof("checked", "add", 2),
    Proof("checked", "alignment", 2),
    Proof("checked", "within", 2, WRAP),
    Proof("checked", "overlap", 2, WRAP),
    Proof("checked", "contains", 2, WRAP, other_solver=True),

    Proof("handles", "init", 8, CONVERSION),
    Proof("handles", "take", 8, WRAP),
    Proof("handles", "release", 8, WRAP),
    Proof("handles", "dead_stays_dead", 8, WRAP),
    Proof("handles", "find", 8, WRAP),
    Proof("handles", "names_differ", 8, WRAP),

    Proof("quota", "init", 10, WRAP),
    Proof("quota", "charge", 10, WRAP),
    Proof("quota", "release", 10, WRAP),

    Proof("rate", "init", 2, WRAP),
    Proof("rate", "earn", 2, WRAP),
    Proof("rate", "take", 2, WRAP),

    Proof("capabilities", "numbers", 11),
    Proof("capabilities", "bits", 11),
    Proof("capabilities", "consistent", 11),

    Proof("queue", "enable", 10),
    Proof("queue", "advance", 10),
    Proof("queue", "fetch", 10),

    Proof("tables", "walk_begin", 11),
    Proof("tables", "walk_step", 11),
    Proof("tables", "aim", 11),
    Proof("tables", "scan_begin", 11),
    Proof("tables", "scan_step", 11),
]

FAULTS = [
    Fault("frame", "decode", "the upper limit of a record is not checked", "shared/frame.c",
          "length < VTD_FRAME_HEADER_SIZE || length > VTD_FRAME_SIZE_MAX",
          "length < VTD_FRAME_HEADER_SIZE"),
    Fault("frame", "decode", "a record without a whole header is read", "shared/frame.c",
          "length < VTD_FRAME_HEADER_SIZE ||", "length < 12 ||"),
    Fault("frame", "decode", "a refused header is written to the caller", "shared/frame.c",
          "        if (f.body_length != length - VTD_FRAME_HEADER_SIZE)\n",
          "        *frame = f;\n        if (f.body_length != length - VTD_FRAME_HEADER_SIZE)\n"),
    Fault("frame", "encode_after_decode", "any version is accepted", "shared/frame.c",
          " || record[4] != VTD_FRAME_VERSION", ""),
    Fault("frame", "decode_after_encode", "the sequence is cut to 16 bits", "shared/frame.c",
          "put_u32(header + 12, frame->sequence)", "put_u16(header + 12, frame->sequence)"),

    Fault("checked", "add", "the sum is taken before it is known to fit", "shared/checked.h",
          "return !__builtin_add_overflow(a, b, sum);",
          "*sum = a + b;\n        return *sum > a;"),
    Fault("checked", "alignment", "the mask is one bit short", "shared/checked.h",
          "(value & (VTD_PAGE_SIZE - 1)) == 0", "(value & (VTD_PAGE_SIZE / 2 - 1)) == 0"),
    Fault("checked", "within", "the end is computed, and wraps", "shared/checked.h",
          "start < limit && size <= limit - start", "start + size <= limit"),
    Fault("checked", "overlap", "ranges that touch are taken to overlap", "shared/checked.h",
          "a <= b + (b_size - 1) &&", "a <= b + b_size &&"),
    Fault("checked", "contains", "the end is computed, and wraps", "shared/checked.h",
          "inner_size <= outer_size &&\n               inner - outer <= outer_size - inner_size",
          "inner + inner_size <= outer + outer_size"),

    Fault("handles", "init", "the list of free slots ends one late", "broker/worker/handles.c",
          "i < capacity; i++", "i <= capacity; i++"),
    Fault("handles", "take", "a slot that is taken stays on the free list",
          "broker/worker/handles.c", "        handles->free = slot->next;\n", ""),
    Fault("handles", "take", "generations wrap", "broker/worker/handles.c",
          "        slot->generation++;\n",
          "        slot->generation = (slot->generation + 1) % 4;\n"),
    Fault("handles", "release", "a slot is used again after its last generation",
          "broker/worker/handles.c", "if (slot->generation == VTD_HANDLE_GENERATION_MAX)\n",
          "if (slot->generation > VTD_HANDLE_GENERATION_MAX)\n"),
    Fault("handles", "dead_stays_dead", "a slot keeps its generation", "broker/worker/handles.c",
          "        slot->generation++;\n",
          "        if (slot->generation == 0)\n                slot->generation++;\n"),
    Fault("handles", "find", "the type is not compared", "broker/worker/handles.c",
          "vtd_handles_name(handles, i) != handle", "((vtd_handles_name(handles, i) ^ handle) << 4)"),
    Fault("handles", "find", "the index is not held against the capacity",
          "broker/worker/handles.c", "return index < handles->capacity && ", "return "),
    Fault("handles", "names_differ", "the index is left out of the name",
          "broker/worker/handles.c",
          "               (uint64_t)index << VTD_HANDLE_GENERATION_BITS |", "              "),

    Fault("quota", "init", "an account begins with something used", "broker/worker/quota.c",
          "quota->accounts[i].limit = policy->limits[i].value;",
          "quota->accounts[i].used = quota->accounts[i].limit = policy->limits[i].value;"),
    Fault("quota", "charge", "the sum is compared, and wraps", "broker/worker/quota.c",
          "amount > a->limit - a->used", "a->used + amount > a->limit"),
    Fault("quota", "charge", "one more than the limit is granted", "broker/worker/quota.c",
          "amount > a->limit - a->used", "amount > a->limit - a->used + 1"),
    Fault("quota", "release", "what is given back is given twice", "broker/worker/quota.c",
          "accounts[account].used -= amount", "accounts[account].used -= 2 * amount"),

    Fault("rate", "init", "a rate of 0 is taken as it is", "broker/worker/rate.c",
          "per_second > 0 ? per_second : 1", "per_second"),
    Fault("rate", "earn", "the bucket overflows its burst", "broker/worker/rate.c",
          "earned >= full - rate->level ? full : ", ""),
    Fault("rate", "earn", "a delay that runs is forgotten", "broker/worker/rate.c",
          "        if (now <= rate->updated)\n                return;\n",
          "        if (now == rate->updated)\n                return;\n"),
    Fault("rate", "take", "one delay adds to another without end", "broker/worker/rate.c",
          "wait = ahead + wait < DELAY_CAP ? ahead + wait : DELAY_CAP;", "wait = ahead + wait;"),
    Fault("rate", "take", "an entry is dropped", "broker/worker/rate.c",
          "        return (struct vtd_rate_verdict){.entries = 1, .delay_ns = wait};",
          "        return (struct vtd_rate_verdict){.entries = 0, .delay_ns = wait};"),

    Fault("capabilities", "numbers", "the ranges of numbers are not checked",
          "frontend/capabilities.c",
          "                if (rules[i].value < rules[i].low || rules[i].value > rules[i].high)\n",
          "                if (rules[i].value < rules[i].low)\n"),
    Fault("capabilities", "numbers", "PSS is one too large", "frontend/capabilities.c",
          "(uint64_t)(config->pasid_bits - 1)", "(uint64_t)(config->pasid_bits)"),
    Fault("capabilities", "bits", "the address width lies in the field of another number",
          "frontend/capabilities.c", "(uint64_t)(config->address_bits - 1) << VTD_CAP_MGAW_SHIFT",
          "(uint64_t)(config->address_bits - 1) << (VTD_CAP_MGAW_SHIFT + 36)"),
    Fault("capabilities", "consistent", "nested translation without a first stage",
          "frontend/capabilities.c",
          """                {"nested translation", config->nested, "first-stage translation",
                 config->first_stage},
""", ""),
    Fault("capabilities", "consistent", "the register page may lie where interrupts go",
          "frontend/capabilities.c",
          "        if (vtd_ranges_overlap(base, VTD_FRONTEND_REGISTER_PAGE_SIZE, ",
          "        if (base == 0 && vtd_ranges_overlap(base, VTD_FRONTEND_REGISTER_PAGE_SIZE, "),

    Fault("queue", "enable", "the size of the queue has a bit too many", "frontend/queue.c",
          "(uint32_t)VTD_PAGE_SIZE << (iqa & 7)", "(uint32_t)VTD_PAGE_SIZE << (iqa & 15)"),
    Fault("queue", "advance", "the head does not go round", "frontend/queue.c",
          "head == queue->size ? 0 : head", "head > queue->size ? 0 : head"),
    Fault("queue", "fetch", "the width of addresses is not looked at", "frontend/queue.c",
          "            address >> capabilities->host_address_bits != 0 ||\n", ""),
    Fault("queue", "fetch", "the upper half of a descriptor is not looked at", "frontend/queue.c",
          "(words[2] | words[3]) != 0", "words[2] != 0"),
    Fault("queue", "fetch", "the PASID has a bit too few", "frontend/queue.c",
          ".pasid = (words[0] >> 32) & 0xfffff,", ".pasid = (words[0] >> 32) & 0x7ffff,"),
    Fault("queue", "fetch", "MAMV is not looked at", "frontend/queue.c",
          "(words[1] & 0x3f) > VTD_CAP_MAMV", "(words[1] & 0x3f) > 63"),

    Fault("tables", "walk_begin", "the upper half of a root entry is looked for 4 bytes on",
          "frontend/tables.c", "(uint64_t)(rid >> 8) * 16 + (upper_half ? 8 : 0)",
          "(uint64_t)(rid >> 8) * 16 + (upper_half ? 4 : 0)"),
    Fault("tables", "walk_step", "a PASID beyond the directory is followed", "frontend/tables.c",
          "walk->pasid >> (size_code + 13) != 0", "walk->pasid >> (size_code + 14) != 0"),
    Fault("tables", "walk_step", "the width of addresses is not looked at", "frontend/tables.c",
          "        if (is_above_limit(capabilities, walk->address) ||\n            !vtd_guest_read",
          "        if (!vtd_guest_read"),
    Fault("tables", "walk_step", "a type that is not offered is accepted", "frontend/tables.c",
          "[VTD_PGTT_NESTED] = {true, VTD_ECAP_NEST},", "[VTD_PGTT_NESTED] = {true, 0},"),
    Fault("tables", "walk_step", "FPD of an earlier entry is forgotten",
          "frontend/tables.c", "walk->fpd |= (words[0] >> 1) & 1;",
          "walk->fpd = (words[0] >> 1) & 1;"),
    Fault("tables", "aim", "the index in a PASID table is not cut to the table",
          "frontend/tables.c", "(uint64_t)(pasid & (VTD_PASID_TABLE_SIZE - 1)) * 64",
          "(uint64_t)pasid * 64"),
    Fault("tables", "scan_begin", "the scan begins with PASID 0", "frontend/scan.c",
          "(struct vtd_scan){.next = first, .end = end}", "(struct vtd_scan){.end = end}"),
    Fault("tables", "scan_step", "a directory entry that is absent stops the scan where it is",
          "frontend/scan.c", "scan->next = (scan->next | (VTD_PASID_TABLE_SIZE - 1)) + 1;",
          "scan->next = (scan->next | (VTD_PASID_TABLE_SIZE - 1));"),
    Fault("tables", "scan_step", "the end is not cut to the directory", "frontend/scan.c",
          "                if (scan->end > scan->directory.pasids)\n"
          "                        scan->end = scan->directory.pasids;\n", ""),
]
