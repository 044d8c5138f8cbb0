// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: reading it
 */

#include <identity_compat.h>
#include <errno.h>
#include <identity_board.h>
#include <malloc.h>
#include <mmc.h>
#include <vsprintf.h>
#include <asm/byteorder.h>
#include <asm/cache.h>
#include <linux/kernel.h>
#include <linux/string.h>

/* The only sector size for which the slots are defined */
#define SECTOR_LEN	512

#ifndef IDENTITY_HAVE_MMC_ENV_DEV
/* Else it is there only if the environment is in MMC; the same as there */
__weak int mmc_get_env_dev(void)
{
	return IDENTITY_ENV_DEV;
}
#endif

#ifdef IDENTITY_HAVE_ROCKCHIP_BOOTDEV
#include <boot_rkimg.h>

/* Rockchip's trees find out from which device they have started */
static int booted_device(void)
{
	const struct blk_desc *desc = rockchip_get_bootdev();

	if (desc && desc->if_type == IF_TYPE_MMC)
		return desc->devnum;

	return mmc_get_env_dev();
}
#else
static int booted_device(void)
{
	return mmc_get_env_dev();
}
#endif

__weak int identity_mmc_device(void)
{
	if (CONFIG_IDENTITY_MMC_DEV >= 0)
		return CONFIG_IDENTITY_MMC_DEV;

	return booted_device();
}

bool identity_usable(int state)
{
	return state == IDENTITY_VALID || state == IDENTITY_DEGRADED ||
	       (IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH) &&
		identity_mismatch(state));
}

bool identity_mismatch(int state)
{
	return state == IDENTITY_CLONED || state == IDENTITY_MOVED;
}

const char *identity_state(int state, char name[IDENTITY_STATE_LEN])
{
	if (identity_state_name(state, name, IDENTITY_STATE_LEN) != IDENTITY_OK)
		snprintf(name, IDENTITY_STATE_LEN, "%d", state);

	return name;
}

#define WORKSTATION	"; on a workstation: identity "
/* What is no state, and a degraded card with one copy, in the list below */
#define NO_STATE	(IDENTITY_UNREADABLE + 1 - IDENTITY_BLANK)
#define ALONE		(NO_STATE + 1)

/* By state, from IDENTITY_BLANK; tests run each command */
static const char advice[] =
	"no identity" WORKSTATION "stamp CARD --profile NAME\0"
	"nothing is wrong with it\0"
	"a copy is missing, damaged or older" WORKSTATION "repair CARD\0"
	"every copy is damaged" WORKSTATION "stamp CARD --force --profile NAME\0"
	"two identities" WORKSTATION "repair CARD --keep UUID\0"
	"its identity is of a version that this U-Boot is too old for; update U-Boot\0"
	"its identity is bound to another card" WORKSTATION
		"stamp CARD --force --profile NAME\0"
	"its identity is bound to another board; in Linux on this board: identity bind --force --board\0"
	"it cannot be read; check the card and its contacts, then: mmc rescan; identity env\0"
	"the identity library is another version's; run uboot-patch/apply again and build U-Boot anew\0"
	"one copy, which may be a piece of another card" WORKSTATION
		"repair CARD --keep";

const char *identity_string(const char *list, u32 number)
{
	while (number--)
		list += strlen(list) + 1;

	return list;
}

/* Whether there is one copy, and nothing says that it was made for this card */
static bool is_alone(const struct identity_card *card)
{
	char text[IDENTITY_TEXT_LEN];
	struct identity_seen seen;
	u32 number, copies = 0;

	for (number = 0; identity_search_seen(&card->search, number, &seen,
					      sizeof(seen)) == IDENTITY_OK;
	     number++) {
		if (seen.condition >= IDENTITY_CONDITION_VALID &&
		    seen.condition <= IDENTITY_CONDITION_NEWER)
			copies++;
	}

	return copies == 1 &&
	       !identity_text(&card->record, IDENTITY_TEXT_CARD, text);
}

void identity_print_advice(const struct identity_card *card)
{
	u32 number = min_t(u32, card->state - IDENTITY_BLANK, NO_STATE);

	/* Naming the copy is a person's word that it is this card's */
	if (card->state == IDENTITY_DEGRADED && is_alone(card))
		printf("%s %u\n", identity_string(advice, ALONE),
		       card->record.lba);
	else
		printf("%s\n", identity_string(advice, number));
}

