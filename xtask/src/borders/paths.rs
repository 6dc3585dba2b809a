//! The paths a source file names: `a::b::c`, in imports and anywhere else.

/// Every path of the code with its line; groups such as `a::{b, c::d}` are taken apart.
pub fn of(code: &str) -> Vec<(usize, String)> {
    let mut scan = Scan {
        rest: code,
        line: 1,
        found: Vec::new(),
    };
    while let Some(next) = scan.peek() {
        if is_name(next) {
            scan.path("");
        } else {
            scan.bump();
        }
    }
    scan.found
}

/// The path as seen from the root of its crate. Inline modules are not followed: outside tests
/// this project has none.
pub fn resolve(path: &str, file: &str) -> String {
    if let Some(rest) = path.strip_prefix("fw_ctl::") {
        return format!("crate::{rest}");
    }
    let mut rest = path;
    let mut here = module(file);
    if let Some(after) = rest.strip_prefix("self::") {
        rest = after;
    } else if !rest.starts_with("super::") {
        return path.to_owned();
    }
    while let Some(after) = rest.strip_prefix("super::") {
        rest = after;
        here.pop();
    }
    here.push(rest);
    format!("crate::{}", here.join("::"))
}

/// The module a file is, from the root of its crate.
fn module(file: &str) -> Vec<&str> {
    let inside = file.split_once("/src/").map_or(file, |(_, inside)| inside);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut names: Vec<&str> = inside.split('/').collect();
    if matches!(names.last(), Some(&("mod" | "lib" | "main"))) {
        names.pop();
    }
    names
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<(usize, String)>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) {
        let mut chars = self.rest.chars();
        if chars.next() == Some('\n') {
            self.line += 1;
        }
        self.rest = chars.as_str();
    }

    /// Reads one path from its first name on; `prefix` is what the groups around it gave.
    fn path(&mut self, prefix: &str) {
        let line = self.line;
        let mut path = prefix.to_owned();
        loop {
            let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
            path.push_str(&self.rest[..end]);
            self.rest = &self.rest[end..];
            let Some(after) = self.rest.strip_prefix("::") else {
                break;
            };
            self.rest = after;
            match self.peek() {
                Some('{') => return self.group(&format!("{path}::")),
                Some(next) if is_name(next) => path.push_str("::"),
                _ => break,
            }
        }
        // A lone name is most often a variable.
        if path.contains("::") {
            self.found.push((line, path));
        }
    }

    fn group(&mut self, prefix: &str) {
        self.bump();
        while let Some(next) = self.peek() {
            match next {
                '}' => return self.bump(),
                name if is_name(name) => self.path(prefix),
                _ => self.bump(),
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: &str) -> Vec<String> {
        of(code).into_iter().map(|(_, path)| path).collect()
    }

    #[test]
    fn groups_are_taken_apart() {
        let code = "use std::{\n    fs::{self, File},\n    net::*,\n    time::Instant as Now,\n};";
        let expected = [
            "std::fs::self",
            "std::fs::File",
            "std::net",
            "std::time::Instant",
        ];
        assert_eq!(names(code)[..4], expected);
        assert_eq!(of(code)[1], (2, "std::fs::File".to_owned()));
    }

    #[test]
    fn paths_in_expressions_and_types_are_found() {
        let code = "let a = ::std::fs::read(x.y)?; tokio::spawn(f::<core::net::IpAddr>());";
        assert_eq!(
            names(code),
            ["std::fs::read", "tokio::spawn", "core::net::IpAddr"]
        );
    }

    #[test]
    fn relative_paths_are_seen_from_the_root() {
        let file = "fw-ctl/src/backend/xdp/maps.rs";
        assert_eq!(
            resolve("super::super::iptables::run", file),
            "crate::backend::iptables::run"
        );
        assert_eq!(
            resolve("self::row::Row", file),
            "crate::backend::xdp::maps::row::Row"
        );
        assert_eq!(resolve("fw_ctl::plan::Plan", file), "crate::plan::Plan");
        assert_eq!(resolve("std::fs", file), "std::fs");
        assert_eq!(
            resolve("super::daemon::Daemon", "fw-ctl/src/backend/mod.rs"),
            "crate::daemon::Daemon"
        );
    }
}
