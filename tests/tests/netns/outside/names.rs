//! A name server: as much of RFC 1035 as a resolver needs.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use fw_tests::lab::namespace::Namespace;

/// The addresses of a name, for each look-up in turn; the last ones for all that follow.
type Turns = Vec<Vec<IpAddr>>;

/// Answers as long as it lives.
pub struct Names {
    known: Arc<Mutex<BTreeMap<String, Turns>>>,
    stop: Arc<AtomicBool>,
}

impl Names {
    /// Serves at this address of a namespace.
    pub fn serve(namespace: &Namespace, address: &str) -> Self {
        let socket = namespace.enter(|| UdpSocket::bind((address, 53)).expect("a free port"));
        let tick = Some(Duration::from_millis(100));
        socket.set_read_timeout(tick).expect("a time limit");
        let names = Self {
            known: Arc::default(),
            stop: Arc::default(),
        };
        let (known, stop) = (Arc::clone(&names.known), Arc::clone(&names.stop));
        thread::spawn(move || {
            let mut question = [0; 512];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else {
                    continue;
                };
                answer(&socket, &question[..length], from, &known);
            }
        });
        names
    }

    /// These addresses at every look-up.
    pub fn answer(&self, name: &str, addresses: &[&str]) {
        self.answer_in_turn(name, &[addresses]);
    }

    /// Others at each look-up; the last ones stay.
    pub fn answer_in_turn(&self, name: &str, turns: &[&[&str]]) {
        let read = |text: &&str| text.parse().expect("an address");
        let turns = turns.iter().map(|turn| turn.iter().map(read).collect());
        let mut known = self.known.lock().expect("no panic");
        known.insert(name.to_owned(), turns.collect());
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

const A: u16 = 1;
const AAAA: u16 = 28;

fn answer(
    socket: &UdpSocket,
    question: &[u8],
    from: SocketAddr,
    known: &Mutex<BTreeMap<String, Turns>>,
) {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let end = at + 5;

    let mut known = known.lock().expect("no panic");
    let turns = known.get_mut(&labels.join(".").to_lowercase());
    let addresses = turns.as_deref().and_then(|turns| turns.first().cloned());
    let addresses = addresses.unwrap_or_default();
    // One look-up asks for both kinds, for AAAA last.
    if let Some(turns) = turns.filter(|turns| kind == AAAA && turns.len() > 1) {
        turns.remove(0);
    }
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (kind, address) {
            (A, IpAddr::V4(address)) => Some(address.octets().to_vec()),
            (AAAA, IpAddr::V6(address)) => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();

    let mut reply = question[..end].to_vec();
    // An answer, with authority and recursion; no error; one question.
    reply[2..4].copy_from_slice(&[0x85, 0x80]);
    reply[4..12].copy_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    for record in records {
        // The name of the question; class IN; nobody may remember it.
        reply.extend([0xc0, 0x0c]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 0, 0, record.len() as u8]);
        reply.extend(record);
    }
    socket.send_to(&reply, from).expect("the resolver is there");
}
