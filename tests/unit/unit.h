/* SPDX-License-Identifier: MIT */
/* cmocka with the headers that it needs before it. */
#ifndef VTD_TESTS_UNIT_H
#define VTD_TESTS_UNIT_H

/* clang-format off: the order is cmocka's rule */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
