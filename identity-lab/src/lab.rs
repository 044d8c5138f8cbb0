// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lab: `lab.toml`, `boards.csv`, `profiles/`.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use identity_core::text;
use identity_ui::{Exit, Failure, Result, shell};

use crate::boards::{Board, Boards};
use crate::journal::{Journal, JournalPlace};
pub use crate::place::{BOARDS_CSV, LAB_TOML};
use crate::place::{Place, Placed, cannot};
use crate::profile::{LabPath, Profile, addresses, check_args, lab_path};
use crate::toml::{Section, TomlFile};

/// The directory of profiles.
pub const PROFILES: &str = "profiles";
/// Where NBD is served, unless the lab says otherwise.
const NBD_PORT: u16 = 10810;
/// Where HTTP is served, unless the lab says otherwise: 80 is taken on many machines, also by the nginx that Debian starts.
const HTTP_PORT: u16 = 8080;

/// `[server]`: what serves the boards.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address that boards see; without one, they take the DHCP server's.
    pub address: Option<Ipv4Addr>,
    /// The port of NBD.
    pub nbd_port: u16,
    /// The port of HTTP.
    pub http_port: u16,
    /// Where the tree lies on the server, if the files are to name it.
    pub root: Option<Placed<String>>,
}

/// `[network]`: for a whole DHCP configuration.
#[derive(Clone, Debug)]
pub struct Network {
    /// The network's address, and the length of its prefix in bits.
    pub subnet: (Ipv4Addr, u8),
    /// First and last address for boards without one of their own.
    pub range: (Ipv4Addr, Ipv4Addr),
    /// The interface to listen on; without one, all of them.
    pub interface: Option<String>,
}

impl Network {
    /// Whether an address is one of the subnet.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = u32::from(self.mask());
        u32::from(address) & mask == u32::from(self.subnet.0) & mask
    }

    /// The subnet's mask.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::MAX << (32 - u32::from(self.subnet.1)))
    }
}

/// `[rescue]`: what a board boots that may not boot its profile.
#[derive(Clone, Debug)]
pub struct Rescue {
    /// The kernel.
    pub kernel: LabPath,
    /// The initial RAM file system.
    pub initrd: Option<LabPath>,
    /// The device tree.
    pub fdt: Option<LabPath>,
    /// Kernel arguments.
    pub args: Vec<Placed<String>>,
    /// Variables of U-Boot with addresses, for boards that have none.
    pub addresses: Vec<(&'static str, u64)>,
}

impl Rescue {
    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &LabPath> {
        std::iter::once(&self.kernel).chain(&self.initrd).chain(&self.fdt)
    }
}

/// What `lab.toml` says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The lab's directory.
    pub dir: PathBuf,
    /// The lab's name.
    pub name: String,
    /// What serves the boards.
    pub server: Server,
    /// The network, if DHCP is the lab's.
    pub network: Option<Network>,
    /// What boards boot that may not boot their profile; without it they wait.
    pub rescue: Option<Rescue>,
    /// The profile of boards that are added without one.
    pub default_profile: Option<String>,
    /// Where the journal is.
    pub journal: JournalPlace,
}

/// The profile that `init` makes.
pub const EXAMPLE: &str = "example";

/// A lab that was read.
#[derive(Debug)]
pub struct Lab {
    /// Its directory.
    pub dir: PathBuf,
    /// What `lab.toml` says.
    pub settings: Settings,
    /// Its boards.
    pub boards: Boards,
    /// Its profiles, by name.
    pub profiles: Vec<Profile>,
}

/// The lab's directory: the one that is given, else this one or the nearest above it that has a `lab.toml`.
///
/// # Errors
/// Exit 2 if there is none.
pub fn find(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = given {
        let is_lab = dir.join(LAB_TOML).exists();
        let shown = shell::path(dir);
        let none = || {
            Failure::usage(format!(
                "{shown} is no lab: it has no {LAB_TOML}; `identity-lab init {shown}` makes one"
            ))
        };
        return is_lab.then(|| dir.to_owned()).ok_or_else(none);
    }
    let mut dir = PathBuf::new();
    let here =
        std::env::current_dir().map_err(|error| cannot("find", Path::new("."), &error, Exit::Device))?;
    for _ in here.ancestors() {
        if dir.join(LAB_TOML).exists() {
            return Ok(dir);
        }
        dir.push("..");
    }
    Err(Failure::usage(format!(
        "no lab: neither this directory nor one above has a {LAB_TOML}; give --lab DIR, or make one with `identity-lab init`"
    )))
}

