//! Someone else's XDP program is never displaced.

use aya::{
    Ebpf,
    programs::{Xdp, XdpMode},
};
use fw_common::abi;
use fw_ctl::backend::xdp::load::OBJECT;
use fw_tests::lab::{INTERFACE, Lab, address::V4, command::Fw, namespace::run};

/// Loads a program that passes everything, and is foreign in that nobody of us pinned it.
fn load() -> Ebpf {
    let mut ebpf = Ebpf::load(OBJECT).expect("the object loads");
    program(&mut ebpf).load().expect("the program loads");
    ebpf
}

fn program(ebpf: &mut Ebpf) -> &mut Xdp {
    let program = ebpf
        .program_mut(abi::PROGRAM_ANNOUNCE)
        .expect("the object has it");
    program.try_into().expect("it is for XDP")
}

/// The daemon does not start, names the program and leaves it where it is.
#[track_caller]
fn is_refused_and_untouched(lab: &Lab, id: u32) {
    let before = shown(lab);
    assert!(before.contains(&format!("id {id}")), "{before}");
    for mode in ["auto", "native", "skb"] {
        let reply = lab.daemon().with(&["-m", mode]).refused().must(8);
        let reply = reply.saying(INTERFACE).saying(&id.to_string());
        assert!(
            reply.stderr.contains(abi::PROGRAM_ANNOUNCE),
            "{}",
            reply.stderr
        );
        assert_eq!(shown(lab), before);
        assert!(lab.arrives(V4.blocked));
    }
    let doctor = Fw::new(lab).inside(&["doctor", "-i", INTERFACE]);
    assert!(doctor.stdout.contains(&id.to_string()), "{doctor:?}");
}

/// The interface as `ip` shows it.
fn shown(lab: &Lab) -> String {
    let output = lab
        .server
        .command("ip")
        .args(["link", "show", INTERFACE])
        .output();
    String::from_utf8(output.expect("ip starts").stdout).expect("ip prints text")
}

#[test]
fn foreign_program_in_a_link_is_named_and_left_alone() {
    let lab = Lab::new();
    let mut ebpf = load();
    let program = program(&mut ebpf);
    let id = program.info().expect("a loaded program").id();
    let attached = lab
        .server
        .enter(|| program.attach(INTERFACE, XdpMode::Driver));
    attached.expect("the program can be attached");
    is_refused_and_untouched(&lab, id);
}

#[test]
fn foreign_program_without_a_link_is_named_and_left_alone() {
    let lab = Lab::new();
    let mut ebpf = load();
    let program = program(&mut ebpf);
    let id = program.info().expect("a loaded program").id();
    let mut attach = lab.server.command("bpftool");
    run(attach.args([
        "net",
        "attach",
        "xdp",
        "id",
        &id.to_string(),
        "dev",
        INTERFACE,
    ]));
    is_refused_and_untouched(&lab, id);
}
