// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: unit tests
 *
 * Cards are written by code of its own after the format's description, not by
 * the library that reads them.
 */

#include <blk.h>
#include <command.h>
#include <dm.h>
#include <env.h>
#include <env_internal.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <mmc.h>
#include <net.h>
#include <search.h>
#include <asm/unaligned.h>
#include <linux/libfdt.h>
#include <linux/string.h>
#include <test/cmd.h>
#include <test/ut.h>

#define DEVNUM		0
#define SECTOR_LEN	512
#define CARD_SECTORS	2048
/* The places of the two copies; LBA 6607 and others are behind the card's end */
#define FIRST		52
#define SECOND		1711

#define UUID_TEXT	"9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5"
#define MACHINE_ID	"6e1d70a56f8e5583897607b199c862c6"
/* uuidgen --sha1 --namespace $UUID_TEXT --name ethernet/<index> */
#define MAC0		"ea:41:68:40:f4:c0"
#define MAC2		"a6:99:5a:75:61:2b"
#define ASSIGNED	"02:00:00:00:00:09"

enum kind {
	PROFILE = 1,
	HOSTNAME,
	SERIAL,
	MAC,
	VARIABLE,
	CARD,
	BOARD,
	CRITICAL = 0x80,
};

/* A sector as it is being made */
struct sector {
	u8 bytes[SECTOR_LEN];
	u16 fields_len;
};

static const u8 uuid[] = {
	0x9e, 0x3c, 0x1d, 0x40, 0x5a, 0x37, 0x4c, 0x8e,
	0x9f, 0x0b, 0x6d, 0x2a, 0x81, 0xe4, 0xc7, 0xf5,
};

static const u32 cid[] = { 0xaa585951, 0x454d5521, 0x01deadbe, 0xef006219 };

static void begin(struct sector *sector)
{
	memset(sector, 0, sizeof(*sector));
	memcpy(sector->bytes, "\xb1IDENT\r\n", 8);
	put_unaligned_le16(48, sector->bytes + 12);
	put_unaligned_le16(1, sector->bytes + 14);
	put_unaligned_le32(1, sector->bytes + 24);
	memcpy(sector->bytes + 32, uuid, sizeof(uuid));
}

static void add(struct sector *sector, enum kind kind, const void *value,
		int len)
{
	u8 *field = sector->bytes + 48 + sector->fields_len;

	field[0] = kind;
	field[1] = len;
	memcpy(field + 2, value, len);
	sector->fields_len += 2 + len;
}

static void add_text(struct sector *sector, enum kind kind, const char *text)
{
	add(sector, kind, text, strlen(text));
}

static u32 crc32c(u32 crc, const u8 *data, int len)
{
	int bit;

	while (len--) {
		crc ^= *data++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}

	return crc;
}

static int put(struct unit_test_state *uts, const struct sector *made, u32 lba,
	       u32 peer)
{
	struct blk_desc *desc;
	u8 bytes[SECTOR_LEN];
	u32 crc;

	memcpy(bytes, made->bytes, SECTOR_LEN);
	put_unaligned_le32(lba, bytes + 16);
	put_unaligned_le32(peer, bytes + 20);
	put_unaligned_le16(made->fields_len, bytes + 28);
	crc = crc32c(crc32c(~0, bytes, 8), bytes + 12, SECTOR_LEN - 12);
	put_unaligned_le32(~crc, bytes + 8);

	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(1, blk_dwrite(desc, lba, 1, bytes));

	return 0;
}

static int put_pair(struct unit_test_state *uts, const struct sector *made)
{
	ut_assertok(put(uts, made, FIRST, SECOND));
	ut_assertok(put(uts, made, SECOND, FIRST));

	return 0;
}

static int damage(struct unit_test_state *uts, u32 lba)
{
	struct blk_desc *desc;
	u8 bytes[SECTOR_LEN];

	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(1, blk_dread(desc, lba, 1, bytes));
	bytes[60] ^= 0x10;
	ut_asserteq(1, blk_dwrite(desc, lba, 1, bytes));

	return 0;
}

