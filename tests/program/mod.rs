//! The real program as a child process: a sidecar that serves, and commands beside it.
//!
//! Nothing outlives a test: a sidecar that is dropped is killed.

#![allow(dead_code)] // each test binary uses a part of this

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tonic::transport::{Channel, Endpoint};

const PROGRAM: &str = env!("CARGO_BIN_EXE_channel-kpi");

/// Runs a command to its end.
pub fn channel_kpi(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program starts")
}

/// The same in a directory, to which paths in the arguments are relative.
pub fn channel_kpi_in(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).current_dir(directory).output().expect("the program starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8")
}

/// A process of `channel-kpi serve`.
pub struct Sidecar {
    process: Child,
    urls: Vec<String>,
}

impl Sidecar {
    /// Starts a sidecar over a data directory, on a free port of this machine, and waits until it says where.
    pub fn start(data_dir: &Path, more: &[&str]) -> Self {
        Self::start_in(Path::new("."), data_dir, more)
    }

    /// The same from a directory, to which paths in the arguments are relative.
    pub fn start_in(directory: &Path, data_dir: &Path, more: &[&str]) -> Self {
        let listens = 1 + more.iter().filter(|flag| **flag == "--listen").count();
        let mut process = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(more)
            .current_dir(directory)
            .env("CKPI_DRAIN_DELAY", "0s") // no load balancer has to notice; a flag wins over it
            .env("RUST_LOG", "warn") // what goes wrong is seen beside the test's own words
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = process.stdout.take().expect("it is piped");
        let mut sidecar = Self { process, urls: Vec::new() };
        for line in BufReader::new(stdout).lines().take(listens) {
            let line = line.expect("the program writes UTF-8");
            let url = line.strip_prefix("serving at ").unwrap_or_else(|| panic!("it says {line:?}"));
            sidecar.urls.push(url.to_owned());
        }
        assert_eq!(sidecar.urls.len(), listens, "it ended before it served: see its words on stderr");
        sidecar
    }

    /// Where it serves over TCP, as `--to` takes it.
    pub fn url(&self) -> &str {
        &self.urls[0]
    }

    /// Where it serves, in the order of `--listen`.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url().to_owned()).expect("it is a URL");
        endpoint.connect().await.expect("it serves there")
    }

    /// SIGKILL: the process ends between two instructions.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is ours");
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(sent.expect("there is a shell").success(), "it runs");
    }

    /// Waits until it has ended by itself.
    pub fn ended(mut self) -> ExitStatus {
        self.process.wait().expect("it is ours")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Both fail where it has ended, which is what they are for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
