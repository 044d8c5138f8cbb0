// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image of a card: where its loaders lie, what is on its partition, how large it is, and whose it is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use identity_core::{Identity, Uuid};
use identity_host::device::safety::{Allowed, InUse};
use identity_host::device::{Access, Target};
use identity_host::new_image::{NewImage, PARTITION_LBA};
use identity_host::stamp::{self, Request, Values};
use identity_host::surroundings::Surroundings;
use identity_host::update;
use identity_layout::families::{FAMILIES, Family, Sign};
use identity_ui::{Exit, Failure, Result};

use crate::boards::Board;
use crate::lab::{Lab, existing, missing};
use crate::netboot::overlays::Overlays;
use crate::netboot::plan::{OnCard, for_card};
use crate::netboot::sources::{Sources, check_unchanged};
use crate::place::cannot;
use crate::profile::{CardLoader, LabPath, Profile, Transport, Writes};

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Bytes of the smallest image, and of the largest one without a root. QEMU takes powers of two alone for a card.
const SMALLEST: u64 = 16 * MIB;
const LARGEST: u64 = 64 * MIB;
/// Bytes of the largest image with a root: what Linux and U-Boot take a file of on a FAT.
const LARGEST_WITH_ROOT: u64 = 4096 * MIB;
/// Bytes that a FAT, its directory and the rest of the last cluster of each file take at most, by the card and the file.
const FAT_OVERHEAD: u64 = 256 << 10;
const CLUSTER_MAX: u64 = 16 << 10;

/// A loader and its place.
#[derive(Debug)]
pub struct Placed {
    /// Its path in the lab.
    pub file: String,
    /// Its first sector.
    pub lba: u64,
    /// The family of boards that has it there; none where the profile names the sector.
    pub family: Option<&'static str>,
    /// The loader itself.
    pub bytes: Vec<u8>,
}

impl Placed {
    /// The sector behind its last one.
    pub fn end_lba(&self) -> u64 {
        self.lba + (self.bytes.len() as u64).div_ceil(SECTOR)
    }
}

/// What an image will be.
pub struct Plan<'a> {
    /// Length in bytes.
    pub size: u64,
    /// Where the second partition begins, for what the board writes, in bytes from the start; it reaches to the end.
    pub keep: Option<u64>,
    /// Loaders before the partition, in the order of their sectors.
    pub loaders: Vec<Placed>,
    /// Files on the partition, by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// The board whose identity the card gets.
    pub board: Option<&'a Board>,
}

/// Plans the card of a board, or of a profile.
///
/// # Errors
/// Exit 4 with the line of a file that is missing; 6 if a loader does not fit.
pub fn plan<'a>(lab: &Lab, profile: &Profile, board: Option<&'a Board>) -> Result<Plan<'a>> {
    let mut loaders = Vec::new();
    for loader in &profile.card.loaders {
        let bytes = read(lab, &loader.file)?;
        loaders.push(place(profile, loader, bytes)?);
    }
    loaders.sort_by_key(|loader| loader.lba);
    check_room(profile, &loaders)?;
    let has_root = profile.has_root_by(Transport::Card);
    let mut sources = Sources::default();
    if has_root {
        // Whoever has the card has its files, and nobody else.
        sources.overlays = Overlays::read(lab, true)?;
    }
    if profile.card.has_kernel || has_root {
        sources.read_profile(lab, profile)?;
    }
    let OnCard { mut files, images } = for_card(lab, &sources, profile, board)?;
    for (name, image) in images {
        let bytes =
            fs::read(&image.path).map_err(|error| cannot("read", &image.path, &error, Exit::Device))?;
        check_unchanged(&image, &image.path)?;
        files.push((name, bytes));
    }
    for path in &profile.card.files {
        let name =
            path.value.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if files.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            return Err(path
                .place
                .refused(format!("[card] files: a second file {name} on one FAT partition")));
        }
        files.push((name, read(lab, path)?));
    }
    let largest = if has_root { LARGEST_WITH_ROOT } else { LARGEST };
    let room = size(profile, &files, largest)?;
    let keep = profile.root.as_ref().is_some_and(|root| root.writes == Writes::Keep).then_some(room);
    // A card with a root has as much for what the board writes as for all else.
    let size = match keep {
        Some(room) if has_root => LARGEST.max(room * 2),
        Some(_) => LARGEST,
        None => room,
    };
    if keep == Some(size) || size > largest {
        return Err(profile.place().refused(format!(
            "the files of this card leave no room for `writes = \"keep\"` on an image of {} MiB; take less onto the card",
            largest / MIB
        )));
    }
    Ok(Plan { size, keep, loaders, files, board })
}

