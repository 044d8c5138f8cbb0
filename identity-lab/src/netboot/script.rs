// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot scripts, as text for U-Boot's hush. It takes an apostrophe for the start of a quotation, also inside of double quotes.

use std::fmt::Write;

use super::uimage::Arch;

/// How U-Boot starts a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A zImage for 32-bit Arm.
    Bootz,
    /// An Image for AArch64 or RISC-V, or one in gzip.
    Booti,
    /// A legacy image or a FIT.
    Bootm,
}

impl How {
    /// By the kernel's first bytes, with the architecture where they tell it: Linux' `Documentation/arch/arm/booting.rst`
    /// (zImage), `arch/arm64/booting.rst`, `arch/riscv/boot-image-header.rst`; U-Boot's `image.h` (legacy image, FIT).
    pub fn of_kernel(bytes: &[u8]) -> Option<(Self, Option<Arch>)> {
        match bytes {
            _ if bytes.get(0x24..0x28) == Some(&0x016f_2818_u32.to_le_bytes()) => {
                Some((Self::Bootz, Some(Arch::Arm)))
            }
            _ if bytes.get(0x38..0x3c) == Some(b"ARM\x64") => Some((Self::Booti, Some(Arch::Arm64))),
            _ if bytes.get(0x38..0x3c) == Some(b"RSC\x05") => Some((Self::Booti, Some(Arch::Riscv))),
            [0x1f, 0x8b, ..] => Some((Self::Booti, None)),
            [0x27, 0x05, 0x19, 0x56, ..] | [0xd0, 0x0d, 0xfe, 0xed, ..] => Some((Self::Bootm, None)),
            _ => None,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Bootz => "bootz",
            Self::Booti => "booti",
            Self::Bootm => "bootm",
        }
    }
}

/// Where files are loaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The TFTP server.
    Tftp,
    /// The partition that the script itself was found on, by the variables of U-Boot's standard boot.
    Card,
}

impl From {
    fn command(self) -> &'static str {
        match self {
            Self::Tftp => "tftpboot",
            Self::Card => "load ${devtype} ${devnum}:${distro_bootpart}",
        }
    }
}

/// A second stage: where it is loaded and how it is started.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Path of the file.
    pub path: String,
    /// Where to load it for `booti`; `None` for `bootm`, whose image says where it runs.
    pub address: Option<u64>,
    /// Address of the word that says that the second stage runs; without one, that in `fdt_addr_r`, where both stages have
    /// free memory. Below its own start, a U-Boot may have its first stack.
    pub mark: Option<u64>,
}

/// What is loaded and started.
#[derive(Clone, Debug)]
pub struct Files {
    /// Path of the kernel.
    pub kernel: String,
    /// How it is started.
    pub how: How,
    /// Path of the initrd, if there is one.
    pub initrd: Option<String>,
    /// Path of the device tree, if it is not U-Boot's own.
    pub fdt: Option<String>,
    /// Addresses that are set first.
    pub addresses: Vec<(&'static str, u64)>,
    /// A second stage that is started before.
    pub stage: Option<Stage>,
    /// Kernel arguments, in which U-Boot's variables are left.
    pub args: String,
}

impl Files {
    /// The same files, their paths without this start.
    #[must_use]
    pub fn without(self, prefix: &str) -> Self {
        let cut = |path: String| path.strip_prefix(prefix).map(str::to_owned).unwrap_or(path);
        Self { kernel: cut(self.kernel), initrd: self.initrd.map(cut), fdt: self.fdt.map(cut), ..self }
    }
}

/// What the second stage finds at its mark. Any number that memory does not have by itself.
const MARKED: &str = "0x1de47171";

/// Lines that load and start; they come to an end only if something is missing.
pub fn boot(files: &Files, from: From) -> String {
    let mut text = String::new();
    for (name, address) in &files.addresses {
        line(&mut text, format_args!("setenv {name} {address:#x}"));
    }
    let mut loads = vec![("kernel_addr_r", &files.kernel)];
    loads.extend(files.fdt.iter().map(|fdt| ("fdt_addr_r", fdt)));
    // The last one: its length is in ${filesize}.
    loads.extend(files.initrd.iter().map(|initrd| ("ramdisk_addr_r", initrd)));
    let of_stage = files.stage.iter().flat_map(Stage::variables);
    let mut needed: Vec<_> = loads.iter().map(|(name, _)| *name).chain(of_stage).collect();
    needed.sort_unstable();
    needed.dedup();
    for name in needed {
        if !files.addresses.iter().any(|(set, _)| *set == name) {
            line(
                &mut text,
                format_args!(
                    "if test -z \"${{{name}}}\"; then echo \"this U-Boot has no {name}; set it in the profile, [boot.addresses]\"; fi"
                ),
            );
        }
    }
    text += &files.stage.as_ref().map(second_stage).unwrap_or_default();
    line(&mut text, format_args!("setenv bootargs \"{}\"", files.args));
    let load = |(name, path): &(&str, &String)| format!("{} ${{{name}}} {path}", from.command());
    let mut steps: Vec<_> = loads.iter().map(load).collect();
    let initrd = if files.initrd.is_some() { "${ramdisk_addr_r}:${filesize}" } else { "-" };
    let fdt = if files.fdt.is_some() { "${fdt_addr_r}" } else { "${fdtcontroladdr}" };
    steps.push(format!("{} ${{kernel_addr_r}} {initrd} {fdt}", files.how.command()));
    line(&mut text, format_args!("{}", steps.join(" && ")));
    text
}

impl Stage {
    /// The variables of U-Boot with addresses that it needs.
    fn variables(&self) -> impl Iterator<Item = &'static str> {
        let load = self.address.is_none().then_some("kernel_addr_r");
        let mark = self.mark.is_none().then_some("fdt_addr_r");
        load.into_iter().chain(mark)
    }
}

