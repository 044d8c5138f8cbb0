// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `netboot` writes for the servers is taken by them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use identity_netroot::Location;
use identity_tests::cli::tool;
use identity_tests::{run_where_installed, skipped};

use crate::{Lab, UUID};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program in the background, by the file with its number, that ends with the test.
struct Daemon(PathBuf);

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.0) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

fn is_installed(name: &str) -> bool {
    let is_there = tool("sh").args(["-c", "command -v \"$0\"", name]).stdout(Stdio::null()).status();
    let is_there = is_there.is_ok_and(|status| status.success());
    if !is_there {
        skipped(&format!("{name} is not installed"));
    }
    is_there
}

/// A port of TCP that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback").port()
}

/// A lab whose server is this machine, with the tree made under `out`.
fn local(port: u16) -> Lab {
    let lab = Lab::with_network("");
    let root = lab.path("out").to_string_lossy().into_owned();
    let toml = lab.read("lab.toml").replace("192.168.7.1\"", "127.0.0.1\"");
    let toml = toml.replace("[network]", &format!("nbd_port = {port}\nroot = \"{root}\"\n[network]"));
    lab.write("lab.toml", toml);
    lab.run(&["netboot", "out"]).exits(0);
    lab
}

/// The only image of the lab's tree.
fn image(lab: &Lab) -> String {
    let mut entries = fs::read_dir(lab.path("out/images")).expect("images");
    entries.next().expect("one").expect("an entry").file_name().to_string_lossy().into_owned()
}

