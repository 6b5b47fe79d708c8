/* SPDX-License-Identifier: MIT */
/*
 * A VMM in less than 200 lines: one vCPU, 16 MiB of memory, a virtual IOMMU, and behind it a PCI
 * device that vtd-broker holds.  docs/vmm.md explains it, and guest.c beside this is a guest for it.
 * It ends with the status that the guest writes to the exit port, or with 1 when it fails itself.
 */
#define _GNU_SOURCE 1
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vtd/device.h>

#define RAM_SIZE UINT64_C(0x1000000) /* from guest-physical 0 on */
#define IMAGE    UINT64_C(0x100000)  /* where the guest's program begins, and its stack ends */
#define BAR      UINT64_C(0xfe000000)

enum { BAR_SIZE = 0x100000, RID = 0x0018 /* 00:03.0 */, CONSOLE_PORT = 0xe9, EXIT_PORT = 0xf4 };
typedef uint32_t word32 __attribute__((may_alias, aligned(1)));
typedef uint64_t word64 __attribute__((may_alias, aligned(1)));

struct vm {
        struct vtd_frontend *iommu;
        uint8_t *ram;
        int vm_fd, vcpu_fd;
};

static long checked(long result, const char *what)
{
        if (result < 0)
                err(1, "%s", what);
        return result;
}

static void *map(int fd, size_t n)
{
        return (void *)checked((long)mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
                               "mmap");
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        uint8_t *ram = ((struct vm *)opaque)->ram;

        if (gpa >= RAM_SIZE || size > RAM_SIZE - gpa)
                return -EFAULT;
        for (; size > 0 && (gpa | size) % 8 == 0; gpa += 8, size -= 8, data = (uint64_t *)data + 1)
                *(word64 *)data = __atomic_load_n((uint64_t *)(ram + gpa), __ATOMIC_ACQUIRE);
        memcpy(data, ram + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        uint8_t *ram = ((struct vm *)opaque)->ram;

        if (gpa >= RAM_SIZE || size > RAM_SIZE - gpa)
                return -EFAULT;
        if (size == 4 && gpa % 4 == 0)
                __atomic_store_n((uint32_t *)(ram + gpa), *(const word32 *)data, __ATOMIC_RELEASE);
        else
                memcpy(ram + gpa, data, size);
        return 0;
}

/* A message that no interrupt controller takes is lost, as on a real bus. */
static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct kvm_msi msi = {.address_lo = address, .address_hi = address >> 32, .data = data};

        (void)ioctl(((struct vm *)opaque)->vm_fd, KVM_SIGNAL_MSI, &msi);
}

static void log_line(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        (void)opaque;
        if (level <= VTD_FRONTEND_LOG_WARNING)
                warnx("%s", line);
}

static void require(const struct vm *vm, const char *what, int result)
{
        struct vtd_frontend_refusal refusal = {.reason_name = "no broker"};

        if (result == VTD_FRONTEND_REFUSED)
                vtd_frontend_refusal(vm->iommu, &refusal);
        if (result != 0)
                errx(1, "%s: %s", what, result < 0 ? strerror(-result) : refusal.reason_name);
}

/* Memory, which never shrinks and so never faults, and the virtual IOMMU with its device. */
static void create_machine(struct vm *vm, const char *socket, const char *device, const char *image)
{
        static const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        static const struct vtd_frontend_callbacks callbacks = {.read_memory = read_memory,
                                                                .write_memory = write_memory,
                                                                .send_message = send_message,
                                                                .log = log_line};
        int image_fd = checked(open(image, O_RDONLY | O_CLOEXEC), image);
        int fd = checked(memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create");
        uint64_t mapping;

        checked(ftruncate(fd, RAM_SIZE), "ftruncate");
        checked(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), "F_ADD_SEALS");
        vm->ram = map(fd, RAM_SIZE);
        checked(read(image_fd, vm->ram + IMAGE, RAM_SIZE - IMAGE), image);
        require(vm, "virtual IOMMU", vtd_frontend_new(&vm->iommu, &config, &callbacks, vm));
        require(vm, socket, vtd_frontend_connect(vm->iommu, socket, NULL));
        require(vm, device, vtd_frontend_plug(vm->iommu, device, RID));
        require(vm, "memory", vtd_frontend_map(vm->iommu, 0, RAM_SIZE, fd, 0, &mapping));
}

