/* SPDX-License-Identifier: MIT */
/* Invalidate: see invalidate.h. */
#include "broker/worker/invalidate.h"

#include "broker/worker/attach.h"
#include "broker/worker/clock.h"
#include "shared/checked.h"

/* Five levels of first-stage table translate 57 bits. */
#define ADDRESS_LIMIT (UINT64_C(1) << 57)

static bool is_whole(const struct vtd_invalidate_entry *entry)
{
        return entry->pages == VTD_INVALIDATE_ALL;
}

static uint64_t end_of(const struct vtd_invalidate_entry *entry)
{
        return entry->address + (entry->pages << VTD_PAGE_SHIFT);
}

/*
 * The kernel takes a page count of 0 for everything and shifts large ones out of range, so that it
 * would flush too little: neither gets that far.
 */
static int judge(struct vtd_call *call, const struct vtd_invalidate_entry *entry)
{
        if (is_whole(entry)) {
                if (entry->address == 0)
                        return 0;
                return vtd_call_refuse(call, VTD_REASON_INVALIDATE_RANGE, entry->address, 0, 0);
        }
        if (!vtd_is_page_aligned(entry->address) || entry->address >= ADDRESS_LIMIT)
                return vtd_call_refuse(call, VTD_REASON_INVALIDATE_RANGE, entry->address,
                                       ADDRESS_LIMIT - VTD_PAGE_SIZE, 0);
        if (entry->pages == 0 || entry->pages > (ADDRESS_LIMIT - entry->address) >> VTD_PAGE_SHIFT)
                return vtd_call_refuse(call, VTD_REASON_INVALIDATE_RANGE, entry->pages,
                                       (ADDRESS_LIMIT - entry->address) >> VTD_PAGE_SHIFT, 0);
        return 0;
}

static void make_whole(struct vtd_invalidate_batch *batch, size_t sources)
{
        batch->entries[0] = (struct vtd_invalidate_entry){.pages = VTD_INVALIDATE_ALL};
        batch->sources[0] = sources;
        batch->count = 1;
}

/* Extends @into by @entry when they share a page or are next to each other. */
static bool absorb(struct vtd_invalidate_entry *into, const struct vtd_invalidate_entry *entry)
{
        uint64_t start = into->address, end = end_of(into);

        if (entry->address > end || start > end_of(entry))
                return false;
        if (entry->address < start)
                start = entry->address;
        if (end_of(entry) > end)
                end = end_of(entry);
        into->address = start;
        into->pages = (end - start) >> VTD_PAGE_SHIFT;
        into->leaf = into->leaf && entry->leaf;
        return true;
}

void vtd_invalidate_merge(struct vtd_invalidate_batch *batch,
                          const struct vtd_invalidate_entry *entries, size_t count)
{
        batch->count = 0;
        for (size_t i = 0; i < count; i++) {
                size_t last = batch->count - 1;

                if (is_whole(&entries[i])) {
                        make_whole(batch, count);
                        return;
                }
                if (batch->count > 0 && absorb(&batch->entries[last], &entries[i])) {
                        batch->sources[last]++;
                        continue;
                }
                batch->entries[batch->count] = entries[i];
                batch->sources[batch->count++] = 1;
        }
}

static int flush(struct vtd_vm *vm, struct vtd_call *call, size_t table,
                 const struct vtd_invalidate_batch *batch)
{
        size_t done = 0;
        uint64_t sources = 0;
        int r;

        r = vm->host->ops->invalidate(vm->host, vm->tables[table].hwpt, batch->entries,
                                      batch->count, &done);
        vm->stats.invalidate_entries += batch->count;
        if (r == 0 && done >= batch->count)
                return 0;
        for (size_t i = 0; i < done && i < batch->count; i++)
                sources += batch->sources[i];
        r = vtd_attach_block_table(vm, call, table);
        if (r != 0)
                return r;
        return vtd_call_refuse(call, VTD_REASON_HOST_FAILED, call->request->invalidate.count,
                               sources, 0);
}

int vtd_invalidate(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_invalidate_request *request = &call->request->invalidate;
        struct vtd_invalidate_batch batch;
        struct vtd_rate_verdict verdict;
        size_t table;
        int r;

        vm->stats.invalidate_requests++;
        call->subject = request->table;
        call->detail[0] = request->count;
        if (vtd_handles_find(&vm->table_handles, request->table, &table) != 0)
                return vtd_call_refuse(call, VTD_REASON_TABLE_HANDLE, request->table, 0, 0);
        for (size_t i = 0; i < request->count; i++) {
                r = judge(call, &request->entries[i]);
                if (r != 0)
                        return r;
        }
        vtd_invalidate_merge(&batch, request->entries, request->count);
        verdict = vtd_rate_take(&vm->rate, batch.count, vtd_clock_now());
        if (verdict.entries < batch.count)
                make_whole(&batch, request->count);
        call->detail[1] = batch.count;
        call->delay_ns = verdict.delay_ns;
        vm->stats.delayed_us += verdict.delay_ns / 1000;
        return flush(vm, call, table, &batch);
}
