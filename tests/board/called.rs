// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a board takes its identity on start is seen on the linked image, not on a line of source: the build of a tree in
//! which nothing comes to call us fails, and that of one in which a board's own code does passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use identity_tests::bench::{Bench, check_applied};
use identity_tests::board::Model;
use identity_tests::workspace;
use tempfile::TempDir;

const STEPS: &str = "common/board_r.c";
const BOARD: &str = "board/armltd/vexpress/vexpress_common.c";
const INIT: &str = "int board_init(void)\n{\n";
const REFUSED: &str = "nothing that this board runs calls identity_boot()";

fn run(command: &mut Command) -> String {
    let output = command.output().expect("bash and coreutils");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn script(name: &str) -> Command {
    Command::new(workspace().join(name))
}

/// A release without events, and the cache that it lies in.
fn published() -> (PathBuf, PathBuf) {
    let published = run(script("tests/lib/uboot-source").arg("2021.01"));
    let published = PathBuf::from(published.trim_end());
    let cache = published.parent().and_then(Path::parent).expect("the cache").to_owned();
    (published, cache)
}

/// As `tests/lib/uboot-build` does, so that the compiler's cache has it.
fn builds<'a>(command: &'a mut Command, cache: &Path) -> &'a mut Command {
    let path = std::env::var("PATH").expect("PATH");
    command
        .env("PATH", format!("/usr/lib/ccache:/usr/bin:/bin:{path}"))
        .env("CCACHE_DIR", std::env::var_os("CCACHE_DIR").unwrap_or_else(|| cache.join("ccache").into()))
        .env("CCACHE_BASEDIR", cache)
        .env("CCACHE_NOHASHDIR", "true")
        .env("CROSS_COMPILE", "arm-linux-gnueabi-")
        .env("SOURCE_DATE_EPOCH", "1700000000")
}

/// That release, beside a directory to build it in.
struct Tree {
    dir: TempDir,
    cache: PathBuf,
}

impl Tree {
    fn unpatched() -> Self {
        let (published, cache) = published();
        // On the same disk, for links.
        let tree = Self { dir: TempDir::new_in(&cache).expect("a directory"), cache };
        run(Command::new("cp").arg("-al").arg(&published).arg(tree.source()));
        tree
    }

    fn new() -> Self {
        let tree = Self::unpatched();
        fs::create_dir(tree.build()).expect("own directory");
        let object = tree.dir.path().join("object");
        run(script("uboot-patch/build-object").arg("arm-thumb").arg(&object));
        let object = format!("arm-thumb={}", object.display());
        run(script("uboot-patch/apply").arg(tree.source()).args(["--object", &object]));
        assert!(tree.make("vexpress_ca9x4_defconfig").status.success());
        let config = tree.build().join(".config");
        let text = fs::read_to_string(&config).expect("text") + "CONFIG_IDENTITY=y\n";
        fs::write(&config, text).expect("own directory");
        assert!(tree.make("olddefconfig").status.success());
        tree
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    fn build(&self) -> PathBuf {
        self.dir.path().join("build")
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.source().join(file)).expect("text")
    }

    /// A new file: the old one has another name, in the tree as it was published.
    fn write(&self, file: &str, text: &str) {
        let path = self.source().join(file);
        fs::remove_file(&path).expect("own directory");
        fs::write(&path, text).expect("own directory");
    }

    fn make(&self, goal: &str) -> Output {
        let build = format!("O={}", self.build().display());
        let mut make = Command::new("make");
        make.arg("-C").arg(self.source()).arg(build).args(["-j2", goal]);
        builds(&mut make, &self.cache).output().expect("make")
    }

    #[track_caller]
    fn passes(&self) {
        let output = self.make("u-boot.bin");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(self.build().join("u-boot.bin").exists());
    }

