// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs that change boards of the list.

use clap::Args;

use super::Format;

/// Examples of `rename`.
pub const RENAME_EXAMPLES: &str = "\
Examples:
  identity-lab rename panda-03 panda-30
  identity-lab rename --dry-run panda-03 panda-30

The board keeps its UUID, addresses and history; overlays/board/OLD becomes overlays/board/NEW. Its card has the old name until \
`identity-lab stamp NEW` with the card in a reader.";

/// Examples of `remove`.
pub const REMOVE_EXAMPLES: &str = "\
Examples:
  identity-lab remove panda-03
  identity-lab remove --dry-run 'panda-[11-20]'
  identity-lab remove --yes --lost panda-03    its card is lost, too

Cards that have the identity are named: erase them, or they boot as a board that is in no list. What the journal knows of the \
board stays in it, and nothing gives its UUID to another board.";

/// `identity-lab rename`.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Hostname, UUID, serial number or address of the board
    #[arg(value_name = "OLD")]
    pub board: String,
    /// The hostname that it gets
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Show what would be renamed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Boards by hostname, with ranges in brackets, or by UUID
    #[arg(value_name = "BOARD", required = true)]
    pub names: Vec<String>,
    /// Their cards are lost or destroyed: nobody looks for them any more. Also of boards that were removed before, and, by UUID, of cards of another lab
    #[arg(long)]
    pub lost: bool,
    /// Remove without asking
    #[arg(long)]
    pub yes: bool,
    /// Show what would be removed, and which cards have the identities, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}
