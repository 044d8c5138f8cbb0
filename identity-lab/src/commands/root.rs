// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab root`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use identity_ui::output::{json_line, print, say};
use identity_ui::size::Size;
use identity_ui::{Exit, Failure, Result, lines};
use serde::Serialize;

use crate::args::{Format, RootBuildArgs};
use crate::lab::Lab;
use crate::place::read_text;
use crate::replace;
use crate::root::plan::{Plan, Source, plan};
use crate::root::publish::{Published, publish};
use crate::root::run::{Told, check_programs, run};

mod steps;

use steps::Steps;

/// From this length in bytes on, an initramfs is longer than it has to be: it goes to each board at each boot.
const INITRD_LONG: u64 = 12 << 20;
/// Changes that are shown to people; the file has them all.
const CHANGES_SHOWN: usize = 60;

#[derive(Serialize)]
struct Planned<'a> {
    event: &'static str,
    profile: &'a str,
    arch: &'a str,
    suite: Option<&'a str>,
    from: Option<&'a Path>,
    mirror: Option<&'a str>,
    packages: &'a [String],
    kernel_package: Option<&'a str>,
    package_files: Vec<String>,
    fdt: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    path: String,
    bytes: u64,
    sha256: &'a str,
}

#[derive(Serialize)]
struct Built<'a> {
    event: &'static str,
    profile: &'a str,
    dir: &'a str,
    was_there: bool,
    kernel: &'a str,
    source_date_epoch: &'a str,
    packages: usize,
    files: Vec<Line<'a>>,
    changes: Vec<&'a str>,
}

/// Runs `root build`.
///
/// # Errors
/// Exit 2 if there is no such profile or `from`; 4 with the line of what cannot be; 6 if it is refused; 7 if a program fails.
pub fn build(dir: &Path, args: &RootBuildArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    let profile = lab.profile(&args.profile).ok_or_else(|| Failure::usage(lab.no_profile(&args.profile)))?;
    let plan = plan(&lab, profile, args.from.as_deref())?;
    let epoch = epoch()?;
    if args.dry_run {
        print(&show_plan(&plan, args.format))?;
        return Ok(Exit::Done);
    }
    check_programs(&plan)?;
    let images = lab.dir.join("images");
    fs::create_dir_all(&images).map_err(|error| replace::failure("make", &images, &error))?;
    let _lock = replace::lock(&images)?;
    replace::sweep(&images);
    let work = replace::directory_beside(&images.join(&profile.name))?;
    // Users of the root go through it, but see nothing.
    let searchable = fs::set_permissions(work.path(), Permissions::from_mode(0o711));
    searchable.map_err(|error| replace::failure("write", work.path(), &error))?;
    let path = work.path().canonicalize().map_err(|error| replace::failure("find", work.path(), &error))?;
    let mut steps = Steps::new(args.format);
    let (mut kernel, mut date) = (String::new(), String::new());
    let ran = run(&plan, &path, epoch.as_deref(), |told| match told {
        Told::Fact(name, value) if name == "kernel" => kernel.clone_from(value),
        Told::Fact(name, value) if name == "epoch" => date.clone_from(value),
        told => steps.show(told),
    });
    steps.clear();
    ran?;
    let published = publish(&lab.dir, profile, &path.join("out"), plan.fdt.clone())?;
    let changes = read_text(&published.dir.join("changes"))?;
    let packages = read_text(&published.dir.join("packages"))?.lines().count();
    let shown = Built {
        event: "built",
        profile: &profile.name,
        dir: &published.made.dir,
        was_there: published.was_there,
        kernel: &kernel,
        source_date_epoch: &date,
        packages,
        files: published
            .files
            .iter()
            .map(|file| Line {
                path: published.made.path(&file.name),
                bytes: file.bytes,
                sha256: &file.sha256,
            })
            .collect(),
        changes: changes.lines().collect(),
    };
    if let Some(initrd) =
        published.files.iter().find(|file| file.name == "initrd" && file.bytes > INITRD_LONG)
    {
        say(&format!(
            "the initramfs has {}, which each board loads at each boot; {} is usual: see /etc/initramfs-tools/modules in the root",
            Size(initrd.bytes),
            Size(INITRD_LONG)
        ));
    }
    print(&match args.format {
        Format::Json => json_line(&shown),
        Format::Text => text(&shown, &published),
    })?;
    Ok(Exit::Done)
}

/// SOURCE_DATE_EPOCH, if it is set.
fn epoch() -> Result<Option<String>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy().into_owned();
    // mksquashfs has 32 bits for it.
    if value.parse::<u32>().is_err() {
        let what = "is no number of seconds since 1970";
        return Err(Failure::usage(format!("SOURCE_DATE_EPOCH=\"{}\" {what}", lines::escaped(&value))));
    }
    Ok(Some(value))
}

fn show_plan(plan: &Plan<'_>, format: Format) -> String {
    let files: Vec<_> = plan.debs.iter().map(|path| path.display().to_string()).collect();
    let (suite, from) = match &plan.source {
        Source::Suite { suite } => (Some(suite.as_str()), None),
        Source::From(path) => (None, Some(path.as_path())),
    };
    if format == Format::Json {
        return json_line(&Planned {
            event: "plan",
            profile: &plan.profile.name,
            arch: plan.arch.name,
            suite,
            from,
            mirror: plan.mirror.as_deref(),
            packages: &plan.packages,
            kernel_package: plan.kernel_package,
            package_files: files,
            fdt: plan.fdt.as_deref(),
        });
    }
    let mut text = match (&plan.source, &plan.mirror) {
        (Source::From(path), _) => format!("would adapt {} for {}\n", path.display(), plan.arch.name),
        (Source::Suite { suite }, mirror) => {
            let mirror = mirror.as_deref().unwrap_or("the mirror of this machine's apt");
            format!("would install Debian {suite} for {} from {mirror}\n", plan.arch.name)
        }
    };
    text += &format!("packages  {}\n", plan.packages.join(" "));
    for (word, value) in [("kernel", plan.kernel_package.map(str::to_owned)), ("fdt", plan.fdt.clone())] {
        text += &value.map_or_else(String::new, |value| format!("{word:8}  {value}\n"));
    }
    for file in files {
        text += &format!("file      {file}\n");
    }
    if let Some(pack) = &plan.pack {
        text += &format!("pack      {}\n", pack.display());
    }
    text + &format!(
        "into images/{}-HASH/, which {} would name\n",
        plan.profile.name,
        plan.profile.file.display()
    )
}

fn text(built: &Built<'_>, published: &Published) -> String {
    let mut text = String::new();
    for change in built.changes.iter().take(CHANGES_SHOWN) {
        text += &format!("{}\n", lines::escaped(change));
    }
    if let Some(more) = built.changes.len().checked_sub(CHANGES_SHOWN).filter(|more| *more > 0) {
        text += &format!("{more} more changes are in {}/changes\n", built.dir);
    }
    for file in &built.files {
        text += &format!("{}  {}\n", file.path, Size(file.bytes));
    }
    let word = if published.was_there { "the same as before" } else { "made" };
    text + &format!(
        "{word}: {} packages, Linux {}; [root] image and [boot] kernel, initrd{} of profile {} name it\n",
        built.packages,
        built.kernel,
        if published.made.fdt.is_some() { ", fdt" } else { "" },
        built.profile
    )
}
