/* SPDX-License-Identifier: GPL-2.0+ */
/*
 * Board identity on the SD card: the places where the rest of U-Boot calls it.
 */

#ifndef __IDENTITY_HOOKS_H
#define __IDENTITY_HOOKS_H

#include <linux/kconfig.h>
#include <linux/types.h>

struct smbios_ctx;

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
 * identity_load_options() - options of the EFI program that is started
 *
 * @name: Name of the variable that they are made of
 * @value: Its value or NULL
 * Return: @value, or kernel arguments with those of the identity, valid until
 *	the next call
 */
const char *identity_load_options(const char *name, const char *value);

/**
 * identity_smbios_serial() - the system's serial number for SMBIOS
 *
 * @serial: Serial number to be taken if the identity has none; may be NULL
 * Return: the serial number, valid until the next call, or @serial
 */
const char *identity_smbios_serial(const char *serial);

/**
 * identity_smbios_uuid() - the system's UUID for SMBIOS
 *
 * @uuid: 16 bytes in SMBIOS' order, which stay as they are without an identity
 */
void identity_smbios_uuid(u8 *uuid);

/**
 * identity_smbios_strings() - write OEM Strings: kernel arguments for systemd-stub
 *
 * @current: Address, moved behind what was written
 * @handle: Number of the structure
 * @ctx: Not used
 * Return: number of bytes written, 0 without an identity or without
 *	CONFIG_IDENTITY_SMBIOS_BOOTARGS
 */
int identity_smbios_strings(ulong *current, int handle, struct smbios_ctx *ctx);

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

static inline const char *identity_load_options(const char *name,
						const char *value)
{
	return value;
}

static inline const char *identity_smbios_serial(const char *serial)
{
	return serial;
}

static inline void identity_smbios_uuid(u8 *uuid)
{
}

static inline int identity_smbios_strings(ulong *current, int handle,
					  struct smbios_ctx *ctx)
{
	return 0;
}

static inline int identity_boot(void)
{
	return 0;
}

#endif

#endif
