// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person at a board's serial line: logs in as root, which has no password, and asks.

use std::thread;
use std::time::Duration;

use crate::board::Board;

/// From power-on to multi-user; a minute on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(1800);
/// In a system that runs.
const SOON: Duration = Duration::from_secs(300);

/// Waits for a login prompt that ends so, and logs in.
///
/// # Panics
/// With everything seen, if there is none.
pub fn log_in(board: &mut Board, prompt: &str) {
    board.expect_within(PATIENCE, prompt);
    board.send("root\n");
    board.expect_within(SOON, "# ");
    // What the kernel says would come between the lines.
    ask(board, "dmesg -n 4; stty cols 500; PS1=");
}

/// What a command prints.
///
/// # Panics
/// With everything seen, if it does not end.
pub fn ask(board: &mut Board, command: &str) -> String {
    // The words as they are typed do not have what is waited for.
    board.send(&format!("echo BE''GIN; {command}; echo EN''D\n"));
    board.expect_within(SOON, "BEGIN\r\n");
    let said = board.expect_within(SOON, "END\r\n");
    said.trim_end_matches("END\n").trim_end().to_owned()
}

/// Does the same with each, in a thread of its own.
///
/// # Panics
/// If one of them does.
pub fn side_by_side<T: Send, U: Send>(boards: Vec<T>, act: impl Fn(usize, T) -> U + Sync) -> Vec<U> {
    thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = boards
            .into_iter()
            .enumerate()
            .map(|(index, board)| scope.spawn(move || act(index, board)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a board")).collect()
    })
}
