//! What aya does not offer: map operations in batches (`bpf(2)`, Linux 5.6; for LPM tries 5.13),
//! links without its fallback to netlink, and a wait. With [`memory`], the only code of the controller with `unsafe`.
#![expect(unsafe_code, reason = "bpf(2) takes pointers")]

mod memory;

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

pub use memory::{Mapped, trim_memory};

const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_LOOKUP_BATCH: libc::c_int = 24;
const MAP_UPDATE_BATCH: libc::c_int = 26;
const MAP_DELETE_BATCH: libc::c_int = 27;

/// `union bpf_attr` for `BPF_MAP_*_ELEM`.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    reserved: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr` for `BPF_MAP_*_BATCH`.
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// # Safety
/// `attr` is the attribute of `command`, and its pointers are valid for what the command reads and
/// writes.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<()> {
    // SAFETY: by the caller.
    unsafe { syscall(command, attr) }.map(drop)
}

/// # Safety
/// As [`bpf`], and the command returns a file descriptor.
unsafe fn bpf_fd<T>(command: libc::c_int, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: by the caller; the descriptor is new and nobody else's.
    unsafe { syscall(command, attr).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// # Safety
/// As [`bpf`].
unsafe fn syscall<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: by the caller; the kernel reads `size_of::<T>()` bytes of the attribute.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as libc::c_int)
}

fn raw(map: BorrowedFd<'_>) -> u32 {
    map.as_raw_fd().unsigned_abs()
}

/// Reads the value at `key` into `value`; `false` if there is none. Both have the map's sizes.
pub fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
    let mut attr = ElementAttr {
        map_fd: raw(map),
        reserved: 0,
        key: key.as_ptr() as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the callers are the typed tables, whose slices have the map's key and value size.
    match unsafe { bpf(MAP_LOOKUP_ELEM, &mut attr) } {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A batch that stopped: `done` elements were processed before the error.
#[derive(Debug)]
pub struct Stopped {
    /// Elements processed.
    pub done: usize,
    /// Why it stopped.
    pub error: io::Error,
}

/// Writes `count` elements; `keys` and `values` hold them one behind the other.
pub fn update_batch(
    map: BorrowedFd<'_>,
    keys: &[u8],
    values: &[u8],
    count: usize,
) -> Result<(), Stopped> {
    batch(map, MAP_UPDATE_BATCH, keys, values, count)
}

/// Takes `count` elements away. A key that is not there stops it (`ENOENT`).
pub fn delete_batch(map: BorrowedFd<'_>, keys: &[u8], count: usize) -> Result<(), Stopped> {
    batch(map, MAP_DELETE_BATCH, keys, &[], count)
}

fn batch(
    map: BorrowedFd<'_>,
    command: libc::c_int,
    keys: &[u8],
    values: &[u8],
    count: usize,
) -> Result<(), Stopped> {
    let mut attr = BatchAttr {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        map_fd: raw(map),
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: the callers are the typed tables, whose buffers hold `count` keys and values of the
    // map's sizes. The kernel only reads them, and writes how many it processed into `count`.
    match unsafe { bpf(command, &mut attr) } {
        Ok(()) => Ok(()),
        Err(error) => Err(Stopped {
            done: attr.count as usize,
            error,
        }),
    }
}

/// Where a walk through a map stands; as long as the longest key.
pub type Cursor = [u8; 32];

/// Reads up to `count` elements behind `cursor` (`None`: from the start), moves the cursor, and
/// says how many were read and whether the map ended there.
pub fn lookup_batch(
    map: BorrowedFd<'_>,
    cursor: &mut Option<Cursor>,
    keys: &mut [u8],
    values: &mut [u8],
    count: usize,
) -> io::Result<(usize, bool)> {
    let mut next: Cursor = [0; 32];
    let mut attr = BatchAttr {
        in_batch: cursor.as_ref().map_or(0, |cursor| cursor.as_ptr() as u64),
        out_batch: next.as_mut_ptr() as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        map_fd: raw(map),
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: the buffers hold `count` keys and values of the map's sizes; a cursor is a key of
    // the map or a bucket number, both at most 32 bytes.
    let ended = match unsafe { bpf(MAP_LOOKUP_BATCH, &mut attr) } {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
        Err(error) => return Err(error),
    };
    *cursor = Some(next);
    Ok((attr.count as usize, ended))
}

const OBJ_GET: libc::c_int = 7;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const LINK_CREATE: libc::c_int = 28;
const LINK_UPDATE: libc::c_int = 29;
const LINK_DETACH: libc::c_int = 34;
/// `BPF_XDP` of `enum bpf_attach_type`.
const ATTACH_XDP: u32 = 37;

/// `union bpf_attr` for `BPF_OBJ_GET` and `BPF_OBJ_PIN`.
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoAttr {
    fd: u32,
    length: u32,
    info: u64,
}

/// `union bpf_attr` for `BPF_LINK_CREATE`; `BPF_LINK_UPDATE` and `BPF_LINK_DETACH` start alike.
#[repr(C)]
#[derive(Default)]
struct LinkAttr {
    first_fd: u32,
    second: u32,
    attach_type: u32,
    flags: u32,
}

/// The beginning of `struct bpf_link_info` for an XDP link.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    reserved: u32,
    interface: u32,
    reserved_end: u32,
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_length: u32,
    translated_length: u32,
    jited: u64,
    translated: u64,
    load_time: u64,
    uid: u32,
    maps_count: u32,
    maps: u64,
}

/// Opens a pinned object.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr {
        path: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    // SAFETY: the path is a C string that outlives the call.
    let fd = unsafe { bpf_fd(OBJ_GET, &mut attr) }?;
    Ok(fd)
}

/// Pins an object.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr {
        path: path.as_ptr() as u64,
        fd: raw(object),
        flags: 0,
    };
    // SAFETY: the path is a C string that outlives the call.
    unsafe { bpf(OBJ_PIN, &mut attr) }
}

