/* SPDX-License-Identifier: MIT */
/*
 * test-model [--actions N] [--seed S]: random guests against the reference model.
 *
 * Each run is of one configuration of the unit and one seed; everything that happens in it follows
 * from the two.  Without --seed a fixed set of seeds is used and one that no run had before, which
 * is printed: what it finds is repeated with --seed.  The answers that the unit gave are counted,
 * and a run in which anything worth testing did not happen at all is a failure.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tests/model/model.h"

#ifndef VTD_MODEL_ACTIONS
#define VTD_MODEL_ACTIONS 1000000u
#endif

/* Below so many actions, what is rare may not happen. */
#define ENOUGH 50000u

static const struct {
        const char *name;
        struct vtd_frontend_config config;
} configurations[] = {
        {"everything",
         {.first_stage = true,
          .first_stage_1gib = true,
          .first_stage_5level = true,
          .supervisor_requests = true,
          .extended_accessed = true,
          .second_stage_widths =
                  VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48 | VTD_FRONTEND_WIDTH_57,
          .second_stage_dirty = true,
          .nested = true,
          .caching_mode = true,
          .snoop_control = true,
          .pasid_bits = 20,
          .fault_records = 4,
          .address_bits = 57,
          .host_address_bits = 52,
          .register_base = VTD_FRONTEND_REGISTER_BASE}},
        {"nested",
         {.first_stage = true,
          .second_stage_widths = VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48,
          .nested = true,
          .pasid_bits = 20,
          .fault_records = 8,
          .address_bits = 48,
          .host_address_bits = 46,
          .register_base = VTD_FRONTEND_REGISTER_BASE}},
        {"first stage",
         {.first_stage = true,
          .first_stage_1gib = true,
          .supervisor_requests = true,
          .caching_mode = true,
          .snoop_control = true,
          .pasid_bits = 16,
          .fault_records = 1,
          .address_bits = 48,
          .host_address_bits = 40,
          .register_base = VTD_FRONTEND_REGISTER_BASE}},
        {"second stage",
         {.second_stage_widths = VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48,
          .second_stage_dirty = true,
          .caching_mode = true,
          .pasid_bits = 20,
          .fault_records = 2,
          .address_bits = 44,
          .host_address_bits = 52,
          .register_base = VTD_FRONTEND_REGISTER_BASE}},
};

#define CONFIGURATIONS (sizeof(configurations) / sizeof(configurations[0]))

bool model_fail(struct model *model, const char *format, ...)
{
        va_list arguments;

        if (model->failed)
                return false;
        model->failed = true;
        va_start(arguments, format);
        (void)vsnprintf(model->message, sizeof(model->message), format, arguments);
        va_end(arguments);
        return false;
}

static bool act(struct model *model)
{
        static const struct {
                unsigned weight; /* of 1000 */
                bool (*action)(struct model *model);
        } actions[] = {
                {560, model_translate},  {140, model_invalidate}, {10, model_hold_invalidation},
                {2, model_hold_command}, {1, model_set_root},     {1, model_switch_translation},
                {1, model_switch_queue}, {1, model_restore},      {8, model_impossible_request},
                {120, faults_clear},     {6, watch_change},       {10, model_race},
        };
        unsigned which = random_below(&model->random, 1000);

        if (caches_are_full(&model->caches) && !model_invalidate_all(model))
                return false;
        /* Without these two nothing much happens, so they do not stay off for long. */
        if (!model->enabled && random_percent(&model->random, 5))
                return model_switch_translation(model);
        if (!model->queue_enabled && random_percent(&model->random, 5))
                return model_switch_queue(model);
        if (((model->root >> 10) & 3) != 1 && random_percent(&model->random, 5))
                return model_set_root(model);
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
                if (which < actions[i].weight)
                        return actions[i].action(model);
                which -= actions[i].weight;
        }
        if (which == 0 && random_percent(&model->random, 20))
                return model_reset(model);
        world_change(model);
        return true;
}

struct vtd_frontend *model_new_unit(struct model *model)
{
        const struct vtd_frontend_callbacks callbacks = {
                .read_memory = memory_read,
                .write_memory = memory_write,
                .compare_exchange = memory_compare_exchange,
                .send_message = memory_send_message,
        };
        struct vtd_frontend *unit = NULL;

        if (vtd_frontend_new(&unit, &model->config, &callbacks, &model->memory) != 0)
                (void)model_fail(model, "there is no unit of this configuration");
        return unit;
}

