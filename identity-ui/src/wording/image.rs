// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with an image, its checksum or its block map, as sentences.

use std::path::Path;

use identity_host::image::digest::SumsProblem;
use identity_host::image::foreign::{Foreign, ForeignKind};
use identity_host::image::problem::{ArchiveProblem, BmapProblem, ImageProblem, MapMismatch};
use identity_host::image::signature::SignatureProblem;
use identity_host::image::source::STANDARD_INPUT;

use crate::lines::escaped;
use crate::shell;

/// What is wrong with an image, as a sentence.
pub fn problem(path: &Path, problem: &ImageProblem) -> String {
    let name = &name(path);
    match problem {
        ImageProblem::Directory => format!("{name} is a directory; give the image file"),
        ImageProblem::Empty => format!("{name} is empty; give an image"),
        ImageProblem::HoldsNothing => format!("{name} holds nothing; give an image"),
        ImageProblem::Foreign(what) => foreign(name, what.name, what),
        ImageProblem::ForeignInside { outer, inside } if outer.name() == "raw" => {
            foreign(name, inside.name, inside)
        }
        ImageProblem::ForeignInside { outer, inside } => {
            let unpack = unpack(outer.name(), name);
            // No name that a card's image could have already.
            let unpacked = format!("{}.unpacked", file(name));
            let way_out = match inside.kind {
                ForeignKind::VirtualDisk(format) => format!(
                    "unpack it, then convert it: `{unpack} > {unpacked}; qemu-img convert -f {format} -O raw {unpacked} \
                     {unpacked}.img`"
                ),
                ForeignKind::AndroidSparse => {
                    format!(
                        "unpack it, then convert it: `{unpack} > {unpacked}; simg2img {unpacked} {unpacked}.img`"
                    )
                }
                ForeignKind::Packed(command) => {
                    format!(
                        "unpack it twice: `{unpack} > {unpacked}; {}`",
                        command.replace("FILE", &unpacked)
                    )
                }
                _ => way_out(name, inside.kind),
            };
            let (outer, inside) = (with_article(outer.name()), inside.name);
            format!("{name} is {outer} file with {inside} in it, not the image of a card; {way_out}")
        }
        ImageProblem::PackedTwice { outer, inner } => format!(
            "{name} is packed twice: {} file with {} file in it; unpack it once and pipe it: \
             `{} | identity flash - TARGET`",
            with_article(outer.name()),
            with_article(inner.name()),
            unpack(outer.name(), name)
        ),
        ImageProblem::CutOff(format) => {
            format!("{name} ends in the middle of its {} data; fetch it again", format.name())
        }
        ImageProblem::Damaged(format, reason) => format!(
            "{name} is damaged: its {} data cannot be unpacked ({reason}); fetch it again",
            format.name()
        ),
        ImageProblem::Unsupported(format, reason) => format!(
            "{name}: its {} data is packed in a way that this program does not know ({reason}); unpack it with its own tool: \
             `{} | identity flash - TARGET`",
            format.name(),
            unpack(format.name(), name)
        ),
        ImageProblem::Memory { format, needed, limit } => {
            let needed_text = needed.map_or_else(
                || format!("more than {} MiB of memory", limit >> 20),
                |needed| format!("{} MiB of memory, the limit is {} MiB", mib(needed), limit >> 20),
            );
            let size = needed.map_or_else(|| "SIZE".to_owned(), |needed| format!("{}M", mib(needed)));
            format!(
                "{name}: unpacking its {} data takes {needed_text}; give --memory {size} if the machine has that much",
                format.name()
            )
        }
        ImageProblem::NoMemory(format) => format!(
            "{name}: the system gives no more memory to unpack its {} data: end other programs, or raise the limit (`ulimit -v`)",
            format.name()
        ),
        ImageProblem::Archive(problem) => format!("{name}: {}", archive(name, problem)),
        ImageProblem::WrongSum { found, expected } => {
            let (origin, way_out) = match &expected.origin {
                Some(path) => (shell::path(path), "fetch it again"),
                None => ("--sha256".to_owned(), "check that sum, or fetch the image again"),
            };
            format!("{name} has the SHA-256 {found}, but {origin} says {}; {way_out}", expected.sum)
        }
        ImageProblem::Changed => format!("{name} changed while it was read; run the same command again"),
        ImageProblem::NoTable(filesystem) => {
            let what = filesystem.map_or_else(
                || "has no partition table".to_owned(),
                |name| format!("is one {name} file system, without a partition table"),
            );
            format!(
                "{name} {what}, so it may not be the image of a whole card; if a board boots from it, give --no-table"
            )
        }
        ImageProblem::GptByBackup(format, problem) => {
            let problem = problem.to_string();
            let what = problem.split_once(';').map_or(&*problem, |(what, _)| what);
            let image = file(name);
            let mend = match format.name() {
                "raw" => format!("mend it: `sgdisk -e {image}`"),
                packing => {
                    let unpack = unpack(packing, name);
                    format!("unpack and mend it: `{unpack} > {image}.unpacked; sgdisk -e {image}.unpacked`")
                }
            };
            format!(
                "{name}: {what}, and its backup GPT is found on no card that is longer than the image; {mend}, or give \
                 --no-table to write it as it is"
            )
        }
        ImageProblem::BlockMap(MapMismatch::Range(bytes)) => format!(
            "{name}: the checksum of bytes {} to {} is not the one in its block map; fetch both again, or give --no-bmap",
            bytes.start,
            bytes.end.saturating_sub(1)
        ),
        ImageProblem::BlockMap(MapMismatch::Length { image_len, map_len }) => format!(
            "{name} is {image_len} bytes long, but its block map says {map_len}; fetch both again, or give --no-bmap"
        ),
    }
}

