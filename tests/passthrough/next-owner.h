/* SPDX-License-Identifier: MIT */
/*
 * Who gets the drive after a VMM that was killed in the middle of I/O: finds out whether anything of
 * what the drive was doing reaches memory that is not that VMM's any more.
 */
#ifndef VTD_TESTS_NEXT_OWNER_H
#define VTD_TESTS_NEXT_OWNER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * As the VMM's user: plugs "drive" at @socket as soon as it is free, lets it reach 64 MiB of canaries by
 * guest-physical address, with bus mastering on, watches them for a second, and ends.  True if all stayed
 * as they were; else @problem, of @size bytes, says what was seen.
 */
bool next_owner_is_left_alone(const char *socket, char *problem, size_t size);

#endif
