/* SPDX-License-Identifier: MIT */
/*
 * The simulated host's PASIDs and its two IOMMUs, through the operations of broker/host.h: which
 * attachment a request goes through, what may be attached where, what a refusal leaves behind, and
 * that attachments of PASIDs go stale and are invalidated like those of devices.
 *
 * Every first-stage table here is one page-table path that maps VA to a data page; the byte in that
 * page tells which table, and which state of it, a device's DMA went through.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/host.h"
#include "broker/host_sim/device_file.h"
#include "broker/host_sim/objects.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define RAM_SIZE   (UINT64_C(16) << 20)
#define DATA       (UINT64_C(8) << 20) /* page n holds the byte n in each of its bytes */
#define VA         UINT64_C(0x40000000)
#define ALL        UINT64_C(7) /* present, writable, user */
#define PASID_LAST ((1u << 20) - 1)
#define BLOCKED    0

enum { COHERENT, PEER, NONCOHERENT, DEVICES }; /* the first two behind one unit */

struct world {
        struct vtd_host *host;
        const struct vtd_host_ops *ops;
        uint8_t *ram;
        int ram_fd;
        uint64_t next_table;
        uint32_t ioas;
        uint32_t device[DEVICES];
        struct vtd_sim_device_file *file[DEVICES];
        uint32_t second; /* made for COHERENT, PASID compatible */
        uint32_t second_noncoherent;
};

static void store(struct world *w, uint64_t gpa, uint64_t value)
{
        memcpy(w->ram + gpa, &value, sizeof(value));
}

