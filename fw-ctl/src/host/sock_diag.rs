//! Sockets of this network namespace, as the kernel lists them.

use std::ops::ControlFlow;

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6},
    inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags},
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::netlink::{NetlinkError, walk};

/// Shows `visit` every socket of `protocol` in one of `states`, until it has seen enough.
/// `port` is the local one, 0 for any.
///
/// # Errors
/// [`NetlinkError`]; what could be read has been shown nevertheless.
pub(super) fn sockets(
    protocol: u8,
    states: &StateFlags,
    port: u16,
    mut visit: impl FnMut(&InetResponseHeader) -> ControlFlow<()>,
) -> Result<(), NetlinkError> {
    for (family, mut socket_id) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        socket_id.source_port = port;
        let request = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol,
            extensions: ExtensionFlags::empty(),
            states: states.clone(),
            socket_id,
        });
        let mut flow = ControlFlow::Continue(());
        let show = |message| {
            if let SockDiagMessage::InetResponse(socket) = message {
                flow = visit(&socket.header);
            }
            flow
        };
        walk("sockets", NETLINK_SOCK_DIAG, NLM_F_DUMP, request, show)?;
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}
