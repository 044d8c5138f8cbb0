// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: unit tests, the operating system's device tree
 */

#include <command.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <linux/libfdt.h>
#include "card.h"

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
	const fdt32_t *lba;
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
	/* Where Linux looks first */
	lba = fdt_getprop(fdt, node, "lba", &len);
	ut_asserteq(sizeof(*lba), len);
	ut_asserteq(FIRST, fdt32_to_cpu(*lba));
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

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(card_set_env(uts, "serial#", "BOARD2"));
	ut_assertok(run_command("identity env", 0));
	tree = calloc(1, 4096);
	ut_assertnonnull(tree);
	ret = check_tree(uts, tree);
	free(tree);

	return ret;
}

IDENTITY_TEST(fdt);
