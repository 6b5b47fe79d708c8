/* SPDX-License-Identifier: MIT */
/*
 * The device "vtd-broker-iommu": see iommu.h.
 *
 * May assume that QEMU calls it with its big lock held.  Must guarantee that whatever the guest writes
 * to the register page, a vCPU is held up by one budget of work at most, and that no wait descriptor
 * completes when the broker is lost: the machine is stopped then.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "hw/boards.h"
#include "hw/i386/apic_internal.h"
#include "hw/i386/pc.h"
#include "hw/qdev-properties.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "system/runstate.h"

#include <poll.h>

#include <vtd/interrupt.h>
#include <vtd/state.h>

#include "iommu.h"

/* Descriptors or table entries in one go: some 10 us, which the vCPU that writes a register waits. */
#define RUN_BUDGET 256

#define SETTLE_TIMEOUT_MS 10000
#define SETTLE_POLL_MS    100

static void send_later(void *opaque)
{
        g_autofree MSIMessage *message = opaque;

        apic_get_class(NULL)->send_msi(message);
}

/*
 * APICs are for holders of the big lock.  A device that has a thread of its own, and a fault to be
 * announced, does not hold it, and cannot wait for it: its holder may be waiting for the access to end.
 */
static void unit_send_message(void *opaque, uint64_t address, uint32_t data)
{
        MSIMessage message = {.address = address, .data = data};

        (void)opaque;
        if (bql_locked())
                apic_get_class(NULL)->send_msi(&message);
        else
                aio_bh_schedule_oneshot(qemu_get_aio_context(), send_later,
                                        g_memdup2(&message, sizeof(message)));
}

static void unit_log(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        (void)opaque;
        switch (level) {
        case VTD_FRONTEND_LOG_ERROR:
                error_report("vtd-broker: %s", line);
                break;
        case VTD_FRONTEND_LOG_WARNING:
                warn_report("vtd-broker: %s", line);
                break;
        case VTD_FRONTEND_LOG_INFO:
        case VTD_FRONTEND_LOG_DEBUG:
                break; /* a guest can cause them at will */
        }
}

static void unit_broker_lost(void *opaque)
{
        VtdBrokerIommu *iommu = opaque;

        qemu_bh_schedule(iommu->run_later); /* which unwatches the connection */
        error_report(
                "vtd-broker: the broker is lost, and its devices with it: the machine is stopped");
        qemu_system_vmstop_request_prepare();
        qemu_system_vmstop_request(RUN_STATE_INTERNAL_ERROR);
}

static const struct vtd_frontend_callbacks unit_callbacks = {
        .read_memory = vtd_broker_read_memory,
        .write_memory = vtd_broker_write_memory,
        .compare_exchange = vtd_broker_compare_exchange,
        .send_message = unit_send_message,
        .log = unit_log,
        .broker_lost = unit_broker_lost,
};

void vtd_broker_iommu_error(VtdBrokerIommu *iommu, int result, Error **errp, const char *what)
{
        struct vtd_frontend_refusal refusal;

        if (result < 0) {
                error_setg_errno(errp, -result, "%s", what);
                return;
        }
        if (result != VTD_FRONTEND_REFUSED) {
                error_setg(errp, "%s: %s", what,
                           result == VTD_FRONTEND_LOST ? "there is no connection to the broker"
                                                       : "the broker does not answer");
                return;
        }
        vtd_frontend_refusal(iommu->frontend, &refusal);
        if (refusal.asked == 0 && refusal.allowed == 0)
                error_setg(errp, "%s: the broker refused it, %s (%s)", what, refusal.reason_name,
                           refusal.status_name);
        else
                error_setg(errp,
                           "%s: the broker refused it, %s (%s); asked: %" PRIu64
                           ", allowed: %" PRIu64,
                           what, refusal.reason_name, refusal.status_name, refusal.asked,
                           refusal.allowed);
}

/* The descriptor of a connection that is lost is gone: the handler must go before it is reused. */
static void unwatch_lost(VtdBrokerIommu *iommu)
{
        if (iommu->watched < 0 || vtd_frontend_get_fd(iommu->frontend) == iommu->watched)
                return;
        qemu_set_fd_handler(iommu->watched, NULL, NULL, NULL);
        iommu->watched = -1;
}

void vtd_broker_iommu_run(VtdBrokerIommu *iommu)
{
        if (vtd_frontend_run(iommu->frontend, RUN_BUDGET) == VTD_FRONTEND_PENDING)
                qemu_bh_schedule(iommu->run_later);
        unwatch_lost(iommu);
}