impl Lab {
    /// Reads a lab.
    ///
    /// # Errors
    /// Exit 4 with file and line of what cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let settings = Settings::read(&dir.join(LAB_TOML))?;
        let boards = Boards::read(&dir.join(BOARDS_CSV))?;
        Ok(Self { dir: dir.to_owned(), settings, boards, profiles: profiles(&dir.join(PROFILES))? })
    }

    /// Its journal.
    pub fn journal(&self) -> Journal {
        self.settings.journal()
    }

    /// A profile by its name.
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// A board's profile.
    ///
    /// # Errors
    /// Exit 4 with the board's line if there is no such profile.
    pub fn profile_of(&self, board: &Board) -> Result<&Profile> {
        self.profile(&board.profile).ok_or_else(|| {
            board.place("profile").unreadable(format!("profile: {}", self.no_profile(&board.profile)))
        })
    }

    /// Leaves out the example that `init` has made, if no board has it and its files are not there; returns a sentence then.
    pub fn leave_out_example(&mut self) -> Option<String> {
        let is_used = self.boards.all.iter().any(|board| board.profile == EXAMPLE)
            || self.settings.default_profile.as_deref() == Some(EXAMPLE);
        let example = self.profiles.iter().position(|profile| profile.name == EXAMPLE);
        let example = example.filter(|index| {
            let lacks = |path: &&LabPath| !self.dir.join(&path.value).exists();
            !is_used && self.profiles[*index].network_files().iter().any(lacks)
        });
        self.profiles.remove(example?);
        Some(format!(
            "{PROFILES}/{EXAMPLE}.toml is left out: no board has it, and a file that it names is not there"
        ))
    }

    /// That there is no such profile, and how to make it.
    pub fn no_profile_yet(&self, name: &str) -> String {
        let example = self.profiles.first().map_or("example", |profile| &profile.name);
        format!("{}; make one first: copy profiles/{example}.toml, and change it", self.no_profile(name))
    }

    /// That there is no such profile, and which there are.
    pub fn no_profile(&self, name: &str) -> String {
        let names: Vec<_> = self.profiles.iter().map(|profile| profile.name.as_str()).collect();
        let have = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("there is no {PROFILES}/{name}.toml; the lab has {have}")
    }
}

impl Settings {
    /// The lab's journal.
    pub fn journal(&self) -> Journal {
        Journal::new(&self.name, &self.dir, &self.journal)
    }

    /// Reads `lab.toml`.
    ///
    /// # Errors
    /// Exit 4 with the line of what cannot be read or is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let toml = TomlFile::read(path)?;
        let top = toml.top();
        top.only(&["name", "server", "network", "rescue", "defaults", "journal"])?;
        let name = top.needed_text("name")?;
        if let Err(error) = text::check_hostname(name.value.as_bytes()) {
            return Err(name.place.unreadable(format!("name: \"{}\" {error}", name.value)));
        }
        let defaults = top.section("defaults")?;
        defaults.only(&["profile"])?;
        Ok(Self {
            name: name.value,
            server: server(&top.section("server")?)?,
            network: network(&top.section("network")?)?,
            rescue: rescue(&top.section("rescue")?)?,
            default_profile: defaults.text("profile")?.map(|profile| profile.value),
            journal: JournalPlace::parse(top.text("journal")?, path)?,
            dir: crate::replace::parent(path).to_owned(),
        })
    }
}

fn address(text: &Placed<String>, key: &str) -> Result<Ipv4Addr> {
    let what =
        || text.place.unreadable(format!("{key}: \"{}\" is no IPv4 address, like 192.168.7.1", text.value));
    text.value.parse().map_err(|_| what())
}