static int blank(struct unit_test_state *uts)
{
	void *zeros = calloc(CARD_SECTORS, SECTOR_LEN);
	struct blk_desc *desc;

	ut_assertnonnull(zeros);
	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(CARD_SECTORS, desc->lba);
	ut_asserteq(CARD_SECTORS, blk_dwrite(desc, 0, CARD_SECTORS, zeros));
	free(zeros);

	return 0;
}

/* What most tests use */
static void make_panda(struct sector *sector)
{
	static const u8 mac[] = { 1, 2, 0, 0, 0, 0, 9 };

	begin(sector);
	add_text(sector, PROFILE, "panda");
	add_text(sector, HOSTNAME, "panda-3");
	add_text(sector, SERIAL, "SN42");
	add(sector, MAC, mac, sizeof(mac));
	add_text(sector, VARIABLE, "rack=b4");
}

static void make_minimal(struct sector *sector)
{
	begin(sector);
	add_text(sector, PROFILE, "panda");
}

static int set_cid(struct unit_test_state *uts, const u32 *words)
{
	struct mmc *mmc = find_mmc_device(DEVNUM);

	ut_assertnonnull(mmc);
	memcpy(mmc->cid, words, sizeof(mmc->cid));

	return 0;
}

/* A card with two copies of "panda", bound to the CID with the last byte masked */
static int put_bound(struct unit_test_state *uts, const char *board)
{
	struct sector sector;
	u8 masked[16];
	int i;

	for (i = 0; i < 4; i++)
		put_unaligned_be32(cid[i], masked + 4 * i);
	masked[15] = 0;
	make_panda(&sector);
	add(&sector, CARD, masked, sizeof(masked));
	if (board)
		add_text(&sector, BOARD, board);

	return put_pair(uts, &sector);
}

/* What "identity verify" says of the card, and its result */
static int check_verify(struct unit_test_state *uts, const char *state,
			bool is_fine)
{
	ut_asserteq(is_fine ? 0 : 1, run_command("identity verify mmc 0", 0));
	ut_assert_nextline("card        mmc 0");
	ut_assert_nextline("state       %s", state);
	console_record_reset();

	return 0;
}

/* Also a variable that may be set only once */
static int set(struct unit_test_state *uts, const char *name, const char *value)
{
	struct env_entry new = { .key = name, .data = (char *)value }, *entry;

	ut_assert(hsearch_r(new, ENV_ENTER, &entry, &env_htab, H_FORCE));

	return 0;
}

static int check_env(struct unit_test_state *uts, const char *name,
		     const char *value)
{
	if (value)
		ut_asserteq_str(value, env_get(name) ?: "(not set)");
	else
		ut_assertnull(env_get(name));

	return 0;
}

/* The environment is as it was, but for the state */
static int check_nothing_taken(struct unit_test_state *uts, const char *state)
{
	ut_assertok(check_env(uts, "identity_state", state));
	ut_assertok(check_env(uts, "identity_uuid", NULL));
	ut_assertok(check_env(uts, "identity_profile", NULL));
	ut_assertok(check_env(uts, "identity_var_rack", NULL));
	ut_assertok(check_env(uts, "pxeuuid", NULL));
	ut_assertok(check_env(uts, "ethaddr", NULL));
	ut_assertok(check_env(uts, "eth1addr", NULL));

	return 0;
}

/*
 * Each test begins with a blank card, a CID of zeros, and the environment
 * without addresses and serial number, and leaves what it found.
 */
static int prepare(struct unit_test_state *uts)
{
	static const u32 zeros[4];
	static char *const names[] = { "serial#", "pxeuuid", "ethaddr" };
	char name[16];
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		hdelete_r(names[i], &env_htab, H_FORCE);
	for (i = 1; i < 32; i++) {
		snprintf(name, sizeof(name), "eth%daddr", i);
		hdelete_r(name, &env_htab, H_FORCE);
	}
	ut_assertok(blank(uts));
	ut_assertok(set_cid(uts, zeros));

	return 0;
}

