//! The table of the borders.

/// Files that may not name some paths.
pub struct Border {
    /// A module by its place in the tree, without `.rs`.
    place: &'static str,
    except: &'static [&'static str],
    forbidden: Vec<String>,
    /// What to tell whoever crosses it.
    pub reason: &'static str,
}

type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

/// Place, exceptions, forbidden paths, reason.
const ROWS: [Row; 12] = [
    ("fw-common/src", &[], &["std", "alloc"], "core only"),
    (
        "fw-common/src",
        &["fw-common/src/pod"],
        &["aya"],
        "only pod.rs knows the loader",
    ),
    ("fw-ctl/src/policy", &[], WORLD, PURE),
    ("fw-ctl/src/detect", &[], WORLD, PURE),
    ("fw-ctl/src/plan", &[], WORLD, PURE),
    (
        "fw-ctl/src/backend",
        &[],
        &["crate::api", "crate::cli", "crate::daemon", "crate::store"],
        "a backend knows the plan and nothing above it",
    ),
    (
        "fw-ctl/src/geo",
        &[],
        &[
            "crate::api",
            "crate::backend",
            "crate::cli",
            "crate::daemon",
            "crate::store",
            "std::fs",
            "tokio",
        ],
        "from bytes to prefixes: whoever reads the files and applies them is above",
    ),
    ("fw-ctl/src/api", &[], &["crate::backend"], WIRE),
    (
        "fw-ctl/src/webhook",
        &[],
        SERVANTS,
        "knows what happens and whom to tell, not whose it is",
    ),
    (
        "fw-ctl/src/feed",
        &[],
        SERVANTS,
        "knows what a list is, not where it is applied",
    ),
    (
        "fw-ctl/src/outbound",
        &[],
        SERVANTS,
        "knows where nobody may go, not what for",
    ),
    // detach and doctor work without the daemon, run is what starts it.
    (
        "fw-ctl/src/cli",
        &[
            "fw-ctl/src/cli/detach",
            "fw-ctl/src/cli/doctor",
            "fw-ctl/src/cli/run",
        ],
        &["crate::backend"],
        WIRE,
    ),
];

/// What somebody else uses may not know.
const SERVANTS: &[&str] = &[
    "crate::backend",
    "crate::cli",
    "crate::daemon",
    "crate::store",
];

const PURE: &str = "pure: time and everything else from outside is an argument";
const WIRE: &str = "speaks wire types to the daemon and never touches a backend";

/// What a pure module may not know.
const WORLD: &[&str] = &[
    "aya",
    "axum",
    "crate::api",
    "crate::backend",
    "crate::cli",
    "crate::daemon",
    "crate::store",
    "rusqlite",
    "serde",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tracing",
];

/// The modules of `backend`, none of which may know another.
const BACKENDS: [&str; 4] = ["fake", "iptables", "nftables", "xdp"];
const BACKEND_PLACES: [&str; 4] = [
    "fw-ctl/src/backend/fake",
    "fw-ctl/src/backend/iptables",
    "fw-ctl/src/backend/nftables",
    "fw-ctl/src/backend/xdp",
];

/// The manifest of the crate that the kernel and the controller share.
pub const CONTRACT: &str = "fw-common/Cargo.toml";

/// Where `unsafe` may live. The tests are let be: a lab that enters namespaces may need it, and
/// nothing of it is shipped.
pub const UNSAFE: &[&str] = &[
    "fw-ebpf",
    "fw-common/src/pod",
    "fw-ctl/src/backend/xdp/sys",
    "tests",
];

/// The longest a source file may be.
pub const MOST_LINES: usize = 400;
/// Tables, which may be longer.
pub const LONG_TABLES: &[&str] = &[];

/// Marks of unfinished work; in two pieces, or this file would hold them.
pub const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
/// Places of the machine a file was written on.
pub const MACHINE_PATHS: &[&str] = &[concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// What builds leave and what git keeps.
pub const NOT_OURS: &[&str] = &["target", ".git"];

/// All borders between modules.
pub fn borders() -> impl Iterator<Item = Border> {
    let rows = ROWS
        .into_iter()
        .map(|(place, except, forbidden, reason)| Border {
            place,
            except,
            forbidden: forbidden.iter().map(ToString::to_string).collect(),
            reason,
        });
    rows.chain(BACKEND_PLACES.into_iter().map(between_backends))
}

fn between_backends(place: &'static str) -> Border {
    let others = BACKENDS.iter().filter(|name| !place.ends_with(*name));
    Border {
        place,
        except: &[],
        forbidden: others
            .map(|name| format!("crate::backend::{name}"))
            .collect(),
        reason: "backends do not know each other",
    }
}

impl Border {
    /// Whether this border is about the file.
    pub fn holds(&self, file: &str) -> bool {
        is_within(file, self.place) && !self.except.iter().any(|place| is_within(file, place))
    }

    /// Whether the path, or what it leads through, is forbidden.
    pub fn forbids(&self, path: &str) -> bool {
        self.forbidden.iter().any(|forbidden| {
            let rest = path.strip_prefix(forbidden.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    }
}

/// Whether the file is the module at `place` or below it.
pub fn is_within(file: &str, place: &str) -> bool {
    let rest = file.strip_prefix(place);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}
