// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a root is made of, by its profile.

use std::path::{Path, PathBuf};

use identity_ui::{Failure, Result};

use crate::lab::{Lab, existing, missing};
use crate::place::Placed;
use crate::profile::{LabPath, Profile};

/// An architecture of Debian.
#[derive(Debug, PartialEq, Eq)]
pub struct Arch {
    /// Debian's name.
    pub name: &'static str,
    /// QEMU's name.
    pub cpu: &'static str,
    /// Debian's package of the kernel for most of its boards.
    pub kernel: &'static str,
    /// This program's own name for it, as Rust has it: there, nothing is emulated.
    host: &'static str,
}

const ARCHS: [Arch; 4] = [
    Arch { name: "armhf", cpu: "arm", kernel: "linux-image-armmp", host: "arm" },
    Arch { name: "arm64", cpu: "aarch64", kernel: "linux-image-arm64", host: "aarch64" },
    Arch { name: "riscv64", cpu: "riscv64", kernel: "linux-image-riscv64", host: "riscv64" },
    Arch { name: "amd64", cpu: "x86_64", kernel: "linux-image-amd64", host: "x86_64" },
];

impl Arch {
    /// Whether programs of it run here only through QEMU.
    pub fn is_foreign(&self) -> bool {
        self.host != std::env::consts::ARCH
    }
}

/// Where a root begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A new one.
    Suite {
        /// Debian's suite.
        suite: String,
    },
    /// One that is there: a tarball, a squashfs or a directory.
    From(PathBuf),
}

/// What is made of what.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The architecture.
    pub arch: &'static Arch,
    /// Where the root begins.
    pub source: Source,
    /// The suite, also where a root is adapted that lacks packages.
    pub suite: Option<String>,
    /// The mirror; without one, that of this machine's apt.
    pub mirror: Option<String>,
    /// Packages by their names.
    pub packages: Vec<String>,
    /// Package files.
    pub debs: Vec<PathBuf>,
    /// The kernel's package.
    pub kernel_package: Option<&'static str>,
    /// The hardware pack, in place of a kernel in the root.
    pub pack: Option<PathBuf>,
    /// The name of the device tree.
    pub fdt: Option<String>,
}

/// What a root from the network needs.
const NEEDED: [&str; 7] = ["systemd-sysv", "udev", "dbus", "initramfs-tools", "busybox", "kmod", "iproute2"];

/// From a profile.
///
/// # Errors
/// Exit 4 with the line of what is missing or cannot be; 2 if `from` is not there.
pub fn plan<'a>(lab: &Lab, profile: &'a Profile, from: Option<&Path>) -> Result<Plan<'a>> {
    let Some(build) = &profile.build else {
        return Err(profile.place().unreadable(
            "the profile has no section [build]; it says what the root is made of: arch, suite or from, packages",
        ));
    };
    if profile.root.is_none() {
        let what = "the profile has no section [root]; it needs at least `transport`";
        return Err(profile.place().unreadable(what));
    }
    profile.check_transport()?;
    let arch = ARCHS.iter().find(|arch| arch.name == build.arch.value).ok_or_else(|| {
        let names: Vec<_> = ARCHS.iter().map(|arch| arch.name).collect();
        let what = format!("[build] arch: \"{}\" is none of {}", build.arch.value, names.join(", "));
        build.arch.place.unreadable(what)
    })?;
    let source = match (from, &build.from, &build.suite) {
        (Some(path), ..) => Source::From(given(path)?),
        (None, Some(path), _) => Source::From(present(lab, path)?),
        (None, None, Some(suite)) => Source::Suite { suite: suite.value.clone() },
        (None, None, None) => {
            return Err(build.arch.place.unreadable(
                "[build] has neither a suite, for a new root, nor `from`, for one that is there",
            ));
        }
    };
    let mut packages: Vec<String> = NEEDED.map(str::to_owned).into();
    let mut debs = Vec::new();
    for package in &build.packages {
        if package.value.ends_with(".deb") {
            let path = crate::profile::lab_path(package.clone())?;
            debs.push(existing(&lab.dir, &path)?);
        } else {
            packages.push(package.value.clone());
        }
    }
    let pack = profile.hardware.pack.as_ref().map(|pack| present(lab, pack)).transpose()?;
    let names_kernel = packages.iter().any(|package| package.starts_with("linux-image-"));
    let text = |text: &Option<Placed<String>>| text.as_ref().map(|text| text.value.clone());
    Ok(Plan {
        profile,
        arch,
        source,
        suite: text(&build.suite),
        mirror: text(&build.mirror),
        packages,
        debs,
        kernel_package: (!names_kernel && pack.is_none()).then_some(arch.kernel),
        pack,
        fdt: profile
            .boot
            .fdt
            .as_ref()
            .and_then(|fdt| fdt.value.file_name().map(|name| name.to_string_lossy().into_owned())),
    })
}

fn given(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| {
        Failure::usage(format!("--from {}: {}", path.display(), identity_host::device::plain(&error)))
    })
}

fn present(lab: &Lab, path: &LabPath) -> Result<PathBuf> {
    let full = lab.dir.join(&path.value);
    full.canonicalize().map_err(|error| missing(&path.place, &full, &error))
}
