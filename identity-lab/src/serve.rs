// SPDX-License-Identifier: MIT OR Apache-2.0
//! dnsmasq, nbdkit and nginx in the foreground, for a desk or a test: their output labelled, their end ours.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use identity_host::device::plain;
use identity_ui::output::say;
use identity_ui::{Exit, Failure, Result, shell};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};
use rustix::process::{Pid, Signal, kill_process};

use crate::netboot::servers::{self, NBDKIT_THREADS};
use crate::place::cannot;
use crate::signals;
use crate::state;

/// How long a server may take to end. nbdkit waits for its last client, which may be for ever.
const PATIENCE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(50);
/// dnsmasq's exit code where a socket cannot be had: its manual page, "EXIT CODES".
const DNSMASQ_NETWORK: i32 = 2;

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The lab's name.
    pub lab: String,
    /// The tree that `netboot` has written.
    pub dir: PathBuf,
    /// Where to listen for NBD, if a board needs it.
    pub nbd: Option<SocketAddrV4>,
    /// Where to listen for HTTP, and nginx's configuration of it, if a board needs it.
    pub http: Option<(SocketAddrV4, String)>,
    /// Who is shown a line of a server's output: the server's name, and the line.
    pub show: fn(&str, &str),
}

/// A server that runs.
struct Running {
    name: &'static str,
    child: Child,
    readers: Vec<JoinHandle<()>>,
    /// The last line that it has said.
    last: Arc<Mutex<String>>,
}

/// Runs the servers until a signal ends them, or one of them ends.
///
/// # Errors
/// Exit 6 for a port that is taken, or for want of permission; 7 if a server ends by itself.
pub fn run(settings: &Settings) -> Result<()> {
    let ended = signals::ended()?;
    let nbd = settings.nbd.map(nbd_socket).transpose()?;
    if let Some((address, _)) = &settings.http {
        check_http(*address)?;
    }
    let mut servers = vec![start_dnsmasq(settings)?];
    let outcome = start_others(settings, nbd, &mut servers).and_then(|()| {
        let nbd = settings.nbd.map_or_else(String::new, |address| format!(", NBD by nbdkit on {address}"));
        let http = settings.http.as_ref();
        let http = http.map_or_else(String::new, |(address, _)| format!(", HTTP by nginx on {address}"));
        say(&format!(
            "serving {}: DHCP and TFTP by dnsmasq{nbd}{http}; Ctrl-C ends it",
            settings.dir.display()
        ));
        wait(&mut servers, &ended)
    });
    for server in &mut servers {
        server.end();
    }
    outcome
}

fn start_others(settings: &Settings, nbd: Option<OwnedFd>, servers: &mut Vec<Running>) -> Result<()> {
    if let Some(socket) = nbd {
        servers.push(start_nbdkit(settings, socket)?);
    }
    if let Some((_, part)) = &settings.http {
        servers.push(start_nginx(settings, part)?);
    }
    Ok(())
}

fn wait(servers: &mut [Running], ended: &AtomicBool) -> Result<()> {
    while !ended.load(Ordering::Relaxed) {
        for server in servers.iter_mut() {
            if let Ok(Some(status)) = server.child.try_wait() {
                server.read_to_end();
                return Err(server.failure(status));
            }
        }
        thread::sleep(TICK);
    }
    Ok(())
}

impl Running {
    fn start(name: &'static str, command: &mut Command, show: fn(&str, &str)) -> Result<Self> {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| not_started(name, &error))?;
        let last = Arc::new(Mutex::new(String::new()));
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>),
            child.stderr.take().map(|out| Box::new(out) as Box<dyn Read + Send>),
        ];
        let read = |stream| {
            let last = Arc::clone(&last);
            thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(io::Result::ok) {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    show(name, &line);
                    if let Ok(mut last) = last.lock() {
                        *last = line;
                    }
                }
            })
        };
        let readers = streams.into_iter().flatten().map(read).collect();
        Ok(Self { name, child, readers, last })
    }

    fn read_to_end(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    /// Why it ended although nobody asked it to.
    fn failure(&self, status: ExitStatus) -> Failure {
        let Self { name, last, .. } = self;
        let said = last.lock().map(|last| last.clone()).unwrap_or_default();
        if *name == "dnsmasq" && status.code() == Some(DNSMASQ_NETWORK) {
            let way_out = if said.contains("ermission") || said.contains("not permitted") {
                "run as root, or in a network namespace of your own: `unshare -Urn`"
            } else if said.contains("in use") {
                "another DHCP or TFTP server runs on this machine: stop it, or name another `interface` in lab.toml, [network]"
            } else {
                "see lab.toml, [network]"
            };
            return Failure::refused(format!("{said}; {way_out}"));
        }
        Failure::new(Exit::Device, format!("{name} ended by itself ({status}): {said}"))
    }

    /// Ends it: by asking, and after a while without. nbdkit is not asked: it would wait for its last client, and until then
    /// answer reads with errors, where a board that finds nobody waits.
    fn end(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            if self.name != "nbdkit" {
                self.ask_to_end();
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.read_to_end();
    }

    /// Waits until it has ended, but not for long.
    fn ask_to_end(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(TICK);
        }
    }
}

