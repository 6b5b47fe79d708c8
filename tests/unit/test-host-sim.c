/* SPDX-License-Identifier: MIT */
/*
 * The simulated host, through the operations of broker/host.h only: object rules, what attaching
 * checks and leaves behind, translation, and which caches go stale until when.  The test is guest
 * and VMM: it writes tables into memory that it shares with the host.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/host.h"
#include "broker/host_sim/device_file.h"
#include "broker/host_sim/memory.h"
#include "broker/host_sim/objects.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define KIB      UINT64_C(1024)
#define MIB      (1024 * KIB)
#define GIB      (1024 * MIB)
#define RAM_SIZE (3 * GIB) /* sparse; ends below the MSI window */

#define P   UINT64_C(0x01)
#define RW  UINT64_C(0x02)
#define US  UINT64_C(0x04)
#define A   UINT64_C(0x20)
#define D   UINT64_C(0x40)
#define PS  UINT64_C(0x80)
#define ALL (P | RW | US)

#define BUFFER VTD_SIM_EDU_BUFFER_START

struct machine {
        struct vtd_host *host;
        const struct vtd_host_ops *ops;
        int ram_fd;
        uint8_t *ram;
        uint64_t next_table; /* guest-physical, of the next free page for tables */
        uint32_t device, ioas, second, first;
        uint64_t root;
        struct vtd_sim_device_file *file;
};

static int make_memfd(uint64_t size, int seals)
{
        int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static int lowest_free_fd(void)
{
        int fd = dup(0);

        assert_true(fd >= 0);
        (void)close(fd);
        return fd;
}

/* Binds a new device and maps its state for the test to look at. */
static uint32_t bind_device(struct machine *m)
{
        struct vtd_sim_device_identity identity;
        uint32_t device;
        int fd;

        assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
        assert_int_equal(vtd_sim_device_map(fd, &m->file, &identity), 0);
        assert_int_equal(m->ops->bind(m->host, fd, &device), 0);
        return device;
}

static uint64_t load(struct machine *m, uint64_t gpa)
{
        uint64_t value;

        assert_true(vtd_range_within(gpa, sizeof(value), RAM_SIZE));
        memcpy(&value, m->ram + gpa, sizeof(value));
        return value;
}

static void store(struct machine *m, uint64_t gpa, uint64_t value)
{
        assert_true(vtd_range_within(gpa, sizeof(value), RAM_SIZE));
        memcpy(m->ram + gpa, &value, sizeof(value));
}

static uint64_t new_table(struct machine *m)
{
        uint64_t table = m->next_table;

        m->next_table += VTD_PAGE_SIZE;
        return table;
}

/* Where the entry for @iova lies in the table of @level at @table. */
static uint64_t slot(uint64_t table, uint64_t iova, unsigned level)
{
        return table + 8 * ((iova >> (12 + 9 * (level - 1))) & 511);
}

/* Writes the entry of @level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB) for @iova; -> where it lies. */
static uint64_t put(struct machine *m, uint64_t root, uint64_t iova, unsigned level, uint64_t entry)
{
        uint64_t table = root;

        for (unsigned at = 4; at > level; at--) {
                uint64_t place = slot(table, iova, at);

                if (!(load(m, place) & P))
                        store(m, place, new_table(m) | ALL);
                table = load(m, place) & ~(VTD_PAGE_SIZE - 1);
        }
        store(m, slot(table, iova, level), entry);
        return slot(table, iova, level);
}

static uint32_t make_first_stage(struct machine *m, uint64_t root, uint32_t width, uint32_t flags)
{
        const struct vtd_host_first_stage config = {root, width, flags};
        uint32_t hwpt;

        assert_int_equal(
                m->ops->first_stage_alloc(m->host, m->device, m->second, &config, false, &hwpt), 0);
        return hwpt;
}

static int attach(struct machine *m, uint32_t hwpt)
{
        return m->ops->attach(m->host, m->device, VTD_NO_PASID, hwpt);
}

static int setup(void **state)
{
        static struct machine machine;
        struct machine *m = &machine;

        *m = (struct machine){.next_table = 1 * MIB};
        assert_int_equal(vtd_host_open(&m->host, -1), 0);
        m->ops = m->host->ops;
        m->ram_fd = make_memfd(RAM_SIZE, F_SEAL_SHRINK | F_SEAL_GROW);
        m->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m->ram_fd, 0);
        assert_true(m->ram != MAP_FAILED);
        m->device = bind_device(m);
        assert_int_equal(m->ops->bus_master(m->host, m->device, true), 0);
        assert_int_equal(m->ops->ioas_alloc(m->host, &m->ioas), 0);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, m->ioas, false, &m->second),
                         0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, RAM_SIZE, 0), 0);
        m->root = new_table(m);
        m->first = make_first_stage(m, m->root, 48, 0);
        *state = m;
        return 0;
}

static int teardown(void **state)
{
        struct machine *m = *state;

        assert_null(m->ops->free(m->host));
        m->file = vtd_sim_device_unmap(m->file);
        assert_int_equal(munmap(m->ram, RAM_SIZE), 0);
        m->ram_fd = vtd_close(m->ram_fd);
        return 0;
}

static void write_register(struct machine *m, uint64_t offset, uint64_t value)
{
        assert_int_equal(m->ops->region_write(m->host, m->device, 0, offset, 8, value), 0);
}

static uint64_t read_register(struct machine *m, uint64_t offset, uint32_t width)
{
        uint64_t value = 0x5555;

        assert_int_equal(m->ops->region_read(m->host, m->device, 0, offset, width, &value), 0);
        return value;
}

static void start(struct machine *m, uint64_t source, uint64_t destination, uint64_t count,
                  uint64_t command)
{
        write_register(m, 0x80, source);
        write_register(m, 0x88, destination);
        write_register(m, 0x90, count);
        write_register(m, 0x98, command);
}

static void finish(struct machine *m)
{
        for (unsigned i = 0; i < 2 * VTD_SIM_EDU_BUFFER_SIZE / VTD_SIM_EDU_CHUNK; i++) {
                if (!m->ops->step(m->host))
                        break;
        }
        assert_int_equal(read_register(m, 0x98, 8) & 1, 0);
}

/* What the device finds at @iova. */
static uint64_t device_read(struct machine *m, uint64_t iova)
{
        uint64_t value;

        memset(m->file->edu.buffer, 0xee, sizeof(value));
        start(m, iova, BUFFER, sizeof(value), 1);
        finish(m);
        memcpy(&value, m->file->edu.buffer, sizeof(value));
        return value;
}

static void device_write(struct machine *m, uint64_t iova, uint64_t value)
{
        memcpy(m->file->edu.buffer, &value, sizeof(value));
        start(m, BUFFER, iova, sizeof(value), 3);
        finish(m);
}

static void invalidate(struct machine *m, uint64_t address, uint64_t pages, bool leaf)
{
        const struct vtd_invalidate_entry entry = {address, pages, leaf};
        size_t done = 7;

        assert_int_equal(m->ops->invalidate(m->host, m->first, &entry, 1, &done), 0);
        assert_int_equal(done, 1);
}

/* --- devices --- */

static void test_only_a_simulated_device_can_be_bound(void **state)
{
        static const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
        struct machine *m = *state;
        int before = lowest_free_fd(), pair[2], fd;
        uint32_t id = 99;

        fd = 99;
        assert_int_equal(vtd_sim_device_create("e1000", &fd), VTD_SIM_E_MODEL);
        assert_int_equal(vtd_sim_device_create("", &fd), VTD_SIM_E_MODEL);
        assert_int_equal(fd, 99);
        /* right size and seals, no magic number; then each other property wrong */
        assert_int_equal(m->ops->bind(m->host, make_memfd(8192, all), &id), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->bind(m->host, make_memfd(0, all), &id), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->bind(m->host, make_memfd(4096, all), &id), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->bind(m->host, make_memfd(8192, F_SEAL_SHRINK), &id),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->bind(m->host, make_memfd(8192, all | F_SEAL_WRITE), &id),
                         VTD_HOST_E_INVALID);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
        assert_int_equal(m->ops->bind(m->host, pair[0], &id), VTD_HOST_E_INVALID);
        (void)close(pair[1]);
        assert_int_equal(m->ops->bind(m->host, -1, &id), -EBADF);
        assert_int_equal(id, 99);
        assert_int_equal(lowest_free_fd(), before);
}

