/* SPDX-License-Identifier: MIT */
/* Reading a policy file, apart from compiling it. */
#ifndef VTD_POLICY_LOAD_H
#define VTD_POLICY_LOAD_H

#include <stddef.h>

#include "policy/schema.h"
#include "shared/log.h"

/*
 * Reads @name below @directory_fd into @text, by the rules of vtd_policy_load().
 * Returns 0 with *@size; -EINVAL or the negative errno of the call that failed (both reported).
 */
int vtd_policy_read_file(int directory_fd, const char *name, char text[VTD_SCHEMA_FILE_MAX],
                         size_t *size, struct vtd_log *log);

#endif
