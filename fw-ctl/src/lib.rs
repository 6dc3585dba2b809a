//! The controller: keeps the kernel's tables equal to one policy, and answers to the command line.
//!
//! - [`policy`]: what should be true (pure)
//! - [`plan`]: how to get there from what is true (pure)
//! - [`backend`]: what is true, and the only code that changes it
//! - [`store`]: what survives a restart
//! - [`host`]: what this machine is: clocks, interfaces, addresses, sessions
//! - [`detect`]: what the kernel's reports of scans mean (pure)
//! - [`daemon`]: the one task that owns the policy
//! - [`api`]: REST over a Unix socket
//! - [`cli`]: one file a verb; a client of the API
//! - [`config`]: the configuration file
//! - [`geo`]: countries and autonomous systems, from files
//! - [`webhook`]: what happens, for receivers elsewhere
//! - [`feed`]: lists that are kept from URLs and files
//! - [`outbound`]: the only way out for requests of our own
//! - [`listfile`]: the list formats that are read
//! - [`duration`]: how long an entry lives, as people write it

pub mod api;
pub mod backend;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod detect;
pub mod duration;
pub mod feed;
pub mod geo;
pub mod host;
pub mod listfile;
pub mod outbound;
pub mod plan;
pub mod policy;
pub mod store;
pub mod webhook;