fn read(lab: &Lab, path: &LabPath) -> Result<Vec<u8>> {
    let full = existing(&lab.dir, path)?;
    fs::read(&full).map_err(|error| missing(&path.place, &full, &error))
}

/// The smallest size up to `largest` that has room.
fn size(profile: &Profile, files: &[(String, Vec<u8>)], largest: u64) -> Result<u64> {
    let bytes: u64 = files.iter().map(|(_, bytes)| (bytes.len() as u64).next_multiple_of(CLUSTER_MAX)).sum();
    let before = u64::from(PARTITION_LBA) * SECTOR;
    let mut sizes =
        std::iter::successors(Some(SMALLEST), |size| Some(size * 2)).take_while(|size| *size <= largest);
    // Both tables of a larger FAT have a 256th of it at most: two times four bytes for a cluster of two kilobytes.
    sizes.find(|size| before + FAT_OVERHEAD.max(size / 256) + bytes <= *size).ok_or_else(|| {
        profile.place().refused(format!(
            "the files of this card take {bytes} bytes; an image of {} MiB has no room for them",
            largest / MIB
        ))
    })
}

/// Where a loader goes: where the profile says, else where its family has it.
fn place(profile: &Profile, loader: &CardLoader, bytes: Vec<u8>) -> Result<Placed> {
    let file = loader.file.value.display().to_string();
    let place = &loader.file.place;
    if let Some(lba) = loader.lba {
        return Ok(Placed { file, lba, family: None, bytes });
    }
    let wanted = profile.card.family.as_ref();
    if let Some(family) = wanted.filter(|wanted| !FAMILIES.iter().any(|family| family.name == wanted.value)) {
        let have: Vec<_> =
            FAMILIES.iter().filter(|family| !family.signs.is_empty()).map(|family| family.name).collect();
        return Err(family.place.unreadable(format!(
            "[card] family: \"{}\" is not known; known are {}",
            family.value,
            have.join("; ")
        )));
    }
    let mut found: Vec<(&Family, u64, u64)> = Vec::new();
    for family in FAMILIES {
        let is_wanted = wanted.is_none_or(|wanted| wanted.value == family.name);
        let is_new = !found.iter().any(|(other, ..)| other.group == family.group);
        let Some((first, last)) = starts(family, &bytes).filter(|_| is_wanted && is_new) else { continue };
        found.push((family, first, last));
    }
    match found[..] {
        [] => {
            let of = wanted.map_or_else(|| "any family".to_owned(), |wanted| wanted.value.clone());
            Err(place.refused(format!(
                "{file} is not recognised as a loader of {of}; name its first sector with [card] lba, or its family with [card] \
                 family"
            )))
        }
        [(family, first, last)] if first == last => Ok(Placed { file, lba: first, family: Some(family.name), bytes }),
        [(family, first, last)] => Err(place.refused(format!(
            "{file} may begin anywhere from LBA {first} to {last} on {}; name its first sector with [card] lba",
            family.name
        ))),
        [..] => {
            let could: Vec<_> = found.iter().map(|(family, first, _)| format!("{} (LBA {first})", family.name)).collect();
            Err(place.refused(format!(
                "{file} could be a loader of {}; name the family with [card] family",
                could.join(", of ")
            )))
        }
    }
}

/// The sectors at which these bytes may begin to be a loader of the family: those of its first sign, if all signs are there.
fn starts(family: &Family, bytes: &[u8]) -> Option<(u64, u64)> {
    let has = |sign: &Sign, lba: u64| {
        (sign.first_lba.max(lba)..=sign.last_lba).any(|at| {
            let start = usize::try_from((at - lba) * SECTOR).unwrap_or(usize::MAX);
            let sector = bytes.get(start..).filter(|bytes| !bytes.is_empty());
            sector.is_some_and(|bytes| !sign.format.look(bytes, at).is_empty())
        })
    };
    family.signs.iter().find_map(|signs| {
        let first = signs.first().filter(|first| first.first_lba > 0)?;
        let begins = first.format.look(bytes, first.first_lba).iter().any(|extent| extent.at == 0);
        let is_whole = begins && signs.iter().all(|sign| has(sign, first.first_lba));
        is_whole.then_some((first.first_lba, first.last_lba))
    })
}

