/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What stamping a card costs at least: the gap is read once, and two sectors are written, each flushed before the next.
 * Usage: bare-writes CARD SECTORS
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const long lbas[] = { 6607, 52 };
	static unsigned char sector[512] = "a sector";
	int card = argc == 3 ? open(argv[1], O_RDWR) : -1;
	size_t gap = argc == 3 ? strtoul(argv[2], NULL, 10) * 512 : 0;
	char *bytes = malloc(gap);

	if (card < 0 || !bytes || pread(card, bytes, gap, 0) != (ssize_t)gap)
		return 1;
	for (int i = 0; i < 2; i++)
		if (pwrite(card, sector, sizeof(sector), lbas[i] * 512) != sizeof(sector) || fsync(card))
			return 1;
	return close(card);
}
