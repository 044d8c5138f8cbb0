// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the operating system's device tree
 */

#include <identity_compat.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <net.h>
#include <linux/string.h>

static int set_texts(void *blob, int node, const struct identity_record *record)
{
	const struct identity_name *name = identity_texts;
	char text[IDENTITY_TEXT_LEN];
	int ret = 0;

	for (; !ret && name < identity_texts + IDENTITY_TEXTS; name++) {
		if (identity_text(record, name->what, text))
			ret = fdt_setprop_string(blob, node, name->name, text);
	}

	return ret;
}

/* The addresses of ethernet0, ethernet1 … as texts */
static int set_macs(void *blob, int node, const struct identity_record *record)
{
	int count = identity_interfaces();
	char mac[IDENTITY_MAC_LEN];
	int ret = 0, i;

	for (i = 0; !ret && i < count; i++)
		ret = fdt_appendprop_string(blob, node, "mac-addresses",
					    identity_mac(record, i, mac, NULL));

	return ret;
}

/*
 * All variables in one property, each "key=value". As properties of their own
 * they could be called "phandle" or "compatible", and mean something else.
 */
static int set_variables(void *blob, int node,
			 const struct identity_record *record)
{
	char text[IDENTITY_TEXT_LEN + IDENTITY_VALUE_LEN];
	char value[IDENTITY_VALUE_LEN];
	int ret = 0;
	u32 number;

	for (number = 0; !ret; number++) {
		if (identity_record_variable(record, number, text,
					     IDENTITY_TEXT_LEN, value,
					     sizeof(value)) != IDENTITY_OK)
			break;
		strcat(text, "=");
		strcat(text, value);
		ret = fdt_appendprop_string(blob, node, "variables", text);
	}

	return ret;
}

static int set_record(void *blob, int node, const struct identity_record *record)
{
	int ret;

	ret = set_texts(blob, node, record);
	if (!ret)
		ret = fdt_setprop_u32(blob, node, "generation",
				      record->generation);
	if (!ret)
		ret = fdt_setprop_u32(blob, node, "lba", record->lba);
	if (!ret)
		ret = set_macs(blob, node, record);
	if (!ret)
		ret = set_variables(blob, node, record);

	return ret;
}

static int set_identity(void *blob, int chosen, const struct identity_card *card)
{
	const char *board = identity_board_serial();
	char state[IDENTITY_STATE_LEN];
	int node, ret;

	node = fdt_add_subnode(blob, chosen, "identity");
	if (node < 0)
		return node;

	ret = fdt_setprop_string(blob, node, "state",
				 identity_state(card->state, state));
	/* The text that "identity bind" binds to is the one that is compared */
	if (!ret && board)
		ret = fdt_setprop_string(blob, node, "board-serial", board);
	if (!ret && identity_usable(card->state))
		ret = set_record(blob, node, &card->record);
	if (ret)
		fdt_del_node(blob, fdt_path_offset(blob, "/chosen/identity"));

	return ret;
}

static bool has_ethernet_alias(const void *blob)
{
	int aliases = fdt_path_offset(blob, "/aliases");
	const char *name;
	int property;

	if (aliases < 0)
		return false;
	fdt_for_each_property_offset(property, blob, aliases) {
		if (fdt_getprop_by_offset(blob, property, &name, NULL) &&
		    !strncmp(name, "ethernet", strlen("ethernet")))
			return true;
	}

	return false;
}

/* The tree's Ethernet interface if there is exactly one, or a negative number */
static int only_ethernet(const void *blob)
{
	int node, found = -FDT_ERR_NOTFOUND;
	const char *name;

	for (node = fdt_next_node(blob, -1, NULL); node >= 0;
	     node = fdt_next_node(blob, node, NULL)) {
		name = fdt_get_name(blob, node, NULL);
		if (!name || strncmp(name, "ethernet@", strlen("ethernet@")))
			continue;
		if (found >= 0)
			return -FDT_ERR_NOTFOUND;
		found = node;
	}

	return found;
}

/*
 * U-Boot gives addresses to interfaces that have an alias. In a tree without
 * any, it is clear all the same which interface is meant if there is only one.
 */
static int set_only_mac(void *blob)
{
	u8 mac[6];
	int node;

	if (has_ethernet_alias(blob) || !eth_env_get_enetaddr("ethaddr", mac))
		return 0;
	node = only_ethernet(blob);
	if (node < 0)
		return 0;

	return fdt_setprop(blob, node, "local-mac-address", mac, sizeof(mac));
}

/* Returns a copy of a node's bootargs, to be freed, or NULL */
static char *copy_bootargs(const void *blob, int node)
{
	const char *line;
	char *copy;
	int len;

	line = fdt_getprop(blob, node, "bootargs", &len);
	copy = line ? malloc(len + 1) : NULL;
	if (copy) {
		memcpy(copy, line, len);
		/* It may come without one */
		copy[len] = '\0';
	}

	return copy;
}

/*
 * Takes out what an earlier hand-over of the same tree put in: the node, where
 * nobody else has a say, and the kernel arguments that it names.
 */
static int remove_earlier(void *blob, int chosen)
{
	int node = fdt_subnode_offset(blob, chosen, "identity");
	char *line, *words;
	int ret = 0;

	if (node < 0)
		return 0;
	line = copy_bootargs(blob, chosen);
	words = copy_bootargs(blob, node);
	if (line && words) {
		identity_bootargs_cut(line, words);
		ret = fdt_setprop_string(blob, chosen, "bootargs", line);
	}
	free(words);
	free(line);
	fdt_del_node(blob, fdt_path_offset(blob, "/chosen/identity"));

	return ret;
}

/* What is added is named first, so that the next hand-over can take it out */
static int set_bootargs(void *blob, int chosen)
{
	char *old = copy_bootargs(blob, chosen);
	const char *line, *words;
	int node, ret = 0;

	line = identity_bootargs(old, &words);
	if (line != old) {
		node = fdt_subnode_offset(blob, chosen, "identity");
		ret = fdt_setprop_string(blob, node, "bootargs", words);
		if (!ret)
			ret = fdt_setprop_string(blob, chosen, "bootargs", line);
		if (ret)
			fdt_delprop(blob, node, "bootargs");
	}
	free(old);

	return ret;
}

static int fix(void *blob, const struct identity_card *card)
{
	int chosen, ret;

	chosen = fdt_subnode_offset(blob, 0, "chosen");
	if (chosen == -FDT_ERR_NOTFOUND)
		chosen = fdt_add_subnode(blob, 0, "chosen");
	if (chosen < 0)
		return chosen;

	ret = remove_earlier(blob, chosen);
	if (!ret)
		ret = set_identity(blob, chosen, card);
	if (!ret)
		ret = set_bootargs(blob, chosen);
	if (!ret && identity_usable(card->state))
		ret = set_only_mac(blob);

	return ret;
}

void identity_fdt_fixup(void *blob)
{
	const struct identity_card *card = identity_applied();
	int ret;

	if (!card)
		return;

	ret = fix(blob, card);
	if (ret)
		printf("identity: not all in the device tree: %s\n",
		       fdt_strerror(ret));
}