static bool begin(struct model *model, unsigned configuration, uint64_t seed)
{
        model->config = configurations[configuration].config;
        model->random = random_seed(seed + configuration);
        model->unit = model_new_unit(model);
        if (!model->unit)
                return false;
        model->frcd = 16 * ((vtd_frontend_read(model->unit, 8, 8) >> 24) & 0x3ff);
        world_fill(model);
        return model_settle(model) && model_start(model);
}

/* Adds what one run counted to @total. */
static void add_statistics(struct statistics *total, const struct statistics *stats)
{
#define STATISTIC(name, text) total->name += stats->name;
        STATISTICS(STATISTIC)
#undef STATISTIC
        for (unsigned i = 0; i < 256; i++)
                total->reasons[i] += stats->reasons[i];
}

/* Prints them; the number of those that are zero. */
static unsigned show_statistics(const struct statistics *stats)
{
        unsigned zeros = 0;

#define STATISTIC(name, text)                                                                      \
        (void)printf("# %10llu %s\n", (unsigned long long)stats->name, text);                      \
        zeros += stats->name == 0;
        STATISTICS(STATISTIC)
#undef STATISTIC
        (void)printf("# faults recorded by reason:");
        for (unsigned i = 0; i < 256; i++)
                if (stats->reasons[i] != 0)
                        (void)printf(" %02xh:%llu", i, (unsigned long long)stats->reasons[i]);
        (void)printf("\n");
        return zeros;
}

static bool run(unsigned test, unsigned configuration, uint64_t seed, unsigned long actions,
                struct statistics *total)
{
        struct model *model = calloc(1, sizeof(*model));
        unsigned long done = 0;
        bool good;

        if (!model)
                return false;
        good = begin(model, configuration, seed);
        while (good && done < actions) {
                good = act(model) && !model->failed;
                done++;
        }
        watch_end(model);
        (void)printf("%s %u - %s, seed %llu, %lu actions\n", good ? "ok" : "not ok", test,
                     configurations[configuration].name, (unsigned long long)seed, done);
        if (!good)
                (void)printf("# action %lu: %s\n# repeat with: --seed %llu --actions %lu\n", done,
                             model->message, (unsigned long long)seed, actions * CONFIGURATIONS);
        add_statistics(total, &model->stats);
        model->unit = vtd_frontend_free(model->unit);
        free(model);
        return good;
}

static int run_seeds(const uint64_t *seeds, unsigned count, unsigned long actions)
{
        unsigned long each = actions / (count * CONFIGURATIONS);
        struct statistics total = {.fresh = 0};
        unsigned failures = 0, tests = count * CONFIGURATIONS, zeros;

        (void)printf("1..%u\n", tests + 1);
        for (unsigned i = 0; i < tests; i++)
                failures +=
                        !run(i + 1, i % CONFIGURATIONS, seeds[i / CONFIGURATIONS], each, &total);
        zeros = show_statistics(&total);
        if (actions < ENOUGH)
                zeros = 0;
        (void)printf("%s %u - everything that is counted happened\n", zeros ? "not ok" : "ok",
                     tests + 1);
        return failures + zeros > 0 ? 1 : 0;
}

static int usage(void)
{
        (void)fprintf(stderr, "usage: test-model [--actions N] [--seed S]\n");
        return 2;
}

static bool take_number(const char *text, unsigned long long *number)
{
        char *end;

        errno = 0;
        *number = strtoull(text, &end, 10);
        return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0';
}

int main(int argc, char **argv)
{
        uint64_t seeds[] = {1, 2, 3, 0};
        unsigned long long actions = VTD_MODEL_ACTIONS, seed = 0;
        bool one = false;

        for (int i = 1; i < argc; i += 2) {
                bool is_seed = strcmp(argv[i], "--seed") == 0;

                if (i + 1 == argc || (!is_seed && strcmp(argv[i], "--actions") != 0) ||
                    !take_number(argv[i + 1], is_seed ? &seed : &actions))
                        return usage();
                one |= is_seed;
        }
        if (one) {
                seeds[0] = seed;
                return run_seeds(seeds, 1, actions);
        }
        if (getrandom(&seeds[3], sizeof(seeds[3]), 0) != (ssize_t)sizeof(seeds[3]))
                return 1;
        seeds[3] &= UINT64_C(0xffffffff);
        return run_seeds(seeds, 4, actions);
}
