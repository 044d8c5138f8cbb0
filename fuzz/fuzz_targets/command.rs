// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines, one word a line: every parser of a value, and the identity that a `stamp` makes of them.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::Parser;
use identity_cli::args::{Cli, Verb, WriteVerb};
use identity_cli::commands::stamp;
use identity_core::StoredCopy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let words = data.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    let Ok(cli) = Cli::try_parse_from([OsString::from("identity")].into_iter().chain(words)) else { return };
    let Verb::Write(WriteVerb::Stamp(args)) = cli.verb else { return };
    if args.0.restore.is_some() {
        return;
    }
    if let Ok(Some(identity)) = stamp::request(&args.0, None).and_then(|request| Ok(request.new_identity()?))
    {
        let sector = identity.encode(52, 6607);
        let copy = StoredCopy::parse(&sector, 52).expect("what is made can be read");
        assert_eq!(copy.identity(), identity);
    }
});
