/* SPDX-License-Identifier: GPL-2.0+ */
/*
 * Board identity on the SD card: all that differs between releases of U-Boot.
 *
 * IDENTITY_HAVE_… come from lib/identity/Makefile, which looks into the tree: a
 * tree between two releases, or a vendor's, is what its files say it is.
 */

#ifndef __IDENTITY_COMPAT_H
#define __IDENTITY_COMPAT_H

/*
 * identity_mmc_blk() - the block device of an MMC device, ready to be read
 * identity_mmc_uncache() - forget what was read from it before
 */
#ifdef IDENTITY_HAVE_BLK_UCLASS
#define identity_mmc_blk(devnum) \
	blk_get_devnum_by_uclass_id(UCLASS_MMC, devnum)
#define identity_mmc_uncache(devnum)	blkcache_invalidate(UCLASS_MMC, devnum)
#else
#define identity_mmc_blk(devnum)	blk_get_devnum_by_type(IF_TYPE_MMC, devnum)
#define identity_mmc_uncache(devnum)	blkcache_invalidate(IF_TYPE_MMC, devnum)
#endif

/* identity_dev_seq() - the number in a device's alias, or -1 */
#ifdef IDENTITY_HAVE_DEV_SEQ
#define identity_dev_seq(dev)	dev_seq(dev)
#else
#define identity_dev_seq(dev)	((dev)->req_seq)
#endif

/* IDENTITY_DEFAULT_BOOTCMD - $bootcmd of the default environment, where it is known */
#ifdef CONFIG_BOOTCOMMAND
#define IDENTITY_DEFAULT_BOOTCMD	CONFIG_BOOTCOMMAND
#else
#define IDENTITY_DEFAULT_BOOTCMD	""
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