static void test_a_damaged_or_copied_device_is_refused(void **state)
{
        struct machine *m = *state;
        struct vtd_sim_device_identity identity;
        struct vtd_sim_device_file *file;
        uint32_t id;
        int fd, again;

        assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
        assert_int_equal(vtd_sim_device_map(fd, &file, &identity), 0);
        file->model ^= 8;
        again = dup(fd);
        assert_int_equal(m->ops->bind(m->host, again, &id), VTD_HOST_E_INVALID);
        file->model ^= 8;
        file->magic ^= 1;
        again = dup(fd);
        assert_int_equal(m->ops->bind(m->host, again, &id), VTD_HOST_E_INVALID);
        file->magic ^= 1;
        again = make_memfd(8192, 0); /* the same bytes, but not sealed */
        assert_int_equal(pwrite(again, file, sizeof(*file), 0), sizeof(*file));
        assert_int_equal(m->ops->bind(m->host, again, &id), VTD_HOST_E_INVALID);
        again = make_memfd(8192, 0);
        assert_int_equal(pwrite(again, file, sizeof(*file), 0), sizeof(*file));
        assert_int_equal(fcntl(again, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
        assert_int_equal(m->ops->bind(m->host, again, &id), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->bind(m->host, fd, &id), 0);
        file = vtd_sim_device_unmap(file);
}

static void test_a_device_is_bound_once_and_bind_resets_it(void **state)
{
        struct machine *m = *state;
        struct vtd_sim_device_identity identity;
        struct vtd_sim_device_file *file;
        uint32_t id, other;
        int fd;

        assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
        assert_int_equal(vtd_sim_device_map(fd, &file, &identity), 0);
        file->bus_master = 1;
        file->edu.command = 1;
        file->edu.liveness = 7;
        file->edu.buffer[5] = 6;
        assert_int_equal(m->ops->bind(m->host, dup(fd), &id), 0);
        assert_int_equal(file->bus_master, 0);
        assert_int_equal(file->edu.command, 0);
        assert_int_equal(file->edu.liveness, 0);
        assert_int_equal(file->edu.buffer[5], 0);
        file->edu.liveness = 7;
        assert_int_equal(m->ops->bind(m->host, dup(fd), &other), VTD_HOST_E_BUSY);
        assert_int_equal(file->edu.liveness, 7);
        assert_int_equal(m->ops->release(m->host, id), 0);
        assert_int_equal(m->ops->release(m->host, id), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->bind(m->host, fd, &other), 0);
        assert_int_equal(other, id);
        file = vtd_sim_device_unmap(file);
}

static void test_device_info_is_that_of_a_nesting_unit(void **state)
{
        struct machine *m = *state;
        struct vtd_host_device_info info;

        assert_int_equal(m->ops->device_info(m->host, m->ioas, &info), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->device_info(m->host, m->device, &info), 0);
        assert_true(info.is_vtd && info.can_reset && info.erratum_772415);
        assert_int_equal(info.pasid_bits, 0);
        /* cap: ND 6, SAGAW 48, MGAW 48, ZLR, FRO, SSLPS, PSI, MAMV 18, DWD, DRD, FS1GP, no FS5LP */
        assert_true(info.cap == UINT64_C(0x01d2008c226f0406));
        /* ecap: C, QI, PT, SC, IRO, NEST, PSS 19, PASID, SMTS, SSTS, FSTS, SMPWCS */
        assert_true(info.ecap == UINT64_C(0x0001c99804000fc3));
        assert_true(info.region_size[0] == MIB);
        for (size_t i = 1; i < VTD_REGIONS; i++)
                assert_true(info.region_size[i] == 0);
        assert_int_equal(vtd_host_built_kind, VTD_HOST_SIMULATED);
}

static void test_host_takes_no_iommu_descriptor(void **state)
{
        int before = lowest_free_fd();
        struct vtd_host *host = NULL;

        (void)state;
        assert_int_equal(vtd_host_open(&host, dup(0)), -EINVAL);
        assert_null(host);
        assert_int_equal(lowest_free_fd(), before);
}

static void test_registers(void **state)
{
        struct machine *m = *state;
        uint64_t value = 0x5555;

        assert_int_equal(read_register(m, 0x00, 4), 0x010000ed);
        assert_true(read_register(m, 0x00, 8) == UINT64_MAX);
        assert_int_equal(read_register(m, 0x00, 2), 0xffff);
        assert_int_equal(read_register(m, 0x80, 1), 0xff);
        assert_int_equal(read_register(m, 0x84, 4), 0xffffffff);
        assert_true(read_register(m, BUFFER, 8) == UINT64_MAX);
        assert_int_equal(m->ops->region_write(m->host, m->device, 0, 0x04, 4, 0x12345678), 0);
        assert_int_equal(read_register(m, 0x04, 4), 0xedcba987);
        assert_int_equal(m->ops->region_write(m->host, m->device, 0, 0x60, 4, 0x15), 0);
        assert_int_equal(m->ops->region_write(m->host, m->device, 0, 0x64, 4, 0x11), 0);
        assert_int_equal(read_register(m, 0x24, 4), 0x04);
        write_register(m, 0x80, UINT64_C(0x1122334455667788));
        assert_true(read_register(m, 0x80, 8) == UINT64_C(0x1122334455667788));
        assert_int_equal(read_register(m, 0x80, 4), 0x55667788);
        write_register(m, 0x98, 6); /* does not start: ignored */
        assert_int_equal(read_register(m, 0x98, 8), 0);

        assert_int_equal(m->ops->region_read(m->host, m->device, 1, 0, 4, &value),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->region_read(m->host, m->ioas, 0, 0, 4, &value), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->region_read(m->host, m->device, 0, 2, 4, &value),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->region_read(m->host, m->device, 0, 0, 3, &value),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->region_write(m->host, m->device, 0, MIB, 4, 0),
                         VTD_HOST_E_INVALID);
        assert_int_equal(value, 0x5555);
}

static void test_dma_moves_a_chunk_per_step(void **state)
{
        struct machine *m = *state;

        assert_int_equal(attach(m, m->second), 0);
        memset(m->ram + 64 * KIB, 0xab, 200);
        memset(m->file->edu.buffer, 0, 256);
        start(m, 64 * KIB, BUFFER + 8, 200, 1 | 4);
        write_register(m, 0x90, 9); /* locked while it runs */
        for (unsigned moved = 64; moved < 200; moved += 64) {
                assert_true(m->ops->step(m->host));
                assert_int_equal(m->file->edu.buffer[8 + moved - 1], 0xab);
                assert_int_equal(m->file->edu.buffer[8 + moved], 0);
                assert_int_equal(read_register(m, 0x98, 8), 5);
        }
        assert_int_equal(read_register(m, 0x24, 4), 0);
        assert_false(m->ops->step(m->host));
        assert_int_equal(m->file->edu.buffer[207], 0xab);
        assert_int_equal(m->file->edu.buffer[208], 0);
        assert_int_equal(read_register(m, 0x98, 8), 4);
        assert_int_equal(read_register(m, 0x90, 8), 200);
        assert_int_equal(read_register(m, 0x24, 4), 0x100);
        assert_false(m->ops->step(m->host));
}

static void test_dma_stays_inside_the_device_buffer(void **state)
{
        static const struct {
                uint64_t inside, count;
        } cases[] = {
                {BUFFER - 1, 8},      {BUFFER + 4090, 8}, {BUFFER, 4097},
                {BUFFER + 4096, 1},   {BUFFER, 0},        {0, 8},
                {BUFFER, UINT64_MAX}, {UINT64_MAX, 8},
        };
        struct machine *m = *state;
        struct vtd_sim_edu before;

        assert_int_equal(attach(m, m->second), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                memset(m->ram + 64 * KIB, 0xab, 8192);
                memset(m->file->edu.buffer, 0x11, sizeof(m->file->edu.buffer));
                before = m->file->edu;
                start(m, 64 * KIB, cases[i].inside, cases[i].count, 1);
                assert_false(m->ops->step(m->host));
                start(m, cases[i].inside, 64 * KIB, cases[i].count, 3);
                assert_false(m->ops->step(m->host));
                assert_memory_equal(m->file->edu.buffer, before.buffer, sizeof(before.buffer));
                assert_int_equal(m->ram[64 * KIB], 0xab);
        }
}

static void test_bus_mastering_off_stops_dma(void **state)
{
        struct machine *m = *state;

        assert_int_equal(attach(m, m->second), 0);
        memset(m->file->edu.buffer, 0x77, sizeof(m->file->edu.buffer));
        start(m, BUFFER, 64 * KIB, 256, 3 | 4);
        assert_true(m->ops->step(m->host));
        assert_int_equal(m->ops->bus_master(m->host, m->device, false), 0);
        assert_int_equal(read_register(m, 0x98, 8) & 1, 0);
        assert_int_equal(m->ops->bus_master(m->host, m->device, true), 0);
        assert_false(m->ops->step(m->host));
        assert_int_equal(m->ram[64 * KIB + 63], 0x77);
        assert_int_equal(m->ram[64 * KIB + 64], 0);
        assert_int_equal(read_register(m, 0x24, 4), 0);

        /* one that is started meanwhile moves nothing */
        assert_int_equal(m->ops->bus_master(m->host, m->device, false), 0);
        start(m, BUFFER, 128 * KIB, 64, 3);
        assert_false(m->ops->step(m->host));
        assert_int_equal(read_register(m, 0x98, 8) & 1, 0);
        assert_int_equal(m->ram[128 * KIB], 0);

        assert_int_equal(m->ops->bus_master(m->host, m->ioas, true), VTD_HOST_E_ABSENT);
}

/* --- objects --- */

static void test_ids_are_lowest_free_and_used_again_at_once(void **state)
{
        struct machine *m = *state;
        uint32_t a, b, c;

        assert_int_equal(m->device, 1);
        assert_int_equal(m->ioas, 2);
        assert_int_equal(m->second, 3);
        assert_int_equal(m->first, 4);
        assert_int_equal(m->ops->ioas_alloc(m->host, &a), 0);
        b = make_first_stage(m, m->root, 48, 0);
        assert_int_equal(a, 5);
        assert_int_equal(b, 6);
        assert_int_equal(m->ops->destroy(m->host, m->first), 0);
        assert_int_equal(m->ops->destroy(m->host, a), 0);
        assert_int_equal(m->ops->ioas_alloc(m->host, &c), 0);
        assert_int_equal(c, 4);
        assert_int_equal(make_first_stage(m, m->root, 48, 0), 5);
}

static void test_what_is_used_cannot_be_destroyed(void **state)
{
        struct machine *m = *state;

        assert_int_equal(m->ops->destroy(m->host, m->device), VTD_HOST_E_BUSY);
        assert_int_equal(m->ops->destroy(m->host, m->ioas), VTD_HOST_E_BUSY);
        assert_int_equal(m->ops->destroy(m->host, m->second), VTD_HOST_E_BUSY);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(m->ops->destroy(m->host, m->first), VTD_HOST_E_BUSY);
        assert_int_equal(m->ops->release(m->host, m->device), VTD_HOST_E_BUSY);
        assert_int_equal(attach(m, m->second), 0);
        assert_int_equal(m->ops->destroy(m->host, m->first), 0);
        assert_int_equal(m->ops->destroy(m->host, m->second), VTD_HOST_E_BUSY);
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(m->ops->destroy(m->host, m->second), 0);
        assert_int_equal(m->ops->destroy(m->host, m->ioas), 0);
        assert_int_equal(m->ops->release(m->host, m->device), 0);
        for (uint32_t id = 0; id < 8; id++)
                assert_int_equal(m->ops->destroy(m->host, id), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->destroy(m->host, UINT32_MAX), VTD_HOST_E_ABSENT);
}

static void test_tables_need_the_right_things_below_them(void **state)
{
        const struct vtd_host_first_stage config = {0, 48, 0};
        struct machine *m = *state;
        uint32_t id = 99;

        assert_int_equal(m->ops->second_stage_alloc(m->host, m->ioas, m->ioas, false, &id),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, m->second, false, &id),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, 77, false, &id),
                         VTD_HOST_E_INVALID);
        assert_int_equal(
                m->ops->first_stage_alloc(m->host, m->ioas, m->second, &config, false, &id),
                VTD_HOST_E_ABSENT);
        assert_int_equal(
                m->ops->first_stage_alloc(m->host, m->device, m->ioas, &config, false, &id),
                VTD_HOST_E_INVALID);
        assert_int_equal(
                m->ops->first_stage_alloc(m->host, m->device, m->first, &config, false, &id),
                VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->first_stage_alloc(m->host, m->device, 0, &config, false, &id),
                         VTD_HOST_E_INVALID);
        assert_int_equal(id, 99);
}