static void run_handler(void *opaque)
{
        vtd_broker_iommu_run(opaque);
}

/* Runs the unit while it waits for the broker, and if @pending while its budget ends; 10 seconds at most. */
static int run_while(VtdBrokerIommu *iommu, bool pending, unsigned budget)
{
        int64_t end = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + SETTLE_TIMEOUT_MS;
        struct pollfd poll_fd = {.events = POLLIN};
        int r;

        do {
                poll_fd.fd = vtd_frontend_get_fd(iommu->frontend);
                r = vtd_frontend_run(iommu->frontend, budget);
                if (r == VTD_FRONTEND_WAITING)
                        (void)poll(&poll_fd, 1, SETTLE_POLL_MS);
                else if (!pending || r != VTD_FRONTEND_PENDING)
                        break;
        } while (qemu_clock_get_ms(QEMU_CLOCK_REALTIME) < end);
        return r;
}

void vtd_broker_iommu_await(VtdBrokerIommu *iommu)
{
        /* Without a budget nothing new is begun. */
        if (run_while(iommu, false, 0) == VTD_FRONTEND_PENDING)
                qemu_bh_schedule(iommu->run_later);
}

bool vtd_broker_iommu_settle(VtdBrokerIommu *iommu)
{
        int r = run_while(iommu, true, RUN_BUDGET);

        return r == VTD_FRONTEND_IDLE || r == VTD_FRONTEND_LOST;
}

static uint64_t registers_read(void *opaque, hwaddr offset, unsigned size)
{
        VtdBrokerIommu *iommu = opaque;

        return vtd_frontend_read(iommu->frontend, offset, size);
}

static void registers_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
        VtdBrokerIommu *iommu = opaque;

        vtd_frontend_write(iommu->frontend, offset, size, value);
        vtd_broker_iommu_run(iommu);
}

/* The library answers every size and offset; QEMU must not split or widen what the guest did. */
static const MemoryRegionOps registers_ops = {
        .read = registers_read,
        .write = registers_write,
        .endianness = DEVICE_LITTLE_ENDIAN,
        .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
        .impl = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
};

/* For the routes that KVM keeps; only those of the I/O APIC are not a PCI function's. */
static int int_remap(X86IOMMUState *parent, MSIMessage *from, MSIMessage *to, uint16_t rid)
{
        return vtd_broker_remap(VTD_BROKER_IOMMU(parent),
                                rid == X86_IOMMU_SID_INVALID ? VTD_BROKER_IOAPIC_RID : rid, from,
                                to);
}

/*
 * Routes that KVM keeps are made anew from what the guest's table says now.  All of them, once: that is
 * what those who are notified do each time, whichever entries they are told, and a guest can invalidate
 * thousands with one descriptor.
 */
static void interrupts_changed(void *opaque, uint32_t first, uint32_t count)
{
        VtdBrokerIommu *iommu = opaque;

        (void)first;
        (void)count;
        x86_iommu_iec_notify_all(&iommu->parent, true, 0, 0);
}

