//! Numbers that nobody can foresee.

use std::{fmt::Write as _, fs::File, io, io::Read as _};

/// 64 bits from the kernel (random(4)).
///
/// # Errors
/// When `/dev` is not mounted.
pub fn random() -> io::Result<u64> {
    bytes().map(u64::from_ne_bytes)
}

/// As many bytes from the kernel.
///
/// # Errors
/// As [`random`].
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// 256 bits as 64 hexadecimal digits, for who has to type or paste them.
///
/// # Errors
/// As [`random`].
pub fn secret() -> io::Result<String> {
    let mut digits = String::new();
    for byte in bytes::<32>()? {
        write!(digits, "{byte:02x}").expect("a String takes everything");
    }
    Ok(digits)
}