static void test_pools_end_with_limit(void **state)
{
        const struct vtd_host_first_stage config = {0, 48, 0};
        struct machine *m = *state;
        uint32_t id;
        int fd;

        for (size_t i = 2; i < VTD_SIM_HWPTS; i++)
                (void)make_first_stage(m, m->root, 48, 0);
        assert_int_equal(
                m->ops->first_stage_alloc(m->host, m->device, m->second, &config, false, &id),
                VTD_HOST_E_LIMIT);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, m->ioas, false, &id),
                         VTD_HOST_E_LIMIT);
        for (size_t i = 1; i < VTD_SIM_IOASES; i++)
                assert_int_equal(m->ops->ioas_alloc(m->host, &id), 0);
        assert_int_equal(m->ops->ioas_alloc(m->host, &id), VTD_HOST_E_LIMIT);
        for (size_t i = 1; i <= VTD_LIMIT_DEVICES; i++) {
                assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
                assert_int_equal(m->ops->bind(m->host, fd, &id),
                                 i < VTD_LIMIT_DEVICES ? 0 : VTD_HOST_E_LIMIT);
        }
        assert_int_equal(m->ops->destroy(m->host, m->first), 0);
        assert_int_equal(make_first_stage(m, m->root, 48, 0), m->first);
}

/* --- memory --- */

static void test_ranges_shrink_while_tables_and_devices_use_an_ioas(void **state)
{
        struct machine *m = *state;
        struct vtd_address_range ranges[2];
        uint32_t ioas, second;
        size_t count;

        assert_int_equal(m->ops->ioas_alloc(m->host, &ioas), 0);
        assert_int_equal(m->ops->ioas_ranges(m->host, ioas, ranges, 2, &count), 0);
        assert_int_equal(count, 1);
        assert_true(ranges[0].start == 0 && ranges[0].last == UINT64_MAX);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, ioas, false, &second), 0);
        assert_int_equal(m->ops->ioas_ranges(m->host, ioas, ranges, 2, &count), 0);
        assert_int_equal(count, 1);
        assert_true(ranges[0].start == 0 && ranges[0].last == 0xffffffffffff);
        assert_int_equal(attach(m, second), 0);
        assert_int_equal(m->ops->ioas_ranges(m->host, ioas, ranges, 2, &count), 0);
        assert_int_equal(count, 2);
        assert_true(ranges[0].start == 0 && ranges[0].last == 0xfedfffff);
        assert_true(ranges[1].start == 0xfef00000 && ranges[1].last == 0xffffffffffff);
        assert_int_equal(m->ops->ioas_ranges(m->host, ioas, ranges, 1, &count), VTD_HOST_E_LIMIT);
        assert_int_equal(count, 2);
        /* through a first-stage table of another IOAS, it is the other one */
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(m->ops->ioas_ranges(m->host, ioas, ranges, 2, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(m->ops->ioas_ranges(m->host, m->ioas, ranges, 2, &count), 0);
        assert_int_equal(count, 2);
        assert_int_equal(m->ops->ioas_ranges(m->host, m->device, ranges, 2, &count),
                         VTD_HOST_E_ABSENT);
}

static void test_mapping_refusals(void **state)
{
        struct machine *m = *state;
        uint64_t top = UINT64_C(1) << 48;
        int shrinkable = make_memfd(MIB, F_SEAL_GROW), sealed = make_memfd(MIB, F_SEAL_SHRINK);
        int frozen = make_memfd(MIB, F_SEAL_SHRINK | F_SEAL_WRITE), pipe_ends[2];
        const struct {
                int fd;
                uint64_t offset, length, iova;
        } cases[] = {
                {sealed, 0, MIB, 4 * GIB + 1},
                {sealed, 1, 4096, 4 * GIB},
                {sealed, 0, 100, 4 * GIB},
                {sealed, 0, 0, 4 * GIB},
                {sealed, 4096, MIB, 4 * GIB},
                {sealed, MIB, 4096, 4 * GIB},
                {sealed, 0, 2 * MIB, 4 * GIB},
                {sealed, 0 - 4 * KIB, 4096, 4 * GIB},
                {sealed, 0, MIB, 0 - MIB},
                {sealed, 0, MIB, top - 4096},
                {sealed, 0, MIB, top},
                {sealed, 0, MIB, 0}, /* overlaps */
                {sealed, 0, MIB, RAM_SIZE - 4096},
                {shrinkable, 0, MIB, 4 * GIB},
                {frozen, 0, MIB, 4 * GIB},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++)
                assert_int_equal(m->ops->map_file(m->host, m->ioas, cases[i].fd, cases[i].offset,
                                                  cases[i].length, cases[i].iova),
                                 VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->map_file(m->host, m->second, sealed, 0, MIB, 4 * GIB),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, -1, 0, MIB, 4 * GIB), -EBADF);
        assert_int_equal(pipe(pipe_ends), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, pipe_ends[0], 0, MIB, 4 * GIB),
                         VTD_HOST_E_INVALID);
        /* next to each other is no overlap, and the last page below the width can be used */
        assert_int_equal(m->ops->map_file(m->host, m->ioas, sealed, 0, MIB, RAM_SIZE), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, sealed, 0, MIB, top - MIB), 0);
        (void)close(shrinkable);
        (void)close(sealed);
        (void)close(frozen);
        (void)close(pipe_ends[0]);
        (void)close(pipe_ends[1]);
}

