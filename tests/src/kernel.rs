//! The real program, loaded into the kernel and run on made-up frames (`BPF_PROG_TEST_RUN`).

mod answer;
mod limits;
mod maps;
mod scan;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, RingBuf},
    programs::{TestRun as _, TestRunOptions, TestRunResult, Xdp},
};
use fw_common::abi;
use fw_ctl::backend::xdp::{
    events::Events,
    load::{self, OBJECT},
    rules::Rules,
    shape::Shape,
    tables::Tables,
};
use nix::{
    time::{ClockId, clock_gettime},
    unistd::geteuid,
};

pub use self::{
    answer::{Action, Answer},
    maps::Table,
    scan::{Port, Protocol},
};

/// The programs that filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Attached where multi-buffer packets are known.
    Frags,
    /// Attached elsewhere.
    Linear,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Frags, Self::Linear];

    fn name(self) -> &'static str {
        match self {
            Self::Frags => abi::PROGRAM_FRAGS,
            Self::Linear => abi::PROGRAM_LINEAR,
        }
    }
}

/// The loaded programs and their maps. Nothing is attached or pinned: dropped, nothing is left.
pub struct Kernel {
    ebpf: Ebpf,
    /// The tables, as the controller writes them.
    pub tables: Tables,
    events: Events,
    crossings: RingBuf<MapData>,
}

impl Kernel {
    /// Loads the object that the controller carries, with empty tables.
    ///
    /// # Errors
    /// When not root, or when the kernel refuses it.
    pub fn load() -> Result<Self> {
        Self::shaped(&small())
    }

    /// As [`Self::load`], with room for only so many IPv4 hosts that the program blocks itself.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_cramped(blocked_hosts: u32) -> Result<Self> {
        let mut loader = EbpfLoader::new();
        loader.map_max_entries(abi::AUTO_V4.name, blocked_hosts);
        Self::from_loader(loader, &small())
    }

    /// As [`Self::load`], with tables of a shape.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn shaped(shape: &Shape) -> Result<Self> {
        Self::from_loader(EbpfLoader::new(), shape)
    }

    fn from_loader(mut loader: EbpfLoader<'_>, shape: &Shape) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "these tests load programs into the kernel: run them as root"
        );
        for (name, size) in shape.capacities() {
            loader.map_max_entries(name, size);
        }
        let loader = load::configured(&mut loader, shape);
        let mut ebpf = loader.load(OBJECT).context("cannot create the maps")?;
        for name in Program::ALL.map(Program::name) {
            let program: &mut Xdp = ebpf.program_mut(name).context(name)?.try_into()?;
            let loaded = program.load();
            loaded.with_context(|| format!("the kernel refused {name}"))?;
        }
        let tables = Tables::take(&mut ebpf, shape)?;
        let mut ring = |name| anyhow::Ok(RingBuf::try_from(ebpf.take_map(name).context(name)?)?);
        let (events, crossings) = (ring(abi::EVENTS.name)?, ring(abi::SCANS.name)?);
        Ok(Self {
            ebpf,
            tables,
            events: Events::new(events),
            crossings,
        })
    }

    /// The controller's hold on the rules; there is one.
    ///
    /// # Errors
    /// When it was taken before.
    pub fn take_rules(&mut self) -> Result<Rules> {
        Ok(Rules::take(&mut self.ebpf)?)
    }

    /// Asks about a frame, without counting it.
    ///
    /// # Errors
    /// When the kernel refuses the run, or the program aborts or gives no answer.
    pub fn ask(&self, program: Program, frame: &[u8]) -> Result<Answer> {
        self.ask_cut(program, frame, frame.len())
    }

    /// As [`Self::ask`], with only the first `linear` bytes in the linear part of the packet and
    /// the rest in fragments.
    ///
    /// # Errors
    /// As [`Self::ask`]. Before Linux 6.18 the kernel refuses a shortened linear part.
    pub fn ask_cut(&self, program: Program, frame: &[u8], linear: usize) -> Result<Answer> {
        let question = answer::question();
        let input = [&question[..], frame].concat();
        let mut output = vec![0; input.len()];
        let context = xdp_md(question.len(), question.len() + linear);

        let mut options = TestRunOptions::new();
        options.data_in = Some(&input);
        options.data_out = Some(&mut output);
        options.ctx_in = Some(&context);
        let result = self.run(program, options)?;
        Answer::read(result.return_value, &output)
    }

    /// Runs a frame through as if it came from a wire, `repeat` times, and says what happened to
    /// the last one.
    ///
    /// # Errors
    /// When the kernel refuses the run, or the program aborts.
    pub fn receive(&self, program: Program, frame: &[u8], repeat: u32) -> Result<Action> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        Action::from_number(self.run(program, options)?.return_value)
    }

    /// As [`Self::receive`], once, with metadata in front of the frame.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn receive_behind(
        &self,
        program: Program,
        metadata: &[u8],
        frame: &[u8],
    ) -> Result<Action> {
        let input = [metadata, frame].concat();
        let context = xdp_md(metadata.len(), input.len());
        let mut options = TestRunOptions::new();
        options.data_in = Some(&input);
        options.ctx_in = Some(&context);
        Action::from_number(self.run(program, options)?.return_value)
    }

    fn run(&self, program: Program, options: TestRunOptions<'_>) -> Result<TestRunResult> {
        let name = program.name();
        let xdp: &Xdp = self.ebpf.program(name).context(name)?.try_into()?;
        let result = xdp.test_run(options);
        result.with_context(|| format!("the kernel cannot run {name} on this frame"))
    }
}

/// Tables that are made quickly.
fn small() -> Shape {
    Shape {
        ipv4: 1 << 14,
        ipv6: 1 << 14,
        allows: 1 << 12,
        ..Shape::default()
    }
}

/// A `struct xdp_md`: where metadata ends and the packet begins, and where its linear part ends.
fn xdp_md(data: usize, data_end: usize) -> [u8; 24] {
    let mut context = [0; 24];
    context[..4].copy_from_slice(&(data as u32).to_ne_bytes());
    context[4..8].copy_from_slice(&(data_end as u32).to_ne_bytes());
    context
}

/// Seconds of `CLOCK_BOOTTIME`, the unit of deadlines.
///
/// # Errors
/// Never on Linux.
pub fn boot_seconds() -> Result<u32> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(u32::try_from(now.tv_sec())?)
}
