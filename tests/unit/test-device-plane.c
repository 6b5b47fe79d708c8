/* SPDX-License-Identifier: MIT */
/*
 * GetDeviceInfo, ConfigRead, ConfigWrite, SetInterrupt, ClearInterrupts and ResetDevice, over a host
 * in memory: what is judged, charged and told to the host, and what a host that fails leaves behind.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/worker/dispatch.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/unit/vm-fixture.h"

#define INTERRUPTS_LINE (LINE_LIMIT + VTD_POLICY_INTERRUPTS)

static int setup(void **state)
{
        struct fixture *f = fixture_new();

        fixture_grant_config(f);
        fixture_start(f, true);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        fixture_free(*state);
        return 0;
}

static void restart(struct fixture *f)
{
        fixture_stop(f);
        fixture_start(f, true);
}

static struct vtd_request about(enum vtd_request_type type, uint64_t device)
{
        return (struct vtd_request){.type = type, .device = {.device = device}};
}

static struct vtd_request config_request(enum vtd_request_type type, uint64_t device,
                                         uint32_t offset, uint32_t width, uint32_t value)
{
        return (struct vtd_request){
                .type = type,
                .config = {.device = device, .offset = offset, .width = width, .value = value}};
}

static struct vtd_request interrupt_request(enum vtd_request_type type, uint64_t device,
                                            enum vtd_interrupt_kind kind, uint32_t vector)
{
        return (struct vtd_request){
                .type = type, .interrupt = {.device = device, .kind = kind, .vector = vector}};
}

static void must(struct fixture *f, struct vtd_request request, int fd)
{
        assert_int_equal(fixture_call(f, &request, fd), 0);
        if (f->reply.refused)
                fail_msg("refused: %s", vtd_reason_name(f->reply.refusal.reason));
        fixture_check_books(f, false);
}

static void refused(struct fixture *f, struct vtd_request request, int fd, enum vtd_reason reason,
                    uint32_t line)
{
        fixture_expect_refusal(f, &request, fd, reason, line);
}

static uint32_t config_read(struct fixture *f, uint64_t device, uint32_t offset, uint32_t width)
{
        must(f, config_request(VTD_REQUEST_CONFIG_READ, device, offset, width, 0), -1);
        return f->reply.config_read.value;
}

static void config_write(struct fixture *f, uint64_t device, uint32_t offset, uint32_t width,
                         uint32_t value)
{
        must(f, config_request(VTD_REQUEST_CONFIG_WRITE, device, offset, width, value), -1);
}

static void arm(struct fixture *f, uint64_t device, enum vtd_interrupt_kind kind, uint32_t vector)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);

        must(f, interrupt_request(VTD_REQUEST_SET_INTERRUPT, device, kind, vector), fd);
}

static void refuse_arming(struct fixture *f, uint64_t device, enum vtd_interrupt_kind kind,
                          uint32_t vector, enum vtd_reason reason, uint32_t line)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);

        refused(f, interrupt_request(VTD_REQUEST_SET_INTERRUPT, device, kind, vector), fd, reason,
                line);
}

static void disarm(struct fixture *f, uint64_t device, enum vtd_interrupt_kind kind)
{
        must(f, interrupt_request(VTD_REQUEST_CLEAR_INTERRUPTS, device, kind, 0), -1);
}

static struct fake_object *object_of(struct fixture *f, uint64_t device)
{
        return &f->host->objects[fixture_host_id(f, device)];
}

static uint64_t charged(const struct fixture *f)
{
        return vtd_quota_used(&f->vm->quota, VTD_POLICY_INTERRUPTS);
}

static void a_client_of_the_first_version_has_none_of_it(void **state)
{
        struct fixture *f = *state;
        struct vtd_request hello = {.type = VTD_REQUEST_HELLO, .hello = {.major = 1, .minor = 0}};

        for (unsigned type = VTD_REQUEST_GET_DEVICE_INFO; type < VTD_REQUEST_TYPE_END; type++) {
                struct vtd_request request = {.type = type};

                if (type == VTD_REQUEST_CONFIG_READ || type == VTD_REQUEST_CONFIG_WRITE)
                        request.config.width = 4;
                if (type == VTD_REQUEST_SET_INTERRUPT || type == VTD_REQUEST_CLEAR_INTERRUPTS)
                        request.interrupt.kind = VTD_INTERRUPT_MSI;
                fixture_stop(f);
                fixture_start(f, false);
                assert_int_equal(fixture_call(f, &hello, -1), 0);
                assert_int_equal(f->reply.hello.minor, 0);
                assert_int_equal(
                        fixture_call(f, &request, vtd_request_kind(type)->fd_count ? 0 : -1),
                        VTD_VM_E_VIOLATION);
        }
}

static void every_request_names_a_plugged_device(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        uint64_t handles[] = {0, device + 1, UINT64_MAX, device};
        struct vtd_request unplug = {.type = VTD_REQUEST_UNPLUG_DEVICE,
                                     .unplug_device = {.device = device}};

        must(f, unplug, -1);
        f->host->n_calls = 0;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(handles); i++) {
                uint64_t handle = handles[i];

                refused(f, about(VTD_REQUEST_GET_DEVICE_INFO, handle), -1, VTD_REASON_DEVICE_HANDLE,
                        0);
                refused(f, config_request(VTD_REQUEST_CONFIG_READ, handle, 0, 4, 0), -1,
                        VTD_REASON_DEVICE_HANDLE, 0);
                refused(f, config_request(VTD_REQUEST_CONFIG_WRITE, handle, 4, 2, 0), -1,
                        VTD_REASON_DEVICE_HANDLE, 0);
                refuse_arming(f, handle, VTD_INTERRUPT_MSI, 0, VTD_REASON_DEVICE_HANDLE, 0);
                refused(f,
                        interrupt_request(VTD_REQUEST_CLEAR_INTERRUPTS, handle, VTD_INTERRUPT_MSI,
                                          0),
                        -1, VTD_REASON_DEVICE_HANDLE, 0);
                refused(f, about(VTD_REQUEST_RESET_DEVICE, handle), -1, VTD_REASON_DEVICE_HANDLE,
                        0);
        }
        assert_int_equal(f->host->n_calls, 0);
}

static void info_says_what_there_is_and_what_is_granted(void **state)
{
        struct fixture *f = *state;
        const struct vtd_device_info_reply *info = &f->reply.device_info;
        uint64_t device = fixture_plug(f, 0);

        must(f, about(VTD_REQUEST_GET_DEVICE_INFO, device), -1);
        assert_int_equal(info->regions[0].size, 0x100000);
        assert_true(info->regions[0].readable && info->regions[0].writable);
        assert_int_equal(info->regions[1].size, 0);
        assert_false(info->regions[1].readable);
        assert_int_equal(info->regions[2].size, 0x40);
        assert_true(info->regions[2].readable && !info->regions[2].writable);
        assert_true(info->config_readable && info->config_writable && info->can_reset);
        assert_int_equal(info->msi_vectors, 1);
        assert_int_equal(info->msix_vectors, 6); /* of 8 */

        f->policy.devices[0].regions_read = VTD_POLICY_REGION_CONFIG;
        f->policy.devices[0].regions_write = 0;
        f->policy.limits[VTD_POLICY_INTERRUPTS].value = 0;
        restart(f);
        f->host->devices[0].info.can_reset = false;
        f->policy.devices[0].exceptions = VTD_POLICY_ALLOW_NO_RESET;
        device = fixture_plug(f, 0);
        must(f, about(VTD_REQUEST_GET_DEVICE_INFO, device), -1);
        assert_int_equal(info->regions[0].size, 0x100000);
        assert_false(info->regions[0].readable);
        assert_true(info->config_readable && !info->config_writable && !info->can_reset);
        assert_int_equal(info->msi_vectors + info->msix_vectors, 0);
        assert_int_equal(config_read(f, device, 0x41, 1), 0xa0); /* MSI and MSI-X are hidden */
}

