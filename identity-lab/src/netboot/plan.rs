// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a lab and what it names to a tree of files. Nothing here reads or writes: the same input gives the same bytes.

use std::collections::BTreeMap;

use identity_ui::Result;

use super::arguments::{self, Target};
use super::script::{self, Files, From, How, Stage};
use super::servers::{self, Served};
use super::sources::{Image, Sources, sha256};
use super::uimage::{self, Arch};
use crate::boards::Board;
use crate::lab::{Lab, Rescue, is_in};
use crate::place::Placed;
use crate::profile::{LabPath, Profile, Transport, Writes};

/// Hex digits of a hash in a file's name.
const SHORT: usize = 12;

/// What a file of the tree has.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, to be run.
    Program(Vec<u8>),
    /// An image of the lab, to which the file is a hard link.
    Image(Image),
}

/// The tree: content by path. What it says besides is for people.
#[derive(Debug, Default)]
pub struct Tree {
    /// Files by their path below the tree's top.
    pub files: BTreeMap<String, Content>,
    /// Images by name that no server has, for they lie on cards.
    on_cards: BTreeMap<String, Image>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The tree of a lab.
///
/// # Errors
/// Exit 4 with the line of what cannot be; 6 where two boards clash.
pub fn plan(lab: &Lab, sources: &Sources) -> Result<Tree> {
    check(lab)?;
    lab.profiles.iter().try_for_each(Profile::check_transport)?;
    let mut tree = Tree::default();
    let mut loaded = BTreeMap::new();
    let name = &lab.settings.name;
    let script = |title: &str, text: &str| Content::Bytes(uimage::script(&format!("{name} {title}"), text));
    for profile in &lab.profiles {
        let made = Loaded {
            files: Files {
                stage: stage(sources, profile, &mut tree)?,
                ..files(sources, profile, &mut tree)?
            },
            image: image(lab, sources, profile, &mut tree)?,
            modules: modules(sources, profile, &mut tree)?,
        };
        let overlay = overlay(sources, profile, None, &mut tree)?;
        let files = made.with_args(lab, profile, None, overlay.as_deref())?;
        let directory = directory(profile);
        let text = profile_script(profile, None, &files);
        tree.put(format!("tftp/{directory}boot.scr"), script(&profile.name, &text));
        // Here, paths are relative to the profile's directory: that of the file that DHCP or a person named.
        let entry = pxelinux(&profile.name, &files, &directory);
        tree.put(format!("tftp/{directory}pxelinux.cfg/default"), Content::Bytes(entry.into_bytes()));
        note(lab, sources, profile, &mut tree);
        loaded.insert(profile.name.as_str(), made);
    }
    for board in lab.boards.sorted() {
        let profile = lab.profile_of(board)?;
        let made = &loaded[profile.name.as_str()];
        let overlay = overlay(sources, profile, Some(board), &mut tree)?;
        let files = made.with_args(lab, profile, Some(board), overlay.as_deref())?;
        let text = profile_script(profile, Some(board), &files);
        let Board { uuid, hostname, .. } = board;
        tree.put(format!("tftp/boards/{uuid}.scr"), script(hostname, &text));
        let entry = pxelinux(hostname, &files, "");
        if entry.lines().any(|line| line.trim_start().len() > PXE_LINE_MAX) {
            tree.notes.push(format!(
                "{hostname}: a line of its pxelinux file has more than {PXE_LINE_MAX} characters, which a U-Boot with a small \
                 CBSIZE cuts off; its script has no limit"
            ));
        }
        tree.put(format!("tftp/pxelinux.cfg/{uuid}"), Content::Bytes(entry.into_bytes()));
    }
    let rescue =
        lab.settings.rescue.as_ref().map(|rescue| rescue_files(sources, rescue, &mut tree)).transpose()?;
    let boot = rescue.as_ref().map(|files| script::boot(files, From::Tftp));
    let address = lab.settings.server.address.map(|address| address.to_string());
    let text = script::lab(name, address, boot.as_deref());
    // The second name is the one that U-Boot's bootcmd_dhcp asks for.
    for path in ["tftp/boot.scr", "tftp/boot.scr.uimg"] {
        tree.put(path.to_owned(), script("boot", &text));
    }
    tree.put(
        "tftp/pxelinux.cfg/default".to_owned(),
        Content::Bytes(pxelinux_rescue(rescue.as_ref()).into_bytes()),
    );
    for directory in sources.overlays.unknown(lab) {
        tree.notes.push(format!("{directory}/ is of no board or profile of the lab, and goes nowhere"));
    }
    let exports: Vec<_> = loaded
        .into_iter()
        .filter(|(name, _)| lab.profile(name).is_some_and(|profile| profile.has_root_by(Transport::Nbd)))
        .flat_map(|(_, made)| made.image.into_iter().chain(made.modules))
        .collect();
    configure(lab, &exports, &mut tree);
    Ok(tree)
}

/// The script and the files of a card, by their names on its partition.
///
/// # Errors
/// Exit 4 with the line of what cannot be.
pub fn for_card(lab: &Lab, sources: &Sources, profile: &Profile, board: Option<&Board>) -> Result<OnCard> {
    let name = &lab.settings.name;
    let mut tree = Tree::default();
    let has_root = profile.has_root_by(Transport::Card);
    let needs_images = has_root || profile.card.has_kernel;
    let image = if needs_images { image(lab, sources, profile, &mut tree)? } else { None };
    let modules = if needs_images { modules(sources, profile, &mut tree)? } else { None };
    let text = if profile.card.has_kernel {
        // An overlay's name changes with its content, and the card's script does not: only what is on the card is there for sure.
        let overlay = if has_root { overlay(sources, profile, board, &mut tree)? } else { None };
        let (image, modules, overlay) = (served(&image), served(&modules), overlay.as_deref());
        let args = arguments::kernel(Target { lab, profile, board, image, modules, overlay, is_card: true })?;
        let loaded = files(sources, profile, &mut tree)?;
        script::card(name, &script::boot(&Files { args, ..loaded }.without(&directory(profile)), From::Card))
    } else {
        script::card_for_network(name, lab.settings.server.address.map(|address| address.to_string()))
    };
    let mut put = vec![("boot.scr".to_owned(), uimage::script(&format!("{name} card"), &text))];
    let prefix = format!("tftp/{}", directory(profile));
    for (path, content) in tree.files {
        let name = path.strip_prefix(&prefix).or_else(|| path.strip_prefix("tftp/overlays/"));
        if let (Some(name), Content::Bytes(bytes)) = (name, content) {
            put.push((name.to_owned(), bytes));
        }
    }
    Ok(OnCard { files: put, images: tree.on_cards.into_iter().collect() })
}

/// What lies on a card's partition, by name.
pub struct OnCard {
    /// The script and boot files.
    pub files: Vec<(String, Vec<u8>)>,
    /// Images of the root, in files of the lab.
    pub images: Vec<(String, Image)>,
}

/// What every board of a profile loads.
struct Loaded {
    files: Files,
    image: Option<Served>,
    modules: Option<Served>,
}

fn served(image: &Option<Served>) -> Option<&str> {
    image.as_ref().map(|image| image.name.as_str())
}

impl Loaded {
    /// With the arguments of a board, or of one that the list does not know.
    fn with_args(
        &self,
        lab: &Lab,
        profile: &Profile,
        board: Option<&Board>,
        overlay: Option<&str>,
    ) -> Result<Files> {
        let (image, modules) = (served(&self.image), served(&self.modules));
        let args =
            arguments::kernel(Target { lab, profile, board, image, modules, overlay, is_card: false })?;
        Ok(Files { args, ..self.files.clone() })
    }
}

/// Where the files of a profile lie, for TFTP.
fn directory(profile: &Profile) -> String {
    format!("profiles/{}/", profile.name)
}

/// What U-Boot's configuration takes of a line at least (`CONFIG_SYS_CBSIZE` of vexpress, less `append ` and the NUL).
const PXE_LINE_MAX: usize = 511;

impl Tree {
    fn put(&mut self, path: String, content: Content) {
        self.files.insert(path, content);
    }

