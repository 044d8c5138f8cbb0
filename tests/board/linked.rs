// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bootloader demands of our code, proved on U-Boot as it was linked, for each architecture; and that the prover
//! refuses an image with any of the faults that it is there for.

use std::fs;
use std::path::Path;
use std::process::Command;

use identity_tests::board::Model;
use identity_tests::workspace;
use tempfile::TempDir;

/// The prover's answer, or its complaints.
fn prove(architecture: &str, image: &Path, map: &Path, object: &str) -> Result<String, String> {
    let prover = workspace().join("tests/board/prove-linked");
    let output = Command::new(prover).arg(architecture).args([image, map]).arg(object).output();
    let output = output.expect("python3 and objdump");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[track_caller]
fn check(release: &str, model: Model, architecture: &str, object: &str) {
    let build = model.build(release);
    let object = format!("lib/identity/identity-{object}.o");
    let answer = prove(architecture, &build.join("u-boot"), &build.join("u-boot.map"), &object);
    println!("{}", answer.unwrap_or_else(|faults| panic!("{faults}")));
}

// As in releases.rs, tests/run names what it skips.

#[test]
fn uboot_2023_01_vexpress_ca9x4_in_arm_code() {
    check("2023.01", Model::Vexpress, "arm", "arm");
}

#[test]
fn uboot_2025_01_vexpress_ca9x4_in_thumb_code() {
    check("2025.01", Model::Vexpress, "arm", "arm-thumb");
}

#[test]
fn uboot_2025_01_qemu_arm64_in_aarch64_code() {
    check("2025.01", Model::Arm64, "aarch64", "aarch64");
}

#[test]
fn uboot_2025_01_qemu_riscv64_in_riscv64_code() {
    check("2025.01", Model::Riscv64, "riscv64", "riscv64-lp64d");
}

#[test]
fn uboot_2025_01_sandbox_in_x86_64_code() {
    check("2025.01", Model::Sandbox, "x86_64", "x86_64");
}

/// Code with one fault at `FAULT`: two functions, of which the first calls the second.
struct Sound {
    architecture: &'static str,
    cross: &'static str,
    head: &'static str,
    /// Functions `f` and `g`; `f` has a place for faults, behind the beginning of its frame.
    code: &'static str,
    ret: &'static str,
    stack: u32,
}

const SOUND: [Sound; 5] = [
    Sound {
        architecture: "arm",
        cross: "arm-linux-gnueabi-",
        head: ".syntax unified\n.arch armv7-a\n.fpu neon\n.thumb\n.type f, %function\n.type g, %function\n.type memcpy, %function\n",
        code: "f: push {r4, lr}\nsub sp, #16\nFAULT\nbl g\nadd sp, #16\npop {r4, pc}\n\
               g: push {r4, r5, r6, lr}\nstmdb sp!, {r8, r10}\nbl memcpy\nldmia sp!, {r8, r10}\npop {r4, r5, r6, pc}\n",
        ret: "bx lr",
        stack: 8 + 16 + 16 + 8,
    },
    Sound {
        architecture: "arm",
        cross: "arm-linux-gnueabi-",
        head: ".syntax unified\n.arch armv7-a\n.fpu neon\n.arm\n.type f, %function\n.type g, %function\n",
        code: "f: push {r4, lr}\nsub sp, sp, #16\nFAULT\nbl g\nadd sp, sp, #16\npop {r4, pc}\n\
               g: str lr, [sp, #-8]!\nbl memcpy\nldr pc, [sp], #8\n",
        ret: "bx lr",
        stack: 8 + 16 + 8,
    },
    Sound {
        architecture: "aarch64",
        cross: "aarch64-linux-gnu-",
        head: "",
        code: "f: stp x30, x19, [sp, #-32]!\nsub sp, sp, #0x40\nFAULT\nbl g\nadd sp, sp, #0x40\nldp x30, x19, [sp], #32\nret\n\
               g: str x30, [sp, #-16]!\nbl memcpy\nldr x30, [sp], #16\nret\n",
        ret: "ret",
        stack: 32 + 64 + 16,
    },
    Sound {
        architecture: "riscv64",
        cross: "riscv64-linux-gnu-",
        head: "",
        code: "f: addi sp, sp, -32\nsd ra, 24(sp)\nFAULT\ncall g\nld ra, 24(sp)\naddi sp, sp, 32\nret\n\
               g: addi sp, sp, -16\nsd ra, 8(sp)\ncall memcpy\nld ra, 8(sp)\naddi sp, sp, 16\nret\n",
        ret: "ret",
        stack: 32 + 16,
    },
    Sound {
        architecture: "x86_64",
        cross: "",
        head: "",
        code: "f: push %rbx\nsub $0x20, %rsp\nFAULT\ncall g\nadd $0x20, %rsp\npop %rbx\nret\n\
               g: sub $128, %rsp\ncall memcpy\nadd $128, %rsp\nret\n",
        ret: "ret",
        stack: 8 + 8 + 32 + 8 + 128,
    },
];

impl Sound {
    fn prove_with(&self, fault: &str) -> Result<String, String> {
        let dir = TempDir::new().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let run = |tool: &str, args: &[&str]| {
            let output =
                Command::new(format!("{}{tool}", self.cross)).args(args).current_dir(dir.path()).output();
            let output = output.expect("binutils");
            assert!(output.status.success(), "{tool} {fault}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let ours = format!("{}.global f, g\n{}", self.head, self.code.replace("FAULT", fault));
        let theirs = format!(
            "{}.global memcpy, printf\nmemcpy: {ret}\nprintf: {ret}\n.data\n.global theirs\ntheirs: .long 0\n",
            self.head,
            ret = self.ret
        );
        for (name, source) in [("ours", ours), ("theirs", theirs)] {
            fs::write(path(&format!("{name}.s")), source).expect("own directory");
            run("as", &[&format!("{name}.s"), "-o", &format!("{name}.o")]);
        }
        run("ld", &["-e", "f", "-Map=map", "-o", "image", "ours.o", "theirs.o"]);
        prove(self.architecture, &path("image"), &path("map"), "ours.o")
    }
}

/// The same fault in the code of each of [`SOUND`]; empty where there is no such thing.
#[track_caller]
fn refused(faults: [&str; SOUND.len()], because: &str) {
    for (sound, fault) in SOUND.iter().zip(faults) {
        if fault.is_empty() {
            continue;
        }
        match sound.prove_with(fault) {
            Ok(answer) => panic!("{}: {fault}: taken for sound: {answer}", sound.architecture),
            Err(faults) => assert!(faults.contains(because), "{}: {fault}: {faults}", sound.architecture),
        }
    }
}

#[test]
fn sound_code_is_sound_and_its_stack_is_measured() {
    for sound in SOUND {
        let expected = format!("{} bytes of stack: f > g\n", sound.stack);
        assert_eq!(sound.prove_with("").as_ref(), Ok(&expected), "{}", sound.architecture);
    }
}

#[test]
fn use_of_the_global_data_register_is_refused() {
    let because = "U-Boot's global data register";
    refused(["mov r9, r0", "ldr r9, [r0]", "mov w18, w0", "mv gp, a0", ""], because);
    refused(["ldr r0, [r9]", "add r0, r9, r1", "ldr x0, [x18, #8]", "ld a0, 0(gp)", ""], because);
}

#[test]
fn floating_point_and_vectors_are_refused() {
    let because = "floating point or vectors";
    refused(
        ["vmov s0, r0", "vadd.f32 q0, q0, q1", "fmov d0, x0", "fadd.d fa0, fa0, fa0", "movaps %xmm0, %xmm1"],
        because,
    );
    refused(["", "vldr d0, [r0]", "ld1 {v0.16b}, [x0]", "fld fa0, 0(a0)", "fldz; fstp %st(0)"], because);
}

#[test]
fn calls_of_what_is_not_promised_are_refused() {
    refused(
        ["bl printf", "bl printf", "bl printf", "call printf", "call printf"],
        "calls what U-Boot does not promise",
    );
    refused(
        ["b printf", "b printf", "b printf", "tail printf", "jmp printf"],
        "calls what U-Boot does not promise",
    );
}

#[test]
fn jumps_through_pointers_are_refused() {
    let because = "goes to an address that is not known";
    refused(["blx r3", "blx r3", "blr x3", "jalr a3", "call *%rax"], because);
    refused(["bx r3", "mov pc, r3", "br x3", "jr a3", "jmp *%rax"], because);
    refused(
        ["ldr pc, [r0]", "ldr pc, [r0, #4]", "ldr x3, [x0]\nbr x3", "ld a3, 0(a0)\njr a3", "jmp *(%rax)"],
        because,
    );
}

#[test]
fn switches_are_allowed() {
    for (sound, code) in SOUND.iter().zip([
        "tbb [pc, r0]\n.byte 2, 2\n.short 0",
        "cmp r0, #1\naddls pc, pc, r0, lsl #2\nnop\nnop",
        "add x8, x8, x9, lsl #2\nbr x8",
        "add a0, a0, a1\njr a0",
        "add %rcx, %rax\njmp *%rax",
    ]) {
        assert!(sound.prove_with(code).is_ok(), "{}: {:?}", sound.architecture, sound.prove_with(code));
    }
}

/// One instruction may stand between a switch's sum and its jump, but none that changes where it goes.
#[test]
fn jumps_that_only_look_like_switches_are_refused() {
    let because = "goes to an address that is not known";
    let sums = ["", "", "add x8, x8, x9, lsl #2\n", "add a0, a0, a1\n", "add %rcx, %rax\n"];
    let jumps = ["", "", "br x8", "jr a0", "jmp *%rax"];
    let with = |between: [&str; 3]| {
        let code = |at: usize| format!("{}{}\n{}", sums[at], between[at - 2], jumps[at]);
        [code(2), code(3), code(4)]
    };
    let refused = |between| {
        let [aarch64, riscv64, x86_64] = &with(between);
        refused(["", "", aarch64, riscv64, x86_64], because);
    };
    refused(["ldr x8, [x0]", "ld a0, 0(a1)", "mov (%rcx), %rax"]);
    refused(["ldr w8, [x0]", "li a0, 1", "mov (%rcx), %eax"]);
    refused(["ldr x1, [x0]\nldr x2, [x0]", "ld a2, 0(a1)\nld a3, 0(a1)", "mov %rcx, %rdx\nmov %rcx, %rsi"]);
    refused(["bl g", "call g", "call g"]);
    for (sound, code) in SOUND[2..].iter().zip(with(["ldr x1, [x0]", "ld a2, 0(a1)", "mov %rcx, %rdx"])) {
        assert!(sound.prove_with(&code).is_ok(), "{}: {:?}", sound.architecture, sound.prove_with(&code));
    }
}

#[test]
fn recursion_is_refused() {
    refused(["bl f", "bl f", "bl f", "call f", "call f"], "calls itself");
    let mutual = SOUND.map(|sound| Sound { code: leak(sound.code.replace("memcpy", "f")), ..sound });
    for sound in mutual {
        let faults = sound.prove_with("").expect_err("g calls f");
        assert!(faults.contains("recursion: f > g > f"), "{faults}");
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn too_much_stack_and_stack_that_cannot_be_measured_are_refused() {
    refused(
        [
            "sub.w sp, sp, #1024",
            "sub sp, sp, #1024",
            "sub sp, sp, #1024",
            "addi sp, sp, -1024",
            "sub $1024, %rsp",
        ],
        "bytes of stack",
    );
    refused(
        ["sub.w sp, sp, r0", "sub sp, sp, r0", "sub sp, sp, x0", "sub sp, sp, a0", "sub %rax, %rsp"],
        "how much stack this takes is not clear",
    );
    refused(["mov sp, r7", "mov sp, fp", "mov sp, x29", "mv sp, s0", "mov %rbp, %rsp"], "not clear");
}

#[test]
fn variables_and_panic_handlers_are_refused() {
    let data = ".data\n.long 1\n.text";
    refused([data; SOUND.len()], "bytes that can be written");
    let bss = ".bss\n.space 8\n.text";
    refused([bss; SOUND.len()], "bytes that can be written");
    for sound in SOUND {
        let code = leak(format!("{}rust_panic: {}\n", sound.code, sound.ret));
        let faults = Sound { code, ..sound }.prove_with("").expect_err("a panic handler");
        assert!(faults.contains("a panic handler"), "{faults}");
    }
}
