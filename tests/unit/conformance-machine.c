/* SPDX-License-Identifier: MIT */
/* See conformance-machine.h. */
#include "tests/unit/conformance-machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool is_memory(uint64_t gpa, size_t size)
{
        return size <= MEMORY_SIZE && gpa <= MEMORY_SIZE - size;
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct machine *m = opaque;

        if (!is_memory(gpa, size))
                return -EFAULT;
        memcpy(data, m->memory + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct machine *m = opaque;

        if (!is_memory(gpa, size))
                return -EFAULT;
        memcpy(m->memory + gpa, data, size);
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct machine *m = opaque;

        if (!is_memory(gpa, sizeof(expected)))
                return -EFAULT;
        *found = expected;
        (void)__atomic_compare_exchange_n((uint64_t *)(void *)(m->memory + gpa), found, desired,
                                          false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return 0;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct machine *m = opaque;

        m->messages++;
        m->message_address = address;
        m->message_data = data;
}

struct vtd_frontend_config machine_config(void)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;

        config.second_stage_widths = VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48;
        config.caching_mode = false;
        config.host_address_bits = 40;
        return config;
}

void machine_configure(struct machine *m, const struct vtd_frontend_config *config)
{
        const struct vtd_frontend_callbacks callbacks = {
                .read_memory = read_memory,
                .write_memory = write_memory,
                .compare_exchange = compare_exchange,
                .send_message = send_message,
        };

        m->unit = vtd_frontend_free(m->unit);
        m->command = 0;
        m->tail = 0;
        m->messages = 0;
        assert_int_equal(vtd_frontend_new(&m->unit, config, &callbacks, m), 0);
}

int machine_setup(void **state)
{
        const struct vtd_frontend_config config = machine_config();
        struct machine *m = calloc(1, sizeof(*m));

        assert_non_null(m);
        m->parameter = *state;
        m->rid = RID;
        m->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(m->memory != MAP_FAILED);
        machine_configure(m, &config);
        *state = m;
        return 0;
}

int machine_teardown(void **state)
{
        struct machine *m = *state;

        m->unit = vtd_frontend_free(m->unit);
        assert_int_equal(munmap(m->memory, MEMORY_SIZE), 0);
        free(m);
        return 0;
}

void put64(struct machine *m, uint64_t gpa, uint64_t value)
{
        assert_int_equal(write_memory(m, gpa, &value, sizeof(value)), 0);
}

uint64_t get64(const struct machine *m, uint64_t gpa)
{
        uint64_t value;

        assert_true(is_memory(gpa, sizeof(value)));
        memcpy(&value, m->memory + gpa, sizeof(value));
        return value;
}

uint32_t reg32(struct machine *m, unsigned offset)
{
        return (uint32_t)vtd_frontend_read(m->unit, offset, 4);
}

uint64_t reg64(struct machine *m, unsigned offset)
{
        return vtd_frontend_read(m->unit, offset, 8);
}

void set32(struct machine *m, unsigned offset, uint32_t value)
{
        vtd_frontend_write(m->unit, offset, 4, value);
}

void set64(struct machine *m, unsigned offset, uint64_t value)
{
        vtd_frontend_write(m->unit, offset, 8, value);
}

void settle(struct machine *m)
{
        assert_int_equal(vtd_frontend_run(m->unit, 10000), VTD_FRONTEND_IDLE);
}

void command(struct machine *m, uint32_t bit)
{
        m->command |= bit;
        set32(m, REG_GCMD, m->command);
        settle(m);
}

void command_off(struct machine *m, uint32_t bit)
{
        m->command &= ~bit;
        set32(m, REG_GCMD, m->command);
        settle(m);
}

static void put_context(struct machine *m, unsigned rid)
{
        put64(m, CONTEXT_TABLE + rid * 32, DIRECTORY | BIT(3) | 1); /* PASIDE */
}

void put_pages(struct machine *m, unsigned type, uint64_t target, uint64_t next_target)
{
        uint64_t page = type == SECOND_STAGE ? SS_ENTRY : FS_PAGE;

        put64(m, LEVEL_1, target | page);
        put64(m, LEVEL_1 + 8, next_target | page);
}

void put_tables(struct machine *m, unsigned type)
{
        uint64_t table = type == SECOND_STAGE ? SS_ENTRY : FS_TABLE;

        put64(m, ROOT_TABLE, CONTEXT_TABLE | 1);
        put64(m, ROOT_TABLE + 8, CONTEXT_TABLE | 1);
        put_context(m, RID);
        put_context(m, OTHER_RID);
        put64(m, DIRECTORY, PASID_TABLE | 1);
        put64(m, PASID_ENTRY, 1 | 2 << 2 | (uint64_t)type << 6);
        put64(m, PASID_ENTRY + 8, DOMAIN | BIT(23)); /* PWSNP */
        if (type == FIRST_STAGE || type == NESTED)
                put64(m, PASID_ENTRY + 16, LEVEL_4);
        if (type == SECOND_STAGE)
                put64(m, PASID_ENTRY, get64(m, PASID_ENTRY) | LEVEL_4);
        if (type == NESTED) {
                put64(m, PASID_ENTRY, get64(m, PASID_ENTRY) | UINT64_C(0x10014000));
                put64(m, 0x10014000, UINT64_C(0x10015000) | SS_ENTRY);
                put64(m, 0x10015000, SS_ENTRY | BIT(7));
        }
        put64(m, LEVEL_4, (LEVEL_3 & ~UINT64_C(0xfff)) | table);
        put64(m, LEVEL_3, (LEVEL_2 & ~UINT64_C(0xfff)) | table);
        put64(m, LEVEL_2, LEVEL_1 | table);
        put_pages(m, type, TARGET, NEXT_TARGET);
}

void enable(struct machine *m)
{
        set64(m, REG_RTADDR, ROOT_TABLE | 0x400);
        command(m, SRTP);
        assert_int_equal(reg32(m, REG_GSTS), SRTP);
        set64(m, REG_IQA, QUEUE | 0x800);
        set32(m, REG_IQT, 0);
        command(m, QIE);
        assert_int_equal(reg32(m, REG_GSTS), SRTP | QIE);
        set32(m, REG_FECTL, 0);
        set32(m, REG_FEDATA, 0x41);
        set32(m, REG_FEADDR, 0xfee00000);
        command(m, TE);
        assert_int_equal(reg32(m, REG_GSTS), SRTP | QIE | TE);
}

void queue_only(struct machine *m, uint64_t first, uint64_t second)
{
        put64(m, QUEUE + m->tail, first);
        put64(m, QUEUE + m->tail + 8, second);
        put64(m, QUEUE + m->tail + 16, 0);
        put64(m, QUEUE + m->tail + 24, 0);
        m->tail = (m->tail + 32) % 4096;
        set32(m, REG_IQT, m->tail);
        settle(m);
}

void invalidate(struct machine *m, uint64_t first, uint64_t second)
{
        m->waits++;
        queue_only(m, first, second);
        queue_only(m, WAIT(m->waits));
        assert_int_equal((uint32_t)get64(m, STATUS), m->waits);
        assert_int_equal(reg32(m, REG_IQH), m->tail);
        assert_int_equal(reg32(m, REG_FSTS) & FSTS_IQE, 0);
}

/* One part of an access: as much as one translation covers.  Advances *@address, *@size. */
static int move_part(struct machine *m, const struct vtd_frontend_access *access, bool write,
                     uint64_t *address, uint8_t **data, size_t *size)
{
        const struct vtd_frontend_dma_request request = {
                .rid = m->rid,
                .with_pasid = m->with_pasid,
                .pasid = m->pasid,
                .privileged = m->privileged,
                .access = write ? VTD_FRONTEND_DMA_WRITE : VTD_FRONTEND_DMA_READ,
                .address = *address,
                .size = *size,
        };
        struct vtd_frontend_dma_translation t;
        uint64_t offset, part;
        int r;

        r = vtd_frontend_translate(m->unit, access, &request, &t);
        if (r != 0)
                return r;
        assert_int_equal(t.size & (t.size - 1), 0);
        assert_true(t.size >= 4096);
        assert_int_equal((t.address | t.translated) & (t.size - 1), 0);
        assert_int_equal(t.access & request.access, request.access);
        offset = *address - t.address;
        assert_true(*address >= t.address && offset < t.size);
        part = t.size - offset < *size ? t.size - offset : *size;
        if (write)
                r = write_memory(m, t.translated + offset, *data, part);
        else
                r = read_memory(m, t.translated + offset, *data, part);
        assert_int_equal(r, 0);
        *address += part;
        *data += part;
        *size -= part;
        return 0;
}

static int move(struct machine *m, bool write, uint64_t address, uint8_t *data, size_t size)
{
        struct vtd_frontend_access access;
        int r = 0;

        vtd_frontend_access_begin(m->unit, &access);
        while (r == 0 && size > 0)
                r = move_part(m, &access, write, &address, &data, &size);
        vtd_frontend_access_end(m->unit, &access);
        return r;
}

int device_write(struct machine *m, uint64_t address, const void *data, size_t size)
{
        uint8_t copy[64];

        assert_true(size <= sizeof(copy));
        memcpy(copy, data, size);
        return move(m, true, address, copy, size);
}

int device_read(struct machine *m, uint64_t address, void *data, size_t size)
{
        return move(m, false, address, data, size);
}

uint64_t lands_at(struct machine *m, uint64_t address)
{
        static const uint64_t places[] = {TARGET, OTHER_TARGET, NEXT_TARGET};
        uint32_t pattern = UINT32_C(0x12345678) + ++m->waits, found;
        uint64_t place = 0;
        int r = device_write(m, address, &pattern, sizeof(pattern));

        assert_true(r == 0 || r == VTD_FRONTEND_FAULTED);
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                memcpy(&found, m->memory + places[i] + (address & 0xfff), sizeof(found));
                if (found != pattern)
                        continue;
                assert_int_equal(place, 0);
                place = places[i];
        }
        assert_int_equal(place != 0, r == 0);
        return place;
}

unsigned record_offset(struct machine *m)
{
        return (unsigned)((reg64(m, REG_CAP) >> 24) & 0x3ff) * 16;
}

unsigned fault_reason(struct machine *m)
{
        uint64_t high = reg64(m, record_offset(m) + 8);

        assert_int_equal(high >> 63, reg32(m, REG_FSTS) & FSTS_PPF ? 1 : 0);
        if (!(high >> 63))
                return 0;
        assert_int_equal(high & 0xffff, m->rid);
        return (high >> 32) & 0xff;
}

void clear_fault(struct machine *m)
{
        set32(m, record_offset(m) + 12, UINT32_C(0x80000000));
        set32(m, REG_FSTS, FSTS_PFO);
        assert_int_equal(reg32(m, REG_FSTS), 0);
}
