//! The list as people load it: `ipset restore`, and one set of intervals by `nft -f`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use fw_common::Prefix;
use fw_tests::lab::Lab;

use super::{ONE, Row};
use crate::{
    import,
    memory::Peak,
    samples::{Samples, cpu_of_children, time},
};

/// The list in the language of each tool.
pub struct Files {
    ipset: PathBuf,
    nft: PathBuf,
}

impl Files {
    /// Writes them.
    pub fn write(directory: &Path, prefixes: &[Prefix]) -> Result<Self> {
        let files = Self {
            ipset: directory.join("sets"),
            nft: directory.join("table"),
        };
        import::write_sets(&files.ipset, prefixes)?;
        let file = &files.nft;
        fs::write(file, table(prefixes))
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(files)
    }

    /// `hash:net`, as in the import.
    pub fn ipset(&self, lab: &Lab, row: &mut Row, watched: bool) -> Result<()> {
        let file = self.ipset.display().to_string();
        row.name = "ipset restore".to_owned();
        row.load(lab, watched, &["ipset", "restore", "-file", &file])?;
        if watched {
            row.sets = Some(size_of_sets(lab)?);
        } else {
            row.one(
                lab,
                &["ipset", "add", "bench4", ONE],
                &["ipset", "del", "bench4", ONE],
            )?;
        }
        run(lab, &["ipset", "destroy"]).map(drop)
    }

    /// Lists overlap, so the set merges what does.
    pub fn nft(&self, lab: &Lab, row: &mut Row, watched: bool) -> Result<()> {
        let file = self.nft.display().to_string();
        row.name = "nft -f, intervals".to_owned();
        row.load(lab, watched, &["nft", "-f", &file])?;
        if !watched {
            let element = format!("inet bench four {{ {ONE} }}");
            row.one(
                lab,
                &["nft", "add", "element", &element],
                &["nft", "delete", "element", &element],
            )?;
        }
        run(lab, &["nft", "delete", "table", "inet", "bench"]).map(drop)
    }
}

impl Row {
    fn load(&mut self, lab: &Lab, watched: bool, words: &[&str]) -> Result<()> {
        if watched {
            let peak = Peak::below(std::process::id());
            run(lab, words)?;
            self.tool = Some(peak.stop());
            return Ok(());
        }
        let before = cpu_of_children()?;
        run_into(lab, &mut self.load, words)?;
        self.cpu.add(cpu_of_children()? - before);
        Ok(())
    }

    fn one(&mut self, lab: &Lab, add: &[&str], remove: &[&str]) -> Result<()> {
        run_into(lab, &mut self.add, add)?;
        run_into(lab, &mut self.remove, remove)
    }
}

fn run_into(lab: &Lab, samples: &mut Samples, words: &[&str]) -> Result<()> {
    samples.add(run(lab, words)?);
    Ok(())
}

/// On the server.
fn run(lab: &Lab, words: &[&str]) -> Result<Duration> {
    time(lab.server.command(words[0]).args(&words[1..]))
}

fn table(prefixes: &[Prefix]) -> String {
    let set = |name: &str, kind: &str, is_ipv4: bool| {
        let elements = prefixes
            .iter()
            .filter(|prefix| prefix.address().is_ipv4() == is_ipv4);
        let elements: Vec<String> = elements.map(ToString::to_string).collect();
        format!(
            "set {name} {{ type {kind}; flags interval; auto-merge; elements = {{\n{}\n}} }}\n",
            elements.join(",\n")
        )
    };
    let four = set("four", "ipv4_addr", true);
    let six = set("six", "ipv6_addr", false);
    format!("table inet bench {{\n{four}{six}}}\n")
}

/// What the kernel says that all sets of the server take, in bytes.
pub fn size_of_sets(lab: &Lab) -> Result<u64> {
    let text = lab.tool("ipset", &["list", "-t"]);
    let sizes = text
        .lines()
        .filter_map(|line| line.strip_prefix("Size in memory: "));
    let sizes = sizes.map(|size| size.trim().parse::<u64>());
    sizes.sum::<Result<_, _>>().context("a size is no number")
}
