// SPDX-License-Identifier: MIT OR Apache-2.0
//! The servers' configuration: dnsmasq, nbdkit, nbd-server, nginx.

use std::fmt::Write;

use crate::boards::Board;
use crate::lab::{Lab, Network, Server};

const MADE: &str = "Made by identity-lab: change the lab, not this file.";

/// An image as it is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// Its name in `images/`, which is its export's too.
    pub name: String,
    /// Whether each client writes into a copy of its own.
    pub has_copies: bool,
}

/// A whole configuration of dnsmasq.
pub fn dnsmasq(lab: &Lab, network: &Network) -> String {
    let (first, last) = network.range;
    let mask = network.mask();
    let mut text =
        format!("# DHCP and TFTP of the lab {}, the whole configuration. {MADE}\n", lab.settings.name);
    // No DNS; no wait for an answer to a ping, or the first lease takes 3 s.
    text += "port=0\nno-ping\ndhcp-authoritative\nlog-dhcp\n";
    // U-Boot, iPXE and networkd each call a board something else; with its MAC address it keeps its address through all stages.
    text += "dhcp-ignore-clid\n";
    if let Some(interface) = &network.interface {
        put(&mut text, format_args!("interface={interface}\nexcept-interface=lo\nbind-interfaces"));
    }
    put(&mut text, format_args!("dhcp-range={first},{last},{mask},12h\nenable-tftp"));
    if let Some(root) = &lab.settings.server.root {
        put(&mut text, format_args!("tftp-root={}/tftp", root.value));
    }
    text += "dhcp-vendorclass=set:uboot,U-Boot\n";
    // What a board gets unasked is the lab's script: the server sees only a MAC address, and the script the identity.
    match lab.settings.server.address {
        Some(address) => put(&mut text, format_args!("dhcp-boot=boot.scr,,{address}")),
        None => put(&mut text, format_args!("dhcp-boot=boot.scr")),
    }
    text + &dhcp_hosts(lab)
}

/// Lines for a DHCP server that is there already: a part of a configuration.
pub fn dhcp_part(lab: &Lab) -> String {
    format!("# Boards of the lab {}, for dnsmasq's --conf-dir. {MADE}\n", lab.settings.name)
        + &dhcp_hosts(lab)
}

/// One `dhcp-host` line a board.
pub fn dhcp_hosts(lab: &Lab) -> String {
    let host = |board: &Board| {
        let others = board.macs.iter().filter(|(index, _)| *index > 0).map(|(_, mac)| mac.to_string());
        let macs: Vec<_> = std::iter::once(board.mac(0).to_string()).chain(others).collect();
        let ip = board.ip.map_or_else(String::new, |ip| format!(",{ip}"));
        let Board { profile, hostname, .. } = board;
        format!("dhcp-host={},set:profile-{profile},set:board-{hostname},{hostname}{ip}\n", macs.join(","))
    };
    lab.boards.sorted().into_iter().map(host).collect()
}

/// Threads of nbdkit for each board. With the 16 that it takes by itself it had 14.5 MiB for four boards, with these 7.0, and no
/// board waited longer (`tests/bench/run netboot`).
pub const NBDKIT_THREADS: &str = "--threads=4";

/// A script that serves the images beside it, wherever the tree lies.
pub fn nbdkit(server: &Server) -> String {
    let address = server.address.map_or_else(String::new, |address| format!(" --ipaddr={address}"));
    format!(
        "#!/bin/sh\n\
         # Serves the images beside this file over NBD, read-only, each under its name. {MADE}\n\
         # It sets no keepalive: boards that lose power keep their connections for two hours. The units in this directory,\n\
         # and `identity-lab serve`, hand it a socket that does.\n\
         # To end it, kill it (SIGKILL): asked to end, it answers the boards' reads with errors as long as one is there.\n\
         cd -P -- \"$(dirname -- \"$0\")/../images\" || exit\n\
         exec nbdkit --foreground --readonly {NBDKIT_THREADS}{address} --port={} \"$@\" file dir=\"$PWD\"\n",
        server.nbd_port
    )
}

/// systemd's socket for nbdkit: a board that lost power is forgotten after 35 s.
pub fn socket(lab: &Lab) -> String {
    let Server { address, nbd_port, .. } = lab.settings.server;
    let address = address.map_or_else(String::new, |address| format!("{address}:"));
    format!(
        "# {MADE}\n[Unit]\nDescription=NBD of the lab {}\n\n\
         [Socket]\nListenStream={address}{nbd_port}\nFreeBind=yes\nKeepAlive=yes\nKeepAliveTimeSec=20\n\
         KeepAliveIntervalSec=5\nKeepAliveProbes=3\n\n[Install]\nWantedBy=sockets.target\n",
        lab.settings.name
    )
}

/// systemd's service for that socket. nbdkit that is asked to end waits for its last client, and until then answers reads with
/// errors (`ESHUTDOWN`), where a board that finds nobody waits; so it is killed.
pub fn service(lab: &Lab, root: &str) -> String {
    format!(
        "# {MADE}\n[Unit]\nDescription=Root images of the lab {}, read-only over NBD\n\n\
         [Service]\nExecStart=nbdkit --foreground --readonly {NBDKIT_THREADS} file dir={root}/images\nKillSignal=SIGKILL\nSuccessExitStatus=SIGKILL\nDynamicUser=yes\n\
         ProtectSystem=strict\nProtectHome=read-only\nNoNewPrivileges=yes\nPrivateDevices=yes\n",
        lab.settings.name
    )
}

/// nbd-server's configuration: an alternative to nbdkit, and what gives each client a copy that it may write.
pub fn nbd_server(lab: &Lab, root: &str, images: &[Served]) -> String {
    let mut text = format!("# NBD of the lab {}. {MADE}\n[generic]\nallowlist = true\n", lab.settings.name);
    for Served { name, has_copies } in images {
        put(&mut text, format_args!("\n[{name}]\nexportname = {root}/images/{name}"));
        // Without a directory of their own, the copies would lie beside the image.
        text += if *has_copies { "copyonwrite = true\ncowdir = /var/tmp\n" } else { "readonly = true\n" };
    }
    text
}

/// A part for nginx: boot files and images over HTTP.
pub fn nginx(lab: &Lab, root: &str) -> String {
    let address = lab.settings.server.address.map_or_else(String::new, |address| format!("{address}:"));
    format!(
        "# Boot files and images of the lab {} over HTTP, to be included in http {{}}. {MADE}\n\
         server {{\n    listen {address}{};\n    root {root}/tftp;\n    \
         location /images/ {{\n        root {root};\n    }}\n}}\n",
        lab.settings.name, lab.settings.server.http_port
    )
}

/// A whole configuration of nginx in the foreground, with a part for `http {}` whose paths are relative to its prefix. What it
/// writes besides lies in `state`; `how` says as which user and in how many processes.
pub fn nginx_alone(part: &str, state: &str, how: &str) -> String {
    let state = state.replace('\\', "\\\\").replace('"', "\\\"");
    // It makes these directories at its start, whether or not somebody sends something.
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path \"{state}/{name}\";\n"))
        .concat();
    format!(
        "daemon off;\n{how}\npid \"{state}/pid\";\nerror_log stderr;\nevents {{}}\nhttp {{\n    access_log /dev/stdout;\n    \
         default_type application/octet-stream;\n    sendfile on;\n{temporary}{part}}}\n"
    )
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{line}");
}
