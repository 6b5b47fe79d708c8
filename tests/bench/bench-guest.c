/* SPDX-License-Identifier: MIT */
/* See bench-guest.h. */
#include "tests/bench/bench-guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "frontend/registers.h"

#define ROOT_TABLE    UINT64_C(0x10000)
#define CONTEXT_TABLE UINT64_C(0x11000)
#define FIRST_PAGE    UINT64_C(0x300000)

#define BUDGET 1000000u

void bench_fail(const char *what)
{
        (void)fprintf(stderr, "vtd-bench-frontend: %s\n", what);
        exit(1);
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct bench_guest *guest = opaque;

        if (gpa >= BENCH_MEMORY || size > BENCH_MEMORY - gpa)
                return -EFAULT;
        guest->reads++;
        if (size == 8 && gpa % 8 == 0) {
                const uint64_t *from = (const uint64_t *)(const void *)(guest->memory + gpa);
                uint64_t value = __atomic_load_n(from, __ATOMIC_RELAXED);

                memcpy(data, &value, sizeof(value));
                return 0;
        }
        memcpy(data, guest->memory + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct bench_guest *guest = opaque;

        if (gpa >= BENCH_MEMORY || size > BENCH_MEMORY - gpa)
                return -EFAULT;
        memcpy(guest->memory + gpa, data, size);
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct bench_guest *guest = opaque;

        if (gpa % 8 != 0 || gpa >= BENCH_MEMORY)
                return -EFAULT;
        *found = expected;
        (void)__atomic_compare_exchange_n((uint64_t *)(void *)(guest->memory + gpa), found, desired,
                                          false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return 0;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

static int null_submit(struct vtd_backend *backend, struct vtd_request *request, int fd)
{
        struct null_host *host = (struct null_host *)backend;

        (void)fd;
        request->sequence = ++host->sequence;
        host->type = request->type;
        if (request->type == VTD_REQUEST_ATTACH)
                host->root = request->attach.root;
        host->unanswered = true;
        host->requests++;
        return 0;
}

static int null_collect(struct vtd_backend *backend, struct vtd_reply *reply, int timeout_ms)
{
        struct null_host *host = (struct null_host *)backend;

        (void)timeout_ms;
        if (!host->unanswered)
                return VTD_BACKEND_E_AGAIN;
        host->unanswered = false;
        reply->type = host->type;
        reply->sequence = host->sequence;
        reply->refused = false;
        if (host->type == VTD_REQUEST_HELLO)
                reply->hello = (struct vtd_hello_reply){
                        .major = 1, .host = VTD_HOST_SIMULATED, .modes = 7, .pasids = host->pasids};
        else if (host->type == VTD_REQUEST_PLUG_DEVICE)
                reply->plug_device =
                        (struct vtd_plug_device_reply){.device = 1,
                                                       .cap = UINT64_C(47) << 16 | VTD_CAP_FS1GP,
                                                       .ecap = VTD_ECAP_SC | VTD_ECAP_SRS,
                                                       .pasid_bits = host->pasid_bits};
        else if (host->type == VTD_REQUEST_ATTACH)
                reply->attach.table = host->root != 0 ? host->root : 0;
        return 0;
}

static int null_get_fd(const struct vtd_backend *backend)
{
        (void)backend;
        return -1;
}

static struct vtd_backend *null_free(struct vtd_backend *backend)
{
        free(backend);
        return NULL;
}

static void connect_null_host(struct bench_guest *guest, uint32_t pasids, uint32_t pasid_bits)
{
        static const struct vtd_backend_ops ops = {
                .submit = null_submit,
                .collect = null_collect,
                .get_fd = null_get_fd,
                .free = null_free,
        };

        guest->host = calloc(1, sizeof(*guest->host));
        if (!guest->host)
                bench_fail("out of memory");
        guest->host->base.ops = &ops;
        guest->host->pasids = pasids;
        guest->host->pasid_bits = pasid_bits;
        if (vtd_frontend_set_backend(guest->unit, &guest->host->base, NULL) != 0 ||
            vtd_frontend_plug(guest->unit, "null", BENCH_RID) != 0)
                bench_fail("the null host does not serve");
}

static void settle(struct bench_guest *guest)
{
        int r;

        do
                r = vtd_frontend_run(guest->unit, BUDGET);
        while (r == VTD_FRONTEND_PENDING);
        if (r != VTD_FRONTEND_IDLE || (vtd_frontend_read(guest->unit, VTD_REG_FSTS, 4) & 0xff))
                bench_fail("the unit does not settle, or faults");
}

static void command(struct bench_guest *guest, uint32_t value)
{
        vtd_frontend_write(guest->unit, VTD_REG_GCMD, 4, value);
        settle(guest);
}

struct bench_guest *bench_guest_new(const struct vtd_frontend_config *config, uint32_t pasids,
                                    uint32_t pasid_bits)
{
        struct bench_guest *guest = calloc(1, sizeof(*guest));

        if (!guest)
                bench_fail("out of memory");
        guest->memory = mmap(NULL, BENCH_MEMORY, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (guest->memory == MAP_FAILED)
                bench_fail("no guest memory");
        guest->callbacks = (struct vtd_frontend_callbacks){
                .read_memory = read_memory,
                .write_memory = write_memory,
                .compare_exchange = compare_exchange,
                .send_message = send_message,
        };
        guest->next_page = FIRST_PAGE;
        if (vtd_frontend_new(&guest->unit, config, &guest->callbacks, guest) != 0)
                bench_fail("there is no such unit");
        if (pasid_bits != 0)
                connect_null_host(guest, pasids, pasid_bits);
        settle(guest);
        vtd_frontend_write(guest->unit, VTD_REG_RTADDR, 8, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP);
        vtd_frontend_write(guest->unit, VTD_REG_IQA, 8, BENCH_QUEUE | 0x807);
        command(guest, VTD_GCMD_QIE);
        return guest;
}

struct bench_guest *bench_guest_free(struct bench_guest *guest)
{
        guest->unit = vtd_frontend_free(guest->unit);
        (void)munmap(guest->memory, BENCH_MEMORY);
        free(guest);
        return NULL;
}

void bench_put64(struct bench_guest *guest, uint64_t gpa, uint64_t value)
{
        if (write_memory(guest, gpa, &value, sizeof(value)) != 0)
                bench_fail("the guest's memory is too small");
}

static uint64_t get64(struct bench_guest *guest, uint64_t gpa)
{
        uint64_t value = 0;

        if (read_memory(guest, gpa, &value, sizeof(value)) != 0)
                bench_fail("the guest's memory is too small");
        return value;
}

uint64_t bench_pages(struct bench_guest *guest, unsigned count)
{
        uint64_t page = guest->next_page;

        guest->next_page += count * VTD_PAGE_SIZE;
        if (guest->next_page > BENCH_MEMORY)
                bench_fail("the guest's memory is too small");
        return page;
}

uint64_t bench_put_device(struct bench_guest *guest, uint16_t rid, unsigned size_code)
{
        uint64_t context = CONTEXT_TABLE + (uint64_t)rid * 32;
        uint64_t directory = bench_pages(guest, size_code > 2 ? 1u << (size_code - 2) : 1);

        bench_put64(guest, ROOT_TABLE, CONTEXT_TABLE | 1);
        bench_put64(guest, context, directory | (uint64_t)size_code << 9 | 9);
        bench_put64(guest, context + 8, 0);
        return directory;
}

void bench_put_entry(struct bench_guest *guest, uint64_t directory, uint32_t pasid, unsigned did,
                     uint64_t root)
{
        uint64_t slot = directory + (uint64_t)(pasid >> 6) * 8, entry;

        if (get64(guest, slot) == 0)
                bench_put64(guest, slot, bench_pages(guest, 1) | 1);
        entry = (get64(guest, slot) & ~UINT64_C(0xfff)) + (uint64_t)(pasid & 0x3f) * 64;
        bench_put64(guest, entry + 16, root);
        bench_put64(guest, entry + 8, did | UINT64_C(1) << 23);
        bench_put64(guest, entry, 2 << 2 | 1 << 6 | 1);
}

static void map_page(struct bench_guest *guest, uint64_t root, uint64_t address)
{
        uint64_t table = root;

        for (unsigned shift = 39; shift > 12; shift -= 9) {
                uint64_t slot = table + ((address >> shift) & 0x1ff) * 8;

                if (get64(guest, slot) == 0)
                        bench_put64(guest, slot, bench_pages(guest, 1) | 0x27);
                table = get64(guest, slot) & ~UINT64_C(0xfff);
        }
        bench_put64(guest, table + ((address >> 12) & 0x1ff) * 8, address | 0x67);
}

void bench_map(struct bench_guest *guest, uint64_t root, uint64_t address, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                map_page(guest, root, address + i * VTD_PAGE_SIZE);
}

void bench_enable_translation(struct bench_guest *guest)
{
        command(guest, VTD_GCMD_TE | VTD_GCMD_QIE);
}

void bench_put_descriptor(struct bench_guest *guest, unsigned index, uint64_t first,
                          uint64_t second)
{
        bench_put64(guest, BENCH_QUEUE + index * UINT64_C(32), first);
        bench_put64(guest, BENCH_QUEUE + index * UINT64_C(32) + 8, second);
}

void bench_run_queue(struct bench_guest *guest, unsigned count)
{
        guest->tail = (guest->tail + count * 32) % (BENCH_ENTRIES * 32);
        vtd_frontend_write(guest->unit, VTD_REG_IQT, 4, guest->tail);
        settle(guest);
}