static void config_accesses_are_judged(void **state)
{
        static const struct {
                uint32_t offset, width;
                enum vtd_reason reason;
        } wrong[] = {
                {4096, 1, VTD_REASON_REGION_RANGE},
                {4094, 4, VTD_REASON_REGION_RANGE},
                {UINT32_MAX, 1, VTD_REASON_REGION_RANGE},
                {UINT32_MAX, 4, VTD_REASON_REGION_RANGE},
                {1, 2, VTD_REASON_ALIGNMENT},
                {2, 4, VTD_REASON_ALIGNMENT},
                {4093, 2, VTD_REASON_ALIGNMENT},
        };
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);

        assert_int_equal(config_read(f, device, 0, 4), 0x15218086);
        assert_int_equal(config_read(f, device, 3, 1), 0x15);
        assert_int_equal(config_read(f, device, 4092, 4), 0);
        config_write(f, device, 0xa8, 2, 0x5810);
        assert_int_equal(config_read(f, device, 0xa8, 2), 0x5830);
        config_write(f, device, 0, 4, UINT32_MAX);
        assert_int_equal(config_read(f, device, 0, 4), 0x15218086);
        f->host->n_calls = 0;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(wrong); i++) {
                refused(f,
                        config_request(VTD_REQUEST_CONFIG_READ, device, wrong[i].offset,
                                       wrong[i].width, 0),
                        -1, wrong[i].reason, 0);
                refused(f,
                        config_request(VTD_REQUEST_CONFIG_WRITE, device, wrong[i].offset,
                                       wrong[i].width, 0),
                        -1, wrong[i].reason, 0);
        }
        assert_int_equal(f->host->n_calls, 0);
}

