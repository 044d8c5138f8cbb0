// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: starting from the network by it
 *
 * What belongs to the board is decided on the server: the script that is loaded
 * asks for the board's own or for the profile's. Here is what brings it, on any
 * board and unattended.
 */

#include <identity_compat.h>
#include <console.h>
#include <identity_board.h>
#include <image.h>
#include <vsprintf.h>
#include <asm/global_data.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <linux/string.h>

DECLARE_GLOBAL_DATA_PTR;

#define BOOTCMD		"identity netboot"
#define RETRY_S		60
#define POLL_MS		100

/* Where files go, from the start of memory, on a board that does not say */
static const struct {
	char name[16];
	u32 offset;
} addresses[] = {
	{ "scriptaddr", SZ_2M },
	{ "pxefile_addr_r", SZ_2M + SZ_1M },
	{ "fdt_addr_r", SZ_32M - SZ_1M },
	{ "kernel_addr_r", SZ_32M },
	{ "ramdisk_addr_r", SZ_64M + SZ_32M },
};

void identity_netboot_prepare(void)
{
	const char *old = env_get("bootcmd");

	if (!old || identity_env_is_default() ||
	    !strcmp(old, IDENTITY_DEFAULT_BOOTCMD))
		identity_env_set("bootcmd", BOOTCMD);
	else if (strcmp(old, BOOTCMD))
		printf("identity: bootcmd stays as in the environment; \"" BOOTCMD
		       "\" starts from the network\n");
}

static void set_missing_addresses(void)
{
	char text[sizeof("0x") + 2 * sizeof(ulong)];
	int i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (env_get(addresses[i].name))
			continue;
		snprintf(text, sizeof(text), "0x%lx",
			 (ulong)env_get_bootm_low() + addresses[i].offset);
		identity_env_set(addresses[i].name, text);
	}
}

/* Whether the script was there and has come to its end */
static bool try_once(void)
{
	/* What may have the network behind it */
	if (IS_ENABLED(CONFIG_CMD_PCI))
		run_command("pci enum", 0);
	if (IS_ENABLED(CONFIG_USB_HOST_ETHER))
		run_command("usb start", 0);

	return !run_command("dhcp", 0) &&
	       !run_command("tftpboot ${scriptaddr} boot.scr", 0) &&
	       !run_command("source ${scriptaddr}", 0);
}

static const char *text_of(const char *name)
{
	const char *value = env_get(name);

	return value ? value : "";
}

/* Whether nobody has pressed a key */
static bool wait(void)
{
	int i;

	for (i = 0; i < RETRY_S * 1000 / POLL_MS; i++) {
		if (tstc()) {
			getchar();
			return false;
		}
		mdelay(POLL_MS);
	}

	return true;
}

int identity_netboot(void)
{
	if (!identity_applied())
		identity_apply(identity_mmc_device());
	/* DHCP alone, not a file that its server names */
	identity_env_set("autoload", "no");

	do {
		set_missing_addresses();
		if (try_once())
			return CMD_RET_SUCCESS;
		printf("rescue: UUID %s, state %s, profile %s\n"
		       "trying again in %d s; a key ends at the prompt\n",
		       text_of("identity_uuid"), text_of("identity_state"),
		       text_of("identity_profile"), RETRY_S);
	} while (wait());

	return CMD_RET_FAILURE;
}