/* A vCPU in protected mode, with flat segments and without paging. */
static struct kvm_run *create_vcpu(struct vm *vm)
{
        struct kvm_userspace_memory_region ram = {.memory_size = RAM_SIZE,
                                                  .userspace_addr = (uintptr_t)vm->ram};
        struct kvm_regs regs = {.rip = IMAGE, .rsp = IMAGE, .rflags = 2};
        int kvm = checked(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
        struct kvm_sregs sregs;

        vm->vm_fd = checked(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
        checked(ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
        checked(ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
        checked(ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &ram), "KVM_SET_USER_MEMORY_REGION");
        vm->vcpu_fd = checked(ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
        checked(ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
        sregs.cs.base = 0;
        sregs.cs.limit = sregs.ds.limit = sregs.es.limit = sregs.ss.limit = ~0u;
        sregs.cs.g = sregs.ds.g = sregs.es.g = sregs.ss.g = sregs.cs.db = sregs.ss.db = 1;
        sregs.cr0 |= 1;
        checked(ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
        checked(ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
        return map(vm->vcpu_fd, checked(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM"));
}

/* Until all is done that the guest has asked for: the vCPU that waits for it is the only one. */
static void run_iommu(struct vm *vm)
{
        struct pollfd broker = {.fd = vtd_frontend_get_fd(vm->iommu), .events = POLLIN};
        int result;

        while ((result = vtd_frontend_run(vm->iommu, 256)) == VTD_FRONTEND_PENDING ||
               result == VTD_FRONTEND_WAITING)
                checked(poll(&broker, 1, result == VTD_FRONTEND_WAITING ? -1 : 0), "poll");
        require(vm, "virtual IOMMU", result);
}

/* What nobody answers reads as all ones; so does a device of which the broker refuses the access. */
static void mmio(struct vm *vm, uint64_t gpa, uint8_t *data, unsigned size, bool write)
{
        uint64_t page = gpa - VTD_FRONTEND_REGISTER_BASE, value = write ? 0 : UINT64_MAX;

        memcpy(&value, data, write ? size : 0);
        if (gpa - BAR < BAR_SIZE && write)
                (void)vtd_frontend_region_write(vm->iommu, RID, 0, gpa - BAR, size, value);
        else if (gpa - BAR < BAR_SIZE)
                (void)vtd_frontend_region_read(vm->iommu, RID, 0, gpa - BAR, size, &value);
        else if (page < VTD_FRONTEND_REGISTER_PAGE_SIZE && write)
                vtd_frontend_write(vm->iommu, page, size, value);
        else if (page < VTD_FRONTEND_REGISTER_PAGE_SIZE)
                value = vtd_frontend_read(vm->iommu, page, size);
        memcpy(data, &value, write ? 0 : size);
}

static void port_io(unsigned port, uint8_t *data, size_t size, bool out)
{
        if (port == EXIT_PORT && out)
                _exit(*data);
        memset(data, 0xff, out ? 0 : size);
        if (port == CONSOLE_PORT)
                checked(out ? write(1, data, size) : read(0, data, 1), "console");
}

int main(int argc, char **argv)
{
        struct vm vm = {0};

        if (argc != 4)
                errx(1, "usage: %s SOCKET DEVICE IMAGE", argv[0]);
        create_machine(&vm, argv[1], argv[2], argv[3]);
        for (struct kvm_run *run = create_vcpu(&vm);;) {
                run_iommu(&vm);
                checked(TEMP_FAILURE_RETRY(ioctl(vm.vcpu_fd, KVM_RUN, 0)), "KVM_RUN");
                if (run->exit_reason == KVM_EXIT_MMIO)
                        mmio(&vm, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
                             run->mmio.is_write);
                else if (run->exit_reason == KVM_EXIT_IO)
                        port_io(run->io.port, (uint8_t *)run + run->io.data_offset,
                                run->io.size * run->io.count, run->io.direction);
                else
                        errx(1, "the vCPU stopped with exit reason %u", run->exit_reason);
        }
}