static int around(struct unit_test_state *uts,
		  int (*test)(struct unit_test_state *uts))
{
	char *saved = NULL;
	ssize_t len;
	int ret;

	len = hexport_r(&env_htab, '\0', 0, &saved, 0, 0, NULL);
	ut_assert(len > 0);
	ret = prepare(uts);
	if (!ret)
		ret = test(uts);
	himport_r(&env_htab, saved, len, '\0', H_FORCE, 0, 0, NULL);
	free(saved);

	return ret;
}

static int test_states(struct unit_test_state *uts)
{
	struct sector one, other;

	ut_assertok(check_verify(uts, "blank", false));

	make_panda(&one);
	ut_assertok(put_pair(uts, &one));
	ut_assertok(check_verify(uts, "valid", true));

	ut_assertok(damage(uts, SECOND));
	ut_assertok(check_verify(uts, "degraded", false));
	/* Still good enough */
	ut_assertok(run_command("identity read", 0));
	ut_assertok(put_pair(uts, &one));
	ut_assertok(damage(uts, FIRST));
	console_record_reset();
	ut_assertok(check_verify(uts, "degraded", false));

	ut_assertok(damage(uts, SECOND));
	ut_assertok(check_verify(uts, "corrupt", false));
	ut_asserteq(1, run_command("identity read", 0));
	console_record_reset();

	other = one;
	other.bytes[47] ^= 1;
	ut_assertok(put(uts, &one, FIRST, SECOND));
	ut_assertok(put(uts, &other, SECOND, FIRST));
	ut_assertok(check_verify(uts, "conflict", false));
	ut_asserteq(1, run_command("identity read", 0));
	console_record_reset();

	return 0;
}

static int test_newer(struct unit_test_state *uts)
{
	struct sector sector;

	make_minimal(&sector);
	put_unaligned_le16(2, sector.bytes + 14);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(check_verify(uts, "newer", false));

	make_minimal(&sector);
	add_text(&sector, CRITICAL, "?");
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(check_verify(uts, "newer", false));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(check_nothing_taken(uts, "newer"));

	return 0;
}

/* A card's block device that fails, or has hardware partitions */
static struct {
	struct driver driver;
	struct blk_ops ops;
	const struct driver *real;
	u32 unreadable;
} fake;

static ulong fake_read(struct udevice *dev, lbaint_t start, lbaint_t count,
		       void *buffer)
{
	const struct blk_ops *ops = fake.real->ops;
	struct blk_desc *desc = dev_get_uclass_plat(dev);

	if (desc->hwpart || !fake.unreadable || start == fake.unreadable)
		return 0;

	return ops->read(dev, start, count, buffer);
}

static int fake_select(struct udevice *dev, int hwpart)
{
	struct blk_desc *desc = dev_get_uclass_plat(dev);

	desc->hwpart = hwpart;

	return 0;
}

static void fake_begin(struct blk_desc *desc)
{
	struct udevice *dev = desc->bdev;

	fake.real = dev->driver;
	fake.driver = *dev->driver;
	fake.ops = *(const struct blk_ops *)dev->driver->ops;
	fake.ops.read = fake_read;
	fake.ops.select_hwpart = fake_select;
	fake.driver.ops = &fake.ops;
	fake.unreadable = CARD_SECTORS;
	dev->driver = &fake.driver;
}

static int test_unreadable(struct unit_test_state *uts)
{
	struct blk_desc *desc;
	struct sector sector;
	int ret;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);

	fake_begin(desc);
	fake.unreadable = FIRST;
	ret = check_verify(uts, "degraded", false);
	/* All of them */
	fake.unreadable = 0;
	ret = ret ?: check_verify(uts, "unreadable", false);
	run_command("identity env", 0);
	desc->bdev->driver = fake.real;
	ut_assertok(ret);
	ut_assertok(check_nothing_taken(uts, "unreadable"));

	/* No such device */
	console_record_reset();
	ut_asserteq(1, run_command("identity read mmc 63", 0));
	ut_assert_nextlinen("identity: mmc 63: no such device");
	ut_assert_nextline("card        mmc 63");
	ut_assert_nextline("state       unreadable");

	return 0;
}

