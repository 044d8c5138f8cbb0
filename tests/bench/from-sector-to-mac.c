/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From the first sector in memory to the MAC address, as a bootloader does it. Counted by callgrind inside work();
 * prints the sectors read and the address.
 */
#include <stdio.h>
#include "identity.h"

/* Up to behind the last slot. */
static unsigned char card[6960 * 512];
static int sectors;

__attribute__((noinline))
static int work(struct identity_search *search, struct identity_record *record, unsigned char *mac)
{
	uint32_t lba, source;
	int state;

	identity_search_begin(search, sizeof(*search), 0);
	while ((state = identity_search_next(search, &lba)) == IDENTITY_READ) {
		sectors++;
		identity_search_give(search, lba, card + lba * 512, 512, record, sizeof(*record));
	}
	identity_record_mac(record, 0, mac, &source);
	return state;
}

int main(int argc, char **argv)
{
	static struct identity_search search;
	static struct identity_record record;
	unsigned char mac[6];
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

	if (!file || fread(card, sizeof(card), 1, file) != 1 || work(&search, &record, mac) != IDENTITY_VALID)
		return 1;
	printf("%d %02x:%02x:%02x:%02x:%02x:%02x\n", sectors, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return 0;
}