static bool choose_config(VtdBrokerIommu *iommu, struct vtd_frontend_config *config, Error **errp)
{
        static const struct {
                const char *name;
                struct vtd_frontend_config config;
        } profiles[] = {
                {"first-stage", VTD_FRONTEND_CONFIG_FIRST_STAGE},
                {"default", VTD_FRONTEND_CONFIG_DEFAULT},
                {"nested", VTD_FRONTEND_CONFIG_NESTED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
                if (strcmp(profiles[i].name, iommu->profile) != 0)
                        continue;
                *config = profiles[i].config;
                config->interrupt_remapping = x86_iommu_ir_supported(&iommu->parent);
                config->extended_interrupt_mode = iommu->eim;
                return true;
        }
        error_setg(errp, "profile '%s' is none of 'first-stage', 'default', 'nested'",
                   iommu->profile);
        return false;
}

/* As vtd_frontend_connect(); @what says to what, for the caller to free. */
static int connect_path(VtdBrokerIommu *iommu, char **what)
{
        *what = g_strdup_printf("connecting to the broker at '%s'", iommu->broker);
        return vtd_frontend_connect(iommu->frontend, iommu->broker, NULL);
}

/* The same; @fd is no one else's any more. */
static int connect_fd(VtdBrokerIommu *iommu, int fd, char **what)
{
        int r = vtd_frontend_connect_fd(iommu->frontend, fd, NULL);

        *what = g_strdup_printf("broker-fd '%s', which must be a connected SOCK_SEQPACKET socket "
                                "of the broker",
                                iommu->broker_fd);
        if (r < 0)
                close(fd);
        return r;
}

static bool connect_broker(VtdBrokerIommu *iommu, Error **errp)
{
        g_autofree char *what = NULL;
        int r, fd;

        if (iommu->broker && iommu->broker_fd) {
                error_setg(errp,
                           "'broker' is '%s' and 'broker-fd' is '%s': one of them is possible",
                           iommu->broker, iommu->broker_fd);
                return false;
        }
        if (iommu->broker) {
                r = connect_path(iommu, &what);
        } else {
                fd = monitor_fd_param(monitor_cur(), iommu->broker_fd, errp);
                if (fd < 0)
                        return false;
                r = connect_fd(iommu, fd, &what);
        }
        if (r != 0) {
                vtd_broker_iommu_error(iommu, r, errp, what);
                return false;
        }
        iommu->watched = vtd_frontend_get_fd(iommu->frontend);
        qemu_set_fd_handler(iommu->watched, run_handler, NULL, iommu);
        return true;
}

static bool create_unit(VtdBrokerIommu *iommu, Error **errp)
{
        struct vtd_frontend_config config;
        int r;

        if (iommu->eim && !x86_iommu_ir_supported(&iommu->parent)) {
                error_setg(errp, "eim=on needs intremap=on, and it is off");
                return false;
        }
        if (iommu->parent.dt_supported) {
                error_setg(errp, "device-iotlb=on is not possible, device-iotlb=off is: this IOMMU "
                                 "has no device-TLBs");
                return false;
        }
        if (!iommu->parent.pt_supported) {
                error_setg(errp, "pt=off is not possible, pt=on is: this IOMMU always has "
                                 "pass-through translation");
                return false;
        }
        if (!choose_config(iommu, &config, errp))
                return false;
        r = vtd_frontend_new(&iommu->frontend, &config, &unit_callbacks, iommu);
        if (r != 0) {
                error_setg_errno(errp, -r, "creating the unit");
                return false;
        }
        vtd_frontend_watch_interrupts(iommu->frontend, interrupts_changed, iommu);
        iommu->run_later = qemu_bh_new(run_handler, iommu);
        return true;
}

static void realize(DeviceState *dev, Error **errp)
{
        VtdBrokerIommu *iommu = VTD_BROKER_IOMMU(dev);
        PCMachineState *machine = PC_MACHINE(qdev_get_machine());

        if (!create_unit(iommu, errp))
                return;
        if ((iommu->broker || iommu->broker_fd) && !connect_broker(iommu, errp))
                return;
        if (!vtd_broker_dmar_install(iommu, errp))
                return;
        memory_region_init_io(&iommu->registers, OBJECT(iommu), &registers_ops, iommu,
                              TYPE_VTD_BROKER_IOMMU, VTD_FRONTEND_REGISTER_PAGE_SIZE);
        memory_region_add_subregion(get_system_memory(), VTD_FRONTEND_REGISTER_BASE,
                                    &iommu->registers);
        vtd_broker_address_spaces_init(iommu, machine->pcibus);
        X86_MACHINE(machine)->ioapic_as = iommu->ioapic;
}

/* Of a device whose realization failed; one that was realized lives as long as the process. */
static void instance_finalize(Object *object)
{
        VtdBrokerIommu *iommu = VTD_BROKER_IOMMU(object);

        if (iommu->watched >= 0)
                qemu_set_fd_handler(iommu->watched, NULL, NULL, NULL);
        if (iommu->run_later)
                qemu_bh_delete(iommu->run_later);
        vtd_broker_memory_unshare(iommu);
        iommu->frontend = vtd_frontend_free(iommu->frontend);
}

/* In the last phase: until then devices may still do DMA by what was set up before. */
static void reset_exit(Object *object, ResetType type)
{
        VtdBrokerIommu *iommu = VTD_BROKER_IOMMU(object);

        (void)type;
        vtd_frontend_reset(iommu->frontend);
        if (!vtd_broker_iommu_settle(iommu))
                error_report("vtd-broker: reset: the broker does not answer");
        vtd_broker_iommu_run(iommu);
}

static int state_pre_save(void *opaque)
{
        VtdBrokerIommu *iommu = opaque;
        size_t size;
        int r;

        if (!vtd_broker_iommu_settle(iommu)) {
                error_report("vtd-broker: saving: the broker does not answer");
                return -ETIMEDOUT;
        }
        r = vtd_frontend_save(iommu->frontend, iommu->state, sizeof(iommu->state), &size);
        if (r != 0) {
                error_report("vtd-broker: the unit's state cannot be saved: %s",
                             r == VTD_FRONTEND_LOST ? "the broker is lost" : strerror(abs(r)));
                return -EINVAL;
        }
        iommu->state_size = size;
        return 0;
}

static int state_post_load(void *opaque, int version)
{
        VtdBrokerIommu *iommu = opaque;
        int r;

        (void)version;
        if (iommu->state_size > sizeof(iommu->state)) {
                error_report("vtd-broker: saved state of %" PRIu32
                             " bytes; at most %zu are possible",
                             iommu->state_size, sizeof(iommu->state));
                return -EINVAL;
        }
        r = vtd_frontend_restore(iommu->frontend, iommu->state, iommu->state_size);
        if (r != 0)
                return r < 0 ? r : -EIO; /* the unit has said why */
        return vtd_broker_iommu_settle(iommu) ? 0 : -ETIMEDOUT;
}

static const VMStateDescription state_description = {
        .name = TYPE_VTD_BROKER_IOMMU,
        .version_id = 1,
        .minimum_version_id = 1,
        .priority = MIG_PRI_IOMMU,
        .pre_save = state_pre_save,
        .post_load = state_post_load,
        .fields =
                (const VMStateField[]){
                        VMSTATE_UINT32(state_size, VtdBrokerIommu),
                        VMSTATE_BUFFER(state, VtdBrokerIommu),
                        VMSTATE_END_OF_LIST(),
                },
};

/* Counters of the unit, for qom-get. */
static void get_counter(Object *object, Visitor *visitor, const char *name, void *offset,
                        Error **errp)
{
        struct vtd_frontend_stats stats = {0};
        uint64_t value;

        if (VTD_BROKER_IOMMU(object)->frontend)
                vtd_frontend_get_stats(VTD_BROKER_IOMMU(object)->frontend, &stats);
        memcpy(&value, (const char *)&stats + (uintptr_t)offset, sizeof(value));
        visit_type_uint64(visitor, name, &value, errp);
}

static void add_counter(ObjectClass *class, const char *name, size_t offset)
{
        object_class_property_add(class, name, "uint64", get_counter, NULL, NULL, (void *)offset);
}

static const Property properties[] = {
        DEFINE_PROP_STRING("profile", VtdBrokerIommu, profile),
        DEFINE_PROP_STRING("broker", VtdBrokerIommu, broker),
        DEFINE_PROP_STRING("broker-fd", VtdBrokerIommu, broker_fd),
        DEFINE_PROP_BOOL("eim", VtdBrokerIommu, eim, false),
};

static void instance_init(Object *object)
{
        VTD_BROKER_IOMMU(object)->profile = g_strdup("first-stage");
        VTD_BROKER_IOMMU(object)->watched = -1;
}

static void class_init(ObjectClass *class, void *data)
{
        DeviceClass *device = DEVICE_CLASS(class);
        X86IOMMUClass *x86_iommu = X86_IOMMU_DEVICE_CLASS(class);

        (void)data;
        RESETTABLE_CLASS(class)->phases.exit = reset_exit;
        device->vmsd = &state_description;
        device->desc = "Intel IOMMU (VT-d, scalable mode) with passthrough devices of vtd-broker";
        device->hotpluggable = false;
        device->user_creatable = true;
        device_class_set_props(device, properties);
        set_bit(DEVICE_CATEGORY_MISC, device->categories);
        x86_iommu->realize = realize;
        x86_iommu->int_remap = int_remap;
        add_counter(class, "descriptors", offsetof(struct vtd_frontend_stats, descriptors));
        add_counter(class, "requests", offsetof(struct vtd_frontend_stats, requests));
        add_counter(class, "attaches", offsetof(struct vtd_frontend_stats, attaches));
        add_counter(class, "invalidates", offsetof(struct vtd_frontend_stats, invalidates));
        add_counter(class, "faults", offsetof(struct vtd_frontend_stats, faults));
}

static const TypeInfo type_info = {
        .name = TYPE_VTD_BROKER_IOMMU,
        .parent = TYPE_X86_IOMMU_DEVICE,
        .instance_size = sizeof(VtdBrokerIommu),
        .instance_init = instance_init,
        .instance_finalize = instance_finalize,
        .class_init = class_init,
};

static void register_types(void)
{
        type_register_static(&type_info);
}
type_init(register_types)
