//! What the figures were taken on.

use std::fs;

/// Kernel, processor, mitigations, JIT, and how busy it was before.
pub fn facts() -> [(&'static str, String); 6] {
    [
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("cpu", processor()),
        ("cpus", processors().to_string()),
        ("mitigations", mitigations()),
        ("bpf jit", read("/proc/sys/net/core/bpf_jit_enable")),
        ("load", read("/proc/loadavg")),
    ]
}

fn read(file: &str) -> String {
    fs::read_to_string(file).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let mut names = names.filter_map(|rest| rest.split_once(": "));
    names
        .next()
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Those that cost: what the kernel calls `Mitigation: ...`.
fn mitigations() -> String {
    let Ok(files) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return "unknown".to_owned();
    };
    let mut names: Vec<String> = files
        .flatten()
        .filter(|file| read(&file.path().display().to_string()).starts_with("Mitigation"))
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    }
}