const struct identity_name identity_texts[IDENTITY_TEXTS] = {
	{ "profile", IDENTITY_TEXT_PROFILE },
	{ "uuid", IDENTITY_TEXT_UUID },
	{ "hostname", IDENTITY_TEXT_HOSTNAME },
	{ "serial", IDENTITY_TEXT_SERIAL },
	{ "machine-id", IDENTITY_TEXT_MACHINE_ID },
};

const char *identity_text(const struct identity_record *record, u32 what,
			  char text[IDENTITY_TEXT_LEN])
{
	int ret = identity_record_text(record, what, text, IDENTITY_TEXT_LEN);

	return ret == IDENTITY_OK ? text : NULL;
}

const char *identity_mac(const struct identity_record *record, u32 index,
			 char text[IDENTITY_MAC_LEN], bool *assigned)
{
	u8 mac[6] = {};
	u32 source = 0;

	identity_record_mac(record, index, mac, &source);
	if (assigned)
		*assigned = source == IDENTITY_SOURCE_ASSIGNED;
	snprintf(text, IDENTITY_MAC_LEN, "%pM", mac);

	return text;
}

/* The card's state when it is known which card it is, and which board */
static int judge(const struct identity_card *card, const struct mmc *mmc)
{
	const char *board = identity_board_serial();
	__be32 cid[ARRAY_SIZE(mmc->cid)];
	int i;

	for (i = 0; i < ARRAY_SIZE(cid); i++)
		cid[i] = cpu_to_be32(mmc->cid[i]);

	return identity_record_state(&card->record, card->state, (u8 *)cid,
				     board, board ? strlen(board) : 0);
}

/* Returns the card's state, or a negative error that has been printed */
static int search(struct identity_card *card, struct blk_desc *desc, u8 *sector)
{
	u32 lba;
	int ret;

	ret = identity_search_begin(&card->search, sizeof(card->search),
				    CONFIG_IDENTITY_LBA);
	if (ret != IDENTITY_OK)
		return ret;

	while ((ret = identity_search_next(&card->search, &lba)) == IDENTITY_READ) {
		if (lba >= desc->lba)
			ret = identity_search_skip(&card->search, lba,
						   IDENTITY_SKIP_ABSENT);
		else if (blk_dread(desc, lba, 1, sector) != 1)
			ret = identity_search_skip(&card->search, lba,
						   IDENTITY_SKIP_UNREADABLE);
		else
			ret = identity_search_give(&card->search, lba, sector,
						   SECTOR_LEN, &card->record,
						   sizeof(card->record));
		/* Absent: the sector was taken, and holds no identity */
		if (ret != IDENTITY_OK && ret != IDENTITY_ABSENT)
			return ret;
	}

	return ret;
}

/* The same, whichever partition of an eMMC was selected before */
static int search_user_area(struct identity_card *card, struct blk_desc *desc)
{
	int hwpart = desc->hwpart;
	int ret = -EIO;
	u8 *sector;

	/* It may be of the card that was here before */
	identity_mmc_uncache(card->devnum);

	if (blk_dselect_hwpart(desc, 0)) {
		printf("identity: mmc %d: cannot select the user area\n",
		       card->devnum);
		return ret;
	}

	if (desc->blksz != SECTOR_LEN) {
		printf("identity: mmc %d: sectors of %lu bytes, not %d\n",
		       card->devnum, desc->blksz, SECTOR_LEN);
	} else {
		sector = memalign(ARCH_DMA_MINALIGN, SECTOR_LEN);
		ret = sector ? search(card, desc, sector) : -ENOMEM;
		free(sector);
	}

	if (blk_dselect_hwpart(desc, hwpart))
		printf("identity: mmc %d: cannot select partition %d again\n",
		       card->devnum, hwpart);

	return ret;
}

struct identity_card *identity_card_read(int devnum)
{
	struct identity_card *card;
	struct blk_desc *desc;
	struct mmc *mmc;
	int ret;

	card = calloc(1, sizeof(*card));
	if (!card)
		return NULL;
	card->devnum = devnum;
	card->state = IDENTITY_UNREADABLE;

	if (identity_abi_version() != IDENTITY_ABI_VERSION) {
		printf("identity: the library is version %u, not %u\n",
		       identity_abi_version(), IDENTITY_ABI_VERSION);
		return card;
	}

	desc = identity_mmc_blk(devnum);
	mmc = desc ? find_mmc_device(devnum) : NULL;
	if (!mmc || mmc_init(mmc)) {
		printf("identity: mmc %d: no such device, or no card in it\n",
		       devnum);
		return card;
	}

	ret = search_user_area(card, desc);
	if (ret > 0)
		card->state = ret;
	if (identity_usable(card->state))
		card->state = judge(card, mmc);

	return card;
}
