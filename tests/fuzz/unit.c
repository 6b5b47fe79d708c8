/* SPDX-License-Identifier: MIT */
/* See unit.h.  Looks into the unit where its public interface does not say what is needed. */
#include "tests/fuzz/unit.h"

#include <errno.h>
#include <string.h>

#include "shared/checked.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/fuzz.h"

static bool is_memory(uint64_t gpa, size_t size)
{
        return vtd_range_within(gpa, size, FUZZ_MEMORY_SIZE);
}

void fuzz_put64(struct fuzz_unit *fuzz, uint64_t gpa, uint64_t value)
{
        if (is_memory(gpa, sizeof(value)))
                memcpy(fuzz->memory + gpa, &value, sizeof(value));
}

uint64_t fuzz_get64(const struct fuzz_unit *fuzz, uint64_t gpa)
{
        uint64_t value = 0;

        if (is_memory(gpa, sizeof(value)))
                memcpy(&value, fuzz->memory + gpa, sizeof(value));
        return value;
}

/* Also from callbacks, which must not call the unit. */
static uint32_t get32(const struct fuzz_unit *fuzz, unsigned offset)
{
        return vtd_registers_get32(&fuzz->unit->engine.registers, offset);
}

/* Adds what @binding's table owes to an invalidation of pages, or of all of it. */
static void demand(struct fuzz_unit *fuzz, const struct vtd_binding *binding, bool pages)
{
        struct fuzz_demand new = {.table = binding->table};
        unsigned mask = fuzz->words[1] & 0x3f;

        if (pages && mask < 45 && fuzz->words[1] >> 57 == 0) {
                new.size = VTD_PAGE_SIZE << mask;
                new.address = fuzz->words[1] & ~(new.size - 1);
                new.leaf = fuzz->words[1] & 0x40;
        }
        if (fuzz->demands_count < FUZZ_DEMANDS_MAX)
                fuzz->demands[fuzz->demands_count++] = new;
}

/* By the architecture, what a descriptor invalidates in the tables that are in use. */
static void add_demands(struct fuzz_unit *fuzz)
{
        const struct vtd_bindings *bindings = &fuzz->unit->engine.bindings;
        unsigned type = fuzz->words[0] & 0xf, granularity = (fuzz->words[0] >> 4) & 3;
        uint16_t domain = (fuzz->words[0] >> 16) & 0xffff;
        uint32_t pasid = (fuzz->words[0] >> 32) & 0xfffff;

        if (type != VTD_DESCRIPTOR_IOTLB && type != VTD_DESCRIPTOR_PASID_IOTLB)
                return;
        for (size_t i = 0; i < bindings->end; i++) {
                const struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used || !binding->cached || binding->table == 0)
                        continue;
                if (binding->entry.domain_id != domain &&
                    !(type == VTD_DESCRIPTOR_IOTLB && granularity == 1))
                        continue;
                if (type == VTD_DESCRIPTOR_PASID_IOTLB && binding->entry.pasid != pasid)
                        continue;
                demand(fuzz, binding, type == VTD_DESCRIPTOR_PASID_IOTLB && granularity == 3);
        }
}

static void drop_demand(struct fuzz_unit *fuzz, size_t index)
{
        fuzz->demands[index] = fuzz->demands[--fuzz->demands_count];
}

/* What is attached no more cannot be stale; attached again, it is another table. */
static void drop_moot_demands(struct fuzz_unit *fuzz)
{
        size_t i = 0;

        while (i < fuzz->demands_count) {
                if (!fuzz_broker_uses(fuzz->broker, fuzz->demands[i].table))
                        drop_demand(fuzz, i);
                else
                        i++;
        }
}

/* Of something that requests of emulated devices are translated by. */
static bool is_invalidation(const uint64_t *words)
{
        unsigned type = words[0] & 0xf;

        return type == VTD_DESCRIPTOR_CONTEXT_CACHE || type == VTD_DESCRIPTOR_IOTLB ||
               type == VTD_DESCRIPTOR_PASID_IOTLB || type == VTD_DESCRIPTOR_PASID_CACHE;
}

struct fuzz_access *fuzz_begin_access(struct fuzz_unit *fuzz, unsigned index)
{
        struct fuzz_access *access = &fuzz->accesses[index % FUZZ_ACCESSES];

        if (!access->open) {
                access->open = true;
                access->begun = fuzz->invalidations;
                vtd_frontend_access_begin(fuzz->unit, &access->access);
        }
        return access;
}

