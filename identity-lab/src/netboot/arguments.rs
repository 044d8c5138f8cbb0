// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel arguments: those of the profile, with values of the board, and those that bring the root.

use identity_ui::Result;

use crate::boards::Board;
use crate::lab::Lab;
use crate::place::Placed;
use crate::profile::{Lost, Profile, Transport, Writes};

/// NBD's own port (IANA), which nbd-server has where its configuration names none.
const NBD_SERVER_PORT: u16 = 10809;

/// For whom arguments are made.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The profile.
    pub profile: &'a Profile,
    /// The board; `None` for one that the list does not know.
    pub board: Option<&'a Board>,
    /// The name under which the profile's image is served.
    pub image: Option<&'a str>,
    /// The name under which the image of the kernel's modules is served.
    pub modules: Option<&'a str>,
    /// What is laid over the root: its path for TFTP, and for HTTP.
    pub overlay: Option<&'a str>,
    /// Whether all that the board boots lies on its card.
    pub is_card: bool,
}

/// The arguments, separated by spaces. What is left of `${…}` are variables of U-Boot.
///
/// # Errors
/// Exit 4 for a value that would not stay one argument.
pub fn kernel(target: Target<'_>) -> Result<String> {
    let mut words = Vec::new();
    for arg in &target.profile.boot.args {
        words.extend(expand(target, arg)?);
    }
    let has =
        |key: &str| words.iter().any(|word| word.split(' ').any(|word| word.split('=').next() == Some(key)));
    let own = root(target);
    let missing: Vec<_> =
        own.into_iter().filter(|word| !has(word.split('=').next().unwrap_or(word))).collect();
    words.extend(missing);
    Ok(words.join(" "))
}

/// What brings a root to an initramfs of `root build`; one over NBD, but for what is lost, also to one with nbd-client. For a
/// file on NFS, the profile's arguments say it.
fn root(target: Target<'_>) -> Vec<String> {
    let (Some(root), Some(image)) = (&target.profile.root, target.image) else { return Vec::new() };
    let mut words = Vec::new();
    let mut add = |text: &[&str]| words.extend(text.iter().map(|word| (*word).to_owned()));
    match root.transport {
        Transport::Nbd => {
            let address = server(target.lab);
            let port = target.lab.settings.server.nbd_port;
            let (port, mode) =
                if root.writes == Writes::Server { (NBD_SERVER_PORT, "rw") } else { (port, "ro") };
            add(&["ip=dhcp", "root=/dev/nbd0", &format!("nbdroot={address}:{port}/{image}"), mode]);
        }
        Transport::HttpRam => {
            let url = format!("netroot={}/images/{image}", http(target.lab));
            add(&["ip=dhcp", "root=/dev/loop0", &url, "ro"]);
        }
        Transport::Card => {
            add(&["root=/dev/loop0", &format!("netroot={}:{image}", root.partition), "ro"]);
        }
        Transport::NfsFile => (),
    }
    match root.writes {
        Writes::Discard => words.push("overlay=tmpfs".to_owned()),
        Writes::Keep => words.push(format!("overlay={}", root.keep)),
        Writes::Server => (),
    }
    words.extend(target.modules.map(|modules| format!("netroot.modules={modules}")));
    if let Some(overlay) = target.overlay {
        words.push(match root.transport {
            Transport::HttpRam => format!("netroot.overlay={}/{overlay}", http(target.lab)),
            Transport::Card if target.is_card => {
                let name = overlay.rsplit('/').next().unwrap_or(overlay);
                format!("netroot.overlay={}:{name}", root.partition)
            }
            _ => format!("netroot.overlay={}:{overlay}", server(target.lab)),
        });
    }
    words.extend(match (root.writes, root.lost) {
        // Each connection has a copy of its own.
        (Writes::Server, Some(Lost::Reboot(seconds))) => Some(format!("netroot.lost=forgotten:{seconds}")),
        (Writes::Server, _) => Some("netroot.lost=forgotten".to_owned()),
        (_, Some(Lost::Wait)) => Some("netroot.lost=wait".to_owned()),
        (_, Some(Lost::Reboot(seconds))) => Some(format!("netroot.lost=reboot:{seconds}")),
        (_, None) => None,
    });
    words
}

/// The server's address, or the variable in which U-Boot has it after DHCP.
pub fn server(lab: &Lab) -> String {
    lab.settings.server.address.map_or_else(|| "${serverip}".to_owned(), |address| address.to_string())
}

/// Where the HTTP server is.
fn http(lab: &Lab) -> String {
    match lab.settings.server.http_port {
        80 => format!("http://{}", server(lab)),
        port => format!("http://{}:{port}", server(lab)),
    }
}

/// An argument with its values; `None` where it names a value that is not there.
fn expand(target: Target<'_>, arg: &Placed<String>) -> Result<Option<String>> {
    let mut text = String::new();
    let mut rest = arg.value.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        text += before;
        match value(target, name) {
            Value::Known(value) if value.is_empty() => return Ok(None),
            Value::Known(value) => {
                let is_plain = |char: char| char.is_ascii_alphanumeric() || "._:/,@%+=~-".contains(char);
                if let Some(bad) = value.chars().find(|char| !is_plain(*char)) {
                    let place = target.board.map_or_else(|| arg.place.clone(), |board| board.place(name));
                    return Err(place.unreadable(format!(
                        "{name}: \"{value}\" has `{}`, which a kernel argument cannot carry ({} names it)",
                        bad.escape_debug(),
                        arg.place
                    )));
                }
                text += &value;
            }
            Value::Missing => return Ok(None),
            Value::OfUboot if name.contains('.') => {
                return Err(arg.place.unreadable(format!("args: boards.csv has no column `{name}`")));
            }
            Value::OfUboot => text += &format!("${{{name}}}"),
        }
        rest = behind;
    }
    Ok(Some(text + rest))
}

enum Value {
    Known(String),
    Missing,
    OfUboot,
}

fn value(target: Target<'_>, name: &str) -> Value {
    let known = |value: Option<String>| value.map_or(Value::Missing, Value::Known);
    match name {
        "root_image" => return known(target.image.map(str::to_owned)),
        "server_address" => {
            // Of U-Boot's own it is not known whether they are plain.
            return target
                .lab
                .settings
                .server
                .address
                .map_or(Value::OfUboot, |address| Value::Known(address.to_string()));
        }
        _ => (),
    }
    if target.lab.boards.has_column(name) {
        let cell = |board: &Board| match name {
            "mac0" => board.mac(0).to_string(),
            "uuid" => board.uuid.to_string(),
            _ => board.cell(name).unwrap_or_default(),
        };
        return known(target.board.map(cell));
    }
    let (Some(board), Some(of_identity)) = (target.board, name.strip_prefix("identity_")) else {
        return Value::OfUboot;
    };
    // The list decides where it knows the board, whatever its card says.
    let variable =
        |key: &str| board.variables.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let value = match of_identity {
        "uuid" => Some(board.uuid.to_string()),
        "hostname" => Some(board.hostname.clone()),
        "profile" => Some(board.profile.clone()),
        "machine_id" => Some(board.machine_id()),
        "serial" => board.serial.clone(),
        _ => of_identity.strip_prefix("var_").and_then(variable),
    };
    value.map_or(Value::OfUboot, Value::Known)
}