/// What has come from a pipe has no name.
const PIPED: &str = "standard input";

/// The image's name, as a shell takes it.
pub fn name(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) { PIPED.to_owned() } else { shell::path(path) }
}

/// The image's name in a command.
fn file(name: &str) -> &str {
    if name == PIPED { "FILE" } else { name }
}

/// A format's name with its article, as it is spoken: "an xz", "a zip".
fn with_article(name: &str) -> String {
    let is_vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']) || name == "xz";
    format!("{} {name}", if is_vowel { "an" } else { "a" })
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// The command that unpacks a file of this format to standard output.
fn unpack(format: &str, name: &str) -> String {
    match format {
        "zip" => format!("unzip -p {}", file(name)),
        "zstd" => format!("zstd -dc --long=31 {}", file(name)),
        _ => format!("{format} -dc {}", file(name)),
    }
}

fn foreign(name: &str, what: &str, foreign: &Foreign) -> String {
    format!("{name} is {what}, not the image of a card; {}", way_out(name, foreign.kind))
}

/// What to do with a file that is not the image of a card.
fn way_out(name: &str, kind: ForeignKind) -> String {
    match kind {
        ForeignKind::Packed(command) => format!("unpack it first: `{}`", command.replace("FILE", file(name))),
        ForeignKind::Archive => "take the image out of it first".into(),
        ForeignKind::VirtualDisk(format) => {
            format!("convert it first: `qemu-img convert -f {format} -O raw {0} {0}.img`", file(name))
        }
        ForeignKind::DiskExtent => "another file describes the whole disk, a short text with the names of its parts (.vmdk); \
                                    convert that one: `qemu-img convert -f vmdk -O raw FILE FILE.img`"
            .into(),
        ForeignKind::AndroidSparse => format!("convert it first: `simg2img {0} {0}.img`", file(name)),
        ForeignKind::Firmware => "its vendor's own tool writes it; look for a card image (.img) of the same system".into(),
        ForeignKind::Part => {
            "it belongs in a partition, or a boot loader loads it; look for a card image (.img) of the same system"
                .into()
        }
        ForeignKind::Document => "the download failed; fetch it again".into(),
    }
}

fn archive(name: &str, problem: &ArchiveProblem) -> String {
    let pipe = |tool: &str| format!("unpack it with its own tool: `{tool} | identity flash - TARGET`");
    match problem {
        ArchiveProblem::NoFile => "there is no file in the archive; give an image".into(),
        ArchiveProblem::SeveralFiles(count) => {
            let count = count.map_or_else(|| "more than one file".to_owned(), |count| format!("{count} files"));
            format!("the archive holds {count}; unpack it, and flash one of them")
        }
        ArchiveProblem::DirectoryWithContent => {
            format!("a directory in the archive has content; unpack it with `unzip {}`", file(name))
        }
        ArchiveProblem::Encrypted => {
            format!("the file in the archive is encrypted; unpack it first with `unzip {}`", file(name))
        }
        ArchiveProblem::Method(method) => {
            let method_name = match method {
                9 => " (Deflate64)",
                12 => " (bzip2)",
                14 => " (LZMA)",
                93 => " (Zstandard)",
                95 => " (xz)",
                98 => " (PPMd)",
                _ => "",
            };
            let tool = if *method == 9 || *method == 12 {
                format!("unzip -p {}", file(name))
            } else {
                format!("7z e -so {}", file(name))
            };
            format!(
                "the file in the archive is packed by method {method}{method_name}, which this program does not know; {}",
                pipe(&tool)
            )
        }
        ArchiveProblem::StoredFromPipe => {
            "the archive comes from a pipe, and its file is not compressed, so its length is not known in time; give the \
             archive's name instead"
                .into()
        }
        ArchiveProblem::WrongCrc { found, expected } => format!(
            "the file in the archive is damaged: its checksum is {expected:08x}, that of its content {found:08x}; fetch it \
             again"
        ),
        ArchiveProblem::NoDirectory => {
            "the archive ends in the middle, or is damaged: its directory is missing; fetch it again".into()
        }
    }
}

/// What is wrong with a block map, as a sentence.
pub fn bmap(path: &Path, problem: &BmapProblem) -> String {
    let what = match problem {
        BmapProblem::TooLong(max) => format!("longer than {} MiB", max >> 20),
        BmapProblem::Syntax(reason) => format!("not a block map: {reason}"),
        BmapProblem::Entities => {
            "not a block map: it has a document type, an entity or character data".into()
        }
        BmapProblem::Version(version) => format!("its version is {version:?}; 1 and 2 are known"),
        BmapProblem::Algorithm(name) => {
            format!("its checksums are {name}; only sha1, sha256 and sha512 are known")
        }
        BmapProblem::NoSum(text) => format!("{text:?} is not a checksum"),
        BmapProblem::Missing(element) => format!("it has no {element}"),
        BmapProblem::NoNumber { element, text } => format!("{element} is {text:?}, which is not a number"),
        BmapProblem::BlockLen(len) => format!("its BlockSize is {len}, not a multiple of 512"),
        BmapProblem::BlockCount { stated, computed } => format!(
            "its BlocksCount is {stated}, not the {computed} blocks that ImageSize and BlockSize make"
        ),
        BmapProblem::Overlap(first, last) => {
            format!("the range {first}-{last} overlaps the one before, or runs backwards")
        }
        BmapProblem::Beyond { range: (first, last), blocks } => {
            format!("the range {first}-{last} is beyond the image, which has {blocks} blocks")
        }
        BmapProblem::MappedCount { stated, computed } => {
            format!("its MappedBlocksCount is {stated}, but its ranges have {computed} blocks")
        }
        BmapProblem::OwnSum => "its own checksum is wrong".into(),
        BmapProblem::Armour => "it is signed, and the end of the signed text is missing".into(),
        BmapProblem::Signature(SignatureProblem::NotSigned) => {
            "it is not clear-signed; leave out --bmap-signed to use it without a signature".into()
        }
        BmapProblem::Signature(SignatureProblem::NoGpg(reason)) => {
            format!("its signature cannot be checked: gpg does not run ({reason}); install GnuPG")
        }
        BmapProblem::Signature(SignatureProblem::NotGood(words)) => {
            format!(
                "it has no good signature ({words}); import the signer's key with `gpg --import FILE`, or fetch it again"
            )
        }
    };
    format!("{}: {what}; fetch it again, or give --no-bmap", shell::path(path))
}

/// A file of checksums.
pub fn sums(path: &Path, problem: &SumsProblem) -> String {
    let what = match problem {
        SumsProblem::NoFile => "it is not a regular file".into(),
        SumsProblem::Line(line) => format!("{line:?} is not a line of sha256sum"),
        SumsProblem::Empty => "it is empty".into(),
        SumsProblem::TwoSums(name) => format!("it has two different sums of {}", escaped(name)),
        SumsProblem::Other { other, name } => {
            format!("it is about {}, not about {}", escaped(other), escaped(name))
        }
        SumsProblem::NoLine { lines, name } => {
            format!("none of its {lines} lines is about {}", escaped(name))
        }
    };
    format!("{}: {what}; give the sum with --sha256, or remove that file", shell::path(path))
}

#[cfg(test)]
mod tests {
    use identity_host::image::container::Format;
    use identity_host::image::foreign::Foreign;

    use super::*;

    #[test]
    fn every_format_has_its_article() {
        let formats = [Format::Raw, Format::Gzip, Format::Zip, Format::Xz, Format::Zstd, Format::Bzip2];
        let spoken = formats.map(|format| with_article(format.name()));
        assert_eq!(spoken, ["a raw", "a gzip", "a zip", "an xz", "a zstd", "a bzip2"]);
        for outer in formats {
            for inner in formats {
                let inside = Foreign { name: "a tar archive", kind: ForeignKind::Archive };
                for shown in [
                    problem(Path::new("x"), &ImageProblem::PackedTwice { outer, inner }),
                    problem(Path::new("x"), &ImageProblem::ForeignInside { outer, inside }),
                ] {
                    assert!(!shown.contains(" a xz"), "{shown}");
                }
            }
        }
    }
}