static int setup(void **state)
{
        static const char *const models[DEVICES] = {"edu-pasid", "edu-pasid", "edu-noncoherent"};
        static struct world world;
        struct world *w = &world;

        *w = (struct world){.next_table = VTD_PAGE_SIZE};
        assert_int_equal(vtd_host_open(&w->host, -1), 0);
        w->ops = w->host->ops;
        w->ram_fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_true(w->ram_fd >= 0);
        assert_int_equal(ftruncate(w->ram_fd, (off_t)RAM_SIZE), 0);
        assert_int_equal(fcntl(w->ram_fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        w->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, w->ram_fd, 0);
        assert_true(w->ram != MAP_FAILED);
        for (unsigned n = 0; n < 256; n++)
                memset(w->ram + DATA + n * VTD_PAGE_SIZE, (int)n, VTD_PAGE_SIZE);
        assert_int_equal(w->ops->ioas_alloc(w->host, &w->ioas), 0);
        for (size_t i = 0; i < DEVICES; i++) {
                struct vtd_sim_device_identity identity;
                int fd;

                assert_int_equal(vtd_sim_device_create(models[i], &fd), 0);
                assert_int_equal(vtd_sim_device_map(fd, &w->file[i], &identity), 0);
                assert_int_equal(w->ops->bind(w->host, fd, &w->device[i]), 0);
                assert_int_equal(w->ops->bus_master(w->host, w->device[i], true), 0);
        }
        assert_int_equal(
                w->ops->second_stage_alloc(w->host, w->device[COHERENT], w->ioas, true, &w->second),
                0);
        assert_int_equal(w->ops->second_stage_alloc(w->host, w->device[NONCOHERENT], w->ioas, true,
                                                    &w->second_noncoherent),
                         0);
        assert_int_equal(w->ops->map_file(w->host, w->ioas, w->ram_fd, 0, RAM_SIZE, 0), 0);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;

        assert_null(w->ops->free(w->host));
        for (size_t i = 0; i < DEVICES; i++)
                w->file[i] = vtd_sim_device_unmap(w->file[i]);
        assert_int_equal(munmap(w->ram, RAM_SIZE), 0);
        w->ram_fd = vtd_close(w->ram_fd);
        return 0;
}

/* A guest's table that leads VA to data page @page; -> its root. */
static uint64_t guest_table(struct world *w, uint64_t page)
{
        uint64_t root = w->next_table;

        for (unsigned level = 4; level > 1; level--)
                store(w,
                      root + (4 - level) * VTD_PAGE_SIZE +
                              8 * ((VA >> (12 + 9 * (level - 1))) & 511),
                      (root + (5 - level) * VTD_PAGE_SIZE) | ALL);
        store(w, root + 3 * VTD_PAGE_SIZE, (DATA + page * VTD_PAGE_SIZE) | ALL);
        w->next_table += 4 * VTD_PAGE_SIZE;
        return root;
}

/* Makes the table at @root lead to another page, without a word to the host. */
static void guest_redirect(struct world *w, uint64_t root, uint64_t page)
{
        store(w, root + 3 * VTD_PAGE_SIZE, (DATA + page * VTD_PAGE_SIZE) | ALL);
}

static uint32_t first_stage(struct world *w, uint32_t parent, uint64_t root, bool pasid_compatible)
{
        const struct vtd_host_first_stage config = {.root = root, .address_width = 48};
        uint32_t hwpt;

        assert_int_equal(w->ops->first_stage_alloc(w->host, w->device[COHERENT], parent, &config,
                                                   pasid_compatible, &hwpt),
                         0);
        return hwpt;
}

/* One that the driver refuses when it is attached. */
static uint32_t bad_first_stage(struct world *w)
{
        const struct vtd_host_first_stage config = {.root = 0, .address_width = 57};
        uint32_t hwpt;

        assert_int_equal(w->ops->first_stage_alloc(w->host, w->device[COHERENT], w->second, &config,
                                                   true, &hwpt),
                         0);
        return hwpt;
}

static int attach(struct world *w, size_t device, uint32_t pasid, uint32_t hwpt)
{
        return w->ops->attach(w->host, w->device[device], pasid, hwpt);
}

static int detach(struct world *w, size_t device, uint32_t pasid)
{
        return w->ops->detach(w->host, w->device[device], pasid);
}

static void set(struct world *w, size_t device, uint64_t offset, uint64_t value)
{
        assert_int_equal(w->ops->region_write(w->host, w->device[device], 0, offset, 8, value), 0);
}

/* Begins a read of @count bytes at @address by DMA whose PASID register is @pasid_register. */
static void start(struct world *w, size_t device, uint32_t pasid_register, uint64_t address,
                  uint64_t count)
{
        memset(w->file[device]->edu.buffer, 0xee, VTD_SIM_EDU_BUFFER_SIZE);
        set(w, device, 0xa0, pasid_register);
        set(w, device, 0x80, address);
        set(w, device, 0x88, VTD_SIM_EDU_BUFFER_START);
        set(w, device, 0x90, count);
        set(w, device, 0x98, 1);
}

/* The byte that the device finds at @address. */
static int find(struct world *w, size_t device, uint32_t pasid_register, uint64_t address)
{
        start(w, device, pasid_register, address, 1);
        while (w->ops->step(w->host))
                ;
        return w->file[device]->edu.buffer[0];
}

#define WITH(pasid) (0x80000000u | (pasid))

static void test_requests_go_through_the_attachment_of_their_pasid(void **state)
{
        struct world *w = *state;
        uint32_t a = first_stage(w, w->second, guest_table(w, 1), true);
        uint32_t b = first_stage(w, w->second, guest_table(w, 2), true);

        assert_int_equal(attach(w, COHERENT, 5, a), 0); /* the device itself is not attached */
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(find(w, COHERENT, 0, VA), BLOCKED);
        assert_int_equal(attach(w, COHERENT, PASID_LAST, b), 0);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, w->second), 0);
        assert_int_equal(attach(w, COHERENT, 7, w->second), 0);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(find(w, COHERENT, WITH(PASID_LAST), VA), 2);
        assert_int_equal(find(w, COHERENT, 0, DATA + 3 * VTD_PAGE_SIZE), 3);
        assert_int_equal(find(w, COHERENT, WITH(7), DATA + 4 * VTD_PAGE_SIZE), 4);
        assert_int_equal(find(w, COHERENT, 5, DATA + 3 * VTD_PAGE_SIZE), 3); /* bit 31 is clear */
        assert_int_equal(find(w, COHERENT, WITH(0), DATA + 3 * VTD_PAGE_SIZE), 3);
        assert_int_equal(find(w, COHERENT, WITH(6), VA), BLOCKED);
        assert_int_equal(find(w, COHERENT, WITH(6), DATA + 3 * VTD_PAGE_SIZE), BLOCKED);
        /* another device's PASID 5 is another one */
        assert_int_equal(attach(w, PEER, 5, b), 0);
        assert_int_equal(find(w, PEER, WITH(5), VA), 2);
        assert_int_equal(find(w, PEER, WITH(PASID_LAST), VA), BLOCKED);
        /* each is detached by itself */
        assert_int_equal(detach(w, COHERENT, VTD_NO_PASID), 0);
        assert_int_equal(find(w, COHERENT, 0, DATA + 3 * VTD_PAGE_SIZE), BLOCKED);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(detach(w, COHERENT, 5), 0);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), BLOCKED);
        assert_int_equal(find(w, COHERENT, WITH(7), DATA + 4 * VTD_PAGE_SIZE), 4);
        assert_int_equal(find(w, COHERENT, WITH(PASID_LAST), VA), 2);
        assert_int_equal(find(w, PEER, WITH(5), VA), 2);
}