void fuzz_end_access(struct fuzz_unit *fuzz, unsigned index)
{
        struct fuzz_access *access = &fuzz->accesses[index % FUZZ_ACCESSES];

        if (access->open)
                vtd_frontend_access_end(fuzz->unit, &access->access);
        access->open = false;
}

void fuzz_end_accesses(struct fuzz_unit *fuzz)
{
        for (unsigned i = 0; i < FUZZ_ACCESSES; i++)
                fuzz_end_access(fuzz, i);
}

static bool is_drained(const struct fuzz_unit *fuzz)
{
        for (size_t i = 0; i < FUZZ_ACCESSES; i++)
                if (fuzz->accesses[i].open && fuzz->accesses[i].begun != fuzz->invalidations)
                        return false;
        return true;
}

/* By the architecture, the entries that an interrupt-entry-cache descriptor names. */
static void add_interrupts(struct fuzz_unit *fuzz)
{
        uint32_t count = UINT32_C(1) << (fuzz->words[0] >> 27 & 0xf);
        struct fuzz_interrupts new = {.first = 0, .count = 65536};

        if ((fuzz->words[0] & 0xf) != VTD_DESCRIPTOR_INTERRUPT_ENTRY_CACHE ||
            !fuzz->interrupts_watched || !fuzz->config.interrupt_remapping)
                return;
        if (fuzz->words[0] & 0x10)
                new = (struct fuzz_interrupts){
                        .first = (fuzz->words[0] >> 32 & 0xffff) / count * count, .count = count};
        if (fuzz->interrupts_count < FUZZ_DEMANDS_MAX)
                fuzz->interrupts[fuzz->interrupts_count++] = new;
}

static bool is_valid(const struct fuzz_unit *fuzz)
{
        const struct vtd_engine *engine = &fuzz->unit->engine;

        return fuzz_is_valid_descriptor(&fuzz->config, fuzz->words,
                                        engine->queue.descriptor_size == 32,
                                        VTD_RTADDR_TTM(engine->root));
}

/* A wait descriptor is refused also for where its status is to go. */
static void check_refusal(struct fuzz_unit *fuzz)
{
        uint32_t error = get32(fuzz, VTD_REG_IQERCD);

        if (!(get32(fuzz, VTD_REG_FSTS) & VTD_FSTS_IQE) ||
            (error != VTD_QUEUE_ERROR_TYPE && error != VTD_QUEUE_ERROR_RESERVED))
                return;
        FUZZ_REQUIRE(!fuzz->valid || (fuzz->words[0] & 0x2f) == 0x25);
        fuzz->fetched = false;
}

/*
 * What was read from the head of the queue was a descriptor if the unit holds one now, or has
 * completed or refused one since.  Called whenever the unit comes out, so that there is one at most.
 */
static void catch_up(void *opaque)
{
        struct fuzz_unit *fuzz = opaque;
        const struct vtd_engine *engine = &fuzz->unit->engine;
        uint64_t completed = engine->stats.descriptors - fuzz->descriptors;
        bool taken = engine->held && !engine->held_error;

        drop_moot_demands(fuzz);
        FUZZ_REQUIRE(completed <= 1);
        fuzz->descriptors = engine->stats.descriptors;
        if (!fuzz->fetched)
                return;
        if (!taken && completed == 0) {
                check_refusal(fuzz);
                return;
        }
        fuzz->fetched = false;
        FUZZ_REQUIRE(fuzz->valid);
        fuzz->invalidations += is_invalidation(fuzz->words);
        add_demands(fuzz);
        add_interrupts(fuzz);
}

void fuzz_interrupts_changed(void *opaque, uint32_t first, uint32_t count)
{
        struct fuzz_unit *fuzz = opaque;
        size_t i = 0;

        FUZZ_REQUIRE(!fuzz->translating && count > 0 && vtd_range_within(first, count, 65536));
        catch_up(fuzz);
        while (i < fuzz->interrupts_count) {
                const struct fuzz_interrupts *wanted = &fuzz->interrupts[i];

                if (vtd_range_contains(first, count, wanted->first, wanted->count))
                        fuzz->interrupts[i] = fuzz->interrupts[--fuzz->interrupts_count];
                else
                        i++;
        }
}

static bool is_met(const struct fuzz_demand *wanted, const struct vtd_invalidate_request *done)
{
        if (wanted->table != done->table)
                return false;
        for (size_t i = 0; i < done->count; i++) {
                const struct vtd_invalidate_entry *entry = &done->entries[i];

                if (entry->pages == VTD_INVALIDATE_ALL)
                        return true;
                if (wanted->size != 0 && (wanted->leaf || !entry->leaf) &&
                    vtd_range_contains(entry->address, entry->pages * VTD_PAGE_SIZE,
                                       wanted->address, wanted->size))
                        return true;
        }
        return false;
}

