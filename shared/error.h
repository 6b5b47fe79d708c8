/* SPDX-License-Identifier: MIT */
/*
 * Error idiom, used everywhere.
 *
 * A function that can fail returns int:
 *   0         success;
 *   negative  a negative errno: unexpected; the caller passes it on unchanged and never compares it
 *             with particular codes;
 *   positive  MODULE_E_NAME: an expected outcome, listed in the function's comment, which the
 *             direct caller must handle.
 * The place where an error is first seen reports it through vtd_fail() (shared/log.h), which says
 * what was wrong, with which value, and what was allowed; callers further up add nothing.
 */
#ifndef VTD_SHARED_ERROR_H
#define VTD_SHARED_ERROR_H

#include <errno.h>

/* Turns an outcome that the caller cannot treat as expected into an unexpected error. */
static inline int vtd_error_fold(int result)
{
        return result > 0 ? -ENOTRECOVERABLE : result;
}

/* The negative errno of a system call that has just failed; never 0, whatever errno holds. */
static inline int vtd_errno(void)
{
        return errno > 0 ? -errno : -EIO;
}

#endif
