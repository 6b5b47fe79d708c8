/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: see memory.h.
 *
 * The descriptor is hostile: it may be anything, and the client keeps a copy.  What is checked is
 * therefore what cannot be undone: the kind of file, the access mode of this descriptor, and SHRINK
 * sealed, after which the file never gets shorter.  A write seal added later changes nothing, since
 * the host holds the pages by then.
 */
#include "broker/worker/memory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "broker/worker/audit.h"
#include "broker/worker/supervisor.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

/* Pieces end at multiples of the chunk size, so that the largest page size stays usable. */
static uint64_t next_chunk_end(uint64_t start, uint64_t end)
{
        uint64_t boundary = (start & ~(VTD_LIMIT_MAP_CHUNK - 1)) + VTD_LIMIT_MAP_CHUNK;

        return boundary < end ? boundary : end;
}

static uint64_t last_chunk_start(uint64_t start, uint64_t end)
{
        uint64_t boundary = (end - 1) & ~(VTD_LIMIT_MAP_CHUNK - 1);

        return boundary > start ? boundary : start;
}

static bool any_device(const struct vtd_vm *vm)
{
        for (size_t i = 0; i < vm->device_handles.capacity; i++)
                if (vtd_handles_used(&vm->device_handles, i) && vm->devices[i].ready)
                        return true;
        return false;
}

/* Every mapping must be within reach of every device. */
static uint64_t address_limit(const struct vtd_vm *vm)
{
        uint64_t limit = UINT64_MAX;

        for (size_t i = 0; i < vm->device_handles.capacity; i++)
                if (vtd_handles_used(&vm->device_handles, i) && vm->devices[i].ready &&
                    vm->devices[i].address_limit < limit)
                        limit = vm->devices[i].address_limit;
        return limit;
}

bool vtd_memory_holds(const struct vtd_vm *vm, uint64_t start, uint64_t size)
{
        for (size_t i = 0; i < vm->mapping_handles.capacity; i++) {
                const struct vtd_mapping *m = &vm->mappings[i];

                if (vtd_handles_used(&vm->mapping_handles, i) && !m->empty &&
                    vtd_range_contains(m->start, m->end - m->start, start, size))
                        return true;
        }
        return false;
}

bool vtd_memory_touches(const struct vtd_vm *vm, const struct vtd_address_range *range,
                        uint64_t *start, uint64_t *end)
{
        for (size_t i = 0; i < vm->mapping_handles.capacity; i++) {
                const struct vtd_mapping *m = &vm->mappings[i];

                if (vtd_handles_used(&vm->mapping_handles, i) && m->start < m->end &&
                    m->start <= range->last && range->start <= m->end - 1) {
                        *start = m->start;
                        *end = m->end;
                        return true;
                }
        }
        return false;
}

static int judge_numbers(struct vtd_vm *vm, struct vtd_call *call,
                         const struct vtd_map_memory_request *map)
{
        uint64_t limit = address_limit(vm), end;

        if (!vtd_is_page_aligned(map->gpa))
                return vtd_call_refuse(call, VTD_REASON_ALIGNMENT, map->gpa, VTD_PAGE_SIZE, 0);
        if (!vtd_is_page_aligned(map->size))
                return vtd_call_refuse(call, VTD_REASON_ALIGNMENT, map->size, VTD_PAGE_SIZE, 0);
        if (!vtd_is_page_aligned(map->offset))
                return vtd_call_refuse(call, VTD_REASON_ALIGNMENT, map->offset, VTD_PAGE_SIZE, 0);
        if (!vtd_range_within(map->gpa, map->size, limit)) {
                if (!vtd_add_u64(map->gpa, map->size, &end))
                        end = UINT64_MAX;
                return vtd_call_refuse(call, VTD_REASON_ADDRESS_RANGE, end, limit, 0);
        }
        return 0;
}

static int judge_place(struct vtd_vm *vm, struct vtd_call *call,
                       const struct vtd_map_memory_request *map)
{
        struct vtd_address_range wanted = {map->gpa, map->gpa + map->size - 1};
        uint64_t start, end;

        if (vtd_memory_touches(vm, &wanted, &start, &end))
                return vtd_call_refuse(call, VTD_REASON_OVERLAP, map->gpa, start, 0);
        for (size_t i = 0; i < vm->device_handles.capacity; i++) {
                const struct vtd_device *d = &vm->devices[i];

                if (!vtd_handles_used(&vm->device_handles, i) || !d->ready)
                        continue;
                for (size_t j = 0; j < d->n_reserved; j++)
                        if (wanted.start <= d->reserved[j].last &&
                            d->reserved[j].start <= wanted.last)
                                return vtd_call_refuse(call, VTD_REASON_RESERVED_RANGE, map->gpa,
                                                       d->reserved[j].start, 0);
        }
        return 0;
}

