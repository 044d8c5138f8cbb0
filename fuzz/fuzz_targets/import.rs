// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of other programs that a lab imports: what is taken of them is what `boards.csv` takes, and is read there again.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use identity_lab::boards::{Boards, NewBoard, is_known, plain};
use identity_lab::import::{Format, Input};
use libfuzzer_sys::fuzz_target;

const UUID: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";

fuzz_target!(|text: &str| {
    let input = Input::new(Path::new("file"), text);
    // What it looks like goes first; all others read it, too.
    for format in
        Format::of(text).into_iter().chain([Format::Csv, Format::Dnsmasq, Format::Ansible, Format::Identity])
    {
        let found = match format.read(&input, &["panda", "beaglebone-black"]) {
            Ok(found) => found,
            Err(failure) => {
                assert!(failure.to_string().starts_with("file:"), "a place: {failure}");
                continue;
            }
        };
        for (at, _) in &found.left_out {
            assert!(text.is_char_boundary(*at));
        }
        for board in found.boards {
            let mut cells = BTreeMap::from([
                ("hostname".to_owned(), "a".to_owned()),
                ("profile".to_owned(), "panda".to_owned()),
                ("uuid".to_owned(), UUID.to_owned()),
            ]);
            for (column, value) in board.values {
                assert!(text.is_char_boundary(value.at) && !value.text.trim().is_empty());
                assert_eq!(plain(&column, &value.text).as_deref(), Ok(&value.text[..]), "one form");
                if is_known(&column) {
                    cells.insert(column, value.text);
                }
            }
            let path = Path::new("boards.csv");
            let list = Boards::parse(path, "hostname,profile,uuid\r\n".to_owned()).expect("a header");
            let columns: Vec<_> = cells.keys().filter(|name| !list.has_column(name)).cloned().collect();
            let list = list.with_columns(&columns).expect("known columns");
            let text =
                list.changed(&[NewBoard { cells: cells.clone() }], &BTreeMap::new()).expect("its columns");
            let after = Boards::parse(path, text).expect("what is taken is read again");
            let read = &after.all[0];
            assert!(
                cells.iter().all(|(column, text)| read.cell(column).as_ref() == Some(text)),
                "{cells:?} {read:?}"
            );
        }
    }
});
