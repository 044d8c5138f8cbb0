// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's side: where it is, and NBD's fixed newstyle handshake up to the point from which the kernel goes on
//! (the NBD project's `doc/proto.md`).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

/// How long a server may take for each step of the handshake.
const PATIENCE: Duration = Duration::from_secs(5);

const MAGIC: &[u8; 16] = b"NBDMAGICIHAVEOPT";
const OPTION_MAGIC: &[u8; 8] = b"IHAVEOPT";
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// `NBD_FLAG_FIXED_NEWSTYLE` of the server, and `NBD_FLAG_C_FIXED_NEWSTYLE` of the client.
const FIXED_NEWSTYLE: u16 = 1;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_ERROR: u32 = 1 << 31;
const INFO_EXPORT: u16 = 0;
/// Bytes that a reply may have: an export's name has 4096 at most.
const REPLY_MAX: u32 = 8192;

/// An export of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The server's address and port.
    pub address: SocketAddr,
    /// The export's name.
    pub export: String,
}

impl FromStr for Location {
    type Err = String;

    /// From `ADDRESS:PORT/NAME`, an IPv6 address in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(address, export)| {
            Some(Self { address: address.parse().ok()?, export: export.to_owned() })
        });
        parts.ok_or_else(|| {
            format!("\"{text}\" is not ADDRESS:PORT/NAME of an NBD server, like 192.168.7.1:10809/panda")
        })
    }
}

/// What a server says of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its size in bytes.
    pub size: u64,
    /// What can be done with it, as the kernel takes it: `NBD_FLAG_READ_ONLY` and others.
    pub flags: u16,
}

impl Location {
    /// Connects; what follows on the connection is the kernel's.
    ///
    /// # Errors
    /// A sentence, if there is no server, no such export, or something other than an NBD server.
    pub fn connect(&self) -> Result<(TcpStream, Export), String> {
        self.try_to_connect().map_err(|error| format!("{}/{}: {error}", self.address, self.export))
    }

    fn try_to_connect(&self) -> io::Result<(TcpStream, Export)> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let export = shake_hands(&mut stream, &self.export)?;
        // The kernel waits as long as it is told to.
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok((stream, export))
    }
}

fn shake_hands(stream: &mut (impl Read + Write), name: &str) -> io::Result<Export> {
    let greeting: [u8; 16] = read(stream)?;
    let server = u16::from_be_bytes(read(stream)?);
    if &greeting != MAGIC || server & FIXED_NEWSTYLE == 0 {
        return Err(io::Error::other("no NBD server with the fixed newstyle handshake"));
    }
    stream.write_all(&go(name))?;
    let mut export = None;
    loop {
        let (kind, data) = read_reply(stream)?;
        match kind {
            REPLY_ACK => {
                return export.ok_or_else(|| io::Error::other("the server does not say how large it is"));
            }
            REPLY_INFO => export = information(&data).or(export),
            _ if kind & REPLY_ERROR != 0 => {
                let said = String::from_utf8_lossy(&data);
                let said = if said.is_empty() { "no reason given".into() } else { said };
                return Err(io::Error::other(format!(
                    "the server refuses it (NBD error {}): {said}",
                    kind & !REPLY_ERROR
                )));
            }
            _ => (),
        }
    }
}

/// The client's flags, and `NBD_OPT_GO` for an export, with no information asked for beyond what always comes.
fn go(name: &str) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let mut bytes = u32::from(FIXED_NEWSTYLE).to_be_bytes().to_vec();
    bytes.extend_from_slice(OPTION_MAGIC);
    bytes.extend_from_slice(&OPTION_GO.to_be_bytes());
    bytes.extend_from_slice(&length.saturating_add(6).to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// A reply's type and data.
fn read_reply(stream: &mut impl Read) -> io::Result<(u32, Vec<u8>)> {
    let magic = u64::from_be_bytes(read(stream)?);
    let option = u32::from_be_bytes(read(stream)?);
    let kind = u32::from_be_bytes(read(stream)?);
    let length = u32::from_be_bytes(read(stream)?);
    if magic != REPLY_MAGIC || option != OPTION_GO || length > REPLY_MAX {
        return Err(io::Error::other("the server's reply is none of NBD's"));
    }
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data)?;
    Ok((kind, data))
}

/// `NBD_INFO_EXPORT`: its type, the size, the flags.
fn information(data: &[u8]) -> Option<Export> {
    let (kind, rest) = data.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let flags = u16::from_be_bytes(*rest.first_chunk()?);
    (u16::from_be_bytes(*kind) == INFO_EXPORT).then(|| Export { size: u64::from_be_bytes(*size), flags })
}

fn read<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