static void test_the_msi_window_cannot_be_mapped_below_a_device(void **state)
{
        struct machine *m = *state;
        uint64_t window = 0xfee00000;

        /* nobody is attached: the window is ordinary, and then keeps devices out */
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, MIB, window), 0);
        assert_int_equal(attach(m, m->second), VTD_HOST_E_INVALID);
        assert_int_equal(attach(m, m->first), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, window, MIB), 0);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, MIB, window),
                         VTD_HOST_E_INVALID);
        assert_int_equal(
                m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, 4096, window + MIB - 4096),
                VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, 2 * MIB, window - MIB),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, MIB, window - MIB), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, MIB, window + MIB), 0);
}

static void test_a_refused_reserved_range_leaves_the_old_table_live(void **state)
{
        struct machine *m = *state;
        uint32_t ioas, second;

        assert_int_equal(m->ops->ioas_alloc(m->host, &ioas), 0);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, ioas, false, &second), 0);
        assert_int_equal(m->ops->map_file(m->host, ioas, m->ram_fd, 0, MIB, 0xfee00000), 0);
        assert_int_equal(attach(m, m->second), 0);
        store(m, 8 * KIB, 5);
        assert_int_equal(attach(m, second), VTD_HOST_E_INVALID);
        assert_int_equal(device_read(m, 8 * KIB), 5);
}

static void test_unmap_is_exact(void **state)
{
        struct machine *m = *state;

        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, MIB, 4 * GIB), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, MIB, 4 * GIB + MIB), 0);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB, 4096), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB + 4096, MIB - 4096),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB, 2 * MIB), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB, 0), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->unmap(m->host, m->second, 4 * GIB, MIB), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB, MIB), 0);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB, MIB), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, 4 * GIB + MIB, MIB), 0);
}

static void test_locked_memory_and_areas_are_limited(void **state)
{
        struct machine *m = *state;
        uint64_t iova = 8 * GIB, locked = RAM_SIZE;
        size_t areas = 1;
        uint32_t other;

        for (; locked < VTD_SIM_LOCKED_MAX; locked += GIB, iova += GIB, areas++)
                assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, GIB, iova), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, 4096, iova),
                         VTD_HOST_E_LIMIT);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, iova - GIB, GIB), 0);
        /* each mapping is charged, also in another IOAS, and given back with it */
        assert_int_equal(m->ops->ioas_alloc(m->host, &other), 0);
        assert_int_equal(m->ops->map_file(m->host, other, m->ram_fd, 0, GIB, 0), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, 4096, iova),
                         VTD_HOST_E_LIMIT);
        assert_int_equal(m->ops->destroy(m->host, other), 0);
        for (iova = 512 * GIB; areas <= VTD_SIM_AREAS; areas++, iova += 8192)
                assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, 4096, iova), 0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, m->ram_fd, 0, 4096, iova),
                         VTD_HOST_E_LIMIT);
}

static void test_mapped_memory_outlives_its_descriptor(void **state)
{
        struct machine *m = *state;
        int fd = make_memfd(MIB, F_SEAL_SHRINK);
        uint64_t value = 77;

        assert_int_equal(pwrite(fd, &value, sizeof(value), 12 * KIB), sizeof(value));
        assert_int_equal(m->ops->map_file(m->host, m->ioas, fd, 8 * KIB, 8 * KIB, 4 * GIB), 0);
        (void)close(fd);
        assert_int_equal(attach(m, m->second), 0);
        assert_int_equal(device_read(m, 4 * GIB + 4 * KIB), 77);
        assert_int_equal(device_read(m, 4 * GIB + 8 * KIB), 0);
}

/* --- attachments --- */

static void test_blocked_reads_give_zeros_and_writes_are_dropped(void **state)
{
        struct machine *m = *state;

        store(m, 8 * KIB, 1234);
        assert_int_equal(device_read(m, 8 * KIB), 0);
        device_write(m, 8 * KIB, 99);
        assert_int_equal(load(m, 8 * KIB), 1234);
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(attach(m, m->second), 0);
        assert_int_equal(device_read(m, 8 * KIB), 1234);
        device_write(m, 8 * KIB, 99);
        assert_int_equal(load(m, 8 * KIB), 99);
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(device_read(m, 8 * KIB), 0);
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(m->ops->detach(m->host, m->ioas, VTD_NO_PASID), VTD_HOST_E_ABSENT);
}

static void test_second_stage_reaches_only_what_is_mapped(void **state)
{
        struct machine *m = *state;
        uint8_t *end = m->ram + RAM_SIZE;

        assert_int_equal(attach(m, m->second), 0);
        memset(end - 32, 0x44, 32);
        memset(m->file->edu.buffer, 0xee, 64);
        start(m, RAM_SIZE - 32, BUFFER, 64, 1); /* half of it lies behind the memory */
        finish(m);
        assert_int_equal(m->file->edu.buffer[31], 0x44);
        assert_int_equal(m->file->edu.buffer[32], 0);
        assert_int_equal(m->file->edu.buffer[63], 0);
        memset(m->file->edu.buffer, 0x55, 64);
        start(m, BUFFER, RAM_SIZE - 32, 64, 3);
        finish(m);
        assert_int_equal(end[-1], 0x55);
        assert_int_equal(device_read(m, UINT64_MAX - 3), 0);
        assert_int_equal(device_read(m, UINT64_C(1) << 48), 0);
        assert_int_equal(device_read(m, 0xfee00000), 0);
}

static void test_attach_refusals(void **state)
{
        struct machine *m = *state;

        assert_int_equal(attach(m, 77), VTD_HOST_E_ABSENT);
        assert_int_equal(attach(m, 0), VTD_HOST_E_ABSENT);
        assert_int_equal(attach(m, m->ioas), VTD_HOST_E_INVALID);
        assert_int_equal(attach(m, m->device), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->attach(m->host, m->second, VTD_NO_PASID, m->second),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(attach(m, make_first_stage(m, m->root, 48, VTD_FIRST_STAGE_WPE)), 0);
}

static void test_a_refused_attach_blocks_until_another_table_or_a_detach_heals_it(void **state)
{
        struct machine *m = *state;
        const uint32_t bad[] = {
                make_first_stage(m, m->root, 39, 0),
                make_first_stage(m, m->root, 57, 0),
                make_first_stage(m, m->root, 0, 0),
                make_first_stage(m, m->root, 48, VTD_FIRST_STAGE_SRE),
                make_first_stage(m, m->root, 48, VTD_FIRST_STAGE_EAFE),
        };

        store(m, 8 * KIB, 5);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(bad); i++) {
                assert_int_equal(attach(m, m->second), 0);
                assert_int_equal(device_read(m, 8 * KIB), 5);
                assert_int_equal(attach(m, bad[i]), VTD_HOST_E_INVALID);
                assert_int_equal(device_read(m, 8 * KIB), 0);
                /* the core believes that the old one is attached, so this does nothing */
                assert_int_equal(attach(m, m->second), 0);
                assert_int_equal(device_read(m, 8 * KIB), 0);
                assert_int_equal(m->ops->destroy(m->host, m->second), VTD_HOST_E_BUSY);
                if (i % 2)
                        assert_int_equal(attach(m, m->first), 0);
                else
                        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
                assert_int_equal(attach(m, m->second), 0);
                assert_int_equal(device_read(m, 8 * KIB), 5);
                assert_int_equal(m->ops->destroy(m->host, bad[i]), 0);
        }
}

static void test_a_refused_first_attach_leaves_nothing_attached(void **state)
{
        struct machine *m = *state;
        uint32_t bad = make_first_stage(m, m->root, 57, 0);

        assert_int_equal(attach(m, bad), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->destroy(m->host, bad), 0);
        assert_int_equal(m->ops->release(m->host, m->device), 0);
}

static void test_a_device_without_pasids_takes_none(void **state)
{
        struct machine *m = *state;
        uint32_t second;

        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, m->ioas, true, &second), 0);
        store(m, 8 * KIB, 5);
        assert_int_equal(m->ops->attach(m->host, m->device, 7, second), VTD_HOST_E_INVALID);
        assert_int_equal(device_read(m, 8 * KIB), 0);
        assert_int_equal(attach(m, second), 0);
        assert_int_equal(m->ops->attach(m->host, m->device, 7, second), VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->detach(m->host, m->device, 7), 0);
        assert_int_equal(device_read(m, 8 * KIB), 5);
        assert_int_equal(m->ops->attach(m->host, m->ioas, 7, second), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->detach(m->host, m->ioas, 7), VTD_HOST_E_ABSENT);
        /* nor has it the register */
        write_register(m, 0xa0, UINT64_C(0x80000007));
        assert_true(read_register(m, 0xa0, 8) == UINT64_MAX);
        assert_int_equal(device_read(m, 8 * KIB), 5);
}