static void config_is_what_policy_grants(void **state)
{
        struct fixture *f = *state;
        uint64_t device;

        f->policy.devices[0].regions_write &= ~VTD_POLICY_REGION_CONFIG;
        f->policy.devices[1].regions_write &= ~VTD_POLICY_REGION_CONFIG;
        f->policy.devices[1].regions_read &= ~VTD_POLICY_REGION_CONFIG;
        restart(f);
        device = fixture_plug(f, 0);
        assert_int_equal(config_read(f, device, 0, 4), 0x15218086);
        refused(f, config_request(VTD_REQUEST_CONFIG_WRITE, device, 4, 2, 0), -1,
                VTD_REASON_CONFIG_NOT_GRANTED, LINE_DEVICE);
        f->host->n_calls = 0;
        device = fixture_plug(f, 1);
        for (size_t i = 0; i < f->host->n_calls; i++) /* nor is it looked at */
                assert_int_not_equal(f->host->calls[i].op, FAKE_CONFIG_READ);
        refused(f, config_request(VTD_REQUEST_CONFIG_READ, device, 0, 4, 0), -1,
                VTD_REASON_CONFIG_NOT_GRANTED, LINE_DEVICE + 1);
}

static void a_broken_device_is_refused_when_it_is_plugged(void **state)
{
        struct fixture *f = *state;
        struct vtd_request plug = fixture_plug_request(0);

        fake_host_set_config(f->host, 0, 0x48, 0x00084809);
        refused(f, plug, -1, VTD_REASON_HOST_CONFIG, 0);
        assert_int_equal(f->reply.refusal.asked, 0x48);
        assert_int_equal(fake_host_count(f->host, FAKE_DEVICE), 0);
        fake_host_set_config(f->host, 0, 0x48, 0x00085009);
        (void)fixture_plug(f, 0);
}