/* Selected is a boot partition, which is not the card, and stays selected */
static int test_user_area(struct unit_test_state *uts)
{
	struct blk_desc *desc;
	struct sector sector;
	int ret, hwpart;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);

	fake_begin(desc);
	desc->hwpart = 1;
	ret = check_verify(uts, "valid", true);
	hwpart = desc->hwpart;
	desc->hwpart = 0;
	desc->bdev->driver = fake.real;
	ut_assertok(ret);
	ut_asserteq(1, hwpart);

	return 0;
}

static int test_bindings(struct unit_test_state *uts)
{
	bool anyway = IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH);
	u32 other[4] = { cid[0], cid[1], cid[2] ^ 1, cid[3] };
	u32 stripped[4] = { cid[0], cid[1], cid[2], cid[3] & ~0xff };
	struct sector sector;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(run_command("identity verify", 0));
	ut_assert_skip_to_linen("bound to    nothing");

	ut_assertok(put_bound(uts, NULL));
	ut_assertok(set_cid(uts, cid));
	ut_assertok(run_command("identity verify", 0));
	ut_assert_skip_to_line("bound to    card aa585951454d552101deadbeef006200");
	console_record_reset();
	ut_assertok(set_cid(uts, stripped));
	ut_assertok(check_verify(uts, "valid", true));

	ut_assertok(set_cid(uts, other));
	ut_assertok(check_verify(uts, "cloned", false));
	ut_asserteq(!anyway, run_command("identity read", 0));
	console_record_reset();
	ut_asserteq(!anyway, run_command("identity env", 0));
	ut_assert_skip_to_linen("identity: WARNING: mmc 0 is cloned");
	if (anyway)
		ut_assertok(check_env(uts, "ethaddr", MAC0));
	else
		ut_assertok(check_nothing_taken(uts, "cloned"));

	return 0;
}

static int test_moved(struct unit_test_state *uts)
{
	bool anyway = IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH);

	ut_assertok(set_cid(uts, cid));
	ut_assertok(put_bound(uts, "BOARD1"));

	/* Nothing is known of the board, and the card's serial is not its */
	ut_assertok(run_command("identity env", 0));
	ut_assertok(check_env(uts, "serial#", "SN42"));
	ut_assertnull(identity_board_serial());
	console_record_reset();
	ut_assertok(check_verify(uts, "valid", true));
	ut_assertok(put_bound(uts, "SN42"));
	ut_assertok(check_verify(uts, "valid", true));

	ut_assertok(set(uts, "serial#", "BOARD2"));
	ut_asserteq_str("BOARD2", identity_board_serial());
	ut_assertok(put_bound(uts, "BOARD2"));
	ut_assertok(check_verify(uts, "valid", true));
	ut_assertok(put_bound(uts, "BOARD1"));
	ut_assertok(check_verify(uts, "moved", false));
	ut_asserteq(!anyway, run_command("identity env", 0));
	ut_assert_skip_to_linen("identity: WARNING: mmc 0 is moved");
	ut_assertok(check_env(uts, "identity_state", "moved"));

	return 0;
}

static int test_moved_takes_nothing(struct unit_test_state *uts)
{
	if (IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH))
		return 0;
	ut_assertok(set_cid(uts, cid));
	ut_assertok(put_bound(uts, "BOARD1"));
	ut_assertok(set(uts, "serial#", "BOARD2"));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(check_nothing_taken(uts, "moved"));
	ut_assertok(check_env(uts, "serial#", "BOARD2"));

	return 0;
}