static void test_replacement_has_a_gap(void **state)
{
        struct machine *m = *state;
        uint8_t *buffer = m->file->edu.buffer;

        put(m, m->root, 16 * KIB, 1, 32 * KIB | ALL);
        memset(m->ram + 16 * KIB, 0x01, 512);
        memset(m->ram + 32 * KIB, 0x02, 512);
        assert_int_equal(attach(m, m->second), 0);
        memset(buffer, 0xee, 512);
        start(m, 16 * KIB, BUFFER, 320, 1);
        assert_true(m->ops->step(m->host));
        assert_int_equal(attach(m, m->first), 0);
        finish(m);
        for (size_t i = 0; i < 320; i++)
                assert_int_equal(buffer[i], i < 64 ? 0x01 : i < 192 ? 0x00 : 0x02);
        assert_int_equal(buffer[320], 0xee);
        /* writes into the gap are lost */
        memset(buffer, 0x77, 320);
        start(m, BUFFER, 16 * KIB, 320, 3);
        assert_true(m->ops->step(m->host));
        assert_int_equal(attach(m, m->second), 0);
        finish(m);
        for (size_t i = 0; i < 320; i++) {
                assert_int_equal(m->ram[32 * KIB + i], i < 64 ? 0x77 : 0x02);
                assert_int_equal(m->ram[16 * KIB + i], i < 192 ? 0x01 : 0x77);
        }
        /* attaching what is attached is no replacement */
        memset(buffer, 0xee, 320);
        start(m, 16 * KIB, BUFFER, 64, 1);
        assert_int_equal(attach(m, m->second), 0);
        assert_int_equal(read_register(m, 0x98, 8) & 1, 1);
        finish(m);
        assert_int_equal(buffer[0], 0x01);
}

static void test_replacement_forgets_what_was_cached(void **state)
{
        struct machine *m = *state;
        uint64_t leaf = put(m, m->root, 16 * KIB, 1, 32 * KIB | ALL), other = new_table(m);
        uint32_t second_table = make_first_stage(m, other, 48, 0);

        put(m, other, 16 * KIB, 1, 48 * KIB | ALL);
        store(m, 16 * KIB, 16);
        store(m, 32 * KIB, 32);
        store(m, 48 * KIB, 48);
        store(m, 64 * KIB, 64);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 16 * KIB), 32);
        store(m, leaf, 64 * KIB | ALL);
        assert_int_equal(device_read(m, 16 * KIB), 32);
        assert_int_equal(attach(m, second_table), 0);
        assert_int_equal(device_read(m, 16 * KIB), 48);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 16 * KIB), 64);
        store(m, leaf, 32 * KIB | ALL);
        assert_int_equal(attach(m, m->second), 0);
        assert_int_equal(device_read(m, 16 * KIB), 16);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 16 * KIB), 32);
        /* a new table under an id that had a cached one before starts empty */
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(m->ops->destroy(m->host, m->first), 0);
        assert_int_equal(make_first_stage(m, other, 48, 0), m->first);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 16 * KIB), 48);
}

/* --- first-stage translation --- */

static void test_nested_translation_at_every_page_size(void **state)
{
        struct machine *m = *state;
        uint64_t high = UINT64_C(0xffff800000000000);

        put(m, m->root, 5 * GIB + 4096, 1, 20 * KIB | ALL);
        put(m, m->root, 5 * GIB + 4 * MIB, 2, 64 * MIB | PS | ALL);
        put(m, m->root, 6 * GIB, 3, 1 * GIB | PS | ALL);
        put(m, m->root, high, 1, 24 * KIB | ALL);
        store(m, 20 * KIB + 8, 1);
        store(m, 64 * MIB + MIB + 8, 2);
        store(m, GIB + 600 * MIB + 8, 3);
        store(m, 24 * KIB, 4);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 5 * GIB + 4096 + 8), 1);
        assert_int_equal(device_read(m, 5 * GIB + 5 * MIB + 8), 2);
        assert_int_equal(device_read(m, 6 * GIB + 600 * MIB + 8), 3);
        assert_int_equal(device_read(m, high), 4);
        device_write(m, 6 * GIB + 16, 9);
        assert_int_equal(load(m, GIB + 16), 9);
        /* not canonical: what the same low 48 bits would find is not reached */
        assert_int_equal(device_read(m, UINT64_C(0x0000800000000000)), 0);
        assert_int_equal(device_read(m, UINT64_C(0x0001000000000000) + 6 * GIB + 16), 0);
        /* a transfer across pages that are not neighbours in memory */
        put(m, m->root, 5 * GIB + 8192, 1, 40 * KIB | ALL);
        m->ram[24 * KIB - 1] = 0x10;
        m->ram[40 * KIB] = 0x20;
        assert_int_equal(device_read(m, 5 * GIB + 8192 - 1) & 0xffff, 0x2010);
}

static void test_the_msi_window_is_not_translated(void **state)
{
        struct machine *m = *state;

        put(m, m->root, 0xfedff000, 1, 20 * KIB | ALL);
        put(m, m->root, 0xfee00000, 1, 24 * KIB | ALL);
        put(m, m->root, 0xfeeff000, 1, 28 * KIB | ALL);
        put(m, m->root, 0xfef00000, 1, 32 * KIB | ALL);
        for (uint64_t gpa = 20 * KIB; gpa <= 32 * KIB; gpa += 4 * KIB)
                store(m, gpa, 5);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 0xfedff000), 5);
        assert_int_equal(device_read(m, 0xfee00000), 0);
        assert_int_equal(device_read(m, 0xfeeff000), 0);
        assert_int_equal(device_read(m, 0xfef00000), 5);
        device_write(m, 0xfee00000, 9);
        assert_int_equal(load(m, 24 * KIB), 5);
}

static void test_permissions_of_every_level_count(void **state)
{
        struct machine *m = *state;
        uint64_t iova = 7 * GIB, places[4], table = m->root;

        store(m, 24 * KIB, 5);
        put(m, m->root, iova, 1, 24 * KIB | ALL);
        for (unsigned level = 4; level >= 1; level--) {
                places[4 - level] = slot(table, iova, level);
                table = load(m, places[4 - level]) & ~(VTD_PAGE_SIZE - 1);
        }
        assert_int_equal(attach(m, m->first), 0);
        for (size_t i = 0; i < 4; i++) {
                uint64_t entry = load(m, places[i]);

                store(m, places[i], entry & ~P);
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
                assert_int_equal(device_read(m, iova), 0);
                store(m, places[i], entry & ~US);
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
                assert_int_equal(device_read(m, iova), 0);
                assert_int_equal(device_read(m, iova), 0);
                store(m, places[i], entry & ~RW);
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
                device_write(m, iova, 99);
                assert_int_equal(load(m, 24 * KIB), 5);
                assert_int_equal(device_read(m, iova), 5);
                /* also when the walk begins at the cached lowest table */
                invalidate(m, iova, 1, true);
                device_write(m, iova, 99);
                assert_int_equal(load(m, 24 * KIB), 5);
                store(m, places[i], entry);
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
                assert_int_equal(device_read(m, iova), 5);
        }
        device_write(m, iova, 6);
        assert_int_equal(load(m, 24 * KIB), 6);
}

static void test_reserved_bits_block(void **state)
{
        static const struct {
                unsigned level;
                uint64_t entry;
                bool blocked;
        } cases[] = {
                {4, PS, true},                /* reserved at the top */
                {4, UINT64_C(1) << 48, true}, /* above the second stage's width */
                {4, UINT64_C(1) << 51, true},
                {4, UINT64_C(1) << 52, false}, /* ignored */
                {4, UINT64_C(1) << 63, false}, /* execute-disable */
                {3, UINT64_C(1) << 48, true},
                {2, UINT64_C(1) << 50, true},
                {1, UINT64_C(1) << 49, true},
                {1, PS | 0xf18, false}, /* attributes and ignored bits */
        };
        struct machine *m = *state;
        uint64_t iova = 7 * GIB;

        store(m, 24 * KIB, 5);
        put(m, m->root, iova, 1, 24 * KIB | ALL);
        assert_int_equal(attach(m, m->first), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t place, table = m->root, old;

                for (unsigned level = 4; level > cases[i].level; level--)
                        table = load(m, slot(table, iova, level)) & ~(VTD_PAGE_SIZE - 1);
                place = slot(table, iova, cases[i].level);
                old = load(m, place);
                store(m, place, old | cases[i].entry);
                assert_int_equal(device_read(m, iova), cases[i].blocked ? 0 : 5);
                store(m, place, old);
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
        }
}

