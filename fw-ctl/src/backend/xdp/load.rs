//! From the object in this binary to maps and a program in the kernel.

use std::{
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Map, MapData, MapError, MapInfo},
    programs::{ProgramError, TestRun as _, TestRunOptions, Xdp},
};
use aya_log::EbpfLogger;
use aya_obj::programs::XdpAttachType;
use fw_common::abi::{self, MapSpec};

use super::{
    pins::Pins,
    shape::{Lookup, Pass, Shape},
    sys::{self, Mapped},
};

/// The kernel object, built by `cargo xtask build-ebpf`.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fw-ebpf.o"));

/// Why maps or program could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object and this controller are not of one build.
    #[error("the kernel object does not fit: {0}")]
    Object(String),
    /// The kernel refused the maps.
    #[error("the kernel refused the maps")]
    Maps(#[source] Box<EbpfError>),
    /// A map could not be used.
    #[error("cannot use map {name}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The kernel refused the program.
    #[error("the kernel refused the program")]
    Program(#[source] Box<ProgramError>),
    /// A pin could not be read or written.
    #[error("cannot use the pin {}", path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the kernel says of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: u32,
    /// Hash of its instructions.
    pub tag: u64,
    /// Whether it takes multi-buffer packets.
    pub frags: bool,
}

/// The object in the kernel.
pub struct Loaded {
    /// Holds the maps and the unattached programs.
    pub object: Ebpf,
    /// The program to run: the pinned one if it is the same.
    pub program: Xdp,
    /// What the kernel says of it.
    pub facts: ProgramFacts,
    /// Why the multi-buffer program was refused, if it was.
    pub no_frags: Option<String>,
    /// Maps of a new shape that still have to take their places.
    pub replaced: Vec<&'static str>,
}

/// Loads the object. Pinned maps of the right shape are used as they are; one of another shape is
/// made anew beside the old, which the running program goes on using until it is replaced.
///
/// # Errors
/// [`LoadError`]
pub fn load(pins: &Pins, shape: &Shape) -> Result<Loaded, LoadError> {
    let capacities = shape.capacities();
    let capacity = |spec: &MapSpec| capacities.get(spec.name).copied().unwrap_or(spec.capacity);
    let anew = flat_tables_do_not_fit(pins, capacity)?;
    let mut loader = EbpfLoader::new();
    let mut replaced = Vec::new();
    for spec in &abi::MAPS {
        let (mut path, fresh) = (pins.map(spec.name), pins.new_map(spec.name));
        // A leftover of a start that was killed.
        remove(&fresh)?;
        let fits = !path.exists() || pinned_fits(&path, spec, capacity(spec))?;
        if !fits || anew && spec.is_flat() {
            replaced.push(spec.name);
            path = fresh;
        }
        loader.map_max_entries(spec.name, capacity(spec));
        loader.map_pin_path(spec.name, path);
    }
    let mut object = configured(&mut loader, shape)
        .load(OBJECT)
        .map_err(|error| LoadError::Maps(Box::new(error)))?;
    for spec in &abi::MAPS {
        let info = map(&object, spec.name)?.info();
        let info = info.map_err(|source| LoadError::Map {
            name: spec.name,
            source,
        })?;
        if !fits(&info, spec, capacity(spec)) {
            return Err(LoadError::Object(format!(
                "map {} has another shape",
                spec.name
            )));
        }
    }
    let (name, no_frags) = match load_program(&mut object, abi::PROGRAM_FRAGS) {
        Ok(()) => (abi::PROGRAM_FRAGS, None),
        Err(error) => {
            load_program(&mut object, abi::PROGRAM_LINEAR)?;
            (abi::PROGRAM_LINEAR, Some(chain(&error)))
        }
    };
    load_program(&mut object, abi::PROGRAM_ANNOUNCE)?;
    let (program, facts) = choose(&mut object, name, pins)?;
    Ok(Loaded {
        object,
        program,
        facts,
        no_frags,
        replaced,
    })
}

/// Whether one of the flat tables cannot be used again. They refer to each other, so then none can.
fn flat_tables_do_not_fit(
    pins: &Pins,
    capacity: impl Fn(&MapSpec) -> u32,
) -> Result<bool, LoadError> {
    // A start was killed while its new tables took the places of the old ones; this one is the last.
    if pins.new_map(abi::ROOT.name).exists() {
        return Ok(true);
    }
    let (mut there, mut gone) = (0, 0);
    for spec in abi::MAPS.iter().filter(|spec| spec.is_flat()) {
        let path = pins.map(spec.name);
        match path.exists() {
            true if !pinned_fits(&path, spec, capacity(spec))? => return Ok(true),
            true => there += 1,
            false => gone += 1,
        }
    }
    Ok(there > 0 && gone > 0)
}

/// A loader of the object for a shape.
pub fn configured<'a, 'b>(loader: &'b mut EbpfLoader<'a>, shape: &Shape) -> &'b mut EbpfLoader<'a> {
    const TRIES: &u32 = &1;
    const DROP: &u32 = &1;
    if shape.lookup == Lookup::Tries {
        loader.override_global("TRIES_ONLY", TRIES, true);
    }
    if shape.pass == Pass::Nowhere {
        loader.override_global("PASS_ACTION", DROP, true);
    }
    loader
}

/// A map of the object, as the type that reads and writes it.
///
/// # Errors
/// [`LoadError::Object`] when there is none of that name and type.
pub fn take<T: TryFrom<Map>>(object: &mut Ebpf, name: &'static str) -> Result<T, LoadError> {
    object
        .take_map(name)
        .and_then(|map| map.try_into().ok())
        .ok_or_else(|| LoadError::Object(format!("it has no map {name} of its type")))
}

/// A table of the object.
///
/// # Errors
/// [`LoadError::Object`] when there is none of that name.
pub fn take_map(object: &mut Ebpf, name: &'static str) -> Result<MapData, LoadError> {
    match object.take_map(name) {
        Some(Map::Array(data) | Map::HashMap(data) | Map::LpmTrie(data)) => Ok(data),
        _ => Err(LoadError::Object(format!("it has no table {name}"))),
    }
}

/// A table of the object as memory.
///
/// # Errors
/// [`LoadError`]
pub fn take_mapped(object: &mut Ebpf, spec: &MapSpec) -> Result<Mapped, LoadError> {
    let map = take_map(object, spec.name)?;
    let failed = |source| LoadError::Map {
        name: spec.name,
        source,
    };
    let elements = map.info().map_err(failed)?.max_entries();
    let bytes = elements as usize * spec.value_size as usize;
    Mapped::new(map.fd().as_fd(), bytes / size_of::<u64>())
        .map_err(|error| failed(MapError::from(error)))
}

fn map<'a>(object: &'a Ebpf, name: &'static str) -> Result<&'a MapData, LoadError> {
    match object.map(name) {
        Some(
            Map::Array(data)
            | Map::HashMap(data)
            | Map::LpmTrie(data)
            | Map::PerCpuArray(data)
            | Map::RingBuf(data),
        ) => Ok(data),
        _ => Err(LoadError::Object(format!("it has no map {name}"))),
    }
}

/// Runs a program of the object once, on an empty frame; nothing is sent or received.
///
/// # Errors
/// [`LoadError`]
pub fn run_once(object: &mut Ebpf, name: &str) -> Result<(), LoadError> {
    let mut options = TestRunOptions::new();
    // The kernel refuses frames shorter than an Ethernet header.
    options.data_in = Some(&[0; 14]);
    xdp(object, name)?
        .test_run(options)
        .map(drop)
        .map_err(|error| LoadError::Program(Box::new(error)))
}

/// What prints the log lines of the object's programs, through the `log` facade.
///
/// # Errors
/// [`LoadError::Object`] when the object has no log.
pub fn logger(object: &mut Ebpf) -> Result<Box<dyn FnMut() + Send>, LoadError> {
    let mut logger = EbpfLogger::init(object)
        .map_err(|error| LoadError::Object(format!("it has no log: {error}")))?;
    Ok(Box::new(move || logger.flush()))
}

/// Loads one of the object's programs.
///
/// # Errors
/// [`LoadError::Program`] with the verifier's word.
pub fn load_program(object: &mut Ebpf, name: &str) -> Result<(), LoadError> {
    xdp(object, name)?
        .load()
        .map_err(|error| LoadError::Program(Box::new(error)))
}

/// One of the object's programs.
///
/// # Errors
/// [`LoadError::Object`] when there is none of that name.
pub fn xdp<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, LoadError> {
    object
        .program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| LoadError::Object(format!("it has no program {name}")))
}

