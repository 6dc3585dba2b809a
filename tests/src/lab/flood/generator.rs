//! The packet generator in the kernel: `fw-ebpf/src/bin/flood.rs`.

use std::{net::IpAddr, ops::RangeInclusive};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ProgramArray},
    programs::{ProgramFd, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use fw_common::Prefix;

/// The generator, built by `cargo xtask build-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fw-flood.o"));

/// Makes frames and hands them on.
const FRONT: &str = "flood_into";

/// Frames that the kernel makes before it sends them: less than the 256 that a veth queues.
const BATCH: u32 = 64;

/// Which frames are made.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// What is sent, but for the source and the ports: TCP or UDP, with at least ten bytes behind
    /// a UDP header.
    pub frame: Vec<u8>,
    /// Where the sources are. In an IPv6 prefix, of at most 64 bits, each has a /64 of its own; in
    /// one of less than 32 bits a /32.
    pub from: Prefix,
    /// How many sources take turns.
    pub sources: u64,
    /// The destination ports, in no order; `None`: those of the frame, both of them.
    pub ports: Option<RangeInclusive<u16>>,
    /// Frames a second at most that [`Generator::send`] sends; `None`: as fast as a core can.
    pub rate: Option<u32>,
}

/// Programs without a decision, to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// `XDP_DROP`
    Drop,
    /// `XDP_PASS`
    Pass,
}

/// The generator, loaded.
pub struct Generator {
    ebpf: Ebpf,
    frame: Vec<u8>,
    /// The program of ours that hands frames to the one of [`Self::aim`].
    front: &'static str,
}

impl Generator {
    /// Loads it.
    ///
    /// # Errors
    /// When the kernel refuses it, or there are more sources than addresses.
    pub fn load(traffic: Traffic) -> Result<Self> {
        let (varying, network, host_mask) = varying(traffic.from)?;
        ensure!(
            (1..=u64::from(host_mask) + 1).contains(&traffic.sources),
            "{} has no {} sources",
            traffic.from,
            traffic.sources
        );
        let (first, ports) = match &traffic.ports {
            Some(ports) => (*ports.start(), ports.len() as u32),
            None => (0, 0),
        };
        let interval = traffic
            .rate
            .map_or(0, |rate| 1_000_000_000 / u64::from(rate));
        let mut loader = EbpfLoader::new();
        loader
            .override_global("SOURCES", &traffic.sources, true)
            .override_global("VARYING", &varying, true)
            .override_global("NETWORK", &network, true)
            .override_global("HOST_MASK", &host_mask, true)
            .override_global("FIRST_PORT", &first, true)
            .override_global("PORTS", &ports, true)
            .override_global("INTERVAL", &interval, true);
        Self::from_loader(&mut loader, traffic.frame)
    }

    /// As [`Self::load`], with sources drawn from a table, which is of the family of the frame. The
    /// ports are those of the frame.
    ///
    /// # Errors
    /// When the kernel refuses it, or there is no source.
    pub fn drawing(frame: Vec<u8>, sources: &[IpAddr]) -> Result<Self> {
        ensure!(!sources.is_empty(), "no sources to draw from");
        let tabled = sources.len() as u32;
        let words: Vec<u32> = sources.iter().copied().flat_map(words).collect();
        let mut loader = EbpfLoader::new();
        loader
            .override_global("TABLED", &tabled, true)
            .map_max_entries("TABLE", words.len() as u32);
        let mut generator = Self::from_loader(&mut loader, frame)?;
        let table = generator.ebpf.map_mut("TABLE").context("no map TABLE")?;
        let mut table = Array::try_from(table)?;
        for (index, word) in (0..).zip(words) {
            table.set(index, word, 0)?;
        }
        Ok(generator)
    }

    fn from_loader(loader: &mut EbpfLoader<'_>, frame: Vec<u8>) -> Result<Self> {
        let mut ebpf = loader.load(OBJECT).context("cannot load the generator")?;
        for (name, program) in ebpf.programs_mut() {
            let program: &mut Xdp = program.try_into()?;
            let loaded = program.load();
            loaded.with_context(|| format!("the kernel refused {name}"))?;
        }
        Ok(Self {
            ebpf,
            frame,
            front: FRONT,
        })
    }