    #[track_caller]
    fn fails(&self) {
        for image in ["u-boot.bin", "u-boot-nodtb.bin"] {
            let _ = fs::remove_file(self.build().join(image));
        }
        let output = self.make("u-boot.bin");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaint.contains(REFUSED), "{complaint}");
        // Nothing that could be written to a card.
        assert!(!self.build().join("u-boot.bin").exists());
        assert!(!self.build().join("u-boot-nodtb.bin").exists());
    }
}

#[test]
fn a_build_in_which_nothing_calls_identity_boot_fails() {
    let tree = Tree::new();
    let (steps, board) = (tree.text(STEPS), tree.text(BOARD));
    let call = "\tidentity_boot,\n";
    assert!(steps.contains(call) && board.contains(INIT));
    tree.passes();

    // The line is there, and is not compiled: so it would be in Rockchip's trees.
    tree.write(STEPS, &steps.replace(call, &format!("#ifdef CONFIG_NOT_THERE\n{call}#endif\n")));
    tree.fails();

    // A board's own code does it.
    let hooks = "#include <identity_hooks.h>\n";
    tree.write(BOARD, &(hooks.to_owned() + &board.replace(INIT, &format!("{INIT}\tidentity_boot();\n"))));
    tree.passes();

    // Or only seems to: nobody calls that code.
    tree.write(BOARD, &format!("{hooks}{board}\nvoid not_called(void)\n{{\n\tidentity_boot();\n}}\n"));
    tree.fails();
}

/// What is seen of an image is that it calls us, not when.
#[test]
fn a_call_that_comes_too_early_takes_nothing_and_says_so() {
    let tree = Tree::new();
    let steps = tree.text(STEPS);
    let (call, mmc, env) =
        ("\tidentity_boot,\n", "#ifdef CONFIG_MMC\n\tinitr_mmc,\n#endif\n", "\tinitr_env,\n");
    assert!(steps.contains(mmc) && steps.contains(env));
    let with_steps = |first: &str| {
        let rest = [call, mmc, env].into_iter().filter(|step| first.contains(step));
        let rest = rest.fold(steps.clone(), |text, step| text.replace(step, ""));
        let before = "#ifdef CONFIG_XEN\n\tinitr_xen,\n";
        tree.write(STEPS, &rest.replace(before, &(first.to_owned() + before)));
        tree.passes();
        let bench = Bench::new("2025.01", Model::Vexpress).with_build(tree.build());
        bench.stamp(&["--hostname", "panda-3", "--serial", "SN42"]);
        let (board, said) = bench.boot();
        assert!(said.contains("U-Boot 2021.01"), "{said}");
        (bench, board, said)
    };

    // Loading the environment would drop all of it.
    let (_, mut board, said) = with_steps(&format!("{call}{mmc}{env}"));
    assert!(
        said.contains("identity: WARNING: identity_boot() is called before the environment is loaded"),
        "{said}"
    );
    assert_eq!(board.variable("identity_state"), None);

    // Some trees load it before they look for cards.
    let (bench, mut board, _) = with_steps(&format!("{env}{call}{mmc}"));
    check_applied(&mut board, &bench.image, "valid");
}

