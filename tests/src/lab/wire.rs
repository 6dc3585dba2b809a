//! Frames as they are: sent from the attacker's end of the link, seen at the server's behind XDP.

use std::{
    collections::BTreeSet,
    os::fd::{AsRawFd as _, OwnedFd},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            self, AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, sockopt,
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use super::{ATTACKER_INTERFACE, Lab};

/// A frame's number on the wire: its last bytes of the Ethernet source address, which nobody on
/// the way looks at. (What follows the addresses is not left alone: the kernel takes off a tag.)
pub type Number = u16;

/// How often a frame is offered to a queue that is full.
const TRIES: usize = 1000;

/// The attacker's end.
pub struct Wire {
    socket: OwnedFd,
    device: LinkAddr,
}

/// The server's end.
pub struct Tap {
    socket: OwnedFd,
}

impl Lab {
    /// The attacker's end of the first link.
    pub fn wire(&self) -> Wire {
        self.attacker.enter(|| {
            let devices = getifaddrs().expect("the devices can be listed");
            let mut devices = devices.filter(|device| device.interface_name == ATTACKER_INTERFACE);
            let device = devices.find_map(|device| device.address?.as_link_addr().copied());
            Wire {
                socket: packets(),
                device: device.expect("the attacker has its device"),
            }
        })
    }

    /// The server's end of all links.
    pub fn tap(&self) -> Tap {
        let socket = self.server.enter(packets);
        let patience = TimeVal::milliseconds(Duration::from_secs(5).as_millis() as i64);
        socket::setsockopt(&socket, sockopt::ReceiveTimeout, &patience).expect("a time limit");
        socket::setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("a large buffer");
        Tap { socket }
    }
}

fn packets() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket::socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        SockProtocol::EthAll,
    )
    .expect("a packet socket")
}

impl Wire {
    /// Sends a frame under a number.
    pub fn send(&self, number: Number, frame: &[u8]) {
        let mut frame = frame.to_vec();
        let [high, low] = number.to_be_bytes();
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, high, low]);
        let send = || {
            let flags = MsgFlags::empty();
            socket::sendto(self.socket.as_raw_fd(), &frame, &self.device, flags)
        };
        // A flood on the same link may fill its queue; then the frame was not taken (packet(7)).
        let sent = (0..TRIES).find_map(|_| match send() {
            Err(Errno::ENOBUFS) => {
                thread::sleep(Duration::from_millis(5));
                None
            }
            sent => Some(sent),
        });
        assert_eq!(sent, Some(Ok(frame.len())), "frame {number} can be sent");
    }
}

impl Tap {
    /// The numbers of the frames that came, up to and with this one, which must come.
    pub fn until(&self, end: Number) -> BTreeSet<Number> {
        let mut seen = BTreeSet::new();
        let mut frame = [0; 65536];
        while !seen.contains(&end) {
            let received = socket::recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty());
            let length = received.unwrap_or_else(|error| panic!("frame {end} is missing: {error}"));
            if let Some([_, _, _, _, _, _, 2, 0, 0, 0, high, low, ..]) = frame.get(..length) {
                seen.insert(Number::from_be_bytes([*high, *low]));
            }
        }
        seen
    }
}
