/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What stamping a card costs at least: two sectors, each written and flushed before the next. */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const long lbas[] = { 6607, 52 };
	static unsigned char sector[512] = "a sector";
	int card = argc == 2 ? open(argv[1], O_RDWR) : -1;

	if (card < 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if (pwrite(card, sector, sizeof(sector), lbas[i] * 512) != sizeof(sector) || fsync(card))
			return 1;
	return close(card);
}
