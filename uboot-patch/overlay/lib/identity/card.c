// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: reading it
 */

#include <identity_compat.h>
#include <errno.h>
#include <identity_board.h>
#include <malloc.h>
#include <memalign.h>
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

/* What is no state, and a degraded card with one copy, in the list below */
#define NO_STATE	(IDENTITY_UNREADABLE + 1 - IDENTITY_BLANK)
#define ALONE		(NO_STATE + 1)
/* How many strings there are for each */
#define STRINGS		3

/*
 * By state, from IDENTITY_BLANK: its name, what it means, and what a
 * workstation's "identity" does about it, if that can be done there. Tests run
 * each command. The names are those of identity_state_name(), without a buffer.
 */
static const char states[] =
	"blank\0no identity\0stamp CARD --profile NAME\0"
	"valid\0nothing is wrong with it\0\0"
	"degraded\0a copy is missing, damaged or older\0repair CARD\0"
	"corrupt\0every copy is damaged\0stamp CARD --force --profile NAME\0"
	"conflict\0two identities\0repair CARD --keep UUID\0"
	"newer\0of a version that this U-Boot is too old for; update U-Boot\0\0"
	"cloned\0bound to another card\0stamp CARD --force --profile NAME\0"
	"moved\0"
	"bound to another board; in Linux on this board: identity bind --force --board\0\0"
	"unreadable\0"
	"it cannot be read; check the card and its contacts, then: mmc rescan; identity env\0\0"
	"unknown\0the library is another version's; run uboot-patch/apply again\0\0"
	"\0one copy, which may be a piece of another card\0repair CARD --keep ";

const char *identity_string(const char *list, u32 number)
{
	while (number--)
		list += strlen(list) + 1;

	return list;
}

static u32 number_of(int state)
{
	return min_t(u32, state - IDENTITY_BLANK, NO_STATE);
}

const char *identity_state(int state)
{
	return identity_string(states, STRINGS * number_of(state));
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
	u32 number = number_of(card->state);
	const char *fact, *command;
	char lba[11] = "";

	/* Naming the copy is a person's word that it is this card's */
	if (card->state == IDENTITY_DEGRADED && is_alone(card)) {
		number = ALONE;
		snprintf(lba, sizeof(lba), "%u", card->record.lba);
	}
	fact = identity_string(states, STRINGS * number + 1);
	command = identity_string(fact, 1);
	/* For a repair, where partitions start is not looked up here */
	printf("%s%s%s%s%s%s\n", fact, *command ? "; on a workstation" : "",
	       *command == 'r' ? " (--force if a copy lies in a partition)" : "",
	       *command ? ": identity " : "", command, lba);
}

const char *identity_text(const struct identity_record *record, u32 what,
			  char text[IDENTITY_TEXT_LEN])
{
	int ret = identity_record_text(record, what, text, IDENTITY_TEXT_LEN);

	return ret == IDENTITY_OK ? text : NULL;
}

/*
 * The texts that have a name, in the order in which they are shown. No pointers,
 * of which each would take a relocation, too.
 */
static const struct {
	char name[12];
	u32 what;
} texts[] = {
	{ "profile", IDENTITY_TEXT_PROFILE },
	{ "uuid", IDENTITY_TEXT_UUID },
	{ "hostname", IDENTITY_TEXT_HOSTNAME },
	{ "serial", IDENTITY_TEXT_SERIAL },
	{ "machine-id", IDENTITY_TEXT_MACHINE_ID },
};

static int give_mac(const struct identity_record *record,
		    struct identity_value *value, identity_take *take, void *to)
{
	u8 mac[6];
	u32 source;

	value->what = IDENTITY_VALUE_MAC;
	identity_record_mac(record, value->index, mac, &source);
	value->assigned = source == IDENTITY_SOURCE_ASSIGNED;
	snprintf(value->name, sizeof(value->name),
		 value->index ? "eth%uaddr" : "ethaddr", value->index);
	snprintf(value->text, sizeof(value->text), "%pM", mac);

