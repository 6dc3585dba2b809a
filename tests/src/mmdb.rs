//! Files in the format of MaxMind (version 2.0 of its specification), for tests. `fw-ctl` takes this
//! file into its own tests.

use std::net::IpAddr;

use fw_common::Prefix;

/// What stands before the metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Zeros between tree and data.
const SEPARATOR: usize = 16;

/// A value of the data section.
#[derive(Clone, Debug)]
pub enum Value {
    /// In this order.
    Map(Vec<(String, Value)>),
    /// In this order.
    Array(Vec<Value>),
    /// Of UTF-8.
    Text(String),
    /// Of 16 bits.
    Uint16(u16),
    /// Of 32 bits.
    Uint32(u32),
    /// Of 64 bits.
    Uint64(u64),
    /// Of 64 bits.
    Double(f64),
    /// One or the other.
    Bool(bool),
}

/// What kind of file it is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// 24, 28 or 32.
    pub record_bits: u16,
    /// Whether it knows IPv6; then IPv4 stands at `::/96`.
    pub ipv6: bool,
    /// Whether Teredo, 6to4 and mapped addresses lead to IPv4.
    pub aliases: bool,
    /// What it calls itself.
    pub kind: &'static str,
    /// When it was made, in seconds since 1970.
    pub built: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            record_bits: 28,
            ipv6: true,
            aliases: true,
            kind: "Test-Country",
            built: 1_795_000_000,
        }
    }
}

/// Where a value stands in the data section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record(u32);

/// What a half of a node leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    Nothing,
    Node(u32),
    Data(Record),
}

/// A file that is being made.
pub struct Tree {
    shape: Shape,
    nodes: Vec<[Child; 2]>,
    data: Vec<u8>,
}

impl Tree {
    /// Without networks.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            nodes: vec![[Child::Nothing; 2]],
            data: Vec::new(),
        }
    }

    /// Keeps a value, which any number of networks may have.
    pub fn record(&mut self, value: &Value) -> Record {
        let at = u32::try_from(self.data.len()).expect("a small file");
        encode(value, &mut self.data);
        Record(at)
    }

    /// Gives a network a record; what was said of a part of it before is lost.
    pub fn insert(&mut self, network: Prefix, record: Record) {
        let (bits, length) = match network.address() {
            IpAddr::V4(address) if self.shape.ipv6 => {
                (u128::from(address.to_bits()), network.length() + 96)
            }
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, network.length()),
            IpAddr::V6(address) => (address.to_bits(), network.length()),
        };
        self.lead(bits, length, Child::Data(record));
    }

    /// Makes a path of so many bits lead there.
    fn lead(&mut self, bits: u128, length: u8, to: Child) {
        assert!(length > 0, "the tree has a root");
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                self.nodes[node][side] = to;
                return;
            }
            node = match self.nodes[node][side] {
                Child::Node(next) => next as usize,
                // What was said of the whole is said of both halves.
                whole => {
                    self.nodes.push([whole; 2]);
                    let next = u32::try_from(self.nodes.len() - 1).expect("a small file");
                    self.nodes[node][side] = Child::Node(next);
                    next as usize
                }
            };
        }
    }

    /// Where IPv4 begins, if anything stands there.
    fn v4_root(&self) -> Option<Child> {
        let mut child = Child::Node(0);
        for _ in 0..96 {
            let Child::Node(node) = child else {
                return None;
            };
            [child, _] = self.nodes[node as usize];
        }
        matches!(child, Child::Node(_)).then_some(child)
    }

    /// The file.
    pub fn bytes(mut self) -> Vec<u8> {
        if let Some(v4) = self
            .v4_root()
            .filter(|_| self.shape.ipv6 && self.shape.aliases)
        {
            for (bits, length) in [
                (0x2001_u128 << 112, 32),
                (0x2002_u128 << 112, 16),
                (0xffff << 32, 96),
            ] {
                self.lead(bits, length, v4);
            }
        }
        let count = u32::try_from(self.nodes.len()).expect("a small file");
        let number = |child: Child| match child {
            Child::Nothing => count,
            Child::Node(node) => node,
            Child::Data(Record(at)) => count + SEPARATOR as u32 + at,
        };
        let mut bytes = Vec::new();
        for [left, right] in &self.nodes {
            let (left, right) = (number(*left), number(*right));
            let ([l0, l1, l2, l3], [r0, r1, r2, r3]) = (left.to_be_bytes(), right.to_be_bytes());
            match self.shape.record_bits {
                24 => bytes.extend([l1, l2, l3, r1, r2, r3]),
                // The upper four bits of both share the byte in the middle.
                28 => bytes.extend([l1, l2, l3, l0 << 4 | r0, r1, r2, r3]),
                _ => bytes.extend([l0, l1, l2, l3, r0, r1, r2, r3]),
            }
            let most = u32::MAX >> (32 - self.shape.record_bits);
            assert!(left.max(right) <= most, "the file needs larger records");
        }
        bytes.extend([0; SEPARATOR]);
        bytes.extend(&self.data);
        bytes.extend(MARKER);
        encode(&self.metadata(count), &mut bytes);
        bytes
    }

    fn metadata(&self, node_count: u32) -> Value {
        let Shape {
            record_bits,
            ipv6,
            kind,
            built,
            ..
        } = self.shape;
        map(&[
            ("binary_format_major_version", Value::Uint16(2)),
            ("binary_format_minor_version", Value::Uint16(0)),
            ("build_epoch", Value::Uint64(built)),
            ("database_type", text(kind)),
            ("description", map(&[("en", text("made for a test"))])),
            ("ip_version", Value::Uint16(if ipv6 { 6 } else { 4 })),
            ("languages", Value::Array(vec![text("en")])),
            ("node_count", Value::Uint32(node_count)),
            ("record_size", Value::Uint16(record_bits)),
        ])
    }
}

