// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the tables that U-Boot makes by the System
 * Management BIOS Reference Specification (DMTF DSP0134)
 */

#include <identity_compat.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <mapmem.h>
#include <smbios.h>
#include <linux/kernel.h>
#include <linux/string.h>

static const struct identity_record *usable_record(void)
{
	const struct identity_card *card = identity_applied();

	return card && identity_usable(card->state) ? &card->record : NULL;
}

const char *identity_smbios_serial(const char *serial)
{
	const struct identity_record *record = usable_record();
	static char text[IDENTITY_TEXT_LEN];

	if (record && identity_text(record, IDENTITY_TEXT_SERIAL, text))
		return text;

	return serial;
}

void identity_smbios_uuid(u8 *uuid)
{
	/* 7.2.1: three numbers come with their lowest byte first */
	static const u8 from[] = { 3, 2, 1, 0, 5, 4, 7, 6 };
	const struct identity_record *record = usable_record();
	int i;

	if (!record)
		return;
	memcpy(uuid, record->uuid, sizeof(record->uuid));
	for (i = 0; i < ARRAY_SIZE(from); i++)
		uuid[i] = record->uuid[from[i]];
}

/* OEM Strings, 7.12 */
struct strings {
	struct smbios_header header;
	u8 count;
	char text[];
} __packed;

#define OEM_STRINGS	11
#define STUB		"io.systemd.stub.kernel-cmdline-extra="

int identity_smbios_strings(ulong *current, int handle, struct smbios_ctx *ctx)
{
	const char *words = "";
	struct strings *table;
	int text_len, len;

	if (IS_ENABLED(CONFIG_IDENTITY_SMBIOS_BOOTARGS))
		words = identity_bootargs_words("");
	if (!*words)
		return 0;
	/* The string's NUL and that of the list */
	text_len = strlen(STUB) + strlen(words) + 2;
	len = sizeof(*table) + text_len;
	table = map_sysmem(*current, len);
	memset(table, 0, len);
	table->header.type = OEM_STRINGS;
	table->header.length = sizeof(*table);
	table->header.handle = handle;
	table->count = 1;
	snprintf(table->text, text_len, STUB "%s", words);
	unmap_sysmem(table);
	*current += len;

	return len;
}