fn server(section: &Section) -> Result<Server> {
    section.only(&["address", "nbd_port", "http_port", "root"])?;
    let port = |key: &str, default: u16| -> Result<u16> {
        let port = section.number(key, u64::from(u16::MAX))?;
        Ok(port.and_then(|port| u16::try_from(port.value).ok()).filter(|port| *port > 0).unwrap_or(default))
    };
    let root = section.text("root")?;
    if let Some(root) = &root {
        let is_plain = root.value.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char));
        if !root.value.starts_with('/') || !is_plain || root.value.contains("/..") {
            return Err(root.place.unreadable(format!(
                "[server] root: \"{}\" is no absolute path of letters, digits and / . _ -",
                root.value
            )));
        }
    }
    Ok(Server {
        address: section.text("address")?.map(|text| address(&text, "[server] address")).transpose()?,
        nbd_port: port("nbd_port", NBD_PORT)?,
        http_port: port("http_port", HTTP_PORT)?,
        root: root.map(|root| root.map(|root| root.trim_end_matches('/').to_owned())),
    })
}

fn network(section: &Section) -> Result<Option<Network>> {
    section.only(&["subnet", "range", "interface"])?;
    if !section.is_there() {
        return Ok(None);
    }
    let text = section.needed_text("subnet")?;
    let parsed = text.value.split_once('/').and_then(|(network, bits)| {
        let bits: u8 = bits.parse().ok().filter(|bits| (8..=30).contains(bits))?;
        let network: Ipv4Addr = network.parse().ok()?;
        (u32::from(network) & (u32::MAX >> bits) == 0).then_some((network, bits))
    });
    let subnet = parsed.ok_or_else(|| {
        text.place
            .unreadable(format!("[network] subnet: \"{}\" is no network, like 192.168.7.0/24", text.value))
    })?;
    let text = section.needed_text("range")?;
    let parsed = text.value.split_once('-').and_then(|(first, last)| {
        let range: (Ipv4Addr, Ipv4Addr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (range.0 <= range.1 && is_in(range.0, subnet) && is_in(range.1, subnet)).then_some(range)
    });
    let range = parsed.ok_or_else(|| {
        let what = "is no range in the subnet, like 192.168.7.100-192.168.7.200";
        text.place.unreadable(format!("[network] range: \"{}\" {what}", text.value))
    })?;
    let interface = section.text("interface")?;
    if let Some(name) = &interface {
        let is_name = name.value.len() < 16
            && name.value.chars().all(|char| char.is_ascii_alphanumeric() || "._-@".contains(char));
        if !is_name {
            return Err(name
                .place
                .unreadable(format!("[network] interface: \"{}\" is no interface's name", name.value)));
        }
    }
    Ok(Some(Network { subnet, range, interface: interface.map(|name| name.value) }))
}

/// Whether an address is in a network.
pub fn is_in(address: Ipv4Addr, (network, bits): (Ipv4Addr, u8)) -> bool {
    (u32::from(address) ^ u32::from(network)).leading_zeros() >= u32::from(bits)
}

fn rescue(section: &Section) -> Result<Option<Rescue>> {
    section.only(&["kernel", "initrd", "fdt", "args", "addresses"])?;
    if !section.is_there() {
        return Ok(None);
    }
    let args = section.list("args")?;
    check_args(&args)?;
    Ok(Some(Rescue {
        kernel: lab_path(section.needed_text("kernel")?)?,
        initrd: section.text("initrd")?.map(lab_path).transpose()?,
        fdt: section.text("fdt")?.map(lab_path).transpose()?,
        args,
        addresses: addresses(section)?,
    }))
}

fn profiles(dir: &Path) -> Result<Vec<Profile>> {
    let unreadable = |error| cannot("read", dir, &error, Exit::Corrupt);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(|file| Profile::read(file)).collect()
}

/// Whether a file of the lab is there, as a regular file.
///
/// # Errors
/// Exit 4 with the line that names it.
pub fn existing(dir: &Path, path: &LabPath) -> Result<PathBuf> {
    let full = dir.join(&path.value);
    match fs::metadata(&full) {
        Ok(file) if file.is_file() => Ok(full),
        Ok(_) => Err(path.place.unreadable(format!("{} is no regular file", full.display()))),
        Err(error) => Err(missing(&path.place, &full, &error)),
    }
}

/// That a file which a line names cannot be read.
pub fn missing(place: &Place, path: &Path, error: &std::io::Error) -> Failure {
    place.unreadable(format!("{}: {}", path.display(), identity_host::device::plain(error)))
}
