//! Layouts of the kernel side, out of bytes.

/// Takes integers off the front of a layout.
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    /// So many bytes.
    pub fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.next().map(u8::from_ne_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.next().map(u16::from_ne_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.next().map(u32::from_ne_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.next().map(u64::from_ne_bytes)
    }

    /// So many times two bytes.
    pub fn u16s<const N: usize>(&mut self) -> Option<[u16; N]> {
        let mut values = [0; N];
        for value in &mut values {
            *value = self.u16()?;
        }
        Some(values)
    }
}