static void test_large_pages_have_reserved_address_bits(void **state)
{
        struct machine *m = *state;

        store(m, 2 * MIB, 5);
        store(m, GIB, 6);
        assert_int_equal(attach(m, m->first), 0);
        for (unsigned bit = 12; bit < 30; bit++) {
                uint64_t extra = UINT64_C(1) << bit;

                /* bit 12 is a memory type; 20 and below are reserved at 2 MiB, 29 at 1 GiB */
                put(m, m->root, 8 * GIB, 3, GIB | extra | PS | ALL);
                assert_int_equal(device_read(m, 8 * GIB), bit == 12 ? 6 : 0);
                if (bit < 21) {
                        put(m, m->root, 9 * GIB, 2, 2 * MIB | extra | PS | ALL);
                        assert_int_equal(device_read(m, 9 * GIB), bit == 12 ? 5 : 0);
                }
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
        }
}

static void test_accessed_and_dirty_bits_are_set_as_by_hardware(void **state)
{
        struct machine *m = *state;
        uint64_t iova = 7 * GIB, table = m->root;
        uint64_t leaf = put(m, m->root, iova, 1, 24 * KIB | ALL);

        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, iova), 0);
        for (unsigned level = 4; level > 1; level--) {
                uint64_t entry = load(m, slot(table, iova, level));

                assert_int_equal(entry & (A | D), A);
                table = entry & ~(VTD_PAGE_SIZE - 1);
        }
        assert_int_equal(load(m, leaf), 24 * KIB | ALL | A);
        /* the first write through a clean cached entry walks again, because of the dirty bit */
        device_write(m, iova, 1);
        assert_int_equal(load(m, leaf), 24 * KIB | ALL | A | D);
        /* cleared without an invalidation: cached as set */
        store(m, leaf, 24 * KIB | ALL);
        device_write(m, iova, 2);
        assert_int_equal(load(m, leaf), 24 * KIB | ALL);
        invalidate(m, iova, 1, true);
        device_write(m, iova, 3);
        assert_int_equal(load(m, leaf), 24 * KIB | ALL | A | D);
        assert_int_equal(load(m, 24 * KIB), 3);
}

static void test_a_denied_access_marks_no_leaf(void **state)
{
        struct machine *m = *state;
        uint64_t leaf = put(m, m->root, 7 * GIB, 1, 24 * KIB | P | US);
        uint64_t large = put(m, m->root, 8 * GIB, 3, GIB | PS | P | RW);

        assert_int_equal(attach(m, m->first), 0);
        device_write(m, 7 * GIB, 1);
        assert_int_equal(load(m, leaf), 24 * KIB | P | US);
        device_write(m, 8 * GIB, 1);
        assert_int_equal(device_read(m, 8 * GIB), 0);
        assert_int_equal(load(m, large), GIB | PS | P | RW);
        /* a read-only entry that is cached denies writes until it is invalidated */
        assert_int_equal(device_read(m, 7 * GIB), 0);
        store(m, leaf, 24 * KIB | ALL);
        device_write(m, 7 * GIB, 2);
        assert_int_equal(load(m, 24 * KIB), 0);
        invalidate(m, 7 * GIB, 1, true);
        device_write(m, 7 * GIB, 2);
        assert_int_equal(load(m, 24 * KIB), 2);
}

static void test_hostile_tables_reach_nothing_outside_memory(void **state)
{
        static const uint64_t roots[] = {RAM_SIZE, RAM_SIZE - 4096, UINT64_C(0xfffffffff000),
                                         UINT64_C(0xfffffffffffff000), 0xfee00000};
        struct machine *m = *state;
        uint64_t loop = new_table(m);

        /* every entry leads back to its own table, so that the last level maps the table itself */
        for (unsigned i = 0; i < 512; i++)
                store(m, loop + 8 * i, loop | ALL);
        m->first = make_first_stage(m, loop, 48, 0);
        assert_int_equal(attach(m, m->first), 0);
        assert_true(device_read(m, 0) == (loop | ALL | A));
        device_write(m, 8 * 5, 0); /* makes its own entry not present */
        assert_int_equal(load(m, loop + 8 * 5), 0);
        invalidate(m, 0, VTD_INVALIDATE_ALL, false);
        assert_int_equal(device_read(m, 5 * 4096), 0);

        /* tables and pages at, around and far behind the end of memory */
        put(m, m->root, 16 * KIB, 1, RAM_SIZE | ALL);
        put(m, m->root, 20 * KIB, 1, UINT64_C(0xfffffffff000) | ALL);
        put(m, m->root, 2 * MIB, 2, RAM_SIZE | ALL);
        put(m, m->root, 4 * GIB, 3, RAM_SIZE | PS | ALL);
        put(m, m->root, 5 * GIB, 3, UINT64_C(0xffffc0000000) | PS | ALL);
        m->first = make_first_stage(m, m->root, 48, 0);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 16 * KIB), 0);
        assert_int_equal(device_read(m, 20 * KIB), 0);
        assert_int_equal(device_read(m, 2 * MIB), 0);
        assert_int_equal(device_read(m, 4 * GIB), 0);
        device_write(m, 5 * GIB, 1);
        assert_int_equal(device_read(m, 5 * GIB), 0);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(roots); i++) {
                m->first = make_first_stage(m, roots[i], 48, 0);
                assert_int_equal(attach(m, m->first), 0);
                assert_int_equal(device_read(m, 0), 0);
                device_write(m, UINT64_C(0x7ffffffff000), 1);
        }
}

static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* An entry that is mostly well-formed and mostly leads back into a few pages of memory. */
static uint64_t random_entry(uint64_t *seed)
{
        uint64_t r = next_random(seed);
        uint64_t entry = MIB + ((r >> 8) & 31) * VTD_PAGE_SIZE;

        if ((r & 7) == 0)
                entry = RAM_SIZE + (next_random(seed) & 0xfff000);
        if ((r & 7) == 1)
                entry = next_random(seed) & ~UINT64_C(0xfff);
        if ((r & 0x70) != 0)
                entry |= ALL;
        if ((r & 0x380000) == 0)
                entry = (entry & ~(GIB - 1)) | PS | ALL;
        return entry;
}

/*
 * Whatever the tables say: what lies in another IOAS of the same VM is neither read nor written.
 */
static void test_random_tables_never_leave_their_ioas(void **state)
{
        struct machine *m = *state;
        int fd = make_memfd(MIB, F_SEAL_SHRINK);
        uint64_t seed = 88172645463325252u, value;
        uint8_t *other = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        uint32_t ioas;

        assert_true(other != MAP_FAILED);
        memset(other, 0xc9, MIB);
        assert_int_equal(m->ops->ioas_alloc(m->host, &ioas), 0);
        for (uint64_t iova = RAM_SIZE; iova < RAM_SIZE + 16 * MIB; iova += MIB)
                assert_int_equal(m->ops->map_file(m->host, ioas, fd, 0, MIB, iova), 0);
        m->first = make_first_stage(m, MIB, 48, 0);
        assert_int_equal(attach(m, m->first), 0);
        for (unsigned round = 0; round < 200; round++) {
                for (uint64_t at = MIB; at < MIB + 32 * VTD_PAGE_SIZE; at += 8)
                        store(m, at, random_entry(&seed));
                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
                for (unsigned i = 0; i < 20; i++) {
                        uint64_t iova = next_random(&seed) >> 16;

                        value = device_read(m, iova);
                        assert_true((value & 0xff) != 0xc9 || (value >> 56) != 0xc9);
                        device_write(m, next_random(&seed) >> 16, next_random(&seed));
                }
        }
        for (size_t i = 0; i < MIB; i++)
                assert_int_equal(other[i], 0xc9);
        assert_int_equal(munmap(other, MIB), 0);
        (void)close(fd);
}

static void test_an_unaligned_root_is_masked(void **state)
{
        struct machine *m = *state;

        put(m, m->root, 16 * KIB, 1, 32 * KIB | ALL);
        store(m, 32 * KIB, 5);
        assert_int_equal(attach(m, make_first_stage(m, m->root | 0xabc, 48, 0)), 0);
        assert_int_equal(device_read(m, 16 * KIB), 5);
}

static void test_a_large_page_is_cut_where_memory_ends(void **state)
{
        struct machine *m = *state;
        int fd = make_memfd(16 * KIB, F_SEAL_SHRINK);
        uint64_t value = 5;

        assert_int_equal(pwrite(fd, &value, sizeof(value), 4096), sizeof(value));
        assert_int_equal(m->ops->map_file(m->host, m->ioas, fd, 0, 16 * KIB, 4 * GIB), 0);
        (void)close(fd);
        put(m, m->root, 8 * GIB, 3, 4 * GIB | PS | ALL);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 8 * GIB + 4096), 5);
        assert_int_equal(device_read(m, 8 * GIB + 16 * KIB), 0);
        device_write(m, 8 * GIB + 16 * KIB, 9);
        assert_int_equal(device_read(m, 8 * GIB + 16 * KIB), 0);
}

/* --- caches --- */

struct stale_case {
        unsigned level;
        uint64_t size, iova, before, after;
};