static int test_env(struct unit_test_state *uts)
{
	struct sector sector;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(run_command("identity env mmc 0", 0));
	ut_assertok(check_env(uts, "identity_state", "valid"));
	ut_assertok(check_env(uts, "identity_uuid", UUID_TEXT));
	ut_assertok(check_env(uts, "identity_profile", "panda"));
	ut_assertok(check_env(uts, "identity_hostname", "panda-3"));
	ut_assertok(check_env(uts, "identity_serial", "SN42"));
	ut_assertok(check_env(uts, "identity_var_rack", "b4"));
	ut_assertok(check_env(uts, "pxeuuid", UUID_TEXT));
	ut_assertok(check_env(uts, "serial#", "SN42"));
	ut_assertok(check_env(uts, "ethaddr", MAC0));
	ut_assertok(check_env(uts, "eth1addr", ASSIGNED));
	ut_assertok(check_env(uts, "eth2addr", MAC2));

	/* Another card's do not stay behind */
	make_minimal(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(check_env(uts, "identity_profile", "panda"));
	ut_assertok(check_env(uts, "identity_hostname", NULL));
	ut_assertok(check_env(uts, "identity_var_rack", NULL));
	ut_assertok(check_env(uts, "serial#", NULL));

	/* Nor does a damaged one take them away */
	ut_assertok(damage(uts, FIRST));
	ut_assertok(damage(uts, SECOND));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(check_env(uts, "identity_state", "corrupt"));
	ut_assertok(check_env(uts, "ethaddr", MAC0));

	return 0;
}

static int test_precedence(struct unit_test_state *uts)
{
	bool card_wins = IS_ENABLED(CONFIG_IDENTITY_OVERRIDE_ENV);
	struct sector sector;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(set(uts, "ethaddr", ASSIGNED));
	ut_assertok(set(uts, "pxeuuid", "mine"));
	ut_assertok(set(uts, "serial#", "mine"));
	ut_assertok(set(uts, "identity_profile", "mine"));
	ut_assertok(set(uts, "identity_var_old", "mine"));
	ut_assertok(run_command("identity env", 0));
	ut_assert_skip_to_linen("identity: identity_var_old=mine from the environment is not");
	if (card_wins) {
		ut_assert_skip_to_line("identity: ethaddr " ASSIGNED
				       " from the environment replaced by "
				       MAC0);
		ut_assertok(check_env(uts, "ethaddr", MAC0));
		ut_assertok(check_env(uts, "pxeuuid", UUID_TEXT));
	} else {
		ut_assert_skip_to_line("identity: ethaddr stays " ASSIGNED
				       " as in the environment, the card says "
				       MAC0);
		ut_assertok(check_env(uts, "ethaddr", ASSIGNED));
		ut_assertok(check_env(uts, "pxeuuid", "mine"));
	}
	ut_assertok(check_env(uts, "serial#", "mine"));
	ut_assertok(check_env(uts, "identity_profile", "panda"));
	ut_assertok(check_env(uts, "identity_var_old", NULL));

	return 0;
}

/* The value of a variable in an exported environment */
static const char *exported(const env_t *export, const char *name)
{
	const char *pair;
	size_t len = strlen(name);

	for (pair = (const char *)export->data; *pair; pair += strlen(pair) + 1) {
		if (!strncmp(pair, name, len) && pair[len] == '=')
			return pair + len + 1;
	}

	return NULL;
}

static int check_saved(struct unit_test_state *uts, const env_t *export)
{
	ut_asserteq_str("mine", exported(export, "mine") ?: "");
	ut_assertnull(exported(export, "serial#"));
	ut_assertnull(exported(export, "pxeuuid"));
	ut_assertnull(exported(export, "identity_uuid"));
	ut_assertnull(exported(export, "identity_state"));
	ut_assertnull(exported(export, "identity_var_rack"));
	ut_assertnull(exported(export, "eth1addr"));
	ut_asserteq_str("02:00:00:00:00:01", exported(export, "ethaddr") ?: "");
	/* What a person has set since is a person's */
	ut_asserteq_str("02:00:00:00:00:02", exported(export, "eth2addr") ?: "");

	return 0;
}

static int test_saveenv(struct unit_test_state *uts)
{
	struct sector sector;
	env_t *export;
	int ret;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(set(uts, "mine", "mine"));
	ut_assertok(set(uts, "ethaddr", "02:00:00:00:00:01"));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(check_env(uts, "ethaddr", MAC0));
	ut_assertok(set(uts, "eth2addr", "02:00:00:00:00:02"));

	export = calloc(1, sizeof(*export));
	ut_assertnonnull(export);
	ret = env_export(export);
	if (!ret)
		ret = check_saved(uts, export);
	free(export);
	ut_assertok(ret);

	/* And it is as it was */
	ut_assertok(check_env(uts, "ethaddr", MAC0));
	ut_assertok(check_env(uts, "identity_uuid", UUID_TEXT));

	return 0;
}

static int check_property(struct unit_test_state *uts, const void *fdt,
			  int node, const char *name, const char *value)
{
	const char *found = fdt_getprop(fdt, node, name, NULL);

	if (value)
		ut_asserteq_str(value, found ?: "(not there)");
	else
		ut_assertnull(found);

	return 0;
}

static int check_tree(struct unit_test_state *uts, void *fdt)
{
	static const u8 mac0[] = { 0xea, 0x41, 0x68, 0x40, 0xf4, 0xc0 };
	const void *mac;
	int node, len;

	ut_assertok(fdt_create_empty_tree(fdt, 4096));
	ut_assert(fdt_add_subnode(fdt, 0, "ethernet@0") > 0);
	identity_fdt_fixup(fdt);
	/* The second call changes nothing */
	identity_fdt_fixup(fdt);

	node = fdt_path_offset(fdt, "/chosen/identity");
	ut_assert(node > 0);
	ut_assertok(check_property(uts, fdt, node, "state", "valid"));
	ut_assertok(check_property(uts, fdt, node, "uuid", UUID_TEXT));
	ut_assertok(check_property(uts, fdt, node, "profile", "panda"));
	ut_assertok(check_property(uts, fdt, node, "serial", "SN42"));
	ut_assertok(check_property(uts, fdt, node, "machine-id", MACHINE_ID));
	ut_assertok(check_property(uts, fdt, node, "board-serial", "BOARD2"));
	ut_asserteq_str("rack=b4", fdt_stringlist_get(fdt, node, "variables",
						      0, NULL));
	ut_asserteq_str(MAC0, fdt_stringlist_get(fdt, node, "mac-addresses",
						 0, NULL));
	ut_asserteq_str(ASSIGNED, fdt_stringlist_get(fdt, node, "mac-addresses",
						     1, NULL));
	node = fdt_path_offset(fdt, "/ethernet@0");
	mac = fdt_getprop(fdt, node, "local-mac-address", &len);
	ut_asserteq(sizeof(mac0), len);
	ut_asserteq_mem(mac0, mac, sizeof(mac0));

	return 0;
}

static int test_fdt(struct unit_test_state *uts)
{
	struct sector sector;
	void *tree;
	int ret;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(set(uts, "serial#", "BOARD2"));
	ut_assertok(run_command("identity env", 0));
	tree = calloc(1, 4096);
	ut_assertnonnull(tree);
	ret = check_tree(uts, tree);
	free(tree);

	return ret;
}

static int test_list(struct unit_test_state *uts)
{
	struct sector sector;

	make_panda(&sector);
	ut_assertok(put_pair(uts, &sector));
	ut_assertok(run_command("identity list", 0));
	ut_assert_nextline("mmc 0: valid, panda " UUID_TEXT ", LBA 52");

	return 0;
}

#define IDENTITY_TEST(_name)						\
	static int cmd_test_identity_ ## _name(struct unit_test_state *uts) \
	{								\
		return around(uts, test_ ## _name);				\
	}								\
	CMD_TEST(cmd_test_identity_ ## _name, UTF_CONSOLE)

IDENTITY_TEST(states);
IDENTITY_TEST(newer);
IDENTITY_TEST(unreadable);
IDENTITY_TEST(user_area);
IDENTITY_TEST(bindings);
IDENTITY_TEST(moved);
IDENTITY_TEST(moved_takes_nothing);
IDENTITY_TEST(env);
IDENTITY_TEST(precedence);
IDENTITY_TEST(saveenv);
IDENTITY_TEST(fdt);
IDENTITY_TEST(list);
