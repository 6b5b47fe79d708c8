/* SPDX-License-Identifier: MIT */
/* See frontend-fixture.h. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/registers.h"

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct guest *guest = opaque;

        if (gpa >= GUEST_MEMORY || size > GUEST_MEMORY - gpa)
                return -EFAULT;
        guest->reads++;
        memcpy(data, guest->memory + gpa, size);
        if (guest->after_read)
                guest->after_read(guest, gpa);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct guest *guest = opaque;

        if (gpa >= GUEST_MEMORY || size > GUEST_MEMORY - gpa)
                return -EFAULT;
        memcpy(guest->memory + gpa, data, size);
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct guest *guest = opaque;

        assert_int_equal(gpa % sizeof(uint64_t), 0);
        guest->exchanges++;
        if (guest->no_exchange || gpa >= GUEST_MEMORY)
                return -EFAULT;
        *found = expected;
        (void)__atomic_compare_exchange_n((uint64_t *)(void *)(guest->memory + gpa), found, desired,
                                          false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return 0;
}

/* What a VMM needs a lock of its own for is done without the unit's, which threads wait for in that. */
static void assert_unlocked(struct guest *guest)
{
        assert_int_equal(pthread_mutex_trylock(&guest->unit->lock), 0);
        assert_int_equal(pthread_mutex_unlock(&guest->unit->lock), 0);
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct guest *guest = opaque;

        assert_unlocked(guest);
        guest->messages++;
        guest->message_address = address;
        guest->message_data = data;
}

static void take_line(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        struct guest *guest = opaque;

        (void)level;
        (void)line;
        guest->lines++;
}

static void broker_lost(void *opaque)
{
        struct guest *guest = opaque;

        assert_unlocked(guest);
        guest->lost++;
}

void guest_configure(struct guest *guest, const struct vtd_frontend_config *config, uint32_t modes)
{
        const struct vtd_frontend_callbacks callbacks = {
                .read_memory = read_memory,
                .write_memory = write_memory,
                .compare_exchange = compare_exchange,
                .send_message = send_message,
                .log = take_line,
                .broker_lost = broker_lost,
        };

        guest->unit = vtd_frontend_free(guest->unit);
        assert_int_equal(vtd_frontend_new(&guest->unit, config, &callbacks, guest), 0);
        guest->broker = fake_backend_new();
        guest->broker->modes = modes;
        guest->broker->pasids = guest->pasids;
        assert_int_equal(vtd_frontend_set_backend(guest->unit, &guest->broker->base, NULL), 0);
        fake_backend_forget(guest->broker);
}

int guest_setup(void **state)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = calloc(1, sizeof(*guest));

        assert_non_null(guest);
        guest->pasids = PASIDS;
        guest_configure(guest, &config, 7);
        *state = guest;
        return 0;
}

int guest_teardown(void **state)
{
        struct guest *guest = *state;

        guest->unit = vtd_frontend_free(guest->unit);
        free(guest);
        return 0;
}

void guest_put64(struct guest *guest, uint64_t gpa, uint64_t value)
{
        assert_int_equal(write_memory(guest, gpa, &value, sizeof(value)), 0);
}

uint64_t guest_get64(const struct guest *guest, uint64_t gpa)
{
        uint64_t value;

        memcpy(&value, guest->memory + gpa, sizeof(value));
        return value;
}

uint32_t guest_get32(const struct guest *guest, uint64_t gpa)
{
        return (uint32_t)guest_get64(guest, gpa);
}

uint32_t read32(struct guest *guest, unsigned offset)
{
        return (uint32_t)vtd_frontend_read(guest->unit, offset, 4);
}

uint64_t read64(struct guest *guest, unsigned offset)
{
        return vtd_frontend_read(guest->unit, offset, 8);
}

void write32(struct guest *guest, unsigned offset, uint32_t value)
{
        vtd_frontend_write(guest->unit, offset, 4, value);
}

void write64(struct guest *guest, unsigned offset, uint64_t value)
{
        vtd_frontend_write(guest->unit, offset, 8, value);
}

void run_until(struct guest *guest, int expected)
{
        assert_int_equal(vtd_frontend_run(guest->unit, BUDGET), expected);
}

void command(struct guest *guest, uint32_t set, uint32_t clear)
{
        guest->command &= ~clear;
        guest->command |= set & ~(VTD_GCMD_SRTP | VTD_GCMD_SIRTP);
        write32(guest, VTD_REG_GCMD, guest->command | set);
}

static unsigned index_of(unsigned rid)
{
        return (rid >> 3) & 0x1f;
}

uint64_t directory_of(unsigned rid)
{
        return 0x100000 + index_of(rid) * 0x1000;
}

uint64_t entry_of(unsigned rid, unsigned pasid)
{
        return 0x200000 + index_of(rid) * 0x1000 + (pasid & 0x3f) * 64;
}

void put_context(struct guest *guest, unsigned rid, unsigned rid_pasid)
{
        uint64_t context = (rid & 0x80 ? CONTEXT_UPPER : CONTEXT_LOWER) + (rid & 0x7f) * 32;
        uint64_t root = ROOT_TABLE + (rid >> 8) * 16;

        guest_put64(guest, root, CONTEXT_LOWER | 1);
        guest_put64(guest, root + 8, CONTEXT_UPPER | 1);
        guest_put64(guest, context, directory_of(rid) | 1);
        guest_put64(guest, context + 8, rid_pasid);
        guest_put64(guest, directory_of(rid) + (rid_pasid >> 6) * 8, entry_of(rid, 0) | 1);
}