static const struct stale_case stale_cases[] = {
        {1, 4 * KIB, 7 * GIB + 20 * KIB, 32 * KIB, 48 * KIB},
        {2, 2 * MIB, 7 * GIB + 6 * MIB, 32 * MIB, 64 * MIB},
        {3, GIB, 9 * GIB, GIB, 2 * GIB},
};

/* Maps, lets the device look, changes the entry: the device must not notice. */
static void make_stale(struct machine *m, const struct stale_case *c)
{
        uint64_t large = c->level > 1 ? PS : 0;

        store(m, c->before + 8, 1);
        store(m, c->after + 8, 2);
        put(m, m->root, c->iova, c->level, c->before | large | ALL);
        invalidate(m, 0, VTD_INVALIDATE_ALL, false);
        assert_int_equal(device_read(m, c->iova + 8), 1);
        put(m, m->root, c->iova, c->level, c->after | large | ALL);
        assert_int_equal(device_read(m, c->iova + 8), 1);
}

static void test_a_changed_entry_is_stale_until_it_is_invalidated(void **state)
{
        struct machine *m = *state;

        assert_int_equal(attach(m, m->first), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(stale_cases); i++) {
                const struct stale_case *c = &stale_cases[i];

                for (unsigned way = 0; way < 6; way++) {
                        make_stale(m, c);
                        switch (way) {
                        case 0: /* the page */
                                invalidate(m, c->iova, c->size / 4096, false);
                                break;
                        case 1: /* leaf-only is enough when only a leaf changed */
                                invalidate(m, c->iova, c->size / 4096, true);
                                break;
                        case 2: /* any part of a large page drops it */
                                invalidate(m, c->iova + c->size - 4096, 1, true);
                                break;
                        case 3: /* everything */
                                invalidate(m, 0, VTD_INVALIDATE_ALL, false);
                                break;
                        case 4: /* 2 pages across a 1 GiB border are widened to a block */
                                invalidate(m, (c->iova & ~(GIB - 1)) + GIB - 4096, 2, false);
                                assert_int_equal(device_read(m, c->iova + 8), 2);
                                continue;
                        default: /* 512 pages */
                                invalidate(m, c->iova & ~(2 * MIB - 1), 512, false);
                                break;
                        }
                        assert_int_equal(device_read(m, c->iova + 8), 2);
                }
        }
}

static void test_invalidating_a_neighbour_leaves_the_page_stale(void **state)
{
        struct machine *m = *state;
        uint32_t other = make_first_stage(m, m->root, 48, 0);
        const struct vtd_invalidate_entry all = {0, VTD_INVALIDATE_ALL, false};
        size_t done;

        assert_int_equal(attach(m, m->first), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(stale_cases); i++) {
                const struct stale_case *c = &stale_cases[i];

                make_stale(m, c);
                invalidate(m, c->iova + c->size, 1, false);
                invalidate(m, c->iova - 4096, 1, false);
                /* of another table */
                assert_int_equal(m->ops->invalidate(m->host, other, &all, 1, &done), 0);
                assert_int_equal(done, 1);
                assert_int_equal(device_read(m, c->iova + 8), 1);
                invalidate(m, c->iova, 1, false);
                assert_int_equal(device_read(m, c->iova + 8), 2);
        }
}

static void test_ranges_are_widened_as_the_kernel_does(void **state)
{
        /* page number of the case's page: 7 GiB / 4096 + 5; blocks that hold it or not */
        static const struct {
                uint64_t first, pages;
                bool drops;
        } cases[] = {
                {4, 1, false},
                {4, 2, true}, /* 4 and 5 are a block */
                {6, 2, false},
                {3, 2, true}, /* 3 and 4: the block is 0 to 7 */
                {7, 2, true}, /* 7 and 8: 0 to 15 */
                {8, 8, false},
                {8, 9, true},  /* 8 to 16: 0 to 31 */
                {0, 3, false}, /* 0 to 2: 0 to 3 */
                {0, 5, true},
                {8, 0, true}, /* no pages at all: the bytes on both sides of the address */
                {2, 0, false},
        };
        struct machine *m = *state;
        uint64_t base = 7 * GIB;

        assert_int_equal(attach(m, m->first), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                make_stale(m, &stale_cases[0]);
                invalidate(m, base + 4096 * cases[i].first, cases[i].pages, false);
                assert_int_equal(device_read(m, stale_cases[0].iova + 8), cases[i].drops ? 2 : 1);
        }
        /* the byte count wraps: 2^52 + 1 pages are 1 page */
        make_stale(m, &stale_cases[0]);
        invalidate(m, base, (UINT64_C(1) << 52) + 1, false);
        assert_int_equal(device_read(m, stale_cases[0].iova + 8), 1);
}

static void test_a_wrong_leaf_hint_leaves_the_old_table_in_use(void **state)
{
        struct machine *m = *state;
        uint64_t iova = 7 * GIB, table = new_table(m), pde;

        store(m, 32 * KIB, 1);
        store(m, 48 * KIB, 2);
        put(m, m->root, iova, 1, 32 * KIB | ALL);
        pde = slot(load(m, slot(load(m, slot(m->root, iova, 4)) & ~UINT64_C(0xfff), iova, 3)) &
                           ~UINT64_C(0xfff),
                   iova, 2);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, iova), 1);
        /* the table itself is replaced, which is no change of a leaf */
        store(m, slot(table, iova, 1), 48 * KIB | ALL);
        store(m, pde, table | ALL);
        invalidate(m, iova, 1, true);
        assert_int_equal(device_read(m, iova), 1);
        /* also what was never looked at before goes through the cached table */
        assert_int_equal(device_read(m, iova + 4096), 0);
        invalidate(m, iova, 1, false);
        assert_int_equal(device_read(m, iova), 2);
        /* the same with a large page in place of the table */
        store(m, 64 * MIB, 3);
        store(m, pde, 64 * MIB | PS | ALL);
        invalidate(m, iova, 512, true);
        assert_int_equal(device_read(m, iova), 2);
        invalidate(m, iova + 100 * 4096, 1, false); /* any page of the 2 MiB */
        assert_int_equal(device_read(m, iova), 2);  /* the page itself is still cached */
        invalidate(m, iova, 1, true);
        assert_int_equal(device_read(m, iova), 3);
}

static void test_not_present_is_never_cached(void **state)
{
        struct machine *m = *state;

        assert_int_equal(attach(m, m->first), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(stale_cases); i++) {
                const struct stale_case *c = &stale_cases[i];

                assert_int_equal(device_read(m, c->iova), 0);
                store(m, c->before, 5);
                put(m, m->root, c->iova, c->level, c->before | (c->level > 1 ? PS : 0) | ALL);
                assert_int_equal(device_read(m, c->iova), 5);
        }
}

static void test_the_iotlb_is_bounded(void **state)
{
        struct machine *m = *state;
        uint64_t iova = 7 * GIB, first = put(m, m->root, iova, 1, 32 * KIB | ALL);

        store(m, 32 * KIB, 1);
        store(m, 48 * KIB, 2);
        for (uint64_t i = 1; i <= VTD_SIM_IOTLB_ENTRIES; i++)
                put(m, m->root, iova + 4096 * i, 1, 64 * KIB | ALL);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, iova), 1);
        store(m, first, 48 * KIB | ALL);
        for (uint64_t i = 1; i < VTD_SIM_IOTLB_ENTRIES; i++)
                (void)device_read(m, iova + 4096 * i);
        assert_int_equal(device_read(m, iova), 1);
        (void)device_read(m, iova + 4096 * VTD_SIM_IOTLB_ENTRIES);
        assert_int_equal(device_read(m, iova), 2);
}

static void test_two_devices_share_what_their_table_caches(void **state)
{
        struct machine *m = *state;
        const struct stale_case *c = &stale_cases[0];
        uint32_t other;
        int fd;

        assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
        assert_int_equal(m->ops->bind(m->host, fd, &other), 0);
        assert_int_equal(attach(m, m->first), 0);
        make_stale(m, c);
        assert_int_equal(m->ops->attach(m->host, other, VTD_NO_PASID, m->first), 0);
        assert_int_equal(device_read(m, c->iova + 8), 1);
        /* detaching one of them flushes the domain of both */
        assert_int_equal(m->ops->detach(m->host, other, VTD_NO_PASID), 0);
        assert_int_equal(m->ops->destroy(m->host, m->first), VTD_HOST_E_BUSY);
        assert_int_equal(device_read(m, c->iova + 8), 2);
}

