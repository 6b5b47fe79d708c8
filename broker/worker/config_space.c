/* SPDX-License-Identifier: MIT */
/*
 * See config_space.h.  The table is the whole policy of the broker on configuration space: a register
 * that is not in it is hidden, and each bit that may be written has its reason there.
 *
 * Hidden on purpose, among what is not in the table:
 *   INTx pin and line, ROM, BIST         not offered: no INTx, no ROM region; a self-test is the host's
 *   Vital Product Data, vendor-specific  windows to whatever a device puts behind them
 *   Enhanced Allocation, Resizable BAR,  would move or resize BARs under the host
 *   VF Resizable BAR
 *   ATS, PRI, PASID, ACS, SR-IOV         the IOMMU's side of the device, which the kernel sets up; the
 *                                        VMM makes a PASID capability of its own (PlugDevice says its width)
 *   AER, DPC, LTR, L1 substates, PTM,    the fabric's: error reporting, link and power management go
 *   Virtual Channel, Multicast, TPH      beyond the function
 *   Advanced Features                    reset, for which there is ResetDevice
 */
#include "broker/worker/config_space.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "shared/checked.h"

#define HEADER_SIZE   PCI_STD_HEADER_SIZEOF
#define STANDARD_SIZE PCI_CFG_SPACE_SIZE

/* More capabilities than fit, at 4 and at 8 bytes each, are a loop. */
#define STANDARD_MAX ((STANDARD_SIZE - HEADER_SIZE) / 4)
#define EXTENDED_MAX ((VTD_CONFIG_SIZE - STANDARD_SIZE) / 8)

#define ALL32 UINT32_MAX

/* Bits that read as the device's, and those of them that may be written.  width 0 ends a list. */
struct config_register {
        uint16_t offset; /* from the beginning of its capability */
        uint16_t width;
        uint32_t shown;
        uint32_t writable;
};

static const struct config_register header_registers[] = {
        {PCI_VENDOR_ID, 4, ALL32, 0}, /* with the device id */
        /* Emulated, but for what the broker itself sets. */
        {PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0},
        /* Without Interrupt Status; Capabilities List says what is shown. */
        {PCI_STATUS, 2, 0xffff & ~(PCI_STATUS_INTERRUPT | PCI_STATUS_CAP_LIST), 0},
        {PCI_REVISION_ID, 4, ALL32, 0}, /* with the class code */
        /* Whether there are other functions is not the VMM's to see. */
        {PCI_HEADER_TYPE, 1, PCI_HEADER_TYPE_MASK, 0},
        {PCI_SUBSYSTEM_VENDOR_ID, 4, ALL32, 0}, /* with the subsystem id */
        {0},
};

/* Without PME, which the host handles; the state is the host's to change. */
static const struct config_register power_registers[] = {
        {PCI_PM_PMC, 2, PCI_PM_CAP_VER_MASK | PCI_PM_CAP_DSI | PCI_PM_CAP_D1 | PCI_PM_CAP_D2, 0},
        {PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_NO_SOFT_RESET, 0},
        {0},
};

/* Emulated: the VMM delivers the message that the guest writes there. */
static const struct config_register msi_registers[] = {
        {PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT, 0},
        {0},
};

/* The same; where the table lies in a BAR is the device's, how long it is shown depends on policy. */
static const struct config_register msix_registers[] = {
        {PCI_MSIX_TABLE, 4, ALL32, 0},
        {PCI_MSIX_PBA, 4, ALL32, 0},
        {0},
};

/*
 * Of Device Control a VMM may write what concerns the requests of the function alone:
 *   Enable Relaxed Ordering, Enable No Snoop   attributes of its requests; where the IOMMU cannot force
 *                                              snooping, policy has allowed that
 *   Max_Read_Request_Size                      how it cuts its reads; the kernel keeps it to what the
 *                                              fabric was set up for
 * and not error reporting (the host's to hear), Max_Payload_Size and Extended Tags (wrong values break
 * the fabric for others), Phantom Functions (other requester ids), Aux Power, nor Initiate Function
 * Level Reset (ResetDevice).
 */
#define DEVICE_CONTROL_WRITABLE                                                                    \
        (PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ)

