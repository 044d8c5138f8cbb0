// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: unit tests, the command "identity"
 */

#include <blk.h>
#include <command.h>
#include <dm.h>
#include <env.h>
#include <errno.h>
#include <identity_board.h>
#include <mmc.h>
#include <asm/unaligned.h>
#include <linux/string.h>
#include "card.h"

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

static int test_states(struct unit_test_state *uts)
{
	struct sector one, other;

	ut_assertok(check_verify(uts, "blank", false));

	card_make_panda(&one);
	ut_assertok(card_put_pair(uts, &one));
	ut_assertok(check_verify(uts, "valid", true));

	ut_assertok(card_damage(uts, SECOND));
	ut_assertok(check_verify(uts, "degraded", false));
	/* Still good enough */
	ut_assertok(run_command("identity read", 0));
	ut_assertok(card_put_pair(uts, &one));
	ut_assertok(card_damage(uts, FIRST));
	console_record_reset();
	ut_assertok(check_verify(uts, "degraded", false));

	ut_assertok(card_damage(uts, SECOND));
	ut_assertok(check_verify(uts, "corrupt", false));
	ut_asserteq(1, run_command("identity read", 0));
	console_record_reset();

	other = one;
	other.bytes[47] ^= 1;
	ut_assertok(card_put(uts, &one, FIRST, SECOND));
	ut_assertok(card_put(uts, &other, SECOND, FIRST));
	ut_assertok(check_verify(uts, "conflict", false));
	ut_asserteq(1, run_command("identity read", 0));
	console_record_reset();

	return 0;
}

/* Every reader calls a state the same, and what is no state has a name as well */
static int test_names(struct unit_test_state *uts)
{
	char name[16];
	int state;

	for (state = IDENTITY_BLANK; state <= IDENTITY_UNREADABLE; state++) {
		ut_asserteq(IDENTITY_OK,
			    identity_state_name(state, name, sizeof(name)));
		ut_asserteq_str(name, identity_state(state));
	}
	ut_asserteq_str("unknown", identity_state(IDENTITY_BAD_SIZE));
	ut_asserteq_str("unknown", identity_state(-EIO));

	return 0;
}

/*
 * A card whose loader region came from another one: nothing is taken, wherever
 * the other identity lies, and one line says so.
 */
static int test_other_identity(struct unit_test_state *uts)
{
	static const u32 slots[] = { 5, 7, 54, 1777 };
	struct sector one, other;
	int i;

	card_make_panda(&one);
	other = one;
	other.bytes[47] ^= 1;
	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		ut_assertok(card_put_pair(uts, &one));
		ut_assertok(card_put(uts, &other, slots[i], SECOND));
		ut_assertok(check_verify(uts, "conflict", false));
		ut_asserteq(1, run_command("identity env", 0));
		ut_assert_nextlinen("identity: mmc 0 is conflict, the environment is left alone: ");
		ut_assertok(ut_check_console_end(uts));
		ut_assertok(card_check_untouched(uts, "conflict"));
		ut_assertok(card_clear(uts, slots[i]));
	}

	return 0;
}

/* What a degraded card may be: one copy can be a piece of another card */
static int test_one_copy(struct unit_test_state *uts)
{
	struct sector sector;

	card_make_panda(&sector);
	ut_assertok(card_put(uts, &sector, FIRST, SECOND));
	ut_assertok(run_command("identity read", 0));
	ut_assert_skip_to_line("state       degraded");
	ut_assert_nextline("            %s; %s: %s %u",
			   "one copy, which may be a piece of another card",
			   "on a workstation (--force if a copy lies in a partition)",
			   "identity repair CARD --keep", FIRST);
	console_record_reset();

	/* The other one was there */
	ut_assertok(card_put(uts, &sector, SECOND, FIRST));
	ut_assertok(card_damage(uts, SECOND));
	ut_assertok(run_command("identity read", 0));
	ut_assert_skip_to_linen("            a copy is missing, damaged or older;");
	console_record_reset();

	/* It was made for this card */
	ut_assertok(card_set_cid(uts, card_cid));
	ut_assertok(card_put_bound(uts, NULL));
	ut_assertok(card_clear(uts, SECOND));
	ut_assertok(run_command("identity read", 0));
	ut_assert_skip_to_linen("            a copy is missing, damaged or older;");

	return 0;
}

