//! Bytes without any sense.

use anyhow::Result;
use fw_common::{Prefix, abi::NEVER};
use fw_tests::kernel::{Action, Kernel, Program, Table};

use crate::{
    prefix,
    random::{self, Rng},
    report,
};

/// That nothing aborts is asserted by every run.
#[test]
fn random_bytes_never_abort() -> Result<()> {
    const FRAMES: usize = 200_000;
    let mut kernel = Kernel::load()?;
    // Half of all sources, so that both verdicts occur.
    let half: [Prefix; 2] = [prefix("0.0.0.0/1"), prefix("::/1")];
    for half in half {
        kernel.set(Table::Block, half, 1, NEVER)?;
    }
    let mut rng = Rng::new(random::seed(), 1 << 32);
    let mut dropped = 0;
    for _ in 0..FRAMES {
        let mut frame = vec![0; 14 + rng.below(187)];
        frame.fill_with(|| rng.byte());
        // Else hardly any would be read as IP.
        let types = [[8, 0], [0x86, 0xdd], [0x81, 0], [frame[12], frame[13]]];
        frame[12..14].copy_from_slice(&rng.pick(&types));
        let [frags, linear] = Program::ALL.map(|program| kernel.receive(program, &frame, 1));
        let (frags, linear) = (frags?, linear?);
        assert_eq!(frags, linear, "{frame:02x?}");
        let cut = kernel.ask_cut(Program::Frags, &frame, rng.below(frame.len()))?;
        assert_eq!(cut.action, frags, "{frame:02x?}");
        dropped += usize::from(frags == Action::Drop);
    }
    report(format_args!(
        "noise: {FRAMES} frames of random bytes, {dropped} dropped, aborted: 0"
    ));
    assert!((FRAMES / 10..FRAMES / 2).contains(&dropped));
    Ok(())
}
