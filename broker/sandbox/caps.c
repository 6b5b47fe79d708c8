/* SPDX-License-Identifier: MIT */
/*
 * See caps.h.  libcap-ng changes the sets; the kernel is asked directly what came of it, so that a
 * mistake of the library is seen.
 */
#include "broker/sandbox/caps.h"

#include <cap-ng.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/error.h"

/* Every bit that there is, each with its lock (KEEP_CAPS itself stays off). */
#define SECURE_BITS                                                                                \
        (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |   \
         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* Capability numbers fit 64 bits: the kernel's sets are two 32-bit words. */
#define CAPABILITY_END 64

struct capability_words {
        struct __user_cap_header_struct header;
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int read_words(struct capability_words *words)
{
        *words = (struct capability_words){.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
        return syscall(SYS_capget, &words->header, words->data) < 0 ? vtd_errno() : 0;
}

int vtd_caps_close_sources(struct vtd_log *log)
{
        int result;

        capng_clear(CAPNG_SELECT_BOUNDS);
        result = capng_apply(CAPNG_SELECT_BOUNDS);
        if (result != 0)
                return vtd_fail(log, -EPERM, "bounding set not emptied (libcap-ng says %d)",
                                result);
        if (prctl(PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0) < 0) {
                result = vtd_errno();
                return vtd_fail(log, result, "secure bits not locked: %s", strerror(-result));
        }
        return 0;
}

int vtd_caps_drop_all(struct vtd_log *log)
{
        int result;

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
                result = vtd_errno();
                return vtd_fail(log, result, "ambient set not emptied: %s", strerror(-result));
        }
        capng_clear(CAPNG_SELECT_CAPS);
        result = capng_apply(CAPNG_SELECT_CAPS);
        if (result != 0)
                return vtd_fail(log, -EPERM, "capabilities not dropped (libcap-ng says %d)",
                                result);
        return 0;
}

int vtd_caps_verify_none(struct vtd_log *log)
{
        struct capability_words words;
        int result;

        result = read_words(&words);
        if (result < 0)
                return vtd_fail(log, result, "capabilities not readable: %s", strerror(-result));
        for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
                if (words.data[i].effective || words.data[i].permitted || words.data[i].inheritable)
                        return vtd_fail(log, -EPERM, "capabilities left in word %u", i);
        for (int cap = 0; cap < CAPABILITY_END; cap++) {
                /* Both fail with EINVAL from the first number on that the kernel does not know. */
                if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0)
                        return vtd_fail(log, -EPERM, "capability %d left in the bounding set", cap);
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) > 0)
                        return vtd_fail(log, -EPERM, "capability %d left in the ambient set", cap);
        }
        result = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
        if (result != SECURE_BITS)
                return vtd_fail(log, -EPERM, "secure bits are %#x, must be %#x", (unsigned)result,
                                (unsigned)SECURE_BITS);
        return 0;
}

int vtd_caps_verify_lost(struct vtd_log *log)
{
        struct capability_words words = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};

        for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
                uint32_t *permitted = &words.data[CAP_TO_INDEX(cap)].permitted;

                *permitted = (uint32_t)CAP_TO_MASK(cap);
                if (syscall(SYS_capset, &words.header, words.data) == 0)
                        return vtd_fail(log, -EPERM, "capability %d could be regained", cap);
                *permitted = 0;
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) == 0)
                        return vtd_fail(log, -EPERM, "ambient capability %d could be raised", cap);
        }
        if (prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) == 0)
                return vtd_fail(log, -EPERM, "secure bits could be unlocked");
        return 0;
}

int vtd_caps_keep_over_exec(void)
{
        struct capability_words words;
        int result;

        result = read_words(&words);
        if (result < 0)
                return result;
        for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
                words.data[i].inheritable = words.data[i].permitted;
        if (syscall(SYS_capset, &words.header, words.data) < 0)
                return vtd_errno();
        for (int cap = 0; cap < CAPABILITY_END; cap++) {
                if (!(words.data[CAP_TO_INDEX(cap)].permitted & CAP_TO_MASK(cap)))
                        continue;
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
                        return vtd_errno();
        }
        return 0;
}