/* The hint comes first, and the slots are looked at all the same */
static int test_hint(struct unit_test_state *uts)
{
	struct sector one, other;

	/* Not in a build whose hint is elsewhere */
	if (CONFIG_IDENTITY_LBA != HINT)
		return 0;
	card_make_panda(&one);
	ut_assertok(card_put(uts, &one, HINT, HINT + 1));
	ut_assertok(card_put(uts, &one, HINT + 1, HINT));
	ut_assertok(run_command("identity verify", 0));
	ut_assert_skip_to_linen("LBA 300     valid");
	ut_assert_nextlinen("LBA 52      blank");
	ut_assert_skip_to_linen("LBA 301     valid");
	console_record_reset();

	other = one;
	other.bytes[47] ^= 1;
	ut_assertok(card_put(uts, &other, 7, 5));
	ut_assertok(check_verify(uts, "conflict", false));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(card_check_untouched(uts, "conflict"));

	return 0;
}

static int test_newer(struct unit_test_state *uts)
{
	struct sector sector;

	card_make_minimal(&sector);
	put_unaligned_le16(2, sector.bytes + 14);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(check_verify(uts, "newer", false));

	card_make_minimal(&sector);
	card_add_text(&sector, CRITICAL, "?");
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(check_verify(uts, "newer", false));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(card_check_untouched(uts, "newer"));

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

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
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
	ut_assertok(card_check_untouched(uts, "unreadable"));

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

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
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
	u32 other[4] = { card_cid[0], card_cid[1], card_cid[2] ^ 1, card_cid[3] };
	u32 stripped[4] = { card_cid[0], card_cid[1], card_cid[2], card_cid[3] & ~0xff };
	struct sector sector;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(run_command("identity verify", 0));
	ut_assert_skip_to_linen("bound to    nothing");

	ut_assertok(card_put_bound(uts, NULL));
	ut_assertok(card_set_cid(uts, card_cid));
	ut_assertok(run_command("identity verify", 0));
	ut_assert_skip_to_line("bound to    card aa585951454d552101deadbeef006200");
	console_record_reset();
	ut_assertok(card_set_cid(uts, stripped));
	ut_assertok(check_verify(uts, "valid", true));

	ut_assertok(card_set_cid(uts, other));
	ut_assertok(check_verify(uts, "cloned", false));
	ut_asserteq(!anyway, run_command("identity read", 0));
	console_record_reset();
	ut_asserteq(!anyway, run_command("identity env", 0));
	ut_assert_skip_to_linen("identity: WARNING: mmc 0 is cloned");
	if (anyway)
		ut_assertok(card_check_env(uts, "ethaddr", MAC0));
	else
		ut_assertok(card_check_untouched(uts, "cloned"));

	return 0;
}

static int test_moved(struct unit_test_state *uts)
{
	bool anyway = IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH);

	ut_assertok(card_set_cid(uts, card_cid));
	ut_assertok(card_put_bound(uts, "BOARD1"));

	/* Nothing is known of the board, and the card's serial is not its */
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "serial#", "SN42"));
	ut_assertnull(identity_board_serial());
	console_record_reset();
	ut_assertok(check_verify(uts, "valid", true));
	ut_assertok(card_put_bound(uts, "SN42"));
	ut_assertok(check_verify(uts, "valid", true));

	ut_assertok(card_set_env(uts, "serial#", "BOARD2"));
	ut_asserteq_str("BOARD2", identity_board_serial());
	ut_assertok(card_put_bound(uts, "BOARD2"));
	ut_assertok(check_verify(uts, "valid", true));
	ut_assertok(card_put_bound(uts, "BOARD1"));
	ut_assertok(check_verify(uts, "moved", false));
	ut_asserteq(!anyway, run_command("identity env", 0));
	ut_assert_skip_to_linen("identity: WARNING: mmc 0 is moved");
	ut_assertok(card_check_env(uts, "identity_state", "moved"));

	return 0;
}

static int test_moved_takes_nothing(struct unit_test_state *uts)
{
	if (IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH))
		return 0;
	ut_assertok(card_set_cid(uts, card_cid));
	ut_assertok(card_put_bound(uts, "BOARD1"));
	ut_assertok(card_set_env(uts, "serial#", "BOARD2"));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(card_check_untouched(uts, "moved"));
	ut_assertok(card_check_env(uts, "serial#", "BOARD2"));

	return 0;
}

static int test_list(struct unit_test_state *uts)
{
	struct sector sector;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(run_command("identity list", 0));
	ut_assert_nextline("mmc 0: valid, panda " UUID_TEXT ", LBA 52");

	return 0;
}

IDENTITY_TEST(states);
IDENTITY_TEST(names);
IDENTITY_TEST(other_identity);
IDENTITY_TEST(one_copy);
IDENTITY_TEST(hint);
IDENTITY_TEST(newer);
IDENTITY_TEST(unreadable);
IDENTITY_TEST(user_area);
IDENTITY_TEST(bindings);
IDENTITY_TEST(moved);
IDENTITY_TEST(moved_takes_nothing);
IDENTITY_TEST(list);