static void test_the_pasid_of_a_running_transfer_stays(void **state)
{
        struct world *w = *state;
        uint64_t value;

        assert_int_equal(attach(w, COHERENT, 5, first_stage(w, w->second, guest_table(w, 1), true)),
                         0);
        assert_int_equal(attach(w, COHERENT, 6, first_stage(w, w->second, guest_table(w, 2), true)),
                         0);
        start(w, COHERENT, WITH(5), VA, 128);
        assert_true(w->ops->step(w->host));
        set(w, COHERENT, 0xa0, WITH(6));
        assert_false(w->ops->step(w->host));
        assert_int_equal(w->file[COHERENT]->edu.buffer[127], 1);
        assert_int_equal(w->ops->region_read(w->host, w->device[COHERENT], 0, 0xa0, 4, &value), 0);
        assert_int_equal(value, WITH(5));
        set(w, COHERENT, 0xa0, UINT64_MAX); /* only the bits that there are */
        assert_int_equal(w->ops->region_read(w->host, w->device[COHERENT], 0, 0xa0, 8, &value), 0);
        assert_int_equal(value, WITH(PASID_LAST));
}

static void test_a_pasid_goes_stale_until_its_table_is_invalidated(void **state)
{
        const struct vtd_invalidate_entry page = {VA, 1, true};
        const struct vtd_invalidate_entry neighbour = {VA + VTD_PAGE_SIZE, 1, false};
        const struct vtd_invalidate_entry whole = {0, VTD_INVALIDATE_ALL, false};
        struct world *w = *state;
        uint64_t root = guest_table(w, 1);
        uint32_t table = first_stage(w, w->second, root, true);
        uint32_t other = first_stage(w, w->second, root, true);
        size_t done;

        assert_int_equal(attach(w, COHERENT, 5, table), 0);
        assert_int_equal(attach(w, COHERENT, 6, other), 0);
        assert_int_equal(attach(w, PEER, 9, table), 0);
        assert_int_equal(attach(w, PEER, VTD_NO_PASID, table), 0);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(find(w, COHERENT, WITH(6), VA), 1);
        assert_int_equal(find(w, PEER, WITH(9), VA), 1);
        guest_redirect(w, root, 2);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(w->ops->invalidate(w->host, table, &neighbour, 1, &done), 0);
        assert_int_equal(w->ops->invalidate(w->host, other, &page, 1, &done), 0);
        assert_int_equal(find(w, COHERENT, WITH(6), VA), 2); /* of the other table only */
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(find(w, PEER, WITH(9), VA), 1);
        assert_int_equal(find(w, PEER, 0, VA), 1);
        /* one call serves everything that is attached to the table */
        assert_int_equal(w->ops->invalidate(w->host, table, &page, 1, &done), 0);
        assert_int_equal(done, 1);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 2);
        assert_int_equal(find(w, PEER, WITH(9), VA), 2);
        assert_int_equal(find(w, PEER, 0, VA), 2);
        guest_redirect(w, root, 3);
        assert_int_equal(find(w, PEER, WITH(9), VA), 2);
        assert_int_equal(w->ops->invalidate(w->host, table, &whole, 1, &done), 0);
        assert_int_equal(find(w, PEER, WITH(9), VA), 3);
        assert_int_equal(find(w, COHERENT, WITH(6), VA), 2);
}