fn not_started(name: &str, error: &io::Error) -> Failure {
    let way_out = if error.kind() == io::ErrorKind::NotFound {
        let package = match name {
            "dnsmasq" => "dnsmasq-base",
            "nginx" => "nginx-light",
            _ => name,
        };
        format!("; install it: on Debian `apt install {package}`")
    } else {
        String::new()
    };
    Failure::refused(format!("{name} cannot be started: {}{way_out}", plain(error)))
}

/// A program, also one that is not in the `PATH` of everybody: Debian has dnsmasq in /usr/sbin.
fn server(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut path = path.to_string_lossy().into_owned();
    path.push_str(":/usr/sbin:/sbin");
    // The search itself is made in the path that the child gets.
    let mut command = Command::new(name);
    command.env("PATH", path);
    command
}

/// dnsmasq takes its configuration from standard input: that of the tree, which may name another place than where the tree is
/// now.
fn start_dnsmasq(settings: &Settings) -> Result<Running> {
    let path = settings.dir.join("server/dnsmasq.conf");
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::refused(format!(
            "{} is not there: without [network] in lab.toml, DHCP is another server's; set it, and run `identity-lab netboot {}`",
            shell::path(&path),
            shell::path(&settings.dir)
        )),
        _ => cannot("read", &path, &error, Exit::Device),
    })?;
    let text: String =
        text.lines().filter(|line| !line.starts_with("tftp-root=")).map(|line| format!("{line}\n")).collect();
    let mut command = server("dnsmasq");
    command.args(["--conf-file=-", "--log-facility=-", "--pid-file="]);
    command.arg(format!("--tftp-root={}/tftp", settings.dir.display()));
    // Two boards must not get one address because the server was started again.
    let leases = state::file(&settings.lab, "leases");
    command.arg(format!("--dhcp-leasefile={}", state::made(leases.as_deref())?.display()));
    // In a namespace of its own it cannot become another user.
    if is_root_of_all() {
        command.args(["--keep-in-foreground", "--user=nobody"]);
    } else {
        command.arg("--no-daemon");
    }
    let mut running = Running::start("dnsmasq", command.stdin(Stdio::piped()), settings.show)?;
    if let Some(mut input) = running.child.stdin.take() {
        // If it has ended already, that is found out.
        let _ = input.write_all(text.as_bytes());
    }
    Ok(running)
}

/// Whether this is root, and every user exists here.
fn is_root_of_all() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::geteuid().is_root() && is_whole
}

/// A socket that forgets a board which lost power within 35 s, also one that had not taken all that was sent: what it accepts
/// inherits that. nbdkit sets nothing.
fn nbd_socket(address: SocketAddrV4) -> Result<OwnedFd> {
    let made = || -> rustix::io::Result<OwnedFd> {
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_keepalive(&socket, true)?;
        sockopt::set_tcp_keepidle(&socket, Duration::from_secs(20))?;
        sockopt::set_tcp_keepintvl(&socket, Duration::from_secs(5))?;
        sockopt::set_tcp_keepcnt(&socket, 3)?;
        // Of data on the way, keepalive waits for the end, which is a quarter of an hour.
        sockopt::set_tcp_user_timeout(&socket, 35_000)?;
        bind(&socket, &address)?;
        listen(&socket, 128)?;
        Ok(socket)
    };
    made().map_err(|errno| no_socket("NBD", address, "nbd_port", &errno.into()))
}