/// What an NBD server has under this name.
fn copied(port: u16, export: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let to = dir.path().join("copy");
    let start = Instant::now();
    loop {
        let mut copy = tool("nbdcopy");
        let output = copy.arg(format!("nbd://127.0.0.1:{port}/{export}")).arg(&to).output().expect("nbdcopy");
        if output.status.success() {
            return fs::read(&to).expect("a copy");
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(start.elapsed() < Duration::from_secs(10), "{errors}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn dnsmasq_takes_its_configuration() {
    for root in ["", "root = \"/srv/netboot\""] {
        let lab = Lab::with_network(root);
        lab.run(&["netboot", "out"]).exits(0);
        let mut dnsmasq = tool("dnsmasq");
        dnsmasq.arg("--test").arg(format!("--conf-file={}", lab.path("out/server/dnsmasq.conf").display()));
        if run_where_installed(&mut dnsmasq).is_none() {
            return;
        }
        let text = lab.read("out/server/dnsmasq.conf");
        assert_eq!(text.contains("\ntftp-root=/srv/netboot/tftp\n"), !root.is_empty());
        let list = lab.run(&["list", "--format", "json"]).exits(0).json();
        let mac = list[0]["macs"][0].as_str().expect("text");
        let line = format!("\ndhcp-host={mac},set:profile-panda,set:board-panda-01,panda-01,192.168.7.11\n");
        assert!(text.contains(&line), "{text}");
        assert!(
            text.contains("\ndhcp-host=02:00:00:00:00:02,set:profile-panda,set:board-panda-02,panda-02\n"),
            "{text}"
        );
    }
}

/// A part has no `dnsmasq` in its name, and is taken beside what a server has.
#[test]
fn without_a_network_there_is_a_part_for_a_server_that_exists() {
    let lab = Lab::with_network("");
    lab.write("lab.toml", "name = \"desk\"\n");
    lab.run(&["netboot", "out"]).exits(0);
    assert!(!lab.path("out/server/dnsmasq.conf").exists());
    let lines = lab.read("out/server/dhcp-hosts.conf").matches("dhcp-host=").count();
    assert_eq!(lines, 2);
    let mut dnsmasq = tool("dnsmasq");
    dnsmasq.arg("--test").arg(format!("--conf-file={}", lab.path("out/server/dhcp-hosts.conf").display()));
    run_where_installed(&mut dnsmasq);
}

#[test]
fn nbdkit_serves_the_image_under_its_name() {
    if !is_installed("nbdkit") || !is_installed("nbdcopy") {
        return;
    }
    let port = free_port();
    let lab = local(port);
    let mut nbdkit = Command::new(lab.path("out/server/nbdkit"));
    let _running = Running(
        nbdkit.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a script"),
    );
    assert_eq!(copied(port, &image(&lab)), fs::read(lab.path("images/panda.squashfs")).expect("the image"));
    // A new image is there without a restart, and the old one too.
    let old = image(&lab);
    lab.write("images/new", crate::squashfs("another"));
    fs::rename(lab.path("images/new"), lab.path("images/panda.squashfs")).expect("one directory");
    lab.run(&["netboot", "out"]).exits(0);
    assert_eq!(copied(port, &old), crate::squashfs("a root"));
    let list = lab.run(&["netboot", "--dry-run", "out", "--format", "json"]).exits(0).json();
    let files = list["files"].as_array().expect("a list").iter();
    let names: Vec<_> = files.filter_map(|file| file["path"].as_str()?.strip_prefix("images/")).collect();
    assert_eq!(names.len(), 2);
    let new = names.iter().find(|name| **name != old).expect("the new one");
    assert_eq!(copied(port, new), crate::squashfs("another"));
}

#[test]
fn nbd_server_serves_the_image_and_each_client_its_own_copy() {
    if !is_installed("nbd-server") || !is_installed("nbdcopy") {
        return;
    }
    for writes in ["discard", "server"] {
        let port = free_port();
        let lab = Lab::with_network("");
        lab.write("profiles/panda.toml", lab.read("profiles/panda.toml").replace("discard", writes));
        let root = lab.path("out").to_string_lossy().into_owned();
        lab.write(
            "lab.toml",
            lab.read("lab.toml").replace("[network]", &format!("root = \"{root}\"\n[network]")),
        );
        lab.run(&["netboot", "out"]).exits(0);
        // Only the port and the user are this machine's.
        let config = lab
            .read("out/server/nbd-server.conf")
            .replace("[generic]\n", &format!("[generic]\nport = {port}\nlistenaddr = 127.0.0.1\n"));
        lab.write("config", config);
        let mut server = tool("nbd-server");
        // It goes into the background: `-d` would end it after its first client.
        server.arg("-C").arg(lab.path("config")).arg("-p").arg(lab.path("pid"));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(server.status().expect("nbd-server").success());
        let _daemon = Daemon(lab.path("pid"));
        let name = image(&lab);
        let original = fs::read(lab.path("images/panda.squashfs")).expect("the image");
        assert_eq!(copied(port, &name), original);
        let seen = format!("127.0.0.1:{port}/{name}").parse::<Location>().and_then(|there| there.connect());
        let (_, export) = seen.expect("what netroot of the initramfs sees");
        assert_eq!(export.size, original.len() as u64);
        let uri = format!("nbd://127.0.0.1:{port}/{name}");
        let read_only = tool("nbdinfo").args(["--is", "read-only", &uri]).status().expect("nbdinfo");
        assert_eq!(read_only.success(), writes == "discard");
        if writes == "server" {
            lab.write("data", vec![7; original.len()]);
            let written = tool("nbdcopy").arg(lab.path("data")).arg(&uri).status().expect("nbdcopy");
            assert!(written.success());
            assert_eq!(copied(port, &name), original, "the next client finds the image as it was");
        }
        assert_eq!(fs::read(lab.path("images/panda.squashfs")).expect("the image"), original);
    }
}

#[test]
fn nginx_takes_its_part_and_serves_boot_files_and_images() {
    if !is_installed("nginx") {
        return;
    }
    let lab = local(free_port());
    let port = free_port();
    lab.write("part", lab.read("out/server/nginx.conf").replace(":8080;", &format!(":{port};")));
    let dir = lab.dir.path().display();
    lab.write(
        "nginx.conf",
        format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr; user root;\nevents {{}}\nhttp {{ access_log off; client_body_temp_path {dir}; \
             proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir}; include {dir}/part; }}\n"
        ),
    );
    let nginx = |args: &[&str]| {
        let mut nginx = tool("nginx");
        nginx.args(["-c", &format!("{dir}/nginx.conf"), "-p", &dir.to_string()]).args(args);
        nginx
    };
    let test = nginx(&["-t"]).output().expect("nginx");
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
    let _running = Running(nginx(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx"));
    for (path, file) in [
        ("boot.scr".to_owned(), "out/tftp/boot.scr".to_owned()),
        (format!("images/{}", image(&lab)), "images/panda.squashfs".into()),
    ] {
        assert_eq!(fetched(port, &path), fs::read(lab.path(&file)).expect("a file"), "{path}");
    }
}

/// The body of an answer over HTTP.
fn fetched(port: u16, path: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let start = Instant::now();
    let mut stream = loop {
        match std::net::TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{error}"),
        }
        thread::sleep(Duration::from_millis(50));
    };
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").expect("a server");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    answer.split_off(body)
}

#[test]
fn systemd_takes_the_units() {
    if !is_installed("systemd-analyze") {
        return;
    }
    let lab = local(10810);
    let unit = |name: &str| lab.path(&format!("out/server/identity-lab-nbd.{name}"));
    let mut verify = tool("systemd-analyze");
    let output =
        verify.arg("verify").args([unit("service"), unit("socket")]).output().expect("systemd-analyze");
    let errors = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = errors.lines().filter(|line| line.contains("identity-lab")).collect();
    assert!(output.status.success() && ours.is_empty(), "{errors}");
    let socket = fs::read_to_string(unit("socket")).expect("a unit");
    assert!(socket.contains("\nKeepAlive=yes\nKeepAliveTimeSec=20\n"), "{socket}");
}

/// U-Boot's own tools read the scripts.
#[test]
fn mkimage_lists_the_scripts() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "out"]).exits(0);
    for name in ["boot.scr", "profiles/panda/boot.scr", &format!("boards/{UUID}.scr")] {
        let path = lab.path("out/tftp").join(name);
        let mut dumpimage = tool("dumpimage");
        let Some(text) = run_where_installed(dumpimage.arg("-l").arg(&path)) else { return };
        assert!(text.contains("Image Name:   desk") && text.contains("ARM Linux Script"), "{name}: {text}");
        is_whole(&path);
    }
}

/// mkimage makes the same file of the script in it.
fn is_whole(path: &Path) {
    let ours = fs::read(path).expect("a script");
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("text"), &ours[72..]).expect("room");
    let name = String::from_utf8(ours[32..64].to_vec()).expect("text");
    let mut mkimage = tool("mkimage");
    mkimage.args([
        "-A",
        "arm",
        "-T",
        "script",
        "-C",
        "none",
        "-n",
        name.trim_end_matches('\0'),
        "-d",
        "text",
        "made",
    ]);
    run_where_installed(mkimage.current_dir(dir.path()).env("SOURCE_DATE_EPOCH", "0"));
    assert!(fs::read(dir.path().join("made")).expect("a script") == ours, "{}", path.display());
}