static void test_replacing_the_table_of_a_pasid_has_a_gap(void **state)
{
        struct world *w = *state;
        uint32_t a = first_stage(w, w->second, guest_table(w, 1), true);
        uint64_t root = guest_table(w, 2);
        uint32_t b = first_stage(w, w->second, root, true);

        assert_int_equal(attach(w, COHERENT, 5, a), 0);
        start(w, COHERENT, WITH(5), VA, 320);
        assert_true(w->ops->step(w->host));
        assert_int_equal(attach(w, COHERENT, 5, b), 0);
        while (w->ops->step(w->host))
                ;
        for (size_t i = 0; i < 320; i++)
                assert_int_equal(w->file[COHERENT]->edu.buffer[i], i < 64    ? 1
                                                                   : i < 192 ? BLOCKED
                                                                             : 2);
        /* what was cached is gone with the attachment */
        guest_redirect(w, root, 3);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 2);
        assert_int_equal(attach(w, COHERENT, 5, a), 0);
        assert_int_equal(attach(w, COHERENT, 5, b), 0);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 3);
        /* attaching what is attached is no replacement */
        start(w, COHERENT, WITH(5), VA, 64);
        assert_int_equal(attach(w, COHERENT, 5, b), 0);
        assert_int_equal(w->file[COHERENT]->edu.buffer[0], 0xee);
        while (w->ops->step(w->host))
                ;
        assert_int_equal(w->file[COHERENT]->edu.buffer[63], 3);
}

static void test_pasids_need_compatible_tables_on_both_sides(void **state)
{
        struct world *w = *state;
        uint64_t root = guest_table(w, 1);
        uint32_t plain = first_stage(w, w->second, root, false);
        uint32_t good = first_stage(w, w->second, root, true);

        assert_int_equal(attach(w, COHERENT, 5, plain), VTD_HOST_E_INVALID);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, plain), 0);
        assert_int_equal(attach(w, COHERENT, 5, good), VTD_HOST_E_INVALID);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), BLOCKED);
        assert_int_equal(find(w, COHERENT, 0, VA), 1);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, good), 0);
        assert_int_equal(attach(w, COHERENT, 5, good), 0);
        /* refused before anything is taken down */
        assert_int_equal(attach(w, COHERENT, 5, plain), VTD_HOST_E_INVALID);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, plain), VTD_HOST_E_INVALID);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 1);
        assert_int_equal(find(w, COHERENT, 0, VA), 1);
        /* neither other devices nor, once it is detached, this one are bound by that */
        assert_int_equal(attach(w, PEER, VTD_NO_PASID, plain), 0);
        assert_int_equal(detach(w, COHERENT, 5), 0);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, plain), 0);
}