/* What is read of a descriptor, once. */
struct memfd {
        bool is_memfd;
        int seals;
        int access; /* of O_ACCMODE, or -1 */
        uint64_t size;
};

/*
 * Only memfds (and files of tmpfs and hugetlbfs, which are the same) know seals.  The size comes
 * second: one that was read before the seal could have shrunk in between.
 */
static struct memfd read_memfd(int fd)
{
        struct memfd memfd = {.seals = fcntl(fd, F_GET_SEALS), .access = -1};
        struct stat status;
        int flags;

        memfd.is_memfd = memfd.seals >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
        if (memfd.is_memfd && status.st_size > 0)
                memfd.size = (uint64_t)status.st_size;
        flags = fcntl(fd, F_GETFL);
        if (flags >= 0)
                memfd.access = flags & O_ACCMODE;
        return memfd;
}

static bool is_read_only(const struct memfd *memfd)
{
        return memfd->access == O_RDONLY || (memfd->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
}

/* @empty: nothing of it will be mapped, so it need not be writable. */
static int judge_memfd(const struct vtd_vm *vm, struct vtd_call *call, const struct memfd *memfd,
                       bool empty)
{
        const struct vtd_map_memory_request *map = &call->request->map_memory;
        int no_seals = empty ? 0 : F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
        uint64_t end;

        if (!memfd->is_memfd)
                return vtd_call_refuse(call, VTD_REASON_MEMFD_KIND, 0, 0, 0);
        if (memfd->access != O_RDWR && !(empty && memfd->access == O_RDONLY))
                return vtd_call_refuse(call, VTD_REASON_MEMFD_ACCESS,
                                       memfd->access < 0 ? 0 : (uint64_t)memfd->access, O_RDWR,
                                       is_read_only(memfd) ? vm->policy->read_only_line : 0);
        if (!(memfd->seals & F_SEAL_SHRINK) || (memfd->seals & no_seals))
                return vtd_call_refuse(call, VTD_REASON_MEMFD_SEALS, (uint64_t)memfd->seals,
                                       F_SEAL_SHRINK,
                                       memfd->seals & no_seals ? vm->policy->read_only_line : 0);
        if (!vtd_add_u64(map->offset, map->size, &end))
                end = UINT64_MAX;
        if (end > memfd->size)
                return vtd_call_refuse(call, VTD_REASON_MEMFD_RANGE, end, memfd->size, 0);
        return 0;
}

static int unmap_chunk(struct vtd_vm *vm, uint64_t start, uint64_t end)
{
        int r = vm->host->ops->unmap(vm->host, vm->ioas, start, end - start);

        if (r == 0)
                vtd_quota_release(&vm->quota, VTD_POLICY_MEMORY, end - start);
        return r;
}

static void forget(struct vtd_vm *vm, size_t index)
{
        vtd_handles_release(&vm->mapping_handles, index);
        vtd_quota_release(&vm->quota, VTD_POLICY_MAPPINGS, 1);
}

/* Takes back what map_chunks() did; what the host will not unmap stays in the books to the end. */
static void roll_back(struct vtd_vm *vm, size_t index)
{
        struct vtd_mapping *m = &vm->mappings[index];

        while (m->start < m->end) {
                uint64_t start = last_chunk_start(m->start, m->end);

                if (unmap_chunk(vm, start, m->end) != 0)
                        return;
                m->end = start;
        }
        forget(vm, index);
}

static int map_chunks(struct vtd_vm *vm, struct vtd_call *call, size_t index, int fd,
                      const struct vtd_map_memory_request *map)
{
        struct vtd_mapping *m = &vm->mappings[index];
        uint64_t end = map->gpa + map->size;

        *m = (struct vtd_mapping){.start = map->gpa, .end = map->gpa};
        while (m->end < end) {
                uint64_t next = next_chunk_end(m->end, end);
                int r = vm->host->ops->map_file(vm->host, vm->ioas, fd,
                                                map->offset + (m->end - map->gpa), next - m->end,
                                                m->end);

                if (r != 0) {
                        vtd_quota_release(&vm->quota, VTD_POLICY_MEMORY, end - m->end);
                        roll_back(vm, index);
                        return vtd_call_refuse_host(call, r);
                }
                m->end = next;
                if (next < end && vtd_supervisor_dispatch(vm->supervisor) != 0) {
                        vtd_quota_release(&vm->quota, VTD_POLICY_MEMORY, end - next);
                        return VTD_CALL_E_FATAL;
                }
        }
        return 0;
}

static int charge(struct vtd_vm *vm, struct vtd_call *call, uint64_t memory)
{
        int r;

        r = vtd_call_charge(vm, call, VTD_POLICY_MAPPINGS, 1, VTD_REASON_MAPPING_LIMIT);
        if (r != 0)
                return r;
        r = vtd_call_charge(vm, call, VTD_POLICY_MEMORY, memory, VTD_REASON_MEMORY_LIMIT);
        if (r != 0)
                vtd_quota_release(&vm->quota, VTD_POLICY_MAPPINGS, 1);
        return r;
}

/* The mapping keeps its place and its handle, and no device can reach anything there. */
static void leave_empty(struct vtd_vm *vm, struct vtd_call *call, size_t index)
{
        const struct vtd_map_memory_request *map = &call->request->map_memory;

        vm->mappings[index] =
                (struct vtd_mapping){.start = map->gpa, .end = map->gpa + map->size, .empty = true};
        vtd_log(vm->log, VTD_LOG_WARNING,
                "memory at %#llx, %llu bytes, cannot be written: its mapping stays empty",
                (unsigned long long)map->gpa, (unsigned long long)map->size);
        vtd_audit_read_only_skipped(vm, call, vtd_handles_name(&vm->mapping_handles, index));
}

int vtd_memory_map(struct vtd_vm *vm, struct vtd_call *call)
{
        const struct vtd_map_memory_request *map = &call->request->map_memory;
        VTD_CLEANUP_FD int fd = vtd_fd_list_take(call->fds);
        const struct memfd memfd = read_memfd(fd);
        bool empty = vm->policy->read_only == VTD_POLICY_READ_ONLY_SKIP && is_read_only(&memfd);
        uint64_t memory = empty ? 0 : map->size;
        size_t index;
        int r;

        if (!any_device(vm))
                return vtd_call_refuse(call, VTD_REASON_NO_DEVICE, 0, 0, 0);
        r = charge(vm, call, memory);
        if (r != 0)
                return r;
        r = judge_numbers(vm, call, map);
        if (r == 0)
                r = judge_memfd(vm, call, &memfd, empty);
        if (r == 0)
                r = judge_place(vm, call, map);
        if (r == 0 && vtd_handles_take(&vm->mapping_handles, &index) != 0)
                r = vtd_call_refuse(call, VTD_REASON_HOST_LIMIT, 0, 0, 0);
        if (r != 0) {
                vtd_quota_release(&vm->quota, VTD_POLICY_MEMORY, memory);
                vtd_quota_release(&vm->quota, VTD_POLICY_MAPPINGS, 1);
                return r;
        }
        if (empty)
                leave_empty(vm, call, index);
        else
                r = map_chunks(vm, call, index, fd, map);
        if (r != 0)
                return r;
        call->subject = vtd_handles_name(&vm->mapping_handles, index);
        call->reply->map_memory.mapping = call->subject;
        return 0;
}

int vtd_memory_unmap(struct vtd_vm *vm, struct vtd_call *call)
{
        struct vtd_mapping *m;
        size_t index;

        call->subject = call->request->unmap_memory.mapping;
        if (vtd_handles_find(&vm->mapping_handles, call->subject, &index) != 0)
                return vtd_call_refuse(call, VTD_REASON_MAPPING_HANDLE, call->subject, 0, 0);
        m = &vm->mappings[index];
        /* When the host stops half-way the handle stays good, for the rest. */
        while (!m->empty && m->start < m->end) {
                uint64_t next = next_chunk_end(m->start, m->end);
                int r = unmap_chunk(vm, m->start, next);

                if (r != 0)
                        return vtd_call_refuse_host(call, r);
                m->start = next;
                if (next < m->end && vtd_supervisor_dispatch(vm->supervisor) != 0)
                        return VTD_CALL_E_FATAL;
        }
        forget(vm, index);
        return 0;
}

void vtd_memory_unmap_all(struct vtd_vm *vm)
{
        for (size_t i = 0; i < vm->mapping_handles.capacity; i++) {
                struct vtd_mapping *m = &vm->mappings[i];
                bool whole = true;

                if (!vtd_handles_used(&vm->mapping_handles, i))
                        continue;
                while (!m->empty && m->start < m->end) {
                        uint64_t next = next_chunk_end(m->start, m->end);

                        if (unmap_chunk(vm, m->start, next) != 0)
                                whole = false;
                        m->start = next;
                }
                if (whole)
                        forget(vm, i);
        }
}