/// `uboot-patch/try` with these options over a tree for one board: its exit status and what it prints.
fn try_it(tree: &Tree, options: &[&str]) -> (Option<i32>, String) {
    let mut command = script("uboot-patch/try");
    command
        .args(["--name", "u-boot"])
        .args(options.iter().flat_map(|option| ["--config", option]))
        .arg(tree.source())
        .arg("vexpress_ca9x4_defconfig")
        .env("TMPDIR", tree.dir.path());
    let output = builds(&mut command, &tree.cache).output().expect("bash");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn try_says_of_a_tree_whether_it_fits_and_leaves_it_as_it_is() {
    let tree = Tree::unpatched();
    let (published, _) = published();
    let (status, said) = try_it(&tree, &["CONFIG_IDENTITY_NETBOOT=y"]);
    assert_eq!(status, Some(0), "{said}");
    let cells: Vec<_> = said.lines().last().expect("a row").split('|').map(str::trim).collect();
    let expected = ["", "u-boot", "2021.01", "vexpress_ca9x4", "yes", "yes", "yes", "yes"];
    assert_eq!(cells.get(..expected.len()), Some(&expected[..]), "{said}");
    let bytes = cells.get(expected.len()).and_then(|cell| cell.parse::<u32>().ok());
    assert!(bytes.is_some_and(|bytes| (8_000..20_000).contains(&bytes)), "{said}");
    assert_eq!(cells.get(expected.len() + 1), Some(&"nothing"), "{said}");
    run(Command::new("diff").args(["-r", "--no-dereference"]).arg(&published).arg(tree.source()));

    // What the tree lacks is below the table.
    let file = "common/image-fdt.c";
    let changed = tree.text(file).replace("\tfdt_fixup_ethernet(blob);", "\tfdt_fixup_ethernet((blob));");
    tree.write(file, &changed);
    let (status, said) = try_it(&tree, &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("| no | yes | -- | -- | -- | see below (1) |"), "{said}");
    assert!(said.contains("\n    common/image-fdt.c: has no line like"), "{said}");
}

/// A board whose image has to fit into a place: without the identity it does, with it not.
#[test]
fn try_says_by_how_many_bytes_uboot_2021_01_vexpress_ca9x4_is_too_large() {
    let tree = Tree::unpatched();
    let header = "include/configs/vexpress_common.h";
    let unlimited = tree.text(header);
    let limit = |bytes: u32| {
        let define = format!("\n#define CONFIG_BOARD_SIZE_LIMIT {bytes}\n#define");
        tree.write(header, &unlimited.replacen("\n#define", &define, 1));
        try_it(&tree, &[])
    };
    let (_, said) = limit(0x1_0000);
    assert!(said.contains("| the tree itself does not build here |"), "{said}");
    let size = said.split("actual: 0x").nth(1).and_then(|rest| rest.split(' ').next());
    let size = size.and_then(|hex| u32::from_str_radix(hex, 16).ok()).expect("the size of its image");
    let (status, said) = limit(size + 1000);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("| yes | yes | no | -- | -- | switch something off: "), "{said}");
}

/// The check itself, on images of programs.
fn check(code: &str, collect: &str) -> Output {
    let dir = TempDir::new().expect("a directory");
    let image = dir.path().join("image");
    let source = dir.path().join("image.c");
    fs::write(&source, code).expect("own directory");
    run(Command::new("gcc").args(["-ffunction-sections", collect, "-o"]).arg(&image).arg(&source));
    let script = workspace().join("uboot-patch/overlay/lib/identity/check-called");
    Command::new("sh").arg(script).arg("nm").arg(&image).output().expect("sh")
}

#[test]
fn the_check_of_an_image_says_what_it_can_prove() {
    let ours = "int identity_boot(void) { return 0; }\nvoid identity_is_called_by_nobody(void) {}\n";
    let called = check(&format!("{ours}int main(void) {{ return identity_boot(); }}"), "-Wl,--gc-sections");
    assert!(called.status.success() && called.stderr.is_empty(), "{called:?}");
    let not_called = check(&format!("{ours}int main(void) {{ return 0; }}"), "-Wl,--gc-sections");
    assert_eq!(not_called.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&not_called.stderr).contains(REFUSED), "{not_called:?}");

    // A linker that keeps everything proves nothing; that is no reason to refuse.
    let kept = check(&format!("{ours}int main(void) {{ return 0; }}"), "-Wl,--no-gc-sections");
    assert!(kept.status.success(), "{kept:?}");
    assert!(String::from_utf8_lossy(&kept.stderr).contains("it cannot be seen"), "{kept:?}");

    // A board's function of a name that begins like it is another one.
    let other = check(
        "int identity_boot_order(void) { return 0; }\nint main(void) { return identity_boot_order(); }",
        "-O0",
    );
    assert_eq!(other.status.code(), Some(1), "{other:?}");
}