static void the_bus_is_mastered_if_wished_and_attached(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        struct fake_object *object = object_of(f, device);

        (void)fixture_map(f, 0, MIB);
        assert_int_equal(config_read(f, device, 4, 2) & 4, 4); /* wished from the beginning */
        assert_false(object->bus_master);
        (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        assert_true(object->bus_master);
        config_write(f, device, 4, 2, 0);
        assert_false(object->bus_master);
        assert_int_equal(config_read(f, device, 4, 2) & 4, 0);
        (void)fixture_attach(f, device, 3, VTD_ATTACH_FIRST_STAGE, 0x1000);
        assert_false(object->bus_master);
        config_write(f, device, 4, 1, 4);
        assert_true(object->bus_master);
        config_write(f, device, 5, 1, 0xff); /* another byte of the register */
        assert_true(object->bus_master);
        (void)fixture_attach(f, device, 3, VTD_ATTACH_BLOCKED, 0);
        assert_true(object->bus_master);
        (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_BLOCKED, 0);
        assert_false(object->bus_master);
        assert_int_equal(config_read(f, device, 4, 2) & 4, 4); /* the wish is the client's */
        config_write(f, device, 4, 4, 0);
        config_write(f, device, 4, 4, 4);
        assert_false(object->bus_master); /* nothing is attached */
}

static void a_wish_ends_with_the_device(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);

        (void)fixture_map(f, 0, MIB);
        config_write(f, device, 4, 2, 0);
        must(f,
             (struct vtd_request){.type = VTD_REQUEST_UNPLUG_DEVICE,
                                  .unplug_device = {.device = device}},
             -1);
        device = fixture_plug(f, 0);
        (void)fixture_map(f, MIB, MIB);
        (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        assert_true(object_of(f, device)->bus_master);
}

static void attaching_the_same_again_asks_nothing_of_the_host(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);

        (void)fixture_map(f, 0, MIB);
        for (uint32_t wish = 0; wish <= 4; wish += 4) {
                config_write(f, device, 4, 2, wish);
                (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
                f->host->n_calls = 0;
                (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
                assert_int_equal(f->host->n_calls, 0);
        }
}

static void a_wish_that_the_host_fails_is_refused_and_forgotten(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        struct fake_object *object = object_of(f, device);

        (void)fixture_map(f, 0, MIB);
        (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        fake_host_fail(f->host, 0, 1, -EIO);
        refused(f, config_request(VTD_REQUEST_CONFIG_WRITE, device, 4, 2, 0), -1,
                VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(config_read(f, device, 4, 2) & 4, 4);
        config_write(f, device, 4, 2, 0);
        assert_false(object->bus_master);
        fake_host_fail(f->host, 0, 1, -EIO);
        refused(f, config_request(VTD_REQUEST_CONFIG_WRITE, device, 4, 2, 4), -1,
                VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(config_read(f, device, 4, 2) & 4, 0);
        config_write(f, device, 4, 2, 0); /* whatever the failure has left, it is off now */
        assert_false(object->bus_master);
}

static void a_reset_keeps_what_is_attached_and_armed(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        struct fake_object *object = object_of(f, device);
        uint32_t id = fixture_host_id(f, device), hwpt;

        (void)fixture_map(f, 0, MIB);
        (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE, 0x1000);
        arm(f, device, VTD_INTERRUPT_MSIX, 2);
        hwpt = fake_host_attached(f->host, id, VTD_NO_PASID);
        fixture_forget_calls(f);
        must(f, about(VTD_REQUEST_RESET_DEVICE, device), -1);
        EXPECT_CALLS(f, VTD_AUDIT_RESET, VTD_AUDIT_BUS_MASTER);
        assert_int_equal(f->host->reset_of, id);
        assert_int_equal(fake_host_attached(f->host, id, VTD_NO_PASID), hwpt);
        assert_true(object->bus_master && object->armed[2]);
        assert_int_equal(charged(f), 3);
        config_write(f, device, 4, 2, 0);
        must(f, about(VTD_REQUEST_RESET_DEVICE, device), -1);
        assert_false(object->bus_master);
        assert_int_equal(config_read(f, device, 4, 2) & 4, 0);
}

static void a_reset_that_fails_leaves_no_doubt_about_mastering(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        struct fake_object *object = object_of(f, device);

        object->bus_master = true; /* as a reset that failed half-way may leave it */
        f->vm->devices[0].bus_master = false;
        fake_host_fail(f->host, 0, 1, -EIO);
        refused(f, about(VTD_REQUEST_RESET_DEVICE, device), -1, VTD_REASON_HOST_FAILED, 0);
        assert_false(object->bus_master);
        fake_host_fail(f->host, 0, 2, VTD_HOST_E_BUSY);
        must(f, about(VTD_REQUEST_RESET_DEVICE, device), -1); /* tried again */
        fake_host_fail(f->host, 0, SIZE_MAX, VTD_HOST_E_BUSY);
        f->host->fail_op = VTD_AUDIT_RESET;
        refused(f, about(VTD_REQUEST_RESET_DEVICE, device), -1, VTD_REASON_DEVICE_BUSY, 0);
        f->host->fail_after = SIZE_MAX;
}

static void what_cannot_be_reset_is_refused(void **state)
{
        struct fixture *f = *state;
        uint64_t device;

        f->policy.devices[0].exceptions = VTD_POLICY_ALLOW_NO_RESET;
        restart(f);
        f->host->devices[0].info.can_reset = false;
        device = fixture_plug(f, 0);
        refused(f, about(VTD_REQUEST_RESET_DEVICE, device), -1, VTD_REASON_NO_RESET, LINE_DEVICE);
}

static void vectors_are_charged_by_the_highest(void **state)
{
        struct fixture *f = *state;
        uint64_t first = fixture_plug(f, 0), second = fixture_plug(f, 1);

        arm(f, first, VTD_INTERRUPT_MSIX, 2);
        assert_int_equal(charged(f), 3);
        arm(f, first, VTD_INTERRUPT_MSIX, 0);
        arm(f, first, VTD_INTERRUPT_MSIX, 2); /* anew */
        assert_int_equal(charged(f), 3);
        refuse_arming(f, first, VTD_INTERRUPT_MSIX, 6, VTD_REASON_INTERRUPT_LIMIT, INTERRUPTS_LINE);
        assert_int_equal(f->reply.refusal.asked, 7);
        assert_int_equal(f->reply.refusal.allowed, 6);
        arm(f, second, VTD_INTERRUPT_MSIX, 2);
        assert_int_equal(charged(f), 6);
        refuse_arming(f, first, VTD_INTERRUPT_MSIX, 3, VTD_REASON_INTERRUPT_LIMIT, INTERRUPTS_LINE);
        disarm(f, second, VTD_INTERRUPT_MSIX);
        assert_int_equal(charged(f), 3);
        arm(f, first, VTD_INTERRUPT_MSIX, 3);
        arm(f, second, VTD_INTERRUPT_MSI, 0);
        assert_int_equal(charged(f), 5);
        must(f,
             (struct vtd_request){.type = VTD_REQUEST_UNPLUG_DEVICE,
                                  .unplug_device = {.device = first}},
             -1);
        assert_int_equal(charged(f), 1);
}

static void without_a_grant_nothing_can_be_armed(void **state)
{
        struct fixture *f = *state;
        uint64_t device;

        f->policy.limits[VTD_POLICY_INTERRUPTS] = (struct vtd_policy_limit){0};
        restart(f);
        device = fixture_plug(f, 0);
        f->host->n_calls = 0;
        refuse_arming(f, device, VTD_INTERRUPT_MSI, 0, VTD_REASON_INTERRUPT_LIMIT, LINE_TENANT);
        assert_int_equal(f->host->n_calls, 0);
}

static void vectors_are_those_of_the_device_and_of_one_kind(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);

        refuse_arming(f, device, VTD_INTERRUPT_MSI, 1, VTD_REASON_INTERRUPT_VECTOR, 0);
        assert_int_equal(f->reply.refusal.allowed, 1);
        refuse_arming(f, device, VTD_INTERRUPT_MSIX, 8, VTD_REASON_INTERRUPT_VECTOR, 0);
        assert_int_equal(f->reply.refusal.allowed, 8);
        refuse_arming(f, device, VTD_INTERRUPT_MSIX, UINT32_MAX, VTD_REASON_INTERRUPT_VECTOR, 0);
        disarm(f, device, VTD_INTERRUPT_MSI); /* nothing is armed */
        arm(f, device, VTD_INTERRUPT_MSI, 0);
        refuse_arming(f, device, VTD_INTERRUPT_MSIX, 0, VTD_REASON_INTERRUPT_KIND, 0);
        fixture_forget_calls(f);
        disarm(f, device, VTD_INTERRUPT_MSIX); /* none of that kind is */
        assert_int_equal(f->host->n_calls, 0);
        assert_true(object_of(f, device)->armed[0]);
        disarm(f, device, VTD_INTERRUPT_MSI);
        arm(f, device, VTD_INTERRUPT_MSIX, 1);
}

static int lowest_free_fd(void)
{
        int fd = dup(0);

        assert_true(fd >= 0);
        (void)close(fd);
        return fd;
}

static void a_failed_arming_keeps_no_charge_that_the_host_does_not(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        int before = lowest_free_fd();

        fake_host_fail(f->host, 0, 1, VTD_HOST_E_INVALID);
        refuse_arming(f, device, VTD_INTERRUPT_MSIX, 3, VTD_REASON_EVENTFD_KIND, 0);
        assert_int_equal(charged(f), 0);
        fake_host_fail(f->host, 0, 1, VTD_HOST_E_LIMIT);
        refuse_arming(f, device, VTD_INTERRUPT_MSI, 0, VTD_REASON_HOST_LIMIT, 0);
        assert_int_equal(charged(f), 0);
        arm(f, device, VTD_INTERRUPT_MSIX, 1);
        fake_host_fail(f->host, 0, 1, -EIO);
        refuse_arming(f, device, VTD_INTERRUPT_MSIX, 3, VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(charged(f), 4); /* it may have allocated them */
        fake_host_fail(f->host, 0, 1, -EIO);
        refuse_arming(f, device, VTD_INTERRUPT_MSIX, 1, VTD_REASON_HOST_FAILED, 0);
        assert_false(object_of(f, device)->armed[1]);
        fake_host_fail(f->host, 0, 1, -EIO);
        refused(f, interrupt_request(VTD_REQUEST_CLEAR_INTERRUPTS, device, VTD_INTERRUPT_MSIX, 0),
                -1, VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(charged(f), 4);
        disarm(f, device, VTD_INTERRUPT_MSIX);
        assert_int_equal(charged(f), 0);
        assert_int_equal(lowest_free_fd(), before);
}

static void who_arms_and_resets_too_often_is_slowed_down(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);

        for (unsigned i = 0; i < VTD_LIMIT_DEVICE_CALL_BURST / 2; i++) {
                arm(f, device, VTD_INTERRUPT_MSIX, 0);
                assert_int_equal(f->delay_ms, 0);
                must(f, about(VTD_REQUEST_RESET_DEVICE, device), -1);
                assert_int_equal(f->delay_ms, 0);
                f->host->n_calls = 0;
        }
        for (unsigned i = 0; i < 3; i++) { /* some are earned while these calls are made */
                arm(f, device, VTD_INTERRUPT_MSIX, 0);
                must(f, about(VTD_REQUEST_RESET_DEVICE, device), -1);
        }
        assert_in_range(f->delay_ms, 1, VTD_LIMIT_INVALIDATE_DELAY_MS);
        must(f, (struct vtd_request){.type = VTD_REQUEST_GET_STATS}, -1);
        assert_int_equal(f->delay_ms, 0);
        assert_true(f->reply.stats.delayed_us > 0);
}

/* Each request with its at-th host call failing; false when it has not so many. */
static bool fails_at(struct fixture *f, struct vtd_request request, int fd, size_t at, int result)
{
        fake_host_fail(f->host, at, 1, result);
        assert_int_equal(fixture_call(f, &request, fd), 0);
        f->host->fail_after = SIZE_MAX;
        fixture_check_books(f, false);
        if (f->host->failed_op == 0)
                return false;
        if (result != VTD_HOST_E_BUSY)
                assert_true(f->reply.refused);
        must(f, request, fd); /* works when the host does */
        return true;
}

static void after_any_failing_host_call_the_books_are_right(void **state)
{
        static const int results[] = {-EIO, VTD_HOST_E_BUSY, VTD_HOST_E_LIMIT, VTD_HOST_E_INVALID};
        struct fixture *f = *state;
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(results); i++) {
                uint64_t device;
                size_t tried = 0;

                restart(f);
                device = fixture_plug(f, 0);
                (void)fixture_map(f, 0, MIB);
                (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
                for (uint32_t turn = 0; turn < 3; turn++) {
                        const struct vtd_request requests[] = {
                                config_request(VTD_REQUEST_CONFIG_READ, device, 0, 4, 0),
                                config_request(VTD_REQUEST_CONFIG_WRITE, device, 0xa8, 2, turn),
                                config_request(VTD_REQUEST_CONFIG_WRITE, device, 4, 2,
                                               turn % 2 * 4),
                                interrupt_request(VTD_REQUEST_SET_INTERRUPT, device,
                                                  VTD_INTERRUPT_MSIX, turn),
                                interrupt_request(VTD_REQUEST_CLEAR_INTERRUPTS, device,
                                                  VTD_INTERRUPT_MSIX, 0),
                                about(VTD_REQUEST_RESET_DEVICE, device),
                        };

                        for (size_t r = 0; r < VTD_ARRAY_SIZE(requests); r++) {
                                int with = requests[r].type == VTD_REQUEST_SET_INTERRUPT ? fd : -1;
                                size_t at = 0;

                                while (fails_at(f, requests[r], with, at, results[i]))
                                        at++;
                                tried += at;
                        }
                }
                assert_true(tried > 12);
        }
}

static void what_was_done_is_audited(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        const struct vtd_control_audit *audit;

        arm(f, device, VTD_INTERRUPT_MSIX, 4);
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_HOST_CALL, VTD_AUDIT_SET_INTERRUPT);
        assert_non_null(audit);
        assert_int_equal(audit->subject, fixture_host_id(f, device));
        assert_int_equal(audit->detail[0], VTD_INTERRUPT_MSIX);
        assert_int_equal(audit->detail[1], 4);
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_REQUEST, VTD_REQUEST_SET_INTERRUPT);
        assert_non_null(audit);
        assert_string_equal(audit->device_name, "dev0");
        disarm(f, device, VTD_INTERRUPT_MSIX);
        assert_non_null(fake_supervisor_find(&f->supervisor, VTD_AUDIT_HOST_CALL,
                                             VTD_AUDIT_CLEAR_INTERRUPTS));
        must(f, about(VTD_REQUEST_RESET_DEVICE, device), -1);
        assert_non_null(fake_supervisor_find(&f->supervisor, VTD_AUDIT_HOST_CALL, VTD_AUDIT_RESET));
        config_write(f, device, 4, 2, 0x5);
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_REQUEST, VTD_REQUEST_CONFIG_WRITE);
        assert_non_null(audit);
        assert_int_equal(audit->detail[0], 4);
        assert_int_equal(audit->detail[1], 2);
        assert_int_equal(audit->detail[2], 5);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(a_client_of_the_first_version_has_none_of_it),
                CASE(every_request_names_a_plugged_device),
                CASE(info_says_what_there_is_and_what_is_granted),
                CASE(config_accesses_are_judged),
                CASE(config_is_what_policy_grants),
                CASE(a_broken_device_is_refused_when_it_is_plugged),
                CASE(the_bus_is_mastered_if_wished_and_attached),
                CASE(a_wish_ends_with_the_device),
                CASE(attaching_the_same_again_asks_nothing_of_the_host),
                CASE(a_wish_that_the_host_fails_is_refused_and_forgotten),
                CASE(a_reset_keeps_what_is_attached_and_armed),
                CASE(a_reset_that_fails_leaves_no_doubt_about_mastering),
                CASE(what_cannot_be_reset_is_refused),
                CASE(vectors_are_charged_by_the_highest),
                CASE(without_a_grant_nothing_can_be_armed),
                CASE(vectors_are_those_of_the_device_and_of_one_kind),
                CASE(a_failed_arming_keeps_no_charge_that_the_host_does_not),
                CASE(who_arms_and_resets_too_often_is_slowed_down),
                CASE(after_any_failing_host_call_the_books_are_right),
                CASE(what_was_done_is_audited),
        };

        return cmocka_run_group_tests_name("device-plane", tests, NULL, NULL);
}
