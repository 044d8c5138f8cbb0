// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a DHCP server sees of a board before there is a system: U-Boot, and GRUB and iPXE as Debian ships them, started from the
//! card through EFI. `published.rs` has the systems.

use std::fs;

use identity_tests::bench::{put_file, text};
use identity_tests::board::{Board, Model, artifact};
use identity_tests::capture::{Called, dhcp_requests};
use identity_tests::desk::Desk;
use identity_tests::login::side_by_side;

/// iPXE's own prompt does not come on U-Boot's console; a script runs.
const SCRIPT: &str = "#!ipxe\ndhcp\necho address ${net0/ip}, done\nexit\n";

/// What one board called itself, and its addresses.
struct Seen {
    u_boot: Called,
    grub: Called,
    ipxe: Called,
    addresses: Vec<String>,
}

fn start_program(board: &mut Board, name: &str) {
    let said = board.run(&format!("load mmc 0:1 ${{kernel_addr_r}} {name}"));
    assert!(said.contains("bytes read"), "{said}");
    board.send("bootefi ${kernel_addr_r} ${fdtcontroladdr}\n");
}

fn see(desk: &Desk, index: usize) -> Seen {
    let card = desk.card(&desk.boards[index]);
    fs::write(desk.path("autoexec.ipxe"), SCRIPT).expect("own directory");
    let programs = artifact("IDENTITY_TEST_EFI_NETWORK");
    for (dir, name) in [(&programs, "grub.efi"), (&programs, "ipxe.efi"), (&desk.path("."), "autoexec.ipxe")]
    {
        put_file(&card, &dir.join(name), name);
    }
    let model = Model::Arm64;
    let capture = desk.path(format!("frames{index}.pcap"));
    let machine = model.machine(&model.build("2025.01"), &card);
    let mut board = desk.network.start(&machine, index + 1, model.network_device(), &capture);
    board.stop_autoboot();
    board.run("setenv autoload no; dhcp");
    let mut addresses = vec![board.variable("ipaddr").expect("an address")];

    start_program(&mut board, "grub.efi");
    board.expect("grub> ");
    board.send("net_bootp\r");
    board.expect("grub> ");
    board.send("net_ls_addr\r");
    board.expect("efinet0:dhcp ");
    let said = board.expect("grub> ");
    addresses.push(said.split_whitespace().nth(1).expect("an address behind the MAC address").to_owned());
    board.send("exit\r");
    board.expect("=> ");

    start_program(&mut board, "ipxe.efi");
    board.expect("address ");
    addresses.push(board.expect(", done").trim_end_matches(", done").to_owned());
    drop(board);

    let requests = dhcp_requests(&capture);
    let of = |start: Option<&str>| {
        let is_it = |class: Option<String>| match (class, start) {
            (Some(class), Some(start)) => class.starts_with(start),
            (class, start) => class.is_none() && start.is_none(),
        };
        Called::by(requests.iter().filter(|request| is_it(request.called().class)))
    };
    Seen { u_boot: of(Some("U-Boot")), grub: of(None), ipxe: of(Some("PXEClient")), addresses }
}

#[test]
fn published_stages_before_linux_are_one_board_to_a_dhcp_server() {
    let desk = Desk::new(2, "64M");
    let seen = side_by_side(vec![0, 1], |_, index| see(&desk, index));
    for (seen, identity) in seen.iter().zip(&desk.boards) {
        eprintln!("{:?} {:?} {:?} {:?}", seen.u_boot, seen.grub, seen.ipxe, seen.addresses);
        let bare = |pointer: &str| text(identity, pointer).replace(['-', ':'], "");
        // U-Boot names the identity's UUID, GRUB nothing, iPXE the MAC address.
        assert_eq!((&seen.u_boot.client, &seen.u_boot.uuid), (&None, &Some(format!("00{}", bare("/uuid")))));
        assert_eq!((&seen.grub.client, &seen.grub.uuid), (&None, &None));
        assert_eq!(seen.ipxe.client, Some(format!("01{}", bare("/macs/0"))));
        assert!(seen.addresses.iter().all(|address| *address == seen.addresses[0]), "{:?}", seen.addresses);
    }
    assert_ne!(seen[0].addresses, seen[1].addresses);
    seen[0].u_boot.differs_from(&seen[1].u_boot);
    seen[0].ipxe.differs_from(&seen[1].ipxe);
}