/// nginx binds its socket itself; that it can is found out before, for what it says of it is not for everybody.
fn check_http(address: SocketAddrV4) -> Result<()> {
    let bound = TcpListener::bind(address).map(drop);
    bound.map_err(|error| no_socket("HTTP", address, "http_port", &error))
}

/// That a protocol's port cannot be had, and what to do.
fn no_socket(protocol: &str, address: SocketAddrV4, key: &str, error: &io::Error) -> Failure {
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program has this port: stop it, or set `{key}` in lab.toml, [server]")
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address: give it to an interface, or change `address` in lab.toml, [server]".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need root: set `{key}` in lab.toml, [server]")
        }
        _ => "see lab.toml, [server]".to_owned(),
    };
    Failure::refused(format!("{protocol} on {address}: {}; {way_out}", plain(error)))
}

/// nbdkit gets the socket as systemd hands it over: as descriptor 3, with its own process number in LISTEN_PID, which only a
/// shell knows that becomes nbdkit.
fn start_nbdkit(settings: &Settings, socket: OwnedFd) -> Result<Running> {
    const BECOME: &str = "LISTEN_PID=$$; export LISTEN_PID; exec nbdkit \"$@\" 3<&0 0</dev/null";
    let images = settings.dir.join("images");
    let images = fs::canonicalize(&images).map_err(|error| cannot("open", &images, &error, Exit::Device))?;
    let found = server("nbdkit").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    found.map_err(|error| not_started("nbdkit", &error))?;
    let mut command = server("sh");
    command.args([
        "-c",
        BECOME,
        "nbdkit",
        "--foreground",
        "--readonly",
        "--exit-with-parent",
        NBDKIT_THREADS,
    ]);
    if is_root_of_all() {
        command.arg("--user=nobody");
    }
    command.arg("file").arg(format!("dir={}", images.display()));
    command.env("LISTEN_FDS", "1").stdin(Stdio::from(socket));
    Running::start("nbdkit", &mut command, settings.show)
}

/// nginx with a configuration for this tree, wherever it lies: as its prefix, the tree may have any name that names no variable.
fn start_nginx(settings: &Settings, part: &str) -> Result<Running> {
    let directory = state::file(&settings.lab, "nginx");
    let directory = state::made(directory.as_deref())?;
    if settings.dir.to_string_lossy().contains('$') {
        let shown = shell::path(&settings.dir);
        return Err(Failure::refused(format!(
            "nginx serves nothing from {shown}, for `$` begins a variable of its own"
        )));
    }
    let how = match (is_root_of_all(), rustix::process::geteuid().is_root()) {
        (true, _) => "user nobody nogroup;",
        // In a namespace of its own it cannot become another user.
        (false, true) => "user root root;\nmaster_process off;",
        (false, false) => "master_process off;",
    };
    let text = servers::nginx_alone(part, &directory.to_string_lossy(), how);
    let file = directory.join("nginx.conf");
    let written = fs::create_dir_all(directory).and_then(|()| fs::write(&file, text));
    written.map_err(|error| cannot("write", &file, &error, Exit::Device))?;
    let mut command = server("nginx");
    // Else it begins with its log of the system, which only root may write.
    command.args(["-e", "stderr", "-p"]).arg(&settings.dir).arg("-c").arg(&file);
    Running::start("nginx", command.stdin(Stdio::null()), settings.show)
}

/// The address to listen at: the lab's, or all of this machine's.
pub fn listen_at(address: Option<Ipv4Addr>, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address.unwrap_or(Ipv4Addr::UNSPECIFIED), port)
}

/// A tree of ours, with its whole path: dnsmasq takes no other.
///
/// # Errors
/// Exit 6 if it is none.
pub fn tree(dir: &Path) -> Result<PathBuf> {
    let is_ours = dir.join(crate::netboot::tree_on_disk::MARK).exists();
    if !is_ours {
        let shown = shell::path(dir);
        return Err(Failure::refused(format!(
            "{shown} is no tree of `identity-lab netboot`; make it: `identity-lab netboot {shown}`"
        )));
    }
    // Its own name is kept: `netboot` exchanges what it leads to. dnsmasq takes no path with `..` in it.
    let failed = |error: io::Error| cannot("find", dir, &error, Exit::Device);
    match dir.file_name() {
        Some(name) => {
            fs::canonicalize(crate::replace::parent(dir)).map(|parent| parent.join(name)).map_err(failed)
        }
        None => fs::canonicalize(dir).map_err(failed),
    }
}
