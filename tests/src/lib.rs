//! What the rings of the tests stand on.
//!
//! - [`frames`]: frames built header by header, and the corpus every ring sends
//! - [`kernel`]: the real program, loaded and run on made-up frames
//! - [`lab`]: two network namespaces, a link, a daemon, and packets between them
//! - [`lists`]: the lists that the benchmarks load
//! - [`mmdb`]: files that say where addresses are, and [`world`]: a large one

pub mod frames;
pub mod kernel;
pub mod lab;
pub mod lists;
pub mod mmdb;
pub mod world;