/// A map.
pub fn map(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Map(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

/// A text.
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// What GeoLite2 and DB-IP say of a country.
pub fn country(code: &str) -> Value {
    let names = map(&[("en", text("its name")), ("zh-CN", text("国家"))]);
    let country = map(&[
        ("geoname_id", Value::Uint32(2_921_044)),
        ("is_in_european_union", Value::Bool(true)),
        ("iso_code", text(code)),
        ("names", names.clone()),
    ]);
    let continent = map(&[("code", text("EU")), ("names", names)]);
    map(&[
        ("continent", continent),
        ("country", country.clone()),
        ("registered_country", country),
    ])
}

/// What GeoLite2 and DB-IP say of an autonomous system.
pub fn system(number: u32, name: &str) -> Value {
    map(&[
        ("autonomous_system_number", Value::Uint32(number)),
        ("autonomous_system_organization", text(name)),
    ])
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            head(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Double(number) => {
            head(3, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::Uint16(number) => unsigned(5, (*number).into(), out),
        Value::Uint32(number) => unsigned(6, (*number).into(), out),
        Value::Uint64(number) => unsigned(9, *number, out),
        Value::Map(entries) => {
            head(7, entries.len(), out);
            for (key, value) in entries {
                encode(&Value::Text(key.clone()), out);
                encode(value, out);
            }
        }
        Value::Array(values) => {
            head(11, values.len(), out);
            for value in values {
                encode(value, out);
            }
        }
        Value::Bool(value) => head(14, usize::from(*value), out),
    }
}

/// As few bytes as it needs.
fn unsigned(kind: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let skipped = number.leading_zeros() as usize / 8;
    head(kind, bytes.len() - skipped, out);
    out.extend(&bytes[skipped..]);
}

/// Type and size. Types beyond 7 have a byte of their own behind the first, and large sizes come
/// after that.
fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (low, more) = match size {
        0..29 => (size as u8, Vec::new()),
        29..285 => (29, vec![(size - 29) as u8]),
        285..65_821 => (30, ((size - 285) as u16).to_be_bytes().to_vec()),
        _ => (31, ((size - 65_821) as u32).to_be_bytes()[1..].to_vec()),
    };
    match kind {
        1..=7 => out.push(kind << 5 | low),
        _ => out.extend([low, kind - 7]),
    }
    out.extend(more);
}