/// Loaders lie behind the table, before the partition, and beside each other.
fn check_room(profile: &Profile, loaders: &[Placed]) -> Result<()> {
    let place = |loader: &Placed| {
        let of =
            profile.card.loaders.iter().find(|other| other.file.value.display().to_string() == loader.file);
        of.map_or_else(|| profile.place(), |other| other.file.place.clone())
    };
    for (index, loader) in loaders.iter().enumerate() {
        let Placed { file, lba, bytes, .. } = loader;
        if *lba == 0 {
            return Err(place(loader).refused(format!("{file}: LBA 0 has the partition table")));
        }
        if loader.end_lba() > u64::from(PARTITION_LBA) {
            return Err(place(loader).refused(format!(
                "{file} has {} bytes and begins at LBA {lba}, so it would reach into the partition at LBA {PARTITION_LBA}",
                bytes.len()
            )));
        }
        if let Some(next) = loaders.get(index + 1).filter(|next| next.lba < loader.end_lba()) {
            return Err(place(next).refused(format!(
                "{file} reaches to LBA {}, and {} begins at LBA {}",
                loader.end_lba() - 1,
                next.file,
                next.lba
            )));
        }
    }
    Ok(())
}

/// Makes the image, and returns where the copies of the identity lie.
///
/// # Errors
/// Exit 6 if the loaders leave no room for an identity, or the file is there; 7 if the disk fails.
pub fn make(plan: &Plan<'_>, path: &Path) -> Result<()> {
    let image = NewImage::make_with_second(path, plan.size, plan.keep.unwrap_or(plan.size))?;
    for loader in &plan.loaders {
        image.put_before_partition(path, loader.lba, &loader.bytes)?;
    }
    image.put_files(path, &plan.files)?;
    if let Some(start) = plan.keep {
        format(image.file(path)?, start, plan.size - start)?;
    }
    stamp_or_try(plan.board, &image, path)?;
    image.keep(path)?;
    Ok(())
}

/// An ext4 file system in a part of the file, in bytes.
fn format(file: fs::File, start: u64, len: u64) -> Result<()> {
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-F", "-L", "keep", "-E", &format!("offset={start}")]);
    // It opens what it has as standard input: the image has no name yet. The length is in KiB.
    mkfs.args(["/dev/stdin", &format!("{}k", len >> 10)]).stdin(file);
    match mkfs.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::new(
                Exit::Device,
                format!("mkfs.ext4 cannot make the partition for `writes = \"keep\"`: {said}"),
            ))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::refused(
            "mkfs.ext4, which makes the partition for `writes = \"keep\"`, is not installed: on Debian `apt install e2fsprogs`",
        )),
        Err(error) => Err(Failure::new(Exit::Device, format!("mkfs.ext4 cannot be started: {error}"))),
    }
}

/// Gives the card the board's identity; one without a board must have room for an identity all the same.
fn stamp_or_try(board: Option<&Board>, image: &NewImage, path: &Path) -> Result<()> {
    let request = board.map_or_else(any_request, Board::request);
    let fresh: Option<Identity> = request.new_identity().map_err(Failure::from)?;
    let allowed = Allowed { fixed_disk: false, in_use: InUse::Refuse };
    let access = if board.is_some() { Access::Write(allowed) } else { Access::Plan(allowed) };
    let mut target = Target::open(&image.path(), access)?;
    let surroundings = Surroundings::of_target(&target);
    let prepared = stamp::prepare(&request, fresh, &target, path, surroundings.clone())?;
    if board.is_some() {
        update::write(&prepared.plan, &prepared.identity, &mut target, path, None, surroundings)?;
    }
    Ok(())
}

/// An identity that is planned, and never written.
fn any_request() -> Request {
    let values = Values { profile: Some("any".to_owned()), ..Values::default() };
    Request { values, uuid: Some(Uuid::new_v4()), ..Request::default() }
}
