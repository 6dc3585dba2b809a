//! A real FTP server with passive transfers, and a real client.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{Lab, address::V4};

const PATIENCE: Duration = Duration::from_secs(5);
const FILE_BYTES: usize = 1000;

/// vsftpd on the server; dropped, it is killed.
pub struct Server<'lab> {
    lab: &'lab Lab,
    child: Child,
}

impl<'lab> Server<'lab> {
    /// Starts it, and waits until it answers.
    pub fn start(lab: &'lab Lab) -> Result<Self> {
        // Its users are not root.
        fs::set_permissions(lab.directory(), fs::Permissions::from_mode(0o755))?;
        let [files, empty] = ["ftp", "empty"].map(|name| lab.directory().join(name));
        for folder in [&files, &empty] {
            fs::create_dir(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o555))?;
        }
        fs::write(files.join("file"), [b'.'; FILE_BYTES])?;
        let settings = format!(
            "listen=YES\nbackground=NO\nanonymous_enable=YES\nno_anon_password=YES\n\
             anon_root={}\nsecure_chroot_dir={}\n\
             pasv_enable=YES\npasv_min_port=40000\npasv_max_port=40999\n",
            files.display(),
            empty.display()
        );
        let config = lab.directory().join("vsftpd.conf");
        fs::write(&config, settings)?;
        let mut command = lab.server.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "vsftpd"])
            .arg(&config)
            .stdin(Stdio::null());
        let server = Self {
            lab,
            child: command.spawn().context("cannot start vsftpd")?,
        };
        let start = Instant::now();
        while lab
            .connect(V4.free, (V4.server, 21).into(), PATIENCE)
            .is_none()
        {
            ensure!(start.elapsed() < PATIENCE, "vsftpd does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Fetches a file so many times in one session, each time over a port of its own.
    pub fn fetch(&self, source: IpAddr, times: usize) -> Result<()> {
        let url = format!("ftp://{}/file", V4.server);
        let mut curl = self.lab.attacker.command("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20"])
            .args(["--interface", &source.to_string()])
            .args(vec![&url; times]);
        let output = curl.output().context("cannot start curl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "curl: {said}");
        let bytes = output.stdout.len();
        ensure!(bytes == times * FILE_BYTES, "{bytes} bytes came");
        Ok(())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
