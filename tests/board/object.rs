// SPDX-License-Identifier: MIT OR Apache-2.0
//! `uboot-patch/build-object --check` takes the objects that are in U-Boot, and refuses each of them with any of the faults
//! that it is there for.

use std::fs;
use std::path::Path;
use std::process::Command;

use identity_tests::board::Model;
use identity_tests::workspace;
use tempfile::TempDir;

/// An object, and faults of its architecture as assembly; empty where there is no such thing.
struct Object {
    architecture: &'static str,
    cross: &'static str,
    model: Model,
    head: &'static str,
    call: &'static str,
    floating: &'static str,
    reserved: &'static str,
}

const OBJECTS: [Object; 4] = [
    Object {
        architecture: "arm-thumb",
        cross: "arm-linux-gnueabi-",
        model: Model::Vexpress,
        head: ".syntax unified\n.arch armv7-a\n.fpu neon\n.thumb\n.eabi_attribute Tag_CPU_unaligned_access, 0\n",
        call: "bl",
        floating: "vmov s0, r0",
        reserved: "mov r9, r0",
    },
    Object {
        architecture: "aarch64",
        cross: "aarch64-linux-gnu-",
        model: Model::Arm64,
        head: "",
        call: "bl",
        floating: "fmov d0, x0",
        reserved: "mov x18, x0",
    },
    Object {
        architecture: "riscv64-lp64d",
        cross: "riscv64-linux-gnu-",
        model: Model::Riscv64,
        head: ".attribute arch, \"rv64gc\"\n",
        call: "call",
        floating: "fadd.d fa0, fa0, fa0",
        reserved: "",
    },
    Object {
        architecture: "x86_64",
        cross: "",
        model: Model::Sandbox,
        head: "",
        call: "call",
        floating: "movaps %xmm0, %xmm1",
        reserved: "",
    },
];

impl Object {
    /// What is said of the object that U-Boot was linked with, and of a bit of assembly.
    fn check_with(&self, assembly: &str) -> Result<(), String> {
        let directory = TempDir::new().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let ours = self.model.build("2025.01").join(format!("lib/identity/identity-{}.o", self.architecture));
        fs::write(path("fault.s"), format!("{}.text\n{assembly}\n", self.head)).expect("own directory");
        self.run("as", "fault.s -o fault.o", directory.path(), Path::new(""));
        self.run("ld", "-r -o both.o fault.o", directory.path(), &ours);
        let checker = workspace().join("uboot-patch/build-object");
        let output = Command::new(checker)
            .args(["--check", self.architecture])
            .arg(path("both.o"))
            .output()
            .expect("bash");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(complaint) }
    }

    fn run(&self, tool: &str, arguments: &str, directory: &Path, file: &Path) {
        let mut command = Command::new(format!("{}{tool}", self.cross));
        command.args(arguments.split(' ')).args((!file.as_os_str().is_empty()).then_some(file));
        let output = command.current_dir(directory).output().expect("binutils");
        assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[track_caller]
fn refused(assembly: impl Fn(&Object) -> String, because: &str) {
    for object in OBJECTS {
        let assembly = assembly(&object);
        match object.check_with(&assembly) {
            Ok(()) => assert!(assembly.is_empty(), "{}: {assembly}: taken for sound", object.architecture),
            Err(complaint) => assert!(complaint.contains(because), "{}: {complaint}", object.architecture),
        }
    }
}

#[test]
fn the_objects_that_are_in_u_boot_pass() {
    for object in OBJECTS {
        assert_eq!(object.check_with(""), Ok(()), "{}", object.architecture);
        // So that what is refused below is refused for what it is.
        assert_eq!(object.check_with(&format!("{} memcpy", object.call)), Ok(()), "{}", object.architecture);
    }
}

#[test]
fn a_path_to_a_panic_is_refused() {
    refused(|object| format!("{} identity_panic_is_reachable", object.call), "can panic");
}

#[test]
fn a_function_that_u_boot_need_not_have_is_refused() {
    refused(|object| format!("{} printf", object.call), "needs what U-Boot does not have: printf");
}

#[test]
fn variables_are_refused() {
    refused(|_| ".data\n.long 1".into(), "variables that outlive a call: .data");
    refused(|_| ".bss\n.space 4".into(), "variables that outlive a call: .bss");
}

#[test]
fn floating_point_is_refused() {
    refused(|object| object.floating.into(), "floating-point or vector registers");
}

#[test]
fn use_of_the_global_data_register_is_refused() {
    refused(|object| object.reserved.into(), "U-Boot's global data register");
}

/// Checkouts have one cache. Cargo, which goes by times and by paths within the workspace, would take the one's code for the
/// other's.
#[test]
fn what_another_checkout_has_built_is_not_taken() {
    let dir = TempDir::new().expect("a directory");
    let checkout = |name: &str| {
        let root = dir.path().join(name);
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("own directory");
            fs::write(path, text).expect("own directory");
        };
        for other in ["layout", "host", "ui", "cli", "lab"] {
            write(&format!("identity-{other}/empty"), "");
        }
        for other in ["uboot-patch", "fixtures", "fuzz"] {
            write(&format!("{other}/empty"), "");
        }
        write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"identity-core\"]\n");
        write("identity-core/Cargo.toml", "[package]\nname = \"identity-core\"\nedition = \"2024\"\n");
        write("identity-core/src/main.rs", &format!("fn main() {{ println!(\"{name}\"); }}\n"));
        write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"identity-core\"\nversion = \"0.0.0\"\n");
        for script in ["tests/lib/common.sh", "tests/lib/usage.sh"] {
            write(script, &fs::read_to_string(workspace().join(script)).expect("a script"));
        }
        root
    };
    let build = |root: &Path| {
        let script = ". tests/lib/common.sh; shared_build \"$cache/target\" cargo run --quiet --locked";
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).current_dir(root).env("IDENTITY_CACHE", dir.path().join("cache"));
        let output = bash.env("CARGO_TARGET_DIR", dir.path().join("cache/target")).output().expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    // The second is older than what is made of the first.
    let (one, other) = (checkout("one"), checkout("other"));
    for _again in 0..2 {
        assert_eq!(build(&one), "one\n");
        assert_eq!(build(&other), "other\n");
    }
}
