// SPDX-License-Identifier: MIT OR Apache-2.0
//! `profiles/NAME.toml`: what the boards of a role boot.

mod root;

use std::path::{Path, PathBuf};

use identity_core::text;
use identity_ui::Result;

use crate::place::{Place, Placed};
use crate::toml::{Section, TomlFile};

/// How the root comes to the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A network block device.
    Nbd,
    /// A file on NFS, loop-mounted.
    NfsFile,
    /// Fetched over HTTP into memory.
    HttpRam,
    /// On the card.
    Card,
}

/// Where what the board writes goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Into memory, and lost at the next boot.
    Discard,
    /// Into a copy that the server makes for each client.
    Server,
    /// Onto a partition of the card.
    Keep,
}

/// What a board does when it has lost its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It waits.
    Wait,
    /// It reboots after this many seconds.
    Reboot(u64),
}

const TRANSPORTS: [(&str, Transport); 4] = [
    ("nbd", Transport::Nbd),
    ("nfs-file", Transport::NfsFile),
    ("http-ram", Transport::HttpRam),
    ("card", Transport::Card),
];
const WRITES: [(&str, Writes); 3] =
    [("discard", Writes::Discard), ("server", Writes::Server), ("keep", Writes::Keep)];

/// A path as the profile has it: relative to the lab.
pub type LabPath = Placed<PathBuf>;

/// `[boot]`: what U-Boot loads.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The kernel; the only file that a profile must have.
    pub kernel: LabPath,
    /// Initial RAM file systems, joined in this order.
    pub initrd: Vec<LabPath>,
    /// The device tree; without one, U-Boot hands over its own.
    pub fdt: Option<LabPath>,
    /// Kernel arguments.
    pub args: Vec<Placed<String>>,
    /// Variables of U-Boot with addresses, which are set before anything is loaded.
    pub addresses: Vec<(&'static str, u64)>,
}

/// `[root]`: the root file system.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its image.
    pub image: LabPath,
    /// How it comes to the board.
    pub transport: Transport,
    /// The line that says it.
    pub transport_place: Place,
    /// Where writes go.
    pub writes: Writes,
    /// What the board does when it has lost its server, if the profile says so.
    pub lost: Option<Lost>,
    /// The partition for `writes = "keep"`.
    pub keep: String,
    /// The partition with the image, for `transport = "card"`.
    pub partition: String,
}

/// `[loader]`: a second stage that U-Boot starts before the kernel.
#[derive(Clone, Debug)]
pub struct SecondStage {
    /// The loader, as it runs.
    pub file: LabPath,
    /// Where it runs, for `bootm`.
    pub address: u64,
    /// Whether U-Boot starts it with `booti`, and not with `bootm`.
    pub is_booti: bool,
    /// An address whose word says that the second stage runs; without one, that in `fdt_addr_r`.
    pub mark: Option<u64>,
}

/// A loader file and where it lies on a card.
#[derive(Clone, Debug)]
pub struct CardLoader {
    /// The file.
    pub file: LabPath,
    /// Its first sector, where the profile names one.
    pub lba: Option<u64>,
}

/// `[card]`: what lies on a card of this profile.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// Loaders, before the partition.
    pub loaders: Vec<CardLoader>,
    /// The family of boards, where the loader's header does not say it.
    pub family: Option<Placed<String>>,
    /// Files at the top of the FAT partition.
    pub files: Vec<LabPath>,
    /// Whether kernel, device tree and initrd lie on the card, so that it boots without TFTP.
    pub has_kernel: bool,
}

/// `[build]`: what `identity-lab root build` makes the root of.
#[derive(Clone, Debug)]
pub struct Build {
    /// Debian's name of the architecture.
    pub arch: Placed<String>,
    /// Debian's suite, for a new root.
    pub suite: Option<Placed<String>>,
    /// The mirror; without one, that of this machine's apt.
    pub mirror: Option<Placed<String>>,
    /// Packages beside those that a root from the network needs; one that ends in `.deb` is a file of the lab.
    pub packages: Vec<Placed<String>>,
    /// A tarball, squashfs or directory of the lab to adapt, in place of a new root.
    pub from: Option<LabPath>,
}

/// `[hardware]`: what belongs to a family of boards, apart from the root.
#[derive(Clone, Debug, Default)]
pub struct Hardware {
    /// A directory with a kernel's packages, or with their files.
    pub pack: Option<LabPath>,
    /// The image of the kernel's modules, which is laid over the root.
    pub modules: Option<LabPath>,
}

