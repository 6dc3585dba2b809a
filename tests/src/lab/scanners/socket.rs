//! Packet sockets that know when a packet passed, and whether they missed one: two questions that
//! `nix` does not put.
#![expect(unsafe_code, reason = "ioctl(2) and getsockopt(2) take pointers")]

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, sockopt},
};

/// `SIOCGSTAMPNS` of `asm/sockios.h`, where `time_t` has 64 bits.
const SIOCGSTAMPNS: libc::Ioctl = 0x8907;
/// `PACKET_STATISTICS` of `linux/if_packet.h`.
const PACKET_STATISTICS: libc::c_int = 6;

/// Room for what is sent until somebody reads it: some 100,000 small frames.
const BUFFER_BYTES: usize = 256 << 20;

/// Every frame of the namespace that it was opened in, both ways.
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// In the namespace of the calling thread.
    pub fn open() -> Self {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let every = SockProtocol::EthAll;
        let socket = socket::socket(AddressFamily::Packet, SockType::Raw, flags, every);
        let socket = socket.expect("a packet socket");
        socket::setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).expect("a large buffer");
        let socket = Self(socket);
        // From the first question on, the kernel takes the time of every packet.
        let _none_yet = socket.time();
        socket
    }

    /// The next frame and when it passed, since the epoch; nothing while there is none.
    pub fn next<'frame>(&self, frame: &'frame mut [u8]) -> Option<(&'frame [u8], Duration)> {
        match socket::recv(self.0.as_raw_fd(), frame, MsgFlags::empty()) {
            Ok(length) => {
                let time = self.time().expect("a packet has its time");
                Some((&frame[..length], time))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(error) => panic!("the link can be listened to: {error}"),
        }
    }

    /// Frames that found no room, since this was last asked.
    pub fn missed(&self) -> u32 {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: the call writes at most `length` bytes, the size of `statistics`.
        let code = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        assert_eq!(code, 0, "the socket counts: {}", Errno::last());
        statistics.tp_drops
    }

    /// Of the frame that was read last.
    fn time(&self) -> Option<Duration> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the call writes one timespec, which `time` is.
        let code = unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCGSTAMPNS, &raw mut time) };
        let seconds = u64::try_from(time.tv_sec).ok()?;
        (code == 0).then(|| Duration::new(seconds, time.tv_nsec as u32))
    }
}
