/* SPDX-License-Identifier: GPL-2.0+ */
/*
 * Board identity on the SD card: the places where the rest of U-Boot calls it.
 */

#ifndef __IDENTITY_HOOKS_H
#define __IDENTITY_HOOKS_H

#include <linux/kconfig.h>
#include <linux/types.h>

#if CONFIG_IS_ENABLED(IDENTITY)

/**
 * identity_env_export() - write the environment as it is to be saved
 *
 * Called instead of hexport_r() when the environment is saved: what came from
 * the card is left out, and what it replaced is there again.
 *
 * @res: Buffer for the list of "name=value"
 * @size: Its size
 * Return: @size, or -1 if it is too small
 */
ssize_t identity_env_export(char **res, size_t size);

/**
 * identity_fdt_fixup() - tell the operating system the board's identity
 *
 * @blob: Device tree that it will get
 */
void identity_fdt_fixup(void *blob);

/**
 * identity_boot() - take the identity of the card that the board starts from
 *
 * To be called after the environment was loaded and before the network is
 * started.
 *
 * Return: 0; a board without identity starts too
 */
int identity_boot(void);

#else

/* A macro: the headers that it needs have other names in old releases */
#define identity_env_export(res, size) \
	hexport_r(&env_htab, '\0', 0, res, size, 0, NULL)

static inline void identity_fdt_fixup(void *blob)
{
}

static inline int identity_boot(void)
{
	return 0;
}

#endif

#endif