static void invalidated(void *opaque, const struct vtd_invalidate_request *request)
{
        struct fuzz_unit *fuzz = opaque;
        size_t i = 0;

        while (i < fuzz->demands_count) {
                if (is_met(&fuzz->demands[i], request))
                        drop_demand(fuzz, i);
                else
                        i++;
        }
}

static void store_between_reads(struct fuzz_unit *fuzz)
{
        for (size_t i = 0; i < FUZZ_STORES_MAX; i++) {
                struct fuzz_store *store = &fuzz->stores[i];

                if (store->after != 0 && --store->after == 0)
                        fuzz_put64(fuzz, store->gpa, store->value);
        }
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct fuzz_unit *fuzz = opaque;
        const struct vtd_engine *engine = &fuzz->unit->engine;
        uint64_t head = get32(fuzz, VTD_REG_IQH);

        FUZZ_REQUIRE(size > 0 && size <= 4096);
        FUZZ_REQUIRE(!fuzz->told_lost || fuzz->translating);
        if (!fuzz->translating)
                catch_up(fuzz);
        fuzz->reads++;
        if (!is_memory(gpa, size))
                return -EFAULT;
        memcpy(data, fuzz->memory + gpa, size);
        if (!fuzz->translating && !engine->held && engine->queue.enabled &&
            gpa == engine->queue.base + head && size == engine->queue.descriptor_size) {
                memset(fuzz->words, 0, sizeof(fuzz->words));
                memcpy(fuzz->words, data, size);
                fuzz->fetched = true;
                fuzz->valid = is_valid(fuzz);
        }
        store_between_reads(fuzz);
        return 0;
}

/* Accessed and dirty bits of either stage, and EA; they are set only. */
static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct fuzz_unit *fuzz = opaque;

        FUZZ_REQUIRE(fuzz->translating && gpa % 8 == 0);
        FUZZ_REQUIRE((expected & ~desired) == 0 && ((expected ^ desired) & ~UINT64_C(0x760)) == 0);
        if (!is_memory(gpa, sizeof(*found)) || gpa >= FUZZ_READ_ONLY)
                return -EFAULT;
        *found = fuzz_get64(fuzz, gpa);
        if (*found == expected)
                fuzz_put64(fuzz, gpa, desired);
        return 0;
}

/* Of all that a unit does, only the completion of a wait descriptor writes to memory. */
static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct fuzz_unit *fuzz = opaque;
        uint32_t value;

        FUZZ_REQUIRE(!fuzz->translating);
        catch_up(fuzz);
        FUZZ_REQUIRE(size == 4 && gpa % 4 == 0);
        FUZZ_REQUIRE(is_drained(fuzz));
        FUZZ_REQUIRE(!fuzz->told_lost && !fuzz->broker->unanswered);
        FUZZ_REQUIRE(fuzz->demands_count == 0 && fuzz->interrupts_count == 0);
        FUZZ_REQUIRE((fuzz->words[0] & 0xe2f) == 0x25 && (fuzz->words[1] & ~UINT64_C(3)) == gpa);
        memcpy(&value, data, sizeof(value));
        FUZZ_REQUIRE(value == fuzz->words[0] >> 32);
        FUZZ_REQUIRE(gpa / VTD_PAGE_SIZE != fuzz->config.register_base / VTD_PAGE_SIZE);
        if (!is_memory(gpa, size) || gpa >= FUZZ_READ_ONLY)
                return -EFAULT;
        memcpy(fuzz->memory + gpa, data, size);
        return 0;
}

static bool is_event(const struct fuzz_unit *fuzz, unsigned control, uint64_t address,
                     uint32_t data)
{
        return !(get32(fuzz, control) & VTD_ECTL_IM) && get32(fuzz, control + 4) == data &&
               vtd_registers_get64(&fuzz->unit->engine.registers, control + 8) == address;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct fuzz_unit *fuzz = opaque;
        bool fault = is_event(fuzz, VTD_REG_FECTL, address, data);

        if (!fuzz->translating)
                catch_up(fuzz);
        FUZZ_REQUIRE(fault || is_event(fuzz, VTD_REG_IECTL, address, data));
}

static void take_line(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        (void)opaque;
        FUZZ_REQUIRE(level >= VTD_FRONTEND_LOG_ERROR && level <= VTD_FRONTEND_LOG_DEBUG);
        FUZZ_REQUIRE(strlen(line) < VTD_LOG_LINE_SIZE && !strchr(line, '\n'));
}