/// Lines that start a second stage, unless it is the one that runs them: the first stage leaves a mark, and the second takes it
/// away. `cmp` goes with `mw`; `itest` is missing on vexpress.
fn second_stage(stage: &Stage) -> String {
    let address =
        stage.address.map_or_else(|| "${kernel_addr_r}".to_owned(), |address| format!("{address:#x}"));
    let mark = stage.mark.map_or_else(|| "${fdt_addr_r}".to_owned(), |mark| format!("{mark:#x}"));
    let boot = if stage.address.is_some() { "booti" } else { "bootm" };
    format!(
        "mw.l {address} {MARKED}\nif cmp.l {mark} {address} 1; then mw.l {mark} 0; else tftpboot {address} {} && mw.l {mark} {MARKED} \
         && {boot} {address} - ${{fdtcontroladdr}}; fi\n",
        stage.path
    )
}

/// The lab's own script: it finds the board's or the profile's, or ends in the rescue.
pub fn lab(name: &str, address: Option<String>, rescue: Option<&str>) -> String {
    let mut text = format!("# Boot script of the lab {name}. Made by identity-lab.\n");
    text += &again_and_again(address);
    text += "if test \"${identity_state}\" = valid -o \"${identity_state}\" = degraded; then\n";
    text += &of_board_or_profile();
    text += "fi\n";
    text += &self::rescue(rescue);
    text + "done\n"
}

/// The begin of a loop that asks the server, at `address` or where DHCP says; `done` ends it.
fn again_and_again(address: Option<String>) -> String {
    let mut text = "setenv autoload no\n\
                    if test -z \"${scriptaddr}\"; then setenv scriptaddr ${loadaddr}; fi\n\
                    while true; do\n\
                    dhcp\n"
        .to_owned();
    if let Some(address) = address {
        line(&mut text, format_args!("setenv serverip {address}"));
    }
    text
}

fn of_board_or_profile() -> String {
    "if tftpboot ${scriptaddr} boards/${identity_uuid}.scr; then source ${scriptaddr}\n\
     elif tftpboot ${scriptaddr} profiles/${identity_profile}/boot.scr; then source ${scriptaddr}\n\
     else echo \"the server has neither this board nor the profile ${identity_profile}\"\n\
     fi\n"
        .to_owned()
}

/// The script of a card: it takes the lab's own from the server, so that the card need not change with the lab.
pub fn card_for_network(name: &str, address: Option<String>) -> String {
    let mut text = format!("# Boot script of a card of the lab {name}. Made by identity-lab.\n");
    text += &again_and_again(address);
    text += "if tftpboot ${scriptaddr} boot.scr; then source ${scriptaddr}; fi\n";
    text += &rescue(None);
    text + "done\n"
}

/// The script of a card that boots without TFTP.
pub fn card(name: &str, boot: &str) -> String {
    format!(
        "# Boot script of the lab {name}, for a card with a kernel. Made by identity-lab.\n\
         while true; do\n\
         if test \"${{identity_state}}\" = valid -o \"${{identity_state}}\" = degraded; then\n\
         {boot}fi\n\
         {}done\n",
        rescue(None)
    )
}

/// Says who the board is, boots what there is for a rescue, and waits.
fn rescue(boot: Option<&str>) -> String {
    let mut text =
        "echo \"rescue: UUID ${identity_uuid}, state ${identity_state}, profile ${identity_profile}\"\n"
            .to_owned();
    text += boot.unwrap_or_default();
    // A U-Boot without `sleep` waits for answers from an address that nobody has (RFC 5737), ten seconds each.
    text + "echo \"trying again in 60 s; Ctrl-C ends at the prompt\"\n\
            if sleep 0; then if sleep 60; then true; else exit; fi\n\
            else for i in 1 2 3 4 5 6; do ping 192.0.2.1; done; fi\n"
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{line}");
}