/// The pinned program if it is the one just loaded and runs on the same maps: then nothing needs
/// to change. Otherwise the new one, not pinned yet.
fn choose(object: &mut Ebpf, name: &str, pins: &Pins) -> Result<(Xdp, ProgramFacts), LoadError> {
    let failed = |error| LoadError::Program(Box::new(error));
    let loaded = xdp(object, name)?;
    let new = loaded.info().map_err(failed)?;
    let fd = loaded.fd().map_err(failed)?.as_fd().try_clone_to_owned();
    let fd = fd.map_err(|source| LoadError::Pin {
        path: pins.program(),
        source,
    })?;
    let wanted = (new.tag(), maps_of(&fd)?);
    let facts = |info: &aya::programs::ProgramInfo| ProgramFacts {
        name: name.to_owned(),
        id: info.id(),
        tag: info.tag(),
        frags: name == abi::PROGRAM_FRAGS,
    };
    if let Ok(pinned) = Xdp::from_pin(pins.program(), XdpAttachType::Interface) {
        let info = pinned.info().map_err(failed)?;
        let pinned_fd = sys::open_pin(&pins.program()).map_err(|source| LoadError::Pin {
            path: pins.program(),
            source,
        })?;
        if wanted == (info.tag(), maps_of(&pinned_fd)?) {
            return Ok((pinned, facts(&info)));
        }
    }
    // The new program is pinned beside the old one's place, and takes it when the links run it.
    let path = pins.new_map("program");
    remove(&path)?;
    sys::pin(fd.as_fd(), &path).map_err(|source| LoadError::Pin {
        path: path.clone(),
        source,
    })?;
    let program = Xdp::from_pin(&path, XdpAttachType::Interface).map_err(failed)?;
    Ok((program, facts(&new)))
}

