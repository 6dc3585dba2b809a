//! The borders between the modules, kept by a scan of the text: who may import whom, where
//! `unsafe` may live, how long a file may be, and what no file may contain.
//!
//! The scan reads paths, not types: a re-export under another name would slip through.

mod code;
mod paths;
mod table;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use self::table::Border;

/// One border crossed in one line.
#[derive(Debug, PartialEq)]
struct Breach {
    file: String,
    line: usize,
    what: String,
    reason: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, .. } = self;
        write!(f, "{file}:{line}: {}: {}", self.what, self.reason)
    }
}

/// Reads every file of the tree and prints each border that is crossed.
pub fn check(root: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(root, &mut files).with_context(|| format!("cannot list {}", root.display()))?;
    files.sort();
    let mut breaches = Vec::new();
    for file in &files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file).to_string_lossy();
        if let Ok(text) = String::from_utf8(bytes) {
            breaches.extend(inspect(&name, &text));
        }
    }
    for breach in &breaches {
        println!("{breach}");
    }
    ensure!(breaches.is_empty(), "borders crossed: {}", breaches.len());
    println!("borders: {} files, none crossed", files.len());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if table::NOT_OURS
            .iter()
            .any(|name| entry.file_name() == *name)
        {
            continue;
        } else if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Every border this file crosses.
fn inspect(file: &str, text: &str) -> Vec<Breach> {
    let mut found = words(text);
    if file == table::CONTRACT {
        found.extend(dependencies(text));
    }
    if file.ends_with(".rs") {
        let code = code::without_comments(text);
        found.extend(imports(file, &code));
        found.extend(unsafe_code(file, &code));
        found.extend(length(file, text));
    }
    let breach = |(line, what, reason)| Breach {
        file: file.to_owned(),
        line,
        what,
        reason,
    };
    found.into_iter().map(breach).collect()
}

/// A line, what stands there, and why it may not.
type Finding = (usize, String, &'static str);

fn words(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        if let Some(word) = words.find(|word| table::UNFINISHED.contains(word)) {
            found.push((line, word.to_owned(), "finish it, or open an issue"));
        }
        for place in table::MACHINE_PATHS {
            if text.contains(place) {
                found.push((line, (*place).to_owned(), "a path of one machine"));
            }
        }
    }
    found
}

/// What the contract depends on; `aya` is there for its `Pod` alone, and optional.
fn dependencies(manifest: &str) -> Vec<Finding> {
    (1..)
        .zip(manifest.lines())
        .skip_while(|(_, text)| *text != "[dependencies]")
        .skip(1)
        .take_while(|(_, text)| !text.starts_with('['))
        .filter(|(_, text)| !text.is_empty() && !text.starts_with(['#']))
        .filter(|(_, text)| !text.starts_with("aya ") || !text.contains("optional = true"))
        .map(|(line, text)| (line, text.to_owned(), "the contract imports core only"))
        .collect()
}

fn imports(file: &str, code: &str) -> Vec<Finding> {
    if file.ends_with("/tests.rs") || is_in_tests(file) {
        return Vec::new();
    }
    let borders: Vec<Border> = table::borders()
        .filter(|border| border.holds(file))
        .collect();
    let mut found = Vec::new();
    for (line, path) in paths::of(&code::without_tests(code)) {
        let path = paths::resolve(&path, file);
        let crossed = borders.iter().find(|border| border.forbids(&path));
        found.extend(crossed.map(|border| (line, path, border.reason)));
    }
    found
}

fn unsafe_code(file: &str, code: &str) -> Vec<Finding> {
    if table::UNSAFE
        .iter()
        .any(|place| table::is_within(file, place))
    {
        return Vec::new();
    }
    let is_unsafe = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe")
    };
    let lines = (1..).zip(code.lines()).filter(|(_, text)| is_unsafe(text));
    lines
        .map(|(line, _)| (line, "unsafe".to_owned(), "not among the places for it"))
        .collect()
}

fn length(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let too_long = lines > table::MOST_LINES && !table::LONG_TABLES.contains(&file);
    too_long.then(|| (lines, format!("{lines} lines"), "split it by what it does"))
}

/// Whether a file is in the directory of a module's tests.
fn is_in_tests(file: &str) -> bool {
    file.split_once("/src/")
        .is_some_and(|(_, place)| place.contains("/tests/"))
}

#[cfg(test)]
mod tests;
