/* SPDX-License-Identifier: GPL-2.0+ */
/*
 * Board identity on the SD card: all that differs between releases of U-Boot.
 *
 * Our C files are written for the newest release; what an older one lacks is
 * added here. To be included first.
 *
 * IDENTITY_HAVE_… come from lib/identity/Makefile, which looks into the tree: a
 * tree between two releases, or a vendor's, is what its files say it is. They
 * are not there in cmd/.
 */

#ifndef __IDENTITY_COMPAT_H
#define __IDENTITY_COMPAT_H

/* All is in one image: nothing needs to be looked up in a table */
#if defined(__PIE__) && defined(__arm__)
#pragma GCC visibility push(hidden)
#endif

/* Headers of older releases take it for granted */
#if __has_include("common.h")
#include <common.h>
#endif
#include <command.h>
#include <dm/device.h>
#include <linux/types.h>

#if __has_include("env.h")
#include <env.h>
#endif
#if __has_include("env_internal.h")
#include <env_internal.h>
#else
#include <environment.h>
#endif
#if __has_include("stdio.h")
#include <stdio.h>
#endif
#if __has_include("init.h")
#include <init.h>
#endif
#if __has_include("dm/read.h")
#include <dm/read.h>
#endif
#if __has_include("linux/libfdt.h")
#include <linux/libfdt.h>
#else
#include <libfdt.h>
#endif
#if __has_include("linux/delay.h")
#include <linux/delay.h>
#endif

#ifndef fdt_for_each_property_offset
#define fdt_for_each_property_offset(property, fdt, node) \
	for (property = fdt_first_property_offset(fdt, node); property >= 0; \
	     property = fdt_next_property_offset(fdt, property))
#endif

/* The type of a command's first argument, struct cmd_tbl * or cmd_tbl_t * */
#define identity_cmd_tbl	__typeof__(find_cmd(""))

#ifdef IDENTITY_HAVE_OLD_ENV_NAMES
#define env_get			getenv
#define env_set			setenv
#define env_get_bootm_low	getenv_bootm_low
#define eth_env_get_enetaddr	eth_getenv_enetaddr
#endif

#ifdef IDENTITY_HAVE_OLD_SEARCH_NAMES
#define env_entry		entry
#define ENV_FIND		FIND
#define ENV_ENTER		ENTER
#endif

#ifdef IDENTITY_HAVE_OLD_GETC
#define getchar()		getc()
#endif

/*
 * identity_expand() - put the values of variables into a text, which may be cut
 * off at the size; before 2021.07, that is CONFIG_SYS_CBSIZE
 */
#if defined(IDENTITY_HAVE_NO_MACROS)
#define identity_expand(from, to, size)	(*(to) = '\0')
#elif defined(IDENTITY_HAVE_OLD_MACROS)
#define identity_expand(from, to, size)	cli_simple_process_macros(from, to)
#else
#define identity_expand(from, to, size)	cli_simple_process_macros(from, to, size)
#endif

/*
 * identity_mmc_blk() - the block device of an MMC device, ready to be read
 * identity_mmc_uncache() - forget what was read from it before
 */
#if !__has_include("blk.h")
#include <part.h>
#define blk_desc		block_dev_desc
#define identity_mmc_blk(devnum)	mmc_get_dev(devnum)
#define identity_mmc_uncache(devnum)

static inline unsigned long blk_dread(struct blk_desc *desc, lbaint_t start,
				      lbaint_t count, void *buffer)
{
	return desc->block_read(desc, start, count, buffer);
}

static inline int blk_dselect_hwpart(struct blk_desc *desc, int hwpart)
{
	if (desc->hwpart == hwpart)
		return 0;

	return mmc_select_hwpart(desc->dev, hwpart);
}
#else
#include <blk.h>
#ifdef IDENTITY_HAVE_BLK_UCLASS
#define identity_mmc_blk(devnum) \
	blk_get_devnum_by_uclass_id(UCLASS_MMC, devnum)
#define identity_mmc_uncache(devnum)	blkcache_invalidate(UCLASS_MMC, devnum)
#else
#define identity_mmc_blk(devnum)	blk_get_devnum_by_type(IF_TYPE_MMC, devnum)
#define identity_mmc_uncache(devnum)	blkcache_invalidate(IF_TYPE_MMC, devnum)
#endif
#endif

/* identity_dev_seq() - the number in a device's alias, or -1 */
#ifdef IDENTITY_HAVE_DEV_SEQ
#define identity_dev_seq(dev)	dev_seq(dev)
#else
#define identity_dev_seq(dev)	((dev)->req_seq)
#endif

/* uclass_id_foreach_dev() - all devices of a class that are there */
#ifndef uclass_id_foreach_dev
#define uclass_id_foreach_dev(id, pos, uc) \
	if (!uclass_get(id, &(uc))) \
		list_for_each_entry(pos, &(uc)->dev_head, uclass_node)
#endif

/* IDENTITY_DEFAULT_BOOTCMD - $bootcmd of the default environment, where it is known */
#ifdef CONFIG_BOOTCOMMAND
#define IDENTITY_DEFAULT_BOOTCMD	CONFIG_BOOTCOMMAND
#else
#define IDENTITY_DEFAULT_BOOTCMD	""
#endif

/* identity_env_is_default() - whether nothing was saved, where a flag says so */
#ifdef IDENTITY_HAVE_ENV_DEFAULT_FLAG
#define identity_env_is_default()	(gd->flags & GD_FLG_ENV_DEFAULT)
#else
#define identity_env_is_default()	false
#endif

/* IDENTITY_ENV_DEV - the MMC device with the environment, if it is in MMC */
#ifdef CONFIG_SYS_MMC_ENV_DEV
#define IDENTITY_ENV_DEV	CONFIG_SYS_MMC_ENV_DEV
#else
#define IDENTITY_ENV_DEV	0
#endif

/*
 * IDENTITY_SPY_SETTINGS() - have a function called when the environment is
 * there and the network is not. Where U-Boot has no such event, its list of
 * steps in common/board_r.c names identity_boot().
 */
#ifdef IDENTITY_HAVE_SETTINGS_EVENT
#include <event.h>
#define IDENTITY_SPY_SETTINGS(func)	EVENT_SPY_SIMPLE(EVT_SETTINGS_R, func)
#else
#define IDENTITY_SPY_SETTINGS(func)
#endif

#endif
