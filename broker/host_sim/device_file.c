/* SPDX-License-Identifier: MIT */
/*
 * See device_file.h.  A descriptor is mapped only after its seals have shown that its size can no
 * longer change, so that touching the mapping cannot fail.
 *
 * System calls of map and unmap: fstat, fcntl(F_GET_SEALS), mmap, munmap.
 */
#include "broker/host_sim/device_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

#define FILE_MAGIC         UINT64_C(0x5644534d49534456) /* "VDSIMSDV" */
#define FILE_SIZE          (2 * VTD_PAGE_SIZE)
#define FILE_SEALS         (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
#define FILE_SEALS_REFUSED (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

_Static_assert(sizeof(struct vtd_sim_device_file) <= FILE_SIZE, "the state fits the file");

int vtd_sim_device_create(const char *model, int *fd)
{
        const struct vtd_sim_model *known = vtd_sim_model_named(model);
        struct vtd_sim_device_file initial = {.magic = FILE_MAGIC};
        VTD_CLEANUP_FD int created = -1;
        ssize_t written;

        if (!known)
                return VTD_SIM_E_MODEL;
        initial.model = known->number;
        created = memfd_create("vtd-sim-edu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (created < 0)
                return vtd_errno();
        if (ftruncate(created, FILE_SIZE) < 0)
                return vtd_errno();
        written = pwrite(created, &initial, sizeof(initial), 0);
        if (written < 0)
                return vtd_errno();
        if ((size_t)written != sizeof(initial))
                return -EIO;
        if (fcntl(created, F_ADD_SEALS, FILE_SEALS) < 0)
                return vtd_errno();
        *fd = VTD_TAKE_FD(created);
        return 0;
}

int vtd_sim_device_map(int fd, struct vtd_sim_device_file **out,
                       struct vtd_sim_device_identity *identity)
{
        struct vtd_sim_device_file *file;
        struct stat status;
        int seals;

        if (fstat(fd, &status) < 0)
                return vtd_errno();
        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & FILE_SEALS) != FILE_SEALS || (seals & FILE_SEALS_REFUSED) ||
            status.st_size != (off_t)FILE_SIZE)
                return VTD_SIM_E_FOREIGN;
        file = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (file == MAP_FAILED)
                return errno == EACCES ? VTD_SIM_E_FOREIGN : vtd_errno();
        identity->model = vtd_sim_model_numbered(file->model);
        if (file->magic != FILE_MAGIC || !identity->model) {
                vtd_sim_device_unmap(file);
                return VTD_SIM_E_FOREIGN;
        }
        identity->dev = status.st_dev;
        identity->ino = status.st_ino;
        *out = file;
        return 0;
}

struct vtd_sim_device_file *vtd_sim_device_unmap(struct vtd_sim_device_file *file)
{
        /* Unmapping a whole mapping that exists cannot fail. */
        if (file)
                (void)munmap(file, FILE_SIZE);
        return NULL;
}