/// Attaches a program to an interface with the `XDP_FLAGS_*` of one mode (Linux 5.9). Unlike the
/// older way over netlink, what it returns can be pinned and is displaced by nobody.
pub fn create_link(program: BorrowedFd<'_>, interface: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = LinkAttr {
        first_fd: raw(program),
        second: interface,
        attach_type: ATTACH_XDP,
        flags,
    };
    // SAFETY: the attribute holds no pointers.
    unsafe { bpf_fd(LINK_CREATE, &mut attr) }
}

/// Replaces a link's program: every packet sees the old one or the new one.
pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkAttr {
        first_fd: raw(link),
        second: raw(program),
        ..LinkAttr::default()
    };
    // SAFETY: the attribute holds no pointers.
    unsafe { bpf(LINK_UPDATE, &mut attr) }
}

/// Takes a link's program off its interface, whoever else holds the link.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkAttr {
        first_fd: raw(link),
        ..LinkAttr::default()
    };
    // SAFETY: the attribute holds no pointers.
    unsafe { bpf(LINK_DETACH, &mut attr) }
}

/// Program id and interface index of an XDP link; the index is 0 once the interface is gone.
pub fn link_info(link: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut info = LinkInfo::default();
    // SAFETY: the kernel writes at most the length it is told of.
    unsafe { object_info(link, &mut info) }?;
    Ok((info.program, info.interface))
}

/// Ids of the maps a program uses.
pub fn program_maps(program: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut maps = vec![0u32; 64];
    let mut info = ProgramInfo {
        maps_count: maps.len() as u32,
        maps: maps.as_mut_ptr() as u64,
        ..ProgramInfo::default()
    };
    // SAFETY: the kernel writes at most the length it is told of, and at most `maps_count` ids
    // into the array, which outlives the call.
    unsafe { object_info(program, &mut info) }?;
    maps.truncate(info.maps_count as usize);
    Ok(maps)
}

/// Waits until every program that is running now has come to its end (`membarrier(2)`, which is
/// `synchronize_rcu` in the kernel). A kernel with `nohz_full` refuses: there the wait is a fixed one,
/// far longer than a packet takes.
pub fn wait_for_programs() {
    // SAFETY: the call takes no pointers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// What the kernel accounts for a map (`memlock` in its fdinfo).
pub fn locked_bytes(map: BorrowedFd<'_>) -> io::Result<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd()))?;
    let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
    line.and_then(|bytes| bytes.trim().parse().ok())
        .ok_or_else(|| io::Error::other("the kernel does not say what a map takes"))
}

/// # Safety
/// `T` begins like the kernel's info structure of this object, and its pointers are valid.
unsafe fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = InfoAttr {
        fd: raw(object),
        length: size_of::<T>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: by the caller.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attr) }
}
