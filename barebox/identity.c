// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Board identity on the SD card: the command "identity" for barebox
 */

#include <command.h>
#include <common.h>
#include <driver.h>
#include <fcntl.h>
#include <globalvar.h>
#include <identity.h>
#include <net.h>
#include <linux/types.h>

/* The only sector size for which the slots are defined */
#define SECTOR_LEN	512
/* A text of an identity, or the name of a state, and its NUL, see identity.h */
#define TEXT_LEN	64

struct card {
	struct identity_search search;
	struct identity_record record;
	u8 sector[SECTOR_LEN];
};

static const struct {
	u32 what;
	const char *name;
} texts[] = {
	{ IDENTITY_TEXT_PROFILE, "identity.profile" },
	{ IDENTITY_TEXT_UUID, "identity.uuid" },
	{ IDENTITY_TEXT_HOSTNAME, "identity.hostname" },
	{ IDENTITY_TEXT_SERIAL, "identity.serial" },
	{ IDENTITY_TEXT_MACHINE_ID, "identity.machine_id" },
};

/* Hands over the sector that is asked for; returns a status of identity.h */
static int give(struct card *card, struct cdev *cdev, u32 lba)
{
	loff_t at = (loff_t)lba * SECTOR_LEN;

	if (at + SECTOR_LEN > cdev->size)
		return identity_search_skip(&card->search, lba,
					    IDENTITY_SKIP_ABSENT);
	if (cdev_read(cdev, card->sector, SECTOR_LEN, at, 0) != SECTOR_LEN)
		return identity_search_skip(&card->search, lba,
					    IDENTITY_SKIP_UNREADABLE);

	return identity_search_give(&card->search, lba, card->sector,
				    SECTOR_LEN, &card->record,
				    sizeof(card->record));
}

/* Returns the card's state, or another status if the library is another version's */
static int search(struct card *card, struct cdev *cdev)
{
	u32 lba;
	int ret;

	ret = identity_search_begin(&card->search, sizeof(card->search), 0);
	if (ret != IDENTITY_OK)
		return ret;
	while ((ret = identity_search_next(&card->search, &lba)) == IDENTITY_READ) {
		ret = give(card, cdev, lba);
		/* Absent: the sector was taken, and holds no identity */
		if (ret != IDENTITY_OK && ret != IDENTITY_ABSENT)
			break;
	}

	return ret;
}

static void set(const char *name, const char *value)
{
	globalvar_add_simple(name, NULL);
	globalvar_set(name, value);
	printf("%s=%s\n", name, value);
}

static void take(const struct identity_record *record)
{
	char text[TEXT_LEN];
	u8 mac[6];
	u32 source;
	int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		if (identity_record_text(record, texts[i].what, text,
					 sizeof(text)) == IDENTITY_OK)
			set(texts[i].name, text);
	}
	if (identity_record_mac(record, 0, mac, &source) != IDENTITY_OK)
		return;
	eth_register_ethaddr(0, mac);
	printf("eth0 %pM\n", mac);
}

static int take_from(struct cdev *cdev)
{
	struct card *card = xzalloc(sizeof(*card));
	char name[TEXT_LEN] = "unknown";
	int state;

	state = search(card, cdev);
	identity_state_name(state, name, sizeof(name));
	set("identity.state", name);
	/* In any other state there is nothing that a board may use */
	if (state == IDENTITY_VALID || state == IDENTITY_DEGRADED)
		take(&card->record);
	free(card);

	return state == IDENTITY_VALID || state == IDENTITY_DEGRADED ? 0 : 1;
}

static int do_identity(int argc, char *argv[])
{
	struct cdev *cdev;
	int ret;

	if (argc != 2)
		return COMMAND_ERROR_USAGE;
	if (identity_abi_version() != IDENTITY_ABI_VERSION) {
		printf("the identity library is version %u, not %u\n",
		       identity_abi_version(), IDENTITY_ABI_VERSION);
		return 1;
	}
	cdev = cdev_open_by_name(argv[1], O_RDONLY);
	if (!cdev) {
		printf("there is no device %s\n", argv[1]);
		return 1;
	}
	ret = take_from(cdev);
	cdev_close(cdev);

	return ret;
}

BAREBOX_CMD_START(identity)
	.cmd = do_identity,
	BAREBOX_CMD_DESC("take the board's identity from its SD card")
	BAREBOX_CMD_OPTS("DEVICE")
	BAREBOX_CMD_GROUP(CMD_GRP_MISC)
BAREBOX_CMD_END