static void broker_lost(void *opaque)
{
        struct fuzz_unit *fuzz = opaque;

        FUZZ_REQUIRE(!fuzz->told_lost);
        fuzz->told_lost = true;
}

void fuzz_write(struct fuzz_unit *fuzz, uint64_t offset, unsigned size, uint64_t value)
{
        memcpy(fuzz->before, fuzz->unit->engine.registers.dwords, sizeof(fuzz->before));
        vtd_frontend_write(fuzz->unit, offset, size, value);
        fuzz_check_write(fuzz, offset, size);
}

void fuzz_command(struct fuzz_unit *fuzz, uint32_t set, uint32_t clear)
{
        fuzz->command &= ~clear;
        fuzz->command |= set & (VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_IRE | VTD_GCMD_CFI);
        fuzz_write(fuzz, VTD_REG_GCMD, 4, fuzz->command | set);
}

int fuzz_run(struct fuzz_unit *fuzz, unsigned budget)
{
        size_t attaches = fuzz->broker->attaches, invalidates = fuzz->broker->invalidates;
        uint32_t status = get32(fuzz, VTD_REG_FSTS);
        int r;

        fuzz->reads = 0;
        r = vtd_frontend_run(fuzz->unit, budget);
        catch_up(fuzz);
        FUZZ_REQUIRE(r == VTD_FRONTEND_IDLE || r == VTD_FRONTEND_PENDING ||
                     r == VTD_FRONTEND_WAITING || r == VTD_FRONTEND_LOST);
        FUZZ_REQUIRE((r == VTD_FRONTEND_LOST) == fuzz->told_lost);
        FUZZ_REQUIRE(fuzz->reads <= budget);
        FUZZ_REQUIRE(fuzz->broker->attaches - attaches <= (size_t)budget + 1);
        /* Those before an Attach come with the table entry that called for it. */
        FUZZ_REQUIRE(fuzz->broker->invalidates - invalidates <=
                     ((size_t)budget + 1) * (FUZZ_ATTACHMENTS + 1));
        if (r == VTD_FRONTEND_IDLE || (get32(fuzz, VTD_REG_FSTS) & ~status & VTD_FSTS_IQE))
                FUZZ_REQUIRE(fuzz->demands_count == 0 && fuzz->interrupts_count == 0);
        return r;
}

void fuzz_settle(struct fuzz_unit *fuzz, unsigned runs)
{
        while (runs > 0 && fuzz_run(fuzz, 64) == VTD_FRONTEND_PENDING)
                runs--;
}

uint16_t fuzz_rid(unsigned index)
{
        static const uint16_t rids[FUZZ_DEVICES] = {0x0008, 0x0009, 0x0010, 0x0090, 0x0100, 0x01ff};

        return rids[index % FUZZ_DEVICES];
}

uint64_t fuzz_context_gpa(unsigned index)
{
        uint16_t rid = fuzz_rid(index);

        return (rid & 0x80 ? FUZZ_CONTEXT_UPPER : FUZZ_CONTEXT_LOWER) + (uint64_t)(rid & 0x7f) * 32;
}

uint64_t fuzz_directory_gpa(unsigned index)
{
        return FUZZ_DIRECTORIES + (uint64_t)(index % FUZZ_DEVICES) * VTD_PAGE_SIZE;
}

/* Any configuration that is possible: what needs something else is offered only together with it. */
static void choose_config(struct vtd_frontend_config *config, const struct fuzz_step *scene)
{
        /* One bit for almost everything, so that it need not be found piece by piece. */
        uint64_t more = scene->d | (scene->d & 0x4000000 ? 0x10f38 : 0);

        config->first_stage_1gib = scene->a & 0x1;
        config->snoop_control = scene->a & 0x2;
        config->pasid_bits = scene->a & 0x4 ? 0 : scene->a & 0x8 ? 1 + scene->b % 20u : 20;
        config->fault_records = more & 0x1 ? 222 : 1 + (scene->a >> 4) % 8u;
        config->first_stage_5level = more & 0x8;
        config->supervisor_requests = more & 0x10;
        config->extended_accessed = more & 0x20;
        config->second_stage_widths = more >> 6 & 0xe;
        if (config->second_stage_widths != 0) {
                config->second_stage_dirty = more & 0x400;
                config->nested = more & 0x800;
                config->first_stage = config->first_stage_1gib || config->first_stage_5level ||
                                      config->supervisor_requests || config->extended_accessed ||
                                      config->nested || !(more & 0x1000);
        }
        config->caching_mode = (more & 0xe000) != 0xe000;
        config->interrupt_remapping = more & 0x10000;
        config->extended_interrupt_mode = (more & 0x30000) == 0x30000;
        config->address_bits = scene->a & 0x80 ? 39 : 48;
        if (config->first_stage_5level && more & 0x40000)
                config->address_bits = 57;
        if (more & 0x80000)
                config->host_address_bits = 32 + (more >> 20) % 21u;
        if (more & 0x2000000)
                config->register_base = FUZZ_STATUS;
}