	return take(to, value);
}

static int give_macs(const struct identity_record *record,
		     struct identity_value *value, identity_take *take, void *to)
{
	u32 number, count = identity_interfaces();
	int ret = 0;

	for (number = 0; !ret && number < count; number++) {
		value->index = number;
		ret = give_mac(record, value, take, to);
	}
	for (number = 0; !ret; number++) {
		if (identity_record_assigned(record, number, &value->index) !=
		    IDENTITY_OK)
			break;
		if (value->index >= count)
			ret = give_mac(record, value, take, to);
	}
	value->assigned = false;

	return ret;
}

int identity_each(const struct identity_record *record, identity_take *take,
		  void *to)
{
	struct identity_value value;
	int i, ret = 0;

	value.assigned = false;
	for (i = 0; !ret && i < ARRAY_SIZE(texts); i++) {
		if (texts[i].what == IDENTITY_TEXT_MACHINE_ID)
			ret = give_macs(record, &value, take, to);
		value.what = texts[i].what;
		strcpy(value.name, texts[i].name);
		if (!ret && identity_text(record, value.what, value.text))
			ret = take(to, &value);
	}
	value.what = IDENTITY_VALUE_VARIABLE;
	for (i = 0; !ret; i++) {
		if (identity_record_variable(record, i, value.name,
					     sizeof(value.name), value.text,
					     sizeof(value.text)) != IDENTITY_OK)
			break;
		ret = take(to, &value);
	}

	return ret;
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
static int search(struct identity_card *card, struct blk_desc *desc)
{
	ALLOC_CACHE_ALIGN_BUFFER(u8, sector, SECTOR_LEN);
	u32 lba;
	int ret;

	if (identity_abi_version() != IDENTITY_ABI_VERSION)
		return IDENTITY_BAD_SIZE;
	ret = identity_search_begin(&card->search, sizeof(card->search),
				    CONFIG_IDENTITY_LBA);
	if (ret != IDENTITY_OK)
		return ret;

	while ((ret = identity_search_next(&card->search, &lba)) == IDENTITY_READ) {
		if (lba < desc->lba && blk_dread(desc, lba, 1, sector) == 1)
			ret = identity_search_give(&card->search, lba, sector,
						   SECTOR_LEN, &card->record,
						   sizeof(card->record));
		else
			ret = identity_search_skip(&card->search, lba,
						   lba < desc->lba ?
						   IDENTITY_SKIP_UNREADABLE :
						   IDENTITY_SKIP_ABSENT);
		/* Absent: the sector was taken, and holds no identity */
		if (ret != IDENTITY_OK && ret != IDENTITY_ABSENT)
			break;
	}

	return ret;
}

static void complain(const struct identity_card *card, const char *of)
{
	printf("identity: mmc %d: %s\n", card->devnum, of);
}

/* The same, whichever partition of an eMMC was selected before */
static int search_user_area(struct identity_card *card, struct blk_desc *desc)
{
	int hwpart = desc->hwpart;
	int ret = -EIO;

	/* It may be of the card that was here before */
	identity_mmc_uncache(card->devnum);

	if (blk_dselect_hwpart(desc, 0)) {
		complain(card, "cannot select the user area");
		return ret;
	}

	if (desc->blksz != SECTOR_LEN) {
		printf("identity: mmc %d: sectors of %lu bytes, not %d\n",
		       card->devnum, desc->blksz, SECTOR_LEN);
	} else {
		ret = search(card, desc);
	}

	if (blk_dselect_hwpart(desc, hwpart))
		complain(card, "cannot select the same partition again");

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

	desc = identity_mmc_blk(devnum);
	mmc = desc ? find_mmc_device(devnum) : NULL;
	if (!mmc || mmc_init(mmc)) {
		complain(card, "no such device, or no card in it");
		return card;
	}

	ret = search_user_area(card, desc);
	if (ret > 0)
		card->state = ret;
	if (identity_usable(card->state))
		card->state = judge(card, mmc);

	return card;
}