static void test_pasids_beyond_the_width_and_wrong_objects_are_refused(void **state)
{
        struct world *w = *state;
        uint32_t table = first_stage(w, w->second, guest_table(w, 1), true);

        assert_int_equal(attach(w, COHERENT, PASID_LAST + 1, table), VTD_HOST_E_INVALID);
        assert_int_equal(attach(w, COHERENT, UINT32_MAX, table), VTD_HOST_E_INVALID);
        assert_int_equal(attach(w, COHERENT, 5, 99), VTD_HOST_E_ABSENT);
        assert_int_equal(attach(w, COHERENT, 5, w->ioas), VTD_HOST_E_INVALID);
        assert_int_equal(w->ops->attach(w->host, w->ioas, 5, table), VTD_HOST_E_ABSENT);
        assert_int_equal(w->ops->detach(w->host, w->ioas, 5), VTD_HOST_E_ABSENT);
        /* nothing is attached: nothing to do */
        assert_int_equal(detach(w, COHERENT, 5), 0);
        assert_int_equal(detach(w, COHERENT, PASID_LAST + 1), 0);
        assert_int_equal(w->ops->destroy(w->host, table), 0);
        assert_int_equal(w->ops->release(w->host, w->device[COHERENT]), 0);
}

static void test_an_attached_pasid_keeps_its_table_and_its_device(void **state)
{
        struct world *w = *state;
        uint32_t table = first_stage(w, w->second, guest_table(w, 1), true);

        assert_int_equal(attach(w, COHERENT, 5, table), 0);
        assert_int_equal(attach(w, COHERENT, 6, table), 0);
        assert_int_equal(detach(w, COHERENT, 5), 0);
        assert_int_equal(w->ops->destroy(w->host, table), VTD_HOST_E_BUSY);
        assert_int_equal(w->ops->release(w->host, w->device[COHERENT]), VTD_HOST_E_BUSY);
        assert_int_equal(attach(w, COHERENT, 6, w->second), 0);
        assert_int_equal(w->ops->destroy(w->host, table), 0);
        assert_int_equal(w->ops->destroy(w->host, w->second), VTD_HOST_E_BUSY);
        assert_int_equal(detach(w, COHERENT, 6), 0);
        assert_int_equal(w->ops->destroy(w->host, w->second), 0);
        assert_int_equal(w->ops->release(w->host, w->device[COHERENT]), 0);
}

static void test_a_refused_replacement_blocks_the_pasid_until_it_is_healed(void **state)
{
        struct world *w = *state;
        uint32_t good = first_stage(w, w->second, guest_table(w, 1), true);
        uint32_t bad = bad_first_stage(w);

        assert_int_equal(attach(w, COHERENT, 5, bad), VTD_HOST_E_INVALID);
        assert_int_equal(w->ops->release(w->host, w->device[COHERENT]), 0); /* clean unwind */
        for (unsigned by_detach = 0; by_detach < 2; by_detach++) {
                assert_int_equal(attach(w, PEER, 6, good), 0);
                assert_int_equal(attach(w, PEER, 5, good), 0);
                assert_int_equal(attach(w, PEER, 5, bad), VTD_HOST_E_INVALID);
                assert_int_equal(find(w, PEER, WITH(5), VA), BLOCKED);
                assert_int_equal(find(w, PEER, WITH(6), VA), 1);
                /* the core believes that the old one is attached, so this does nothing */
                assert_int_equal(attach(w, PEER, 5, good), 0);
                assert_int_equal(find(w, PEER, WITH(5), VA), BLOCKED);
                assert_int_equal(by_detach ? detach(w, PEER, 5) : attach(w, PEER, 5, w->second), 0);
                assert_int_equal(attach(w, PEER, 5, good), 0);
                assert_int_equal(find(w, PEER, WITH(5), VA), 1);
        }
        assert_int_equal(w->ops->destroy(w->host, bad), 0);
}

