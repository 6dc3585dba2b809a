//! Numbers that nobody can foresee.

use std::{fs::File, io, io::Read as _};

/// 64 bits from the kernel (random(4)).
///
/// # Errors
/// When `/dev` is not mounted.
pub fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