void put_entry(struct guest *guest, unsigned rid, unsigned pgtt, unsigned did, uint64_t root)
{
        uint64_t entry = entry_of(rid, 0);

        guest_put64(guest, entry + 8, pgtt ? did : 0);
        guest_put64(guest, entry + 16, root);
        /* Linux fills AW for every type. */
        guest_put64(guest, entry, pgtt ? 1 | 2 << 2 | (uint64_t)pgtt << 6 : 0);
}

void configure_pasids(struct guest *guest, uint32_t pasids)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        config.pasid_bits = 20;
        guest->pasids = pasids;
        guest_configure(guest, &config, 7);
}

void put_pasid_context(struct guest *guest, unsigned rid, unsigned size_code, uint64_t directory)
{
        uint64_t context = (rid & 0x80 ? CONTEXT_UPPER : CONTEXT_LOWER) + (rid & 0x7f) * 32;

        put_context(guest, rid, 0);
        guest_put64(guest, context, directory | size_code << 9 | 0x8 | 1);
        guest_put64(guest, directory, entry_of(rid, 0) | 1);
}

uint64_t pasid_entry_of(unsigned rid, unsigned pasid)
{
        unsigned table = pasid >> 6;

        if (table == 0)
                return entry_of(rid, pasid);
        return 0x240000 + (index_of(rid) & 1) * 0x40000 + (table & 0x3f) * 0x1000 +
               (pasid & 0x3f) * 64;
}

void put_pasid(struct guest *guest, unsigned rid, unsigned pasid, unsigned pgtt, unsigned did,
               uint64_t root)
{
        uint64_t entry = pasid_entry_of(rid, pasid);

        guest_put64(guest, directory_of(rid) + (pasid >> 6) * 8, (entry & ~UINT64_C(0xfff)) | 1);
        guest_put64(guest, entry + 8, pgtt ? did : 0);
        guest_put64(guest, entry + 16, root);
        guest_put64(guest, entry, pgtt ? 1 | 2 << 2 | (uint64_t)pgtt << 6 : 0);
}

void plug(struct guest *guest, unsigned rid)
{
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", (uint16_t)rid), 0);
        put_context(guest, rid, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
}

void enable_queue(struct guest *guest)
{
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        write64(guest, VTD_REG_IQA, QUEUE | 0x800);
        command(guest, VTD_GCMD_QIE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SRTP | VTD_GCMD_QIE);
}

void enable_translation(struct guest *guest)
{
        enable_queue(guest);
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE);
        fake_backend_forget(guest->broker);
}

void queue_descriptor(struct guest *guest, uint64_t first, uint64_t second)
{
        guest_put64(guest, QUEUE + guest->tail, first);
        guest_put64(guest, QUEUE + guest->tail + 8, second);
        guest_put64(guest, QUEUE + guest->tail + 16, 0);
        guest_put64(guest, QUEUE + guest->tail + 24, 0);
        guest->tail = (guest->tail + 32) % 4096;
}

void kick(struct guest *guest)
{
        write32(guest, VTD_REG_IQT, guest->tail);
}

void invalidate(struct guest *guest, uint64_t first, uint64_t second)
{
        queue_descriptor(guest, first, second);
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
}

enum vtd_frontend_binding binding_of(struct guest *guest, unsigned rid)
{
        enum vtd_frontend_binding binding;

        assert_int_equal(vtd_frontend_get_binding(guest->unit, (uint16_t)rid, &binding), 0);
        return binding;
}

enum vtd_frontend_binding pasid_binding_of(struct guest *guest, unsigned rid, unsigned pasid)
{
        enum vtd_frontend_binding binding;

        assert_int_equal(
                vtd_frontend_get_pasid_binding(guest->unit, (uint16_t)rid, pasid, &binding), 0);
        return binding;
}

unsigned pasid_fault_reason(struct guest *guest, unsigned rid, unsigned pasid)
{
        uint64_t high = read64(guest, VTD_REG_FRCD + 8);

        assert_int_equal((high >> 31) & 1, pasid != 0);
        assert_int_equal((high >> 40) & 0xfffff, pasid);
        return fault_reason(guest, rid);
}

unsigned fault_reason(struct guest *guest, unsigned rid)
{
        uint64_t high = read64(guest, VTD_REG_FRCD + 8);

        assert_true(read32(guest, VTD_REG_FSTS) & VTD_FSTS_PPF);
        assert_int_equal(high >> 63, 1);
        assert_int_equal(high & 0xffff, rid);
        return (high >> 32) & 0xff;
}

void clear_faults(struct guest *guest)
{
        for (unsigned i = 0; i < 8; i++)
                write32(guest, VTD_REG_FRCD + i * VTD_FRCD_SIZE + 12, VTD_FRCD_F);
        write32(guest, VTD_REG_FSTS, 0xff);
        assert_int_equal(read32(guest, VTD_REG_FSTS) & 0xff, 0);
}