static void test_pasids_bring_no_reserved_ranges(void **state)
{
        struct world *w = *state;
        struct vtd_address_range ranges[2];
        size_t count;

        assert_int_equal(attach(w, COHERENT, 5, w->second), 0);
        assert_int_equal(w->ops->ioas_ranges(w->host, w->ioas, ranges, 2, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(
                w->ops->map_file(w->host, w->ioas, w->ram_fd, 0, VTD_PAGE_SIZE, VTD_SIM_MSI_START),
                0);
        assert_int_equal(attach(w, COHERENT, 6, w->second), 0);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, w->second), VTD_HOST_E_INVALID);
}

static void test_attached_pasids_are_bounded(void **state)
{
        struct world *w = *state;

        for (uint32_t pasid = 1; pasid <= VTD_LIMIT_ATTACHMENTS; pasid++)
                assert_int_equal(attach(w, pasid % 2 ? COHERENT : PEER, pasid, w->second), 0);
        assert_int_equal(attach(w, COHERENT, VTD_LIMIT_ATTACHMENTS + 1, w->second),
                         VTD_HOST_E_LIMIT);
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, w->second), 0);
        assert_int_equal(attach(w, COHERENT, 1, w->second_noncoherent), 0); /* replaces */
        assert_int_equal(detach(w, PEER, 2), 0);
        assert_int_equal(attach(w, COHERENT, VTD_LIMIT_ATTACHMENTS + 1, w->second), 0);
        assert_int_equal(find(w, COHERENT, WITH(VTD_LIMIT_ATTACHMENTS + 1), DATA + VTD_PAGE_SIZE),
                         1);
        assert_int_equal(find(w, PEER, WITH(2), DATA + VTD_PAGE_SIZE), BLOCKED);
        assert_int_equal(find(w, PEER, WITH(4), DATA + VTD_PAGE_SIZE), 1);
}

static void test_the_second_unit_is_neither_coherent_nor_snooping(void **state)
{
        struct world *w = *state;
        struct vtd_host_device_info first, second;

        assert_int_equal(w->ops->device_info(w->host, w->device[COHERENT], &first), 0);
        assert_int_equal(w->ops->device_info(w->host, w->device[NONCOHERENT], &second), 0);
        assert_true(first.cap == second.cap);
        assert_true(first.ecap == UINT64_C(0x0001c99804000fc3));
        /* without C, SC and SMPWCS */
        assert_true(second.ecap == UINT64_C(0x0000c99804000f42));
        assert_int_equal(first.pasid_bits, 20);
        assert_int_equal(second.pasid_bits, 20);
}

static void test_s10_a_second_stage_is_refused_where_the_unit_cannot_walk_it(void **state)
{
        struct world *w = *state;
        uint32_t above = first_stage(w, w->second, guest_table(w, 1), true);
        uint32_t own = first_stage(w, w->second_noncoherent, guest_table(w, 2), true);
        const uint32_t bad[] = {w->second, above};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(bad); i++) {
                /* a device is blocked first, then refused */
                assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, bad[i]), VTD_HOST_E_INVALID);
                assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, own), 0);
                assert_int_equal(find(w, NONCOHERENT, 0, VA), 2);
                assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, bad[i]), VTD_HOST_E_INVALID);
                assert_int_equal(find(w, NONCOHERENT, 0, VA), BLOCKED);
                assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, own), 0);
                assert_int_equal(find(w, NONCOHERENT, 0, VA), BLOCKED);
                assert_int_equal(detach(w, NONCOHERENT, VTD_NO_PASID), 0);
                assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, own), 0);
                assert_int_equal(find(w, NONCOHERENT, 0, VA), 2);
                /* a PASID is refused first */
                assert_int_equal(attach(w, NONCOHERENT, 5, bad[i]), VTD_HOST_E_INVALID);
                assert_int_equal(attach(w, NONCOHERENT, 5, own), 0);
                assert_int_equal(attach(w, NONCOHERENT, 5, bad[i]), VTD_HOST_E_INVALID);
                assert_int_equal(find(w, NONCOHERENT, WITH(5), VA), 2);
                assert_int_equal(detach(w, NONCOHERENT, 5), 0);
                assert_int_equal(detach(w, NONCOHERENT, VTD_NO_PASID), 0);
        }
        /* the other way round it works: the first unit can do all that the second one can */
        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, w->second_noncoherent), 0);
        assert_int_equal(attach(w, COHERENT, 5, own), 0);
        assert_int_equal(find(w, COHERENT, 0, DATA + 7 * VTD_PAGE_SIZE), 7);
        assert_int_equal(find(w, COHERENT, WITH(5), VA), 2);
        /* and devices behind one unit share */
        assert_int_equal(attach(w, PEER, VTD_NO_PASID, w->second), 0);
        assert_int_equal(find(w, PEER, 0, DATA + 7 * VTD_PAGE_SIZE), 7);
}

