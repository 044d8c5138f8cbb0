// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: what happens on start
 */

#include <identity_compat.h>
#include <errno.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <mmc.h>
#include <pci.h>
#include <asm/global_data.h>

DECLARE_GLOBAL_DATA_PTR;

static struct identity_card *applied;

const struct identity_card *identity_applied(void)
{
	return applied;
}

static void say(const struct identity_card *card)
{
	char uuid[IDENTITY_TEXT_LEN], profile[IDENTITY_TEXT_LEN];
	const char *mac;

	if (identity_usable(card->state)) {
		identity_text(&card->record, IDENTITY_TEXT_UUID, uuid);
		identity_text(&card->record, IDENTITY_TEXT_PROFILE, profile);
		mac = env_get("ethaddr");
		printf("identity: %s %s (mmc %d, LBA %u), ethaddr %s\n",
		       profile, uuid, card->devnum, card->record.lba,
		       mac ? mac : "not set");
	}
	if (card->state != IDENTITY_VALID) {
		printf("identity: %smmc %d is %s%s: ",
		       identity_mismatch(card->state) ? "WARNING: " : "",
		       card->devnum, identity_state(card->state),
		       identity_usable(card->state) ? "" :
		       ", the environment is left alone");
		identity_print_advice(card);
	}
}

int identity_apply(int devnum)
{
	struct identity_card *card;
	int state;

	card = identity_card_read(devnum);
	if (!card || identity_env_apply(card)) {
		printf("identity: no memory\n");
		free(card);
		return -ENOMEM;
	}
	say(card);

	/* A card without identity does not take away another card's */
	state = card->state;
	if (identity_usable(card->state) || !applied ||
	    !identity_usable(applied->state)) {
		free(applied);
		applied = card;
	} else {
		free(card);
	}

	return state;
}

#ifdef IDENTITY_HAVE_SETTINGS_EVENT
/* The event comes when all is there */
static bool is_ready(void)
{
	return true;
}
#else
/* A call that was put somewhere by hand may come too early */
static bool is_ready(void)
{
	/* Loading the environment drops what was set before */
	if (!(gd->flags & GD_FLG_ENV_READY)) {
		printf("identity: WARNING: identity_boot() is called before the environment is loaded, and takes nothing; it has to be called later\n");
		return false;
	}
	/* If that was done it does nothing */
	mmc_initialize(gd->bd);

	return true;
}
#endif

/* Not inlined: check-called looks for it in the image */
noinline int identity_boot(void)
{
	if (!IS_ENABLED(CONFIG_IDENTITY_BOOT) || !is_ready())
		return 0;

	/* A controller on PCI is not there before somebody asks for it */
	if (IS_ENABLED(CONFIG_MMC_PCI))
		pci_init();

	identity_apply(identity_mmc_device());
	if (IS_ENABLED(CONFIG_IDENTITY_NETBOOT))
		identity_netboot_prepare();

	return 0;
}

IDENTITY_SPY_SETTINGS(identity_boot);

/* In the image only if the linker keeps what nobody calls, see check-called */
void identity_is_called_by_nobody(void)
{
}
