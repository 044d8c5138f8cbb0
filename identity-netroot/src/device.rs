// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's side: an NBD device, told over generic netlink (its header `nbd-netlink.h`).

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, Nla,
    NlaBuffer, NlasIterator, Parseable, ParseableParametrized,
};
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};

use crate::server::Export;

const ATTR_INDEX: u16 = 1;
const ATTR_SIZE_BYTES: u16 = 2;
const ATTR_BLOCK_SIZE_BYTES: u16 = 3;
const ATTR_TIMEOUT: u16 = 4;
const ATTR_SERVER_FLAGS: u16 = 5;
const ATTR_SOCKETS: u16 = 7;
const ATTR_DEAD_CONN_TIMEOUT: u16 = 8;
const SOCK_ITEM: u16 = 1;
const SOCK_FD: u16 = 1;
const NESTED: u16 = 1 << 15;

/// Seconds after which a request that has no answer is sent again, over another connection.
const REQUEST_TIMEOUT: u64 = 30;
/// Seconds for which the kernel holds requests back while there is no connection: a week, in whose jiffies no HZ overflows the
/// 31 bits of a 32-bit kernel.
const DEAD_TIMEOUT: u64 = 7 * 24 * 3600;
const BLOCK_SIZE: u64 = 512;

/// What the kernel is asked, and what it says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Command {
    Connect = 1,
    Reconfigure = 3,
    LinkDead = 4,
}

/// A message of the family `nbd`.
#[derive(Clone, Debug)]
struct Message {
    command: u8,
    attributes: Vec<DefaultNla>,
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        "nbd"
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        let parsed = NlasIterator::new(bytes)
            .map(|nla| DefaultNla::parse(&NlaBuffer::new_checked(nla?.into_inner())?));
        Ok(Self { command: header.cmd, attributes: parsed.collect::<Result<_, _>>()? })
    }
}

/// An NBD device, and the kernel's announcements about it.
#[derive(Debug)]
pub struct Device {
    index: u32,
    family: u16,
    asks: Socket,
    hears: Socket,
}

impl Device {
    /// Opens the way to `/dev/nbdINDEX`; from now on its losses are heard.
    ///
    /// # Errors
    /// If the kernel has no NBD, or this process may not.
    pub fn open(index: u32) -> io::Result<Self> {
        let asks = socket()?;
        let (family, group) = family(&asks)?;
        let hears = socket()?;
        hears.add_membership(group)?;
        Ok(Self { index, family, asks, hears })
    }

    /// The device's name.
    pub fn name(&self) -> String {
        format!("nbd{}", self.index)
    }

    /// Gives the device a connection, from which it gets its contents; it stays attached when this process ends.
    ///
    /// # Errors
    /// The kernel's: `EBUSY` if it is attached already.
    pub fn attach(&self, connection: &TcpStream, export: Export) -> io::Result<()> {
        self.ask(
            Command::Connect,
            vec![
                DefaultNla::new(ATTR_INDEX, self.index.to_ne_bytes().to_vec()),
                number(ATTR_SIZE_BYTES, export.size),
                number(ATTR_BLOCK_SIZE_BYTES, BLOCK_SIZE),
                number(ATTR_TIMEOUT, REQUEST_TIMEOUT),
                number(ATTR_DEAD_CONN_TIMEOUT, DEAD_TIMEOUT),
                number(ATTR_SERVER_FLAGS, export.flags.into()),
                socket_attribute(connection),
            ],
        )
    }

    /// Gives the device a connection in place of one that it has lost; if it has lost none, nothing changes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn attach_again(&self, connection: &TcpStream) -> io::Result<()> {
        let index = DefaultNla::new(ATTR_INDEX, self.index.to_ne_bytes().to_vec());
        self.ask(Command::Reconfigure, vec![index, socket_attribute(connection)])
    }

    /// Waits until the kernel says that this device has lost its connection, or until it may have said so.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait_for_loss(&self) -> io::Result<()> {
        loop {
            let (bytes, _) = match self.hears.recv_from_full() {
                // ENOBUFS: something was announced, and not heard.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received?,
            };
            let message =
                NetlinkMessage::<GenlMessage<Message>>::deserialize(&bytes).map_err(io::Error::other)?;
            let NetlinkPayload::InnerMessage(message) = message.payload else { continue };
            let is_this = |attribute: &DefaultNla| {
                attribute.kind() == ATTR_INDEX && value(attribute) == self.index.to_ne_bytes()
            };
            if message.payload.command == Command::LinkDead as u8
                && message.payload.attributes.iter().any(is_this)
            {
                return Ok(());
            }
        }
    }

    fn ask(&self, command: Command, attributes: Vec<DefaultNla>) -> io::Result<()> {
        let message = GenlMessage::from_payload(Message { command: command as u8, attributes });
        let bytes = serialized(NetlinkMessage::from(message), self.family, NLM_F_ACK);
        self.asks.send(&bytes, 0)?;
        loop {
            let (bytes, _) = self.asks.recv_from_full()?;
            let answer =
                NetlinkMessage::<GenlMessage<Message>>::deserialize(&bytes).map_err(io::Error::other)?;
            if let NetlinkPayload::Error(answer) = answer.payload {
                // Its number is negative, and 0 for "done".
                return answer.code.map_or(Ok(()), |_| Err(answer.to_io()));
            }
        }
    }
}

fn socket() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// The numbers that the running kernel has for the family `nbd` and its group of announcements.
fn family(socket: &Socket) -> io::Result<(u16, u32)> {
    let payload = GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: vec![GenlCtrlAttrs::FamilyName(Message::family_name().to_owned())],
    };
    let message = NetlinkMessage::from(GenlMessage::from_payload(payload));
    socket.send(&serialized(message, 0, 0), 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<GenlMessage<GenlCtrl>>::deserialize(&bytes).map_err(io::Error::other)?;
    let attributes = match answer.payload {
        NetlinkPayload::InnerMessage(message) => message.payload.nlas,
        NetlinkPayload::Error(error) => return Err(error.to_io()),
        _ => Vec::new(),
    };
    let family = attributes.iter().find_map(|attribute| match attribute {
        GenlCtrlAttrs::FamilyId(id) => Some(*id),
        _ => None,
    });
    let group = attributes.iter().find_map(|attribute| match attribute {
        GenlCtrlAttrs::McastGroups(groups) => groups.iter().flatten().find_map(|attribute| match attribute {
            McastGrpAttrs::Id(id) => Some(*id),
            McastGrpAttrs::Name(_) => None,
        }),
        _ => None,
    });
    family.zip(group).ok_or_else(|| io::Error::other("the kernel has no NBD that is told over netlink"))
}

fn serialized<F>(mut message: NetlinkMessage<GenlMessage<F>>, family: u16, flags: u16) -> Vec<u8>
where
    F: GenlFamily + Emitable + std::fmt::Debug,
{
    if let NetlinkPayload::InnerMessage(message) = &mut message.payload {
        message.set_resolved_family_id(family);
    }
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn number(kind: u16, value: u64) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

fn socket_attribute(connection: &TcpStream) -> DefaultNla {
    let descriptor = DefaultNla::new(SOCK_FD, connection.as_raw_fd().to_ne_bytes().to_vec());
    DefaultNla::new(
        ATTR_SOCKETS | NESTED,
        emitted(&DefaultNla::new(SOCK_ITEM | NESTED, emitted(&descriptor))),
    )
}

fn emitted(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

fn value(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}
