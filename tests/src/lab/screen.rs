//! A program on a terminal that is a real one, but for the person in front of it: tmux.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{Lab, command::binary, daemon::soon, namespace::run};

/// No line of tmux's own, no waiting after an escape key.
const CONFIGURATION: &str = "set -g status off\nset -s escape-time 0\n";

/// A terminal in which `fw-ctl` runs. Dropped, it is closed.
pub struct Screen {
    /// Its own, as tmux takes its time to go.
    directory: TempDir,
}

impl Lab {
    /// Runs `fw-ctl` with these words on a terminal of so many columns and lines, with these
    /// variables. Behind it stands how it ended, and how it has left the terminal.
    pub fn screen(&self, words: &str, (width, height): (u16, u16), variables: &str) -> Screen {
        let directory = TempDir::new_in(self.directory()).expect("a directory for tmux");
        let screen = Screen { directory };
        let configuration = screen.place("conf");
        fs::write(&configuration, CONFIGURATION).expect("tmux can be configured");
        let command = format!(
            "{variables} FW_CTL_SOCKET={} sh -c 'echo $$ > {}; exec {} {words}'; \
             code=$?; stty -a; echo ended with $code; sleep 600",
            self.socket().display(),
            screen.place("pid").display(),
            binary().display()
        );
        let (width, height) = (width.to_string(), height.to_string());
        run(screen
            .tmux()
            .arg("-f")
            .arg(configuration)
            .args(["new-session", "-d", "-x", &width, "-y", &height])
            .arg(command));
        screen
    }
}

impl Lab {
    /// As [`Lab::screen`], on the server itself and by somebody who has not come by SSH.
    pub fn screen_inside(&self, words: &str, size: (u16, u16)) -> Screen {
        let namespace = self.server.path();
        let entered = format!(
            "nsenter --net={} env -u SSH_CONNECTION -u SSH_CLIENT",
            namespace.display()
        );
        self.screen(words, size, &entered)
    }
}

impl Screen {
    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.place("socket"));
        command
    }

    fn captured(&self, arguments: &[&str]) -> String {
        let mut capture = self.tmux();
        capture.args(["capture-pane", "-p"]).args(arguments);
        let output = capture.output().expect("tmux starts");
        String::from_utf8(output.stdout).expect("the screen is text")
    }

    /// What is seen.
    pub fn text(&self) -> String {
        self.captured(&[])
    }

    /// What is seen, with its colours as they are told to a terminal.
    pub fn coloured(&self) -> String {
        self.captured(&["-e"])
    }

    /// Waits until a text is seen.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let seen = soon(|| self.text().contains(text));
        assert!(seen, "{text:?} is not on the screen:\n{}", self.text());
    }

    /// Presses keys by their names: `b`, `Tab`, `C-c`.
    pub fn press(&self, keys: &[&str]) {
        run(self.tmux().arg("send-keys").args(keys));
    }

    /// Types a line, and Enter.
    pub fn answer(&self, line: &str) {
        run(self.tmux().args(["send-keys", "-l", "--", line]));
        self.press(&["Enter"]);
    }

    /// The process id of `fw-ctl`.
    pub fn pid(&self) -> i32 {
        let text = fs::read_to_string(self.place("pid")).expect("it was started");
        text.trim().parse().expect("a number")
    }

    /// Waits until `fw-ctl` has ended with this code, and fails unless the terminal is as a shell
    /// needs it.
    #[track_caller]
    pub fn ends(&self, code: u8) {
        self.shows(&format!("ended with {code}"));
        let text = self.text();
        for setting in ["icanon", "echo", "isig", "opost"] {
            let mut settings = text.split_whitespace();
            assert!(settings.any(|found| found == setting), "{setting}: {text}");
        }
        let mut asked = self.tmux();
        asked.args(["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        let state = asked.output().expect("tmux starts").stdout;
        assert_eq!(String::from_utf8_lossy(&state).trim(), "0 1");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.tmux().arg("kill-server").output();
    }
}