static const struct config_register express_registers[] = {
        {PCI_EXP_FLAGS, 2, PCI_EXP_FLAGS_VERS | PCI_EXP_FLAGS_TYPE, 0},
        {PCI_EXP_DEVCAP, 4, ALL32, 0},
        {PCI_EXP_DEVCTL, 2, 0xffff & ~PCI_EXP_DEVCTL_BCR_FLR, DEVICE_CONTROL_WRITABLE},
        {PCI_EXP_DEVSTA, 2, 0xffff, 0}, /* errors are the host's to clear */
        {PCI_EXP_LNKCAP, 4, ALL32, 0},
        {PCI_EXP_LNKCTL, 2, 0xffff, 0}, /* ASPM and the link's speed are the host's */
        {PCI_EXP_LNKSTA, 2, 0xffff, 0},
        {PCI_EXP_DEVCAP2, 4, ALL32, 0},
        /* Completion time-outs, ARI, AtomicOps, IDO, LTR, OBFF: set up by the host for its fabric. */
        {PCI_EXP_DEVCTL2, 2, 0xffff, 0},
        {PCI_EXP_LNKCAP2, 4, ALL32, 0},
        {PCI_EXP_LNKCTL2, 2, 0xffff, 0},
        {PCI_EXP_LNKSTA2, 2, 0xffff, 0},
        {0},
};

/* Some drivers choose their firmware by it. */
static const struct config_register serial_number_registers[] = {
        {4, 4, ALL32, 0},
        {8, 4, ALL32, 0},
        {0},
};

struct config_capability {
        uint16_t id;
        bool extended;
        uint32_t size; /* 0: see capability_size() */
        const struct config_register *registers;
};

static const struct config_capability capabilities[] = {
        {PCI_CAP_ID_PM, false, PCI_PM_SIZEOF, power_registers},
        {PCI_CAP_ID_MSI, false, 0, msi_registers},
        {PCI_CAP_ID_MSIX, false, PCI_CAP_MSIX_SIZEOF, msix_registers},
        {PCI_CAP_ID_EXP, false, 0, express_registers},
        {PCI_EXT_CAP_ID_DSN, true, PCI_EXT_CAP_DSN_SIZEOF, serial_number_registers},
};