/* What the guest is offered, and what the broker grants. */
static void set_scene(struct fuzz_unit *fuzz, const struct fuzz_step *scene)
{
        static const uint32_t pasids[] = {8, 0, 1, VTD_LIMIT_ATTACHMENTS};
        const struct vtd_frontend_config initial = VTD_FRONTEND_CONFIG_DEFAULT;
        struct vtd_frontend_config *config = &fuzz->config;
        struct fuzz_broker *broker = fuzz->broker;

        *config = initial;
        choose_config(config, scene);
        broker->modes = scene->c & 0x1 ? (scene->c >> 1) & 7 : 7;
        broker->pasids = pasids[(scene->c >> 4) & 3];
        broker->pasid_bits = scene->c & 0x40 ? 0 : 20;
        broker->guest_pasid_bits = config->pasid_bits;
        broker->guest_address_width = config->first_stage_5level ? 57 : 48;
        broker->guest_flags =
                (config->supervisor_requests ? 0x5 : 0) | (config->extended_accessed ? 0x2 : 0);
        broker->cap |= VTD_CAP_FS1GP | VTD_CAP_FS5LP;
        broker->ecap |= VTD_ECAP_SC | VTD_ECAP_SRS | VTD_ECAP_EAFS;
        if (scene->c & 0x80)
                broker->cap ^= UINT64_C(1) << (scene->c >> 8 & 63);
        if (scene->c & 0x4000)
                broker->ecap ^= UINT64_C(1) << (scene->c >> 16 & 63);
}

static void set_up(struct fuzz_unit *fuzz, const struct fuzz_step *scene)
{
        const struct vtd_frontend_callbacks callbacks = {
                .read_memory = read_memory,
                .write_memory = write_memory,
                .compare_exchange = compare_exchange,
                .send_message = send_message,
                .log = take_line,
                .broker_lost = broker_lost,
        };
        struct fuzz_broker *broker = fuzz_broker_new();

        fuzz->memory = calloc(1, FUZZ_MEMORY_SIZE);
        FUZZ_REQUIRE(fuzz->memory != NULL);
        fuzz->broker = broker;
        set_scene(fuzz, scene);
        FUZZ_REQUIRE(vtd_frontend_new(&fuzz->unit, &fuzz->config, &callbacks, fuzz) == 0);
        FUZZ_REQUIRE(vtd_frontend_set_backend(fuzz->unit, &broker->base, NULL) == 0);
        broker->opaque = fuzz;
        broker->before = catch_up;
        broker->invalidated = invalidated;
}

/* Many bindings take long to compare with what the broker holds: now and then is enough. */
static void check(struct fuzz_unit *fuzz)
{
        fuzz->checks++;
        fuzz_check_registers(fuzz);
        if (fuzz->unit->engine.bindings.end < 64 || fuzz->checks % 16 == 0)
                fuzz_check_bindings(fuzz);
}

void fuzz_unit_play(const uint8_t *data, size_t size,
                    void (*begin)(struct fuzz_unit *fuzz, const struct fuzz_step *scene),
                    const fuzz_operation *operations, size_t count)
{
        struct fuzz_unit *fuzz = calloc(1, sizeof(*fuzz));
        struct fuzz_step step = {0};

        FUZZ_REQUIRE(fuzz != NULL);
        /* No input at all is a unit that nothing happens to: libFuzzer begins there. */
        (void)fuzz_program_get(data, size, 0, &step);
        set_up(fuzz, &step);
        check(fuzz);
        begin(fuzz, &step);
        check(fuzz);
        for (size_t i = 1; fuzz_program_get(data, size, i, &step); i++) {
                operations[step.operation % count](fuzz, &step);
                check(fuzz);
        }
        fuzz_end_accesses(fuzz);
        fuzz_check_outcome(fuzz);
        check(fuzz);
        fuzz->unit = vtd_frontend_free(fuzz->unit);
        free(fuzz->memory);
        free(fuzz);
}