fn maps_of(program: &OwnedFd) -> Result<Vec<u32>, LoadError> {
    let mut maps = sys::program_maps(program.as_fd()).map_err(|source| LoadError::Pin {
        path: PathBuf::from(format!("fd {}", program.as_raw_fd())),
        source,
    })?;
    maps.sort_unstable();
    Ok(maps)
}

fn pinned_fits(path: &PathBuf, spec: &MapSpec, capacity: u32) -> Result<bool, LoadError> {
    let info = MapInfo::from_pin(path).map_err(|source| LoadError::Map {
        name: spec.name,
        source,
    })?;
    Ok(fits(&info, spec, capacity))
}

/// aya uses a pinned map without looking at its shape.
fn fits(info: &MapInfo, spec: &MapSpec, capacity: u32) -> bool {
    let MapSpec {
        name: _,
        kind,
        key_size,
        value_size,
        capacity: _,
        flags,
    } = *spec;
    info.map_type()
        .is_ok_and(|found| found as u32 == kind as u32)
        && info.key_size() == key_size
        && info.value_size() == value_size
        && info.max_entries() == capacity
        && info.map_flags() == flags
}

fn remove(path: &PathBuf) -> Result<(), LoadError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(LoadError::Pin {
            path: path.clone(),
            source,
        }),
        _ => Ok(()),
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(cause.to_string().lines().next().unwrap_or_default());
        source = cause.source();
    }
    text
}