    /// Puts an image where the profile's boards take it from.
    fn put_image(&mut self, profile: &Profile, name: &str, image: &Image) {
        if profile.has_root_by(Transport::Card) {
            self.on_cards.insert(name.to_owned(), image.clone());
        } else {
            self.put(format!("images/{name}"), Content::Image(image.clone()));
        }
    }

    /// Puts a file of the lab as [`Tree::put_hashed`] does.
    fn put_file(&mut self, directory: &str, path: &LabPath, sources: &Sources) -> Result<String> {
        Ok(self.put_hashed(directory, &basename(path), sources.bytes(path)?))
    }

    /// Puts a boot file under a name with its hash, and returns its path for TFTP.
    fn put_hashed(&mut self, directory: &str, name: &str, bytes: &[u8]) -> String {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "._+-".contains(char);
        let name: String = name.chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
        let path = format!("{directory}{}-{name}", &sha256(bytes)[..SHORT]);
        self.files.entry(format!("tftp/{path}")).or_insert_with(|| Content::Bytes(bytes.to_vec()));
        path
    }
}

fn check(lab: &Lab) -> Result<()> {
    lab.boards.check_clashes()?;
    for board in &lab.boards.all {
        lab.profile_of(board)?;
        board.identity()?;
        let Some(ip) = board.ip else { continue };
        if let Some(network) = lab.settings.network.as_ref().filter(|network| !is_in(ip, network.subnet)) {
            let (subnet, bits) = network.subnet;
            return Err(board
                .place("ip")
                .unreadable(format!("ip: {ip} is not in the lab's network {subnet}/{bits}")));
        }
        if lab.settings.server.address == Some(ip) {
            return Err(board.place("ip").refused(format!("ip: {ip} is the server's")));
        }
    }
    Ok(())
}

fn basename(path: &LabPath) -> String {
    path.value.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn image(lab: &Lab, sources: &Sources, profile: &Profile, tree: &mut Tree) -> Result<Option<Served>> {
    let Some(root) = &profile.root else { return Ok(None) };
    let image = sources.images.get(&root.image.value);
    let image = image.ok_or_else(|| root.image.place.unreadable("this image was not read"))?;
    if root.writes == Writes::Server && lab.settings.server.root.is_none() {
        return Err(root.image.place.unreadable(
            "[root] writes = \"server\" needs nbd-server, and its configuration the tree's place: set `root` in lab.toml, \
             [server]",
        ));
    }
    let name = format!("{}-{}.{}", profile.name, &image.sha256[..SHORT], image.kind);
    tree.put_image(profile, &name, image);
    Ok(Some(Served { name, has_copies: root.writes == Writes::Server }))
}

/// Puts what is laid over the root, and returns its path for TFTP.
fn overlay(
    sources: &Sources,
    profile: &Profile,
    board: Option<&Board>,
    tree: &mut Tree,
) -> Result<Option<String>> {
    let Some(root) = &profile.root else { return Ok(None) };
    let Some((name, bytes)) = sources.overlays.pack(profile, board) else { return Ok(None) };
    if root.writes == Writes::Server {
        return Err(root.image.place.unreadable(
            "[root] writes = \"server\" gives a board one layer to write into, and nothing is laid over it: empty overlays/, or \
             choose \"discard\" or \"keep\"",
        ));
    }
    Ok(Some(tree.put_hashed("overlays/", &name, &bytes)))
}

fn modules(sources: &Sources, profile: &Profile, tree: &mut Tree) -> Result<Option<Served>> {
    let Some(modules) = &profile.hardware.modules else { return Ok(None) };
    let image = sources.images.get(&modules.value);
    let image = image.ok_or_else(|| modules.place.unreadable("this image was not read"))?;
    let name = format!("{}-modules-{}.{}", profile.name, &image.sha256[..SHORT], image.kind);
    tree.put_image(profile, &name, image);
    Ok(Some(Served { name, has_copies: false }))
}

fn stage(sources: &Sources, profile: &Profile, tree: &mut Tree) -> Result<Option<Stage>> {
    let Some(loader) = &profile.loader else { return Ok(None) };
    let bytes = sources.bytes(&loader.file)?;
    let arch = how(sources, &profile.boot.kernel)?.1.unwrap_or(Arch::Arm64);
    let wrapped = if loader.is_booti {
        uimage::with_linux_header(bytes)
    } else {
        let address = u32::try_from(loader.address).map_err(|_| {
            loader
                .file
                .place
                .unreadable("[loader] address does not fit into the 32 bits that a legacy image has")
        })?;
        uimage::kernel(arch, address, "U-Boot", bytes)
    };
    let path = tree.put_hashed(&directory(profile), &basename(&loader.file), &wrapped);
    Ok(Some(Stage { path, address: loader.is_booti.then_some(loader.address), mark: loader.mark }))
}

fn how(sources: &Sources, kernel: &LabPath) -> Result<(How, Option<Arch>)> {
    How::of_kernel(sources.bytes(kernel)?).ok_or_else(|| {
        kernel.place.unreadable(format!(
            "{} is no kernel that U-Boot starts: neither a zImage, an Image for AArch64 or RISC-V, a legacy image nor a FIT",
            kernel.value.display()
        ))
    })
}

/// Several initrds are one file, each padded to four bytes, as Linux reads them one behind another.
fn joined(sources: &Sources, paths: &[LabPath]) -> Result<Option<(String, Vec<u8>)>> {
    let [first, rest @ ..] = paths else { return Ok(None) };
    let mut bytes = sources.bytes(first)?.to_vec();
    for path in rest {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(sources.bytes(path)?);
    }
    Ok(Some((if rest.is_empty() { basename(first) } else { "initrd".to_owned() }, bytes)))
}

/// The files of a profile, put into the tree; arguments come with the board.
fn files(sources: &Sources, profile: &Profile, tree: &mut Tree) -> Result<Files> {
    let boot = &profile.boot;
    let directory = directory(profile);
    let (how, _) = how(sources, &boot.kernel)?;
    let initrd = joined(sources, &boot.initrd)?;
    Ok(Files {
        kernel: tree.put_file(&directory, &boot.kernel, sources)?,
        how,
        initrd: initrd.map(|(name, bytes)| tree.put_hashed(&directory, &name, &bytes)),
        fdt: boot.fdt.as_ref().map(|fdt| tree.put_file(&directory, fdt, sources)).transpose()?,
        addresses: boot.addresses.clone(),
        stage: None,
        args: String::new(),
    })
}

fn rescue_files(sources: &Sources, rescue: &Rescue, tree: &mut Tree) -> Result<Files> {
    let (how, _) = how(sources, &rescue.kernel)?;
    let args: Vec<_> = rescue.args.iter().map(|Placed { value, .. }| value.as_str()).collect();
    let mut put = |path: &LabPath| tree.put_file("rescue/", path, sources);
    Ok(Files {
        kernel: put(&rescue.kernel)?,
        how,
        initrd: rescue.initrd.as_ref().map(&mut put).transpose()?,
        fdt: rescue.fdt.as_ref().map(&mut put).transpose()?,
        addresses: rescue.addresses.clone(),
        stage: None,
        args: args.join(" "),
    })
}

/// The script of a board, or of a profile for boards that the list does not know.
fn profile_script(profile: &Profile, board: Option<&Board>, files: &Files) -> String {
    let name = &profile.name;
    let text = match board {
        Some(board) => format!(
            "# {}, profile {name}. Made by identity-lab.\n\
             if test \"${{identity_profile}}\" != {name}; then echo \"the card says profile ${{identity_profile}}, the list of the lab \
             {name}, which counts; stamp the card again\"; fi\n",
            board.hostname
        ),
        None => format!("# Profile {name}. Made by identity-lab.\n"),
    };
    text + &script::boot(files, From::Tftp)
}

/// A pxelinux file with one entry; paths lose `prefix`.
fn pxelinux(label: &str, files: &Files, prefix: &str) -> String {
    let files = files.clone().without(prefix);
    let mut text = format!("# Made by identity-lab.\ndefault {label}\nprompt 0\n\nlabel {label}\n");
    text += &format!("    kernel {}\n", files.kernel);
    for (word, file) in [("initrd", &files.initrd), ("fdt", &files.fdt)] {
        text += &file.as_ref().map_or_else(String::new, |file| format!("    {word} {file}\n"));
    }
    if files.args.is_empty() { text } else { text + &format!("    append {}\n", files.args) }
}

/// What a board gets that nobody knows.
fn pxelinux_rescue(rescue: Option<&Files>) -> String {
    match rescue {
        Some(files) => pxelinux("rescue", files, ""),
        None => "# Made by identity-lab. No rescue is set in lab.toml.\ndefault rescue\nprompt 0\n\nlabel rescue\n    \
                 say this board is not known, and the lab has no rescue\n    localboot 1\n"
            .to_owned(),
    }
}

fn configure(lab: &Lab, images: &[Served], tree: &mut Tree) {
    let text = |text: String| Content::Bytes(text.into_bytes());
    let server = &lab.settings.server;
    match &lab.settings.network {
        Some(network) => tree.put("server/dnsmasq.conf".into(), text(servers::dnsmasq(lab, network))),
        None => tree.put("server/dhcp-hosts.conf".into(), text(servers::dhcp_part(lab))),
    }
    tree.put("server/nbdkit".into(), Content::Program(servers::nbdkit(server).into_bytes()));
    let Some(root) = server.root.as_ref().map(|root| root.value.as_str()) else {
        tree.notes.push(
            "without `root` in lab.toml, [server], there are no units for systemd, and nothing for nbd-server and nginx".into(),
        );
        return;
    };
    tree.put("server/identity-lab-nbd.socket".into(), text(servers::socket(lab)));
    tree.put("server/identity-lab-nbd.service".into(), text(servers::service(lab, root)));
    tree.put("server/nginx.conf".into(), text(servers::nginx(lab, root)));
    if !images.is_empty() {
        tree.put("server/nbd-server.conf".into(), text(servers::nbd_server(lab, root, images)));
    }
}

fn note(lab: &Lab, sources: &Sources, profile: &Profile, tree: &mut Tree) {
    if profile.root.as_ref().is_none_or(|root| root.writes != Writes::Discard) {
        return;
    }
    let boards = || lab.boards.sorted().into_iter().filter(|board| board.profile == profile.name);
    let without: Vec<_> = boards()
        .filter(|board| !sources.overlays.has_host_keys(board))
        .map(|board| board.hostname.as_str())
        .collect();
    let count = boards().count();
    if without.is_empty() && count > 0 {
        return;
    }
    tree.notes.push(if without.len() == count {
        format!("{}: its boards write into memory, so their SSH host keys are new at each boot", profile.name)
    } else {
        format!(
            "{}: its boards write into memory, so SSH host keys are new at each boot of those that have none in overlays/board/: {}",
            profile.name,
            without.join(", ")
        )
    });
}