static void test_units_cache_for_themselves_and_one_invalidation_reaches_both(void **state)
{
        const struct vtd_invalidate_entry page = {VA, 1, true};
        struct world *w = *state;
        uint64_t root = guest_table(w, 1);
        uint32_t table = first_stage(w, w->second_noncoherent, root, true);
        size_t done;

        assert_int_equal(attach(w, COHERENT, VTD_NO_PASID, table), 0);
        assert_int_equal(attach(w, PEER, VTD_NO_PASID, table), 0);
        assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, table), 0);
        assert_int_equal(find(w, COHERENT, 0, VA), 1);
        guest_redirect(w, root, 2);
        assert_int_equal(find(w, PEER, 0, VA), 1);        /* what its neighbour cached */
        assert_int_equal(find(w, NONCOHERENT, 0, VA), 2); /* nothing was cached there */
        guest_redirect(w, root, 3);
        assert_int_equal(find(w, COHERENT, 0, VA), 1);
        assert_int_equal(find(w, NONCOHERENT, 0, VA), 2);
        assert_int_equal(w->ops->invalidate(w->host, table, &page, 1, &done), 0);
        assert_int_equal(done, 1);
        assert_int_equal(find(w, COHERENT, 0, VA), 3);
        assert_int_equal(find(w, PEER, 0, VA), 3);
        assert_int_equal(find(w, NONCOHERENT, 0, VA), 3);
        /* what one unit drops when a device is detached, the other keeps */
        guest_redirect(w, root, 4);
        assert_int_equal(detach(w, NONCOHERENT, VTD_NO_PASID), 0);
        assert_int_equal(attach(w, NONCOHERENT, VTD_NO_PASID, table), 0);
        assert_int_equal(find(w, NONCOHERENT, 0, VA), 4);
        assert_int_equal(find(w, COHERENT, 0, VA), 3);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                IN_WORLD(test_requests_go_through_the_attachment_of_their_pasid),
                IN_WORLD(test_the_pasid_of_a_running_transfer_stays),
                IN_WORLD(test_a_pasid_goes_stale_until_its_table_is_invalidated),
                IN_WORLD(test_replacing_the_table_of_a_pasid_has_a_gap),
                IN_WORLD(test_pasids_need_compatible_tables_on_both_sides),
                IN_WORLD(test_pasids_beyond_the_width_and_wrong_objects_are_refused),
                IN_WORLD(test_an_attached_pasid_keeps_its_table_and_its_device),
                IN_WORLD(test_a_refused_replacement_blocks_the_pasid_until_it_is_healed),
                IN_WORLD(test_pasids_bring_no_reserved_ranges),
                IN_WORLD(test_attached_pasids_are_bounded),
                IN_WORLD(test_the_second_unit_is_neither_coherent_nor_snooping),
                IN_WORLD(test_s10_a_second_stage_is_refused_where_the_unit_cannot_walk_it),
                IN_WORLD(test_units_cache_for_themselves_and_one_invalidation_reaches_both),
        };

        return cmocka_run_group_tests_name("host-sim-attach", tests, NULL, NULL);
}