static void test_unmapping_below_a_live_table_flushes_by_itself(void **state)
{
        struct machine *m = *state;
        int fd = make_memfd(4 * MIB, F_SEAL_SHRINK), other = make_memfd(4 * MIB, F_SEAL_SHRINK);
        uint64_t one = 1, two = 2, three = 3, gpa = 4 * GIB, leaf;

        assert_int_equal(pwrite(fd, &one, sizeof(one), 0), sizeof(one));
        assert_int_equal(pwrite(other, &two, sizeof(two), 0), sizeof(two));
        assert_int_equal(pwrite(other, &three, sizeof(three), 4096), sizeof(three));
        assert_int_equal(m->ops->map_file(m->host, m->ioas, fd, 0, 4 * MIB, gpa), 0);
        leaf = put(m, m->root, 16 * KIB, 1, gpa | ALL);
        put(m, m->root, 2 * MIB, 2, gpa | PS | ALL);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 16 * KIB), 1);
        assert_int_equal(device_read(m, 2 * MIB), 1);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, gpa, 4 * MIB), 0);
        device_write(m, 2 * MIB, 9);
        /* flushed, not only out of reach: what the guest has changed since is seen */
        store(m, leaf, (gpa + 4096) | ALL);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, other, 0, 4 * MIB, gpa), 0);
        assert_int_equal(device_read(m, 16 * KIB), 3);
        assert_int_equal(device_read(m, 2 * MIB), 2);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, gpa, 4 * MIB), 0);
        assert_int_equal(device_read(m, 16 * KIB), 0);
        assert_int_equal(device_read(m, 2 * MIB), 0);
        (void)close(fd);
        (void)close(other);
}

static void test_unmapping_the_tables_stops_the_walk(void **state)
{
        struct machine *m = *state;
        int fd = make_memfd(MIB, F_SEAL_SHRINK);
        uint64_t gpa = 4 * GIB, entry = 32 * KIB | ALL;
        uint64_t pde;

        /* the lowest table lies in a mapping of its own */
        assert_int_equal(pwrite(fd, &entry, sizeof(entry), 0), sizeof(entry));
        assert_int_equal(m->ops->map_file(m->host, m->ioas, fd, 0, MIB, gpa), 0);
        (void)close(fd);
        pde = put(m, m->root, 7 * GIB, 2, gpa | ALL);
        store(m, 32 * KIB, 5);
        assert_int_equal(attach(m, m->first), 0);
        assert_int_equal(device_read(m, 7 * GIB), 5);
        assert_int_equal(m->ops->unmap(m->host, m->ioas, gpa, MIB), 0);
        invalidate(m, 7 * GIB, 1, true);
        assert_int_equal(device_read(m, 7 * GIB), 0);
        /* the pointer to it is not cached any more either */
        store(m, pde, new_table(m) | ALL);
        put(m, m->root, 7 * GIB, 1, entry);
        assert_int_equal(device_read(m, 7 * GIB), 5);
}

static void test_invalidate_stops_at_the_first_bad_entry(void **state)
{
        struct machine *m = *state;
        const struct stale_case *c = &stale_cases[0];
        const struct vtd_invalidate_entry entries[] = {
                {0, 1, false},
                {c->iova, 1, true},
                {c->iova + 1, 1, false},
                {4096, 1, false},
        };
        const struct vtd_invalidate_entry all_elsewhere = {4096, VTD_INVALIDATE_ALL, false};
        size_t done = 9;

        assert_int_equal(attach(m, m->first), 0);
        make_stale(m, c);
        assert_int_equal(m->ops->invalidate(m->host, m->first, &all_elsewhere, 1, &done),
                         VTD_HOST_E_INVALID);
        assert_int_equal(done, 0);
        assert_int_equal(device_read(m, c->iova + 8), 1);
        assert_int_equal(m->ops->invalidate(m->host, m->first, entries, 4, &done),
                         VTD_HOST_E_INVALID);
        assert_int_equal(done, 2);
        assert_int_equal(device_read(m, c->iova + 8), 2); /* the ones before have taken effect */
        assert_int_equal(m->ops->invalidate(m->host, m->first, entries, 0, &done), 0);
        assert_int_equal(done, 0);
        done = 9;
        assert_int_equal(m->ops->invalidate(m->host, m->second, entries, 1, &done),
                         VTD_HOST_E_INVALID);
        assert_int_equal(done, 0);
        done = 9;
        assert_int_equal(m->ops->invalidate(m->host, m->ioas, entries, 1, &done),
                         VTD_HOST_E_INVALID);
        assert_int_equal(done, 0);
        done = 9;
        assert_int_equal(m->ops->invalidate(m->host, 77, entries, 1, &done), VTD_HOST_E_ABSENT);
        assert_int_equal(done, 0);
        /* nothing is attached: nothing to do */
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(m->ops->invalidate(m->host, m->first, entries, 2, &done), 0);
        assert_int_equal(done, 2);
}

static void test_nothing_stays_open_after_free(void **state)
{
        int before = lowest_free_fd(), fd;
        struct vtd_host *host;
        uint32_t id;

        (void)state;
        assert_int_equal(vtd_host_open(&host, -1), 0);
        assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(host->ops->bind(host, fd, &id), 0);
        host = host->ops->free(host);
        assert_null(host);
        assert_int_equal(lowest_free_fd(), before);
}

#define ON_MACHINE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_MACHINE(test_only_a_simulated_device_can_be_bound),
                ON_MACHINE(test_a_damaged_or_copied_device_is_refused),
                ON_MACHINE(test_a_device_is_bound_once_and_bind_resets_it),
                ON_MACHINE(test_device_info_is_that_of_a_nesting_unit),
                ON_MACHINE(test_host_takes_no_iommu_descriptor),
                ON_MACHINE(test_registers),
                ON_MACHINE(test_dma_moves_a_chunk_per_step),
                ON_MACHINE(test_dma_stays_inside_the_device_buffer),
                ON_MACHINE(test_bus_mastering_off_stops_dma),
                ON_MACHINE(test_ids_are_lowest_free_and_used_again_at_once),
                ON_MACHINE(test_what_is_used_cannot_be_destroyed),
                ON_MACHINE(test_tables_need_the_right_things_below_them),
                ON_MACHINE(test_pools_end_with_limit),
                ON_MACHINE(test_ranges_shrink_while_tables_and_devices_use_an_ioas),
                ON_MACHINE(test_mapping_refusals),
                ON_MACHINE(test_the_msi_window_cannot_be_mapped_below_a_device),
                ON_MACHINE(test_a_refused_reserved_range_leaves_the_old_table_live),
                ON_MACHINE(test_unmap_is_exact),
                ON_MACHINE(test_locked_memory_and_areas_are_limited),
                ON_MACHINE(test_mapped_memory_outlives_its_descriptor),
                ON_MACHINE(test_blocked_reads_give_zeros_and_writes_are_dropped),
                ON_MACHINE(test_second_stage_reaches_only_what_is_mapped),
                ON_MACHINE(test_attach_refusals),
                ON_MACHINE(test_a_refused_attach_blocks_until_another_table_or_a_detach_heals_it),
                ON_MACHINE(test_a_refused_first_attach_leaves_nothing_attached),
                ON_MACHINE(test_a_device_without_pasids_takes_none),
                ON_MACHINE(test_replacement_has_a_gap),
                ON_MACHINE(test_replacement_forgets_what_was_cached),
                ON_MACHINE(test_nested_translation_at_every_page_size),
                ON_MACHINE(test_the_msi_window_is_not_translated),
                ON_MACHINE(test_permissions_of_every_level_count),
                ON_MACHINE(test_reserved_bits_block),
                ON_MACHINE(test_large_pages_have_reserved_address_bits),
                ON_MACHINE(test_accessed_and_dirty_bits_are_set_as_by_hardware),
                ON_MACHINE(test_a_denied_access_marks_no_leaf),
                ON_MACHINE(test_hostile_tables_reach_nothing_outside_memory),
                ON_MACHINE(test_random_tables_never_leave_their_ioas),
                ON_MACHINE(test_an_unaligned_root_is_masked),
                ON_MACHINE(test_a_large_page_is_cut_where_memory_ends),
                ON_MACHINE(test_a_changed_entry_is_stale_until_it_is_invalidated),
                ON_MACHINE(test_invalidating_a_neighbour_leaves_the_page_stale),
                ON_MACHINE(test_ranges_are_widened_as_the_kernel_does),
                ON_MACHINE(test_a_wrong_leaf_hint_leaves_the_old_table_in_use),
                ON_MACHINE(test_not_present_is_never_cached),
                ON_MACHINE(test_the_iotlb_is_bounded),
                ON_MACHINE(test_two_devices_share_what_their_table_caches),
                ON_MACHINE(test_unmapping_below_a_live_table_flushes_by_itself),
                ON_MACHINE(test_unmapping_the_tables_stops_the_walk),
                ON_MACHINE(test_invalidate_stops_at_the_first_bad_entry),
                ON_MACHINE(test_nothing_stays_open_after_free),
        };

        return cmocka_run_group_tests_name("host-sim", tests, NULL, NULL);
}
