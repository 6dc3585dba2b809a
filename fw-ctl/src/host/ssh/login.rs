//! Which connections OpenSSH has not let in yet.

use std::{collections::HashSet, fs, io, path::Path};

/// Sockets of the connections whose user has not proved who they are. What cannot be looked at is
/// a problem, and its sockets are left out.
pub(super) fn undecided(problems: &mut Vec<String>) -> HashSet<u32> {
    let mut inodes = HashSet::new();
    let processes = match fs::read_dir("/proc") {
        Ok(processes) => processes,
        Err(error) => {
            problems.push(format!(
                "cannot tell SSH logins from attempts: /proc: {error}"
            ));
            return inodes;
        }
    };
    for process in processes.flatten() {
        let path = process.path();
        // Processes end while we look, and what is no process has no command line.
        let asking = fs::read(path.join("cmdline")).is_ok_and(|line| is_asking(&line));
        if !asking {
            continue;
        }
        match sockets(&path) {
            Ok(found) => inodes.extend(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => problems.push(format!(
                "cannot tell SSH logins from attempts, each counts as a login: {}: {error}",
                path.display()
            )),
        }
    }
    inodes
}

/// Whether a process is OpenSSH before the login, told by the title it gives itself:
///
/// - `sshd: [accepted]`, `sshd: root [net]`; since 9.8 `sshd-session: ...`
/// - since 10.0 a program of its own, `sshd-auth: ...`
/// - for some milliseconds after the accept, `/usr/sbin/sshd -D -R`
///
/// Behind the login it is `sshd: root@pts/0`, with `sshd: user [priv]` as its parent; the parent
/// has that title before the login too, but then shares the socket with one of the above.
fn is_asking(command_line: &[u8]) -> bool {
    let mut words = command_line.split(|byte| *byte == 0);
    let title = words.next().unwrap_or_default();
    match title {
        [
            b's',
            b's',
            b'h',
            b'd',
            b'-',
            b'a',
            b'u',
            b't',
            b'h',
            b':',
            ..,
        ] => true,
        title if title.starts_with(b"sshd") => {
            title.ends_with(b"[accepted]") || title.ends_with(b"[net]")
        }
        program => {
            let name = program
                .rsplit(|byte| *byte == b'/')
                .next()
                .unwrap_or_default();
            name.starts_with(b"sshd") && words.any(|word| word == b"-R")
        }
    }
}

/// The sockets among the open files of a process.
fn sockets(process: &Path) -> io::Result<Vec<u32>> {
    let files = fs::read_dir(process.join("fd"))?;
    Ok(files
        .flatten()
        .filter_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        os::{fd::AsFd, unix::process::CommandExt},
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn titles_before_the_login_and_after_it_are_told_apart() {
        for (line, expected) in [
            ("sshd: [accepted]\0\0\0", true),
            ("sshd: [net]", true),
            ("sshd: root [net]", true),
            ("sshd: unknown [net]\0\0", true),
            ("sshd-session: [accepted]", true),
            ("sshd-session: root [net]", true),
            ("sshd-auth: [session-auth early]", true),
            ("/usr/sbin/sshd\0-D\0-R", true),
            ("/usr/lib/openssh/sshd-session\0-D\0-R\0", true),
            ("sshd: root@pts/0\0", false),
            ("sshd: user@notty", false),
            ("sshd: user [priv]", false),
            ("sshd-session: user [priv]", false),
            (
                "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
                false,
            ),
            ("/usr/sbin/sshd\0-D", false),
            ("dropbear\0-R", false),
            ("vi\0sshd: [net]", false),
            ("", false),
        ] {
            assert_eq!(is_asking(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn the_socket_of_a_process_that_asks_is_found() {
        let held = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let copy = held
            .as_fd()
            .try_clone_to_owned()
            .expect("a second descriptor");
        let mut child = Command::new("sleep")
            .arg0("sshd: root [net]")
            .arg("60")
            .stdin(Stdio::from(copy))
            .spawn()
            .expect("sleep is everywhere");
        let [inode] =
            sockets(Path::new(&format!("/proc/{}", child.id()))).expect("our own child")[..]
        else {
            panic!("the child has one socket");
        };
        // Until it has called exec the child bears our name.
        let until = Instant::now() + Duration::from_secs(5);
        let mut problems = Vec::new();
        while !undecided(&mut problems).contains(&inode) && Instant::now() < until {}
        let found = undecided(&mut problems).contains(&inode);
        child
            .kill()
            .and_then(|()| child.wait())
            .expect("our own child");
        assert!(found, "{problems:?}");
        assert!(
            !undecided(&mut problems).contains(&inode),
            "nobody holds it any more"
        );
    }
}