static uint32_t msi_size(uint32_t flags)
{
        return 10 + (flags & PCI_MSI_FLAGS_64BIT ? 4 : 0) +
               (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
}

/* Version 1 has no registers behind what the kind of function needs; an integrated one has no link. */
static uint32_t express_size(uint32_t flags)
{
        bool integrated = (flags & PCI_EXP_FLAGS_TYPE) >> 4 == PCI_EXP_TYPE_RC_END;

        if ((flags & PCI_EXP_FLAGS_VERS) < 2)
                return integrated ? PCI_EXP_LNKCAP : PCI_EXP_SLTCAP;
        return integrated ? PCI_EXP_LNKCAP2 : PCI_EXP_SLTCAP2;
}

/* @flags: the 16 bits behind id and pointer of a standard capability. */
static uint32_t capability_size(const struct config_capability *row, uint32_t flags)
{
        if (row->size != 0)
                return row->size;
        return row->id == PCI_CAP_ID_MSI ? msi_size(flags) : express_size(flags);
}

/* A walk under way. */
struct walk {
        struct vtd_config_space *space;
        struct vtd_host *host;
        uint32_t device;
        const struct vtd_config_vectors *vectors;
        uint32_t last; /* offset of the last capability of its list that is shown; 0: none is */
        bool seen[VTD_ARRAY_SIZE(capabilities)]; /* of each kind the first is shown */
        bool taken[VTD_CONFIG_SIZE / 4];         /* dwords that belong to something */
        uint64_t detail;
};

static int broken(struct walk *walk, uint32_t offset)
{
        walk->detail = offset;
        return VTD_CONFIG_E_BROKEN;
}

static int look(struct walk *walk, uint32_t offset, uint32_t width, uint32_t *value)
{
        int r = walk->host->ops->config_read(walk->host, walk->device, offset, width, value);

        if (r == 0)
                return 0;
        walk->detail = (uint64_t)(int64_t)r;
        return VTD_CONFIG_E_HOST;
}

/* The dwords of [@offset, @offset + @size) must be inside @end and nobody else's. */
static int take(struct walk *walk, uint32_t offset, uint32_t size, uint32_t end)
{
        if (!vtd_range_within(offset, size, end))
                return broken(walk, offset);
        for (uint32_t i = offset / 4; i * 4 < offset + size; i++) {
                if (walk->taken[i])
                        return broken(walk, offset);
                walk->taken[i] = true;
        }
        return 0;
}

static void put(uint8_t *bytes, uint32_t offset, uint32_t width, uint32_t bits)
{
        for (uint32_t i = 0; i < width; i++)
                bytes[offset + i] |= (uint8_t)(bits >> (8 * i));
}

/* The registers of a list that lie inside [@base, @base + @size). */
static void show(struct vtd_config_space *space, const struct config_register *registers,
                 uint32_t base, uint32_t size)
{
        for (const struct config_register *r = registers; r->width != 0; r++) {
                if (!vtd_range_within(r->offset, r->width, size))
                        continue;
                put(space->shown, base + r->offset, r->width, r->shown);
                put(space->writable, base + r->offset, r->width, r->writable);
        }
}

/* The kind of each BAR; where it lies in the host is nobody's business. */
static int learn_bars(struct walk *walk)
{
        uint32_t bar, kind;
        int r;

        for (uint32_t i = 0; i < VTD_REGIONS; i++) {
                uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * i;

                r = look(walk, offset, 4, &bar);
                if (r != 0)
                        return r;
                kind = bar & PCI_BASE_ADDRESS_SPACE_IO ? ~PCI_BASE_ADDRESS_IO_MASK & 0xff
                                                       : ~PCI_BASE_ADDRESS_MEM_MASK & 0xff;
                put(walk->space->shown, offset, 1, kind);
                if (!(bar & PCI_BASE_ADDRESS_SPACE_IO) &&
                    (bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
                        i++; /* the next one is the upper half of this address */
        }
        return 0;
}

/* The row of a capability that is to be shown, or NULL. */
static const struct config_capability *find_row(struct walk *walk, uint32_t id, bool extended)
{
        if ((id == PCI_CAP_ID_MSI && !extended && walk->vectors->msi == 0) ||
            (id == PCI_CAP_ID_MSIX && !extended && walk->vectors->msix == 0))
                return NULL;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(capabilities); i++) {
                if (capabilities[i].id != id || capabilities[i].extended != extended ||
                    walk->seen[i])
                        continue;
                walk->seen[i] = true;
                return &capabilities[i];
        }
        return NULL;
}

/* Shows a standard capability, with the pointer of the one before it leading there. */
static int show_standard(struct walk *walk, const struct config_capability *row, uint32_t offset)
{
        struct vtd_config_space *space = walk->space;
        uint32_t flags, size;
        int r;

        r = look(walk, offset + 2, 2, &flags);
        if (r != 0)
                return r;
        size = capability_size(row, flags);
        r = take(walk, offset, size, STANDARD_SIZE);
        if (r != 0)
                return r;
        put(space->shown, offset, 1, 0xff);
        show(space, row->registers, offset, size);
        if (row->id == PCI_CAP_ID_MSIX)
                put(space->fixed, offset + PCI_MSIX_FLAGS, 2, walk->vectors->msix - 1);
        if (walk->last == 0)
                put(space->fixed, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
        space->fixed[walk->last == 0 ? PCI_CAPABILITY_LIST : walk->last + PCI_CAP_LIST_NEXT] =
                (uint8_t)offset;
        walk->last = offset;
        return 0;
}

static int walk_standard(struct walk *walk)
{
        const struct config_capability *row;
        uint32_t status, next, head, offset;
        int r;

        r = look(walk, PCI_STATUS, 2, &status);
        if (r == 0)
                r = look(walk, PCI_CAPABILITY_LIST, 1, &next);
        if (r != 0 || !(status & PCI_STATUS_CAP_LIST))
                return r;
        for (unsigned n = 0; (offset = next & ~3u) != 0; n++) {
                if (offset < HEADER_SIZE || n == STANDARD_MAX)
                        return broken(walk, offset);
                r = look(walk, offset, 2, &head);
                if (r != 0)
                        return r;
                row = find_row(walk, head & 0xff, false);
                r = row ? show_standard(walk, row, offset) : take(walk, offset, 2, STANDARD_SIZE);
                if (r != 0)
                        return r;
                next = head >> 8;
        }
        return 0;
}

static int show_extended(struct walk *walk, const struct config_capability *row, uint32_t offset)
{
        struct vtd_config_space *space = walk->space;
        uint32_t before = walk->last == 0 ? STANDARD_SIZE : walk->last;
        int r;

        r = take(walk, offset, row->size, space->size);
        if (r != 0)
                return r;
        put(space->shown, offset, 4, 0x000fffff); /* id and version */
        show(space, row->registers, offset, row->size);
        /* Into the first capability, hidden or not: a null capability if it is. */
        if (offset != STANDARD_SIZE)
                put(space->fixed, before, 4, offset << 20);
        walk->last = offset;
        return 0;
}

static int walk_extended(struct walk *walk)
{
        uint32_t offset = STANDARD_SIZE, head;
        const struct config_capability *row;
        int r;

        walk->last = 0;
        for (unsigned n = 0; offset != 0; n++) {
                if (offset < STANDARD_SIZE || n == EXTENDED_MAX)
                        return broken(walk, offset);
                r = look(walk, offset, 4, &head);
                if (r != 0)
                        return r;
                if (n == 0 && (head == 0 || head == ALL32))
                        return 0; /* there is none */
                row = find_row(walk, PCI_EXT_CAP_ID(head), true);
                r = row ? show_extended(walk, row, offset)
                        : take(walk, offset, 4, walk->space->size);
                if (r != 0)
                        return r;
                offset = PCI_EXT_CAP_NEXT(head);
        }
        return 0;
}

static int learn_header(struct walk *walk)
{
        uint32_t type;
        int r;

        r = look(walk, PCI_HEADER_TYPE, 1, &type);
        if (r != 0)
                return r;
        if ((type & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
                return broken(walk, PCI_HEADER_TYPE);
        show(walk->space, header_registers, 0, HEADER_SIZE);
        return learn_bars(walk);
}

int vtd_config_space_learn(struct vtd_config_space *space, struct vtd_host *host, uint32_t device,
                           const struct vtd_host_device_info *info,
                           const struct vtd_config_vectors *vectors, uint64_t *detail)
{
        struct walk walk = {.space = space, .host = host, .device = device, .vectors = vectors};
        int r;

        *space = (struct vtd_config_space){.size = info->config_size};
        r = learn_header(&walk);
        if (r == 0)
                r = walk_standard(&walk);
        if (r == 0 && info->config_size > STANDARD_SIZE)
                r = walk_extended(&walk);
        if (r != 0) {
                *space = (struct vtd_config_space){0};
                *detail = walk.detail;
                return r;
        }
        vtd_config_space_show_bus_master(space, true);
        return 0;
}

/* The bytes of an access as one number. */
static uint32_t get(const uint8_t *bytes, uint32_t offset, uint32_t width)
{
        uint32_t bits = 0;

        for (uint32_t i = 0; i < width; i++)
                bits |= (uint32_t)bytes[offset + i] << (8 * i);
        return bits;
}

int vtd_config_space_read(const struct vtd_config_space *space, struct vtd_host *host,
                          uint32_t device, uint32_t offset, uint32_t width, uint32_t *value)
{
        uint32_t shown = get(space->shown, offset, width), raw = 0;
        int r = 0;

        if (shown != 0)
                r = host->ops->config_read(host, device, offset, width, &raw);
        if (r == 0)
                *value = (raw & shown) | get(space->fixed, offset, width);
        return r;
}

int vtd_config_space_write(const struct vtd_config_space *space, struct vtd_host *host,
                           uint32_t device, uint32_t offset, uint32_t width, uint32_t value)
{
        /* By words: a double word would reach a register beside it, and clear what is cleared by 1. */
        uint32_t step = width < 2 ? width : 2;
        int r = 0;

        for (uint32_t at = 0; at < width && r == 0; at += step) {
                uint32_t writable = get(space->writable, offset + at, step), present;

                if (writable == 0)
                        continue;
                r = host->ops->config_read(host, device, offset + at, step, &present);
                if (r == 0)
                        r = host->ops->config_write(host, device, offset + at, step,
                                                    (present & ~writable) |
                                                            (value >> (8 * at) & writable));
        }
        return r;
}

bool vtd_config_space_sets_bus_master(uint32_t offset, uint32_t width, uint32_t value, bool *on)
{
        if (!vtd_range_contains(offset, width, PCI_COMMAND, 1))
                return false;
        *on = value >> (8 * (PCI_COMMAND - offset)) & PCI_COMMAND_MASTER;
        return true;
}

void vtd_config_space_show_bus_master(struct vtd_config_space *space, bool on)
{
        space->fixed[PCI_COMMAND] = on ? PCI_COMMAND_MASTER : 0;
}