    /// Sends frames out of an interface of the calling thread's namespace. With a rate, `count` is
    /// how often it is tried.
    ///
    /// # Errors
    /// When the kernel refuses the run.
    pub fn send(&self, interface: u32, count: u32) -> Result<()> {
        self.run_live("flood_send", interface, count)
    }

    /// Makes frames that seem to come in on an interface of the calling thread's namespace, and hands
    /// each to the program of [`Self::aim`]. What that passes goes up the stack of that interface.
    ///
    /// # Errors
    /// When the kernel refuses the run.
    pub fn receive(&self, interface: u32, count: u32) -> Result<()> {
        self.run_live(self.front, interface, count)
    }

    /// Makes frames as [`Self::send`] does, and drops them at once; not after [`Self::aim`].
    ///
    /// # Errors
    /// When the kernel refuses the run.
    pub fn discard(&self, count: u32) -> Result<()> {
        /// The kernel then takes the loopback device.
        const NOWHERE: u32 = 0;
        self.run_live(FRONT, NOWHERE, count)
    }

    /// Chooses the program that [`Self::receive`] feeds, and whether it knows multi-buffer packets.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn aim(&mut self, program: &ProgramFd, frags: bool) -> Result<()> {
        let (front, next) = match frags {
            true => (FRONT, "NEXT"),
            false => ("flood_into_linear", "NEXT_LINEAR"),
        };
        self.front = front;
        let next = self.ebpf.map_mut(next).context(next)?;
        Ok(ProgramArray::try_from(next)?.set(0, program, 0)?)
    }

    /// How many frames were made until now.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn made(&self) -> Result<u64> {
        let progress = self.ebpf.map("PROGRESS").context("no map PROGRESS")?;
        let [made, _due] = Array::<_, [u64; 2]>::try_from(progress)?.get(&0, 0)?;
        Ok(made)
    }

    /// A program without a decision.
    ///
    /// # Errors
    /// Never, with the object of this build.
    pub fn bare(&mut self, bare: Bare) -> Result<&mut Xdp> {
        let name = match bare {
            Bare::Drop => "flood_drop",
            Bare::Pass => "flood_pass",
        };
        let program = self.ebpf.program_mut(name).context(name)?;
        Ok(program.try_into()?)
    }

    fn run_live(&self, name: &str, interface: u32, count: u32) -> Result<()> {
        let mut context = [0; 24];
        // `struct xdp_md`: where the frame ends, and the interface it came in on.
        context[4..8].copy_from_slice(&(self.frame.len() as u32).to_ne_bytes());
        context[12..16].copy_from_slice(&interface.to_ne_bytes());
        let mut options = TestRunOptions::new();
        options.ctx_in = Some(&context);
        options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        self.run(name, options, count)
    }

    fn run<'a>(&'a self, name: &str, mut options: TestRunOptions<'a>, count: u32) -> Result<()> {
        options.data_in = Some(&self.frame);
        options.repeat = count;
        let program: &Xdp = self
            .ebpf
            .program(name)
            .context("no such program")?
            .try_into()?;
        let run = program.test_run(options);
        run.with_context(|| format!("the kernel cannot run {name}"))?;
        Ok(())
    }
}

/// Where in a frame the 32 bits are that vary, what all sources have of them, and what differs.
fn varying(from: Prefix) -> Result<(u32, u32, u32)> {
    let length = from.length();
    let (at, bits, fixed) = match from.address() {
        IpAddr::V4(address) => (26, u32::from(address), length),
        IpAddr::V6(address) => {
            ensure!(length <= 64, "{from} has more than 64 bits");
            let bits = u128::from(address);
            match length.checked_sub(32) {
                None => (22, (bits >> 96) as u32, length),
                Some(length) => (26, (bits >> 64) as u32, length),
            }
        }
    };
    let mask = u32::MAX.checked_shr(u32::from(fixed)).unwrap_or(0);
    Ok((at, bits, mask))
}

/// An address, as the generator writes it.
fn words(address: IpAddr) -> Vec<u32> {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u32::from_be_bytes(*word)).collect()
}
