// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the operating system's device tree
 */

#include <identity_compat.h>
#include <fdt_support.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <net.h>
#include <vsprintf.h>
#include <linux/string.h>

/**
 * struct identity_node - /chosen/identity while it is being filled
 *
 * @blob: The device tree
 * @node: Offset of the node
 * @ret: 0, or why something could not be set: nothing else is then
 * @interfaces: How many addresses there are to be
 * @variables: Behind the addresses of ethernet0, ethernet1 …, each with its
 *	NUL, all variables: "key=value" and a NUL. As properties of their own they
 *	could be called "phandle" or "compatible", and mean something else.
 * @end: Behind the last one
 */
struct identity_node {
	void *blob;
	int node;
	int ret;
	u32 interfaces;
	char *variables;
	char *end;
};

static void set(struct identity_node *node, const char *name, const void *value,
		int len)
{
	if (!node->ret)
		node->ret = fdt_setprop(node->blob, node->node, name, value, len);
}

static void set_number(struct identity_node *node, const char *name, u32 number)
{
	fdt32_t value = cpu_to_fdt32(number);

	set(node, name, &value, sizeof(value));
}

static void set_text(struct identity_node *node, const char *name,
		     const char *text)
{
	set(node, name, text, strlen(text) + 1);
}

static int set_value(void *to, const struct identity_value *value)
{
	struct identity_node *node = to;

	if (value->what == IDENTITY_VALUE_VARIABLE) {
		node->end += sprintf(node->end, "%s=%s", value->name,
				     value->text) + 1;
	} else if (value->what != IDENTITY_VALUE_MAC) {
		set_text(node, value->name, value->text);
	} else if (value->index < node->interfaces) {
		strcpy(node->end, value->text);
		node->end += IDENTITY_MAC_LEN;
		node->variables = node->end;
	}

	return node->ret;
}

static void set_record(struct identity_node *node,
		       const struct identity_record *record)
{
	char *macs;

	node->interfaces = identity_interfaces();
	/* The variables are shorter than the record that holds them */
	macs = malloc(node->interfaces * IDENTITY_MAC_LEN + sizeof(*record));
	if (!macs) {
		node->ret = -FDT_ERR_NOSPACE;
		return;
	}
	node->variables = macs;
	node->end = macs;
	identity_each(record, set_value, node);
	set(node, "mac-addresses", macs, node->variables - macs);
	if (node->end > node->variables)
		set(node, "variables", node->variables,
		    node->end - node->variables);
	set_number(node, "generation", record->generation);
	set_number(node, "lba", record->lba);
	free(macs);
}

static int set_identity(void *blob, int chosen, const struct identity_card *card)
{
	const char *board = identity_board_serial();
	struct identity_node node = { .blob = blob };

	node.node = fdt_add_subnode(blob, chosen, "identity");
	if (node.node < 0)
		return node.node;

	set_text(&node, "state", identity_state(card->state));
	/* The text that "identity bind" binds to is the one that is compared */
	if (board)
		set_text(&node, "board-serial", board);
	if (identity_usable(card->state))
		set_record(&node, &card->record);
	if (node.ret)
		fdt_del_node(blob, node.node);

	return node.ret;
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

	chosen = fdt_find_or_add_subnode(blob, 0, "chosen");
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