/// A profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name: that of the file without `.toml`.
    pub name: String,
    /// Its file, for messages.
    pub file: PathBuf,
    /// What U-Boot loads.
    pub boot: Boot,
    /// The root, if the initrd is not all.
    pub root: Option<Root>,
    /// A second stage of U-Boot.
    pub loader: Option<SecondStage>,
    /// What lies on a card.
    pub card: Card,
    /// What belongs to its family of boards.
    pub hardware: Hardware,
    /// What the root is made of, if it is made here.
    pub build: Option<Build>,
    /// The line of a file that `root build` has still to make.
    unbuilt: Option<Placed<&'static str>>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// Exit 4 with the line of what cannot be read, is not known, or does not go together.
    pub fn read(file: &Path) -> Result<Self> {
        let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Err(error) = text::check_profile(name.as_bytes()) {
            return Err(
                Place::line(file, 1).unreadable(format!("the file's name is the profile's, which {error}"))
            );
        }
        Self::from_toml(name, file, &TomlFile::read(file)?)
    }

    /// Takes a profile from TOML.
    ///
    /// # Errors
    /// As [`Profile::read`].
    pub fn from_toml(name: String, file: &Path, toml: &TomlFile) -> Result<Self> {
        let top = toml.top();
        top.only(&["boot", "root", "hardware", "loader", "card", "build"])?;
        let build = build(&top.section("build")?)?;
        let mut unbuilt = None;
        let root = root::root(&top.section("root")?, build.is_some(), &mut unbuilt)?;
        let hardware = hardware(&top.section("hardware")?, root.as_ref())?;
        Ok(Self {
            name,
            file: file.to_owned(),
            boot: boot(&top.section("boot")?, build.is_some(), &mut unbuilt)?,
            root,
            loader: second_stage(&top.section("loader")?)?,
            card: card(&top.section("card")?)?,
            hardware,
            build,
            unbuilt,
        })
    }

    /// Refuses a profile whose root has still to be built.
    ///
    /// # Errors
    /// Exit 4 with the line of what is missing.
    pub fn check_built(&self) -> Result<()> {
        match &self.unbuilt {
            Some(Placed { value: key, place }) => Err(place.unreadable(format!(
                "{key} is missing; `identity-lab root build {}` makes and sets it",
                self.name
            ))),
            None => Ok(()),
        }
    }

    /// Refuses a root that would come in a way which the initramfs of `root build` does not know.
    ///
    /// # Errors
    /// Exit 4 with the line of the transport.
    pub fn check_transport(&self) -> Result<()> {
        match &self.root {
            Some(root) if root.transport == Transport::NfsFile && self.build.is_some() => {
                Err(root.transport_place.unreadable(
                    "[root] transport = \"nfs-file\": the initramfs of `identity-lab root build` has no NFS; choose \"nbd\", \
                     \"http-ram\" or \"card\", or take an initramfs of your own and leave [build] out",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether it has a root that comes this way.
    pub fn has_root_by(&self, transport: Transport) -> bool {
        self.root.as_ref().is_some_and(|root| root.transport == transport)
    }

    /// Its first line, for messages about the whole of it.
    pub fn place(&self) -> Place {
        Place::line(&self.file, 1)
    }

    /// Every file that goes over the network, but the root's image.
    pub fn network_files(&self) -> Vec<&LabPath> {
        let mut all = vec![&self.boot.kernel];
        all.extend(&self.boot.initrd);
        all.extend(&self.boot.fdt);
        all.extend(self.loader.iter().map(|loader| &loader.file));
        all
    }
}

/// A path that leads out of the lab would be another one on the next machine.
///
/// # Errors
/// Exit 4 for an absolute path, and one with `..`.
pub fn lab_path(text: Placed<String>) -> Result<LabPath> {
    let path = text.map(PathBuf::from);
    let is_inside = path.value.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if is_inside {
        Ok(path)
    } else {
        let shown = path.value.display();
        Err(path
            .place
            .unreadable(format!("\"{shown}\" is not a path inside of the lab; give one relative to it")))
    }
}

/// Kernel arguments that a boot script can carry: everything else would be another command.
///
/// # Errors
/// Exit 4 with the line of an argument that has a quote, a backslash or a dollar sign that begins no `${name}`.
pub fn check_args(args: &[Placed<String>]) -> Result<()> {
    for arg in args {
        let bad = arg.value.find(['"', '\'', '\\', '`', ';']).or(arg.value.find(char::is_control));
        let dollar = arg.value.match_indices('$').find(|(at, _)| {
            let name = arg.value[at + 1..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let is_name = |name: &str| {
                !name.is_empty()
                    && name.chars().all(|char| char.is_ascii_alphanumeric() || "_.#".contains(char))
            };
            !name.is_some_and(|(name, _)| is_name(name))
        });
        if let Some(at) = bad.or(dollar.map(|(at, _)| at)) {
            let char = arg.value[at..].chars().next().unwrap_or_default();
            return Err(arg.place.unreadable(format!(
                "args: `{}` may not stand in a kernel argument, except that ${{name}} is a value",
                char.escape_debug()
            )));
        }
    }
    Ok(())
}

/// Variables of U-Boot with addresses, from the section `addresses` below this one.
///
/// # Errors
/// Exit 4 with the line of what is no address, or of no variable.
pub fn addresses(section: &Section) -> Result<Vec<(&'static str, u64)>> {
    const NAMES: [&str; 4] = ["kernel_addr_r", "fdt_addr_r", "ramdisk_addr_r", "scriptaddr"];
    let list = section.section("addresses")?;
    list.only(&NAMES)?;
    let mut addresses = Vec::new();
    for name in NAMES {
        if let Some(address) = list.number(name, u64::MAX)? {
            addresses.push((name, address.value));
        }
    }
    Ok(addresses)
}

/// A file that a profile must name, unless `root build` has still to make it.
fn built_path(
    section: &Section,
    key: &str,
    shown: &'static str,
    is_built_here: bool,
    unbuilt: &mut Option<Placed<&'static str>>,
) -> Result<LabPath> {
    let text = if is_built_here { section.text(key)? } else { Some(section.needed_text(key)?) };
    match text {
        Some(text) => lab_path(text),
        None => {
            let place = section.place().clone();
            *unbuilt = Some(Placed { value: shown, place: place.clone() });
            Ok(Placed { value: PathBuf::from("not-built-yet"), place })
        }
    }
}

fn boot(section: &Section, is_built_here: bool, unbuilt: &mut Option<Placed<&'static str>>) -> Result<Boot> {
    section.only(&["kernel", "initrd", "fdt", "args", "addresses"])?;
    let addresses = addresses(section)?;
    let args = section.list("args")?;
    check_args(&args)?;
    Ok(Boot {
        kernel: built_path(section, "kernel", "[boot] kernel", is_built_here, unbuilt)?,
        initrd: section.list("initrd")?.into_iter().map(lab_path).collect::<Result<_>>()?,
        fdt: section.text("fdt")?.map(lab_path).transpose()?,
        args,
        addresses,
    })
}

fn second_stage(section: &Section) -> Result<Option<SecondStage>> {
    section.only(&["file", "address", "how", "mark"])?;
    if !section.is_there() {
        return Ok(None);
    }
    let file = lab_path(section.needed_text("file")?)?;
    let how = section.one_of("how", &[("bootm", false), ("booti", true)])?;
    let how =
        how.ok_or_else(|| section.place().unreadable("[loader] how is missing: \"bootm\" or \"booti\""))?;
    let address = section.number("address", u64::MAX)?;
    let address = address.ok_or_else(|| section.place().unreadable("[loader] address is missing"))?;
    let mark = section.number("mark", u64::MAX)?.map(|mark| mark.value);
    Ok(Some(SecondStage { file, address: address.value, is_booti: how.value, mark }))
}

fn card(section: &Section) -> Result<Card> {
    section.only(&["loader", "lba", "family", "files", "boot"])?;
    let lba = section.number("lba", u64::from(u32::MAX))?;
    let loaders = section.list("loader")?;
    if let Some(lba) = lba.as_ref().filter(|_| loaders.len() != 1) {
        return Err(lba.place.unreadable("[card] lba is the place of one loader; give one"));
    }
    let lba = lba.map(|lba| lba.value);
    let loader = |text| Ok(CardLoader { file: lab_path(text)?, lba });
    let has_kernel = section.one_of("boot", &[("network", false), ("card", true)])?;
    Ok(Card {
        loaders: loaders.into_iter().map(loader).collect::<Result<_>>()?,
        family: section.text("family")?,
        files: section.list("files")?.into_iter().map(lab_path).collect::<Result<_>>()?,
        has_kernel: has_kernel.is_some_and(|has| has.value),
    })
}

fn hardware(section: &Section, root: Option<&Root>) -> Result<Hardware> {
    section.only(&["pack", "modules"])?;
    let has_layers = |root: &Root| root.transport != Transport::NfsFile && root.writes != Writes::Server;
    if section.is_there() && !root.is_some_and(has_layers) {
        return Err(section.place().unreadable(
            "[hardware] is laid over a root with transport = \"nbd\", \"http-ram\" or \"card\", and writes = \"discard\" or \"keep\"",
        ));
    }
    Ok(Hardware {
        pack: section.text("pack")?.map(lab_path).transpose()?,
        modules: section.text("modules")?.map(lab_path).transpose()?,
    })
}

fn build(section: &Section) -> Result<Option<Build>> {
    section.only(&["arch", "suite", "packages", "mirror", "from"])?;
    if !section.is_there() {
        return Ok(None);
    }
    // Each becomes a word of a command.
    let plain = |text: Placed<String>, key: &str, more: &str| {
        let bad = text.value.chars().find(|char| !char.is_ascii_alphanumeric() && !more.contains(*char));
        match bad.or(text.value.chars().next().filter(|char| "-+".contains(*char))) {
            Some(bad) => {
                let what = format!("[build] {key}: \"{}\" has `{}`", text.value, bad.escape_debug());
                Err(text.place.unreadable(format!("{what}, which cannot stand there")))
            }
            None => Ok(text),
        }
    };
    let packages = section.list("packages")?;
    let suite = section.text("suite")?.map(|suite| plain(suite, "suite", "-.")).transpose()?;
    let from = section.text("from")?.map(lab_path).transpose()?;
    Ok(Some(Build {
        arch: plain(section.needed_text("arch")?, "arch", "")?,
        suite,
        mirror: section.text("mirror")?.map(|mirror| plain(mirror, "mirror", ":/._-+~%@")).transpose()?,
        packages: packages
            .into_iter()
            .map(|package| plain(package, "packages", ".+-:=~/_"))
            .collect::<Result<_>>()?,
        from,
    }))
}
