//! Every setting and limit: one struct, read from a file, the environment and flags.
//!
//! Invariants:
//! 1. A setting has one name everywhere: `drain_delay` in the file (TOML), `CKPI_DRAIN_DELAY` in the
//!    environment, `--drain-delay` as a flag. Flags win over the environment, which wins over the file.
//! 2. Every value goes through the same check wherever it came from; a refusal names the setting, the
//!    value, where it was found and what is allowed.
//!
//! A new limit is one line in `limits!` below. Limits that are part of the API's contract (items per
//! request, rows per page) are no settings: they stand with their service.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::server::Listen;

/// What a sidecar is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the journal and its snapshots live.
    pub data_dir: PathBuf,
    /// Where calls come in.
    pub listen: Vec<Listen>,
    pub limits: Limits,
}

/// One setting: its name, what it means, and how its text enters a [`Config`].
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether the flag may be repeated.
    pub repeated: bool,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

macro_rules! limits {
    ($($(#[doc = $about:literal])+ $name:ident: $type:ty = $default:expr, within $range:expr;)+) => {
        /// Bounds in number, size and time. No value switches a limit off.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $about])+ pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        const LIMITS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            about: concat!($($about),+),
            repeated: false,
            set: |config, text| {
                config.limits.$name = Bounded::parse(text, $range)?;
                Ok(())
            },
        },)+];
    };
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
const fn s(count: u64) -> Duration {
    Duration::from_secs(count)
}

limits! {
    /// Greatest size of one request message, in bytes.
    message_in_bytes_max: u32 = 4 * MIB, within KIB..=64 * MIB;
    /// Greatest size of the headers of one request, in bytes.
    header_list_bytes_max: u32 = 16 * KIB, within 4 * KIB..=MIB;
    /// Most connections at a time. Further ones wait to be accepted.
    connections_max: u32 = 10_000, within 1..=1_000_000;
    /// Most calls and streams at a time on one connection. Further ones wait in the client.
    streams_per_connection_max: u32 = 1024, within 1..=100_000;
    /// Most unary calls in work at a time, of all tenants together.
    unary_in_work_max: u32 = 1024, within 1..=1_000_000;
    /// Most unary calls in work at a time of one tenant.
    unary_in_work_per_tenant_max: u32 = 64, within 1..=1_000_000;
    /// Longest time for a unary call, whatever deadline its client set.
    unary_time_max: Duration = s(30), within ms(1)..=s(3600);
    /// Most watches at a time, of all tenants together.
    watches_max: u32 = 10_000, within 1..=1_000_000;
    /// Most watches at a time of one tenant.
    watches_per_tenant_max: u32 = 10_000, within 1..=1_000_000;
    /// Most different boards of one tenant that are watched at a time: each takes memory, and work at each change.
    watched_boards_per_tenant_max: u32 = 256, within 1..=1_000_000;
    /// Most feeds (ingest streams) at a time, of all tenants together.
    feeds_max: u32 = 1024, within 1..=1_000_000;
    /// Most feeds (ingest streams) at a time of one tenant.
    feeds_per_tenant_max: u32 = 16, within 1..=1_000_000;
    /// Most records of one feed that may wait for their acknowledgement.
    feed_in_flight_records_max: u32 = 4096, within 1..=65_536;
    /// Most bytes of records of one feed that may wait for their acknowledgement.
    feed_in_flight_bytes_max: u32 = 8 * MIB, within 64 * KIB..=256 * MIB;
    /// How long a watch or feed lasts, give or take a tenth: then it ends by itself and its client opens another.
    stream_age_max: Duration = s(1800), within ms(10)..=s(86_400);
    /// How long the client of a watch may leave what changed unread, and that of any stream its last message.
    watch_unread_max: Duration = s(30), within ms(10)..=s(600);
    /// After how much silence a watch or feed says that nothing is new.
    heartbeat_interval: Duration = s(15), within ms(10)..=s(600);
    /// How long a new connection may take to begin to speak.
    first_bytes_timeout: Duration = s(5), within ms(10)..=s(60);
    /// After how long without traffic the peer is asked whether it is still there.
    keepalive_interval: Duration = s(30), within ms(10)..=s(3600);
    /// How long the peer may take to answer that.
    keepalive_timeout: Duration = s(10), within ms(10)..=s(600);
    /// How long a peer may take no byte of what is sent to it.
    write_stall_timeout: Duration = s(30), within ms(10)..=s(600);
    /// How long a stopping server reports NOT_SERVING but still takes calls.
    drain_delay: Duration = s(3), within ms(0)..=s(600);
    /// How long calls in work may then take to end before they are cut.
    drain_grace: Duration = s(20), within ms(0)..=s(3600);
    /// After how many bytes of writes a tenant's records are stored as a snapshot, so that a start reads little else.
    snapshot_after_bytes: u32 = 64 * MIB, within KIB..=1024 * MIB;
}

const PLACES: &[Setting] = &[
    Setting {
        name: "data_dir",
        about: "Directory of the journal and its snapshots.",
        repeated: false,
        set: |config, text| {
            if text.is_empty() {
                return Err("it must be the path of a directory".to_owned());
            }
            config.data_dir = text.into();
            Ok(())
        },
    },
    Setting {
        name: "listen",
        about: "Where calls come in: IP:PORT (port 0: any free one) or unix:PATH.",
        repeated: true,
        set: |config, text| {
            let listen = text.split(',').map(|one| one.trim().parse());
            config.listen = listen.collect::<Result<_, _>>().map_err(|why| format!("{why}"))?;
            Ok(())
        },
    },
];

/// All settings, in the order in which `--help` shows them.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    PLACES.iter().chain(LIMITS)
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Environment(String),
    Flag(String),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the configuration file {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("the configuration file {} isn't TOML: {source}", file.display())]
    Syntax { file: PathBuf, source: toml::de::Error },
    #[error("the configuration file {} has {name:?}, which is no setting; there are: {}", file.display(), names())]
    Unknown { file: PathBuf, name: String },
    #[error("setting {name} is {value:?} ({origin}), but {why}")]
    Value { name: &'static str, value: String, origin: Origin, why: String },
}

fn names() -> String {
    settings().map(|setting| setting.name).collect::<Vec<_>>().join(", ")
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "channel-kpi-data".into(),
            listen: vec![Listen::Tcp(([127, 0, 0, 1], 7443).into())],
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The defaults, overridden by `file`, then by `CKPI_*` as `env` gives them, then by `flags`.
    pub fn load(
        file: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(file) = file {
            config.read_file(file)?;
        }
        for setting in settings() {
            let variable = format!("CKPI_{}", setting.name.to_uppercase());
            if let Some(value) = env(&variable) {
                setting.apply(&mut config, &value, || Origin::Environment(variable))?;
            }
        }
        for (setting, value) in &flags.0 {
            setting.apply(&mut config, value, || Origin::Flag(setting.flag()))?;
        }
        Ok(config)
    }

    fn read_file(&mut self, file: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.into(), source })?;
        let table: toml::Table =
            toml::from_str(&text).map_err(|source| ConfigError::Syntax { file: file.into(), source })?;
        for (name, value) in &table {
            let setting = settings()
                .find(|setting| setting.name == name)
                .ok_or_else(|| ConfigError::Unknown { file: file.into(), name: name.clone() })?;
            setting.apply(self, &as_text(value), || Origin::File(file.into()))?;
        }
        Ok(())
    }
}

/// What one would write in the environment for `value`: the check of the setting does the rest.
fn as_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

// === impl Setting ===

impl Setting {
    fn apply(
        &self,
        config: &mut Config,
        value: &str,
        origin: impl FnOnce() -> Origin,
    ) -> Result<(), ConfigError> {
        (self.set)(config, value).map_err(|why| ConfigError::Value {
            name: self.name,
            value: value.to_owned(),
            origin: origin(),
            why,
        })
    }

    fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "in {}", file.display()),
            Self::Environment(variable) => write!(f, "from {variable}"),
            Self::Flag(flag) => write!(f, "from --{flag}"),
        }
    }
}

/// The settings that were given as flags: a command takes them with `#[command(flatten)]`.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static Setting, String)>);

// === impl Flags ===

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(settings().map(|setting| {
            clap::Arg::new(setting.name)
                .long(setting.flag())
                .help(setting.about.trim())
                .value_name("VALUE")
                .action(if setting.repeated { clap::ArgAction::Append } else { clap::ArgAction::Set })
        }))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &'static Setting| {
            let values: Vec<&str> = matches.get_many::<String>(setting.name)?.map(String::as_str).collect();
            Some((setting, values.join(",")))
        };
        Ok(Self(settings().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A value that is read from text and must lie between two others.
trait Bounded: PartialOrd + Sized {
    const MUST_BE: &str;
    fn read(text: &str) -> Option<Self>;
    fn show(&self) -> String;

    fn parse(text: &str, allowed: RangeInclusive<Self>) -> Result<Self, String> {
        Self::read(text).filter(|value| allowed.contains(value)).ok_or_else(|| {
            let (least, most) = (allowed.start().show(), allowed.end().show());
            format!("it must be {} from {least} to {most}", Self::MUST_BE)
        })
    }
}

impl Bounded for u32 {
    const MUST_BE: &str = "a whole number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Bounded for Duration {
    const MUST_BE: &str = "a time such as 250ms, 5s or 2m,";

    fn read(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (count, unit) = text.split_at(digits);
        let count: u64 = count.parse().ok()?;
        match unit {
            "ms" => Some(Self::from_millis(count)),
            "s" => Some(Self::from_secs(count)),
            "m" => count.checked_mul(60).map(Self::from_secs),
            _ => None,
        }
    }

    fn show(&self) -> String {
        match self.as_millis() {
            millis if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
            millis => format!("{millis}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    fn flags(line: &[&str]) -> Flags {
        let command = Flags::augment_args(clap::Command::new("serve").no_binary_name(true));
        Flags::from_arg_matches(&command.try_get_matches_from(line).unwrap()).unwrap()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("channel-kpi.toml");
        std::fs::write(&file, text).unwrap();
        (dir, file)
    }

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let (_dir, file) = file(
            "connections_max = 1\nunary_in_work_max = 1\ndrain_delay = '1s'\n\
             listen = ['127.0.0.1:1', 'unix:/run/kpi.sock']",
        );
        let env = |name: &str| match name {
            "CKPI_UNARY_IN_WORK_MAX" | "CKPI_CONNECTIONS_MAX" => Some("2".to_owned()),
            _ => None,
        };
        let config = Config::load(Some(&file), env, &flags(&["--connections-max", "3"])).unwrap();
        let expected = Config {
            listen: vec![Listen::Tcp("127.0.0.1:1".parse().unwrap()), Listen::Unix("/run/kpi.sock".into())],
            limits: Limits {
                connections_max: 3,
                unary_in_work_max: 2,
                drain_delay: Duration::from_secs(1),
                ..Limits::default()
            },
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn the_flag_of_a_list_may_be_repeated() {
        let flags = flags(&["--listen", "127.0.0.1:0", "--listen", "unix:kpi.sock"]);
        let config = Config::load(None, none, &flags).unwrap();
        let expected = vec![Listen::Tcp(([127, 0, 0, 1], 0).into()), Listen::Unix("kpi.sock".into())];
        assert_eq!(config.listen, expected);
    }

    #[test]
    fn a_refusal_names_setting_value_place_and_what_is_allowed() {
        for (name, value, expected_why) in [
            ("connections_max", "0", "it must be a whole number from 1 to 1000000"),
            ("connections_max", "many", "it must be a whole number from 1 to 1000000"),
            ("message_in_bytes_max", "4MiB", "it must be a whole number from 1024 to 67108864"),
            ("drain_delay", "3", "it must be a time such as 250ms, 5s or 2m, from 0s to 600s"),
            ("drain_delay", "s", "it must be a time such as 250ms, 5s or 2m, from 0s to 600s"),
            ("drain_delay", "11m", "it must be a time such as 250ms, 5s or 2m, from 0s to 600s"),
            (
                "drain_delay",
                "999999999999999999m",
                "it must be a time such as 250ms, 5s or 2m, from 0s to 600s",
            ),
            ("data_dir", "", "it must be the path of a directory"),
            ("listen", "nowhere", "it must be IP:PORT, such as 127.0.0.1:7443 or [::1]:7443, or unix:PATH"),
            ("listen", "unix:", "it must be IP:PORT, such as 127.0.0.1:7443 or [::1]:7443, or unix:PATH"),
        ] {
            let variable = format!("CKPI_{}", name.to_uppercase());
            let env = |asked: &str| (asked == variable).then(|| value.to_owned());
            let refusal = Config::load(None, env, &Flags::default()).unwrap_err().to_string();
            assert_eq!(refusal, format!("setting {name} is {value:?} (from {variable}), but {expected_why}"));
        }
        let refusal = Config::load(None, none, &flags(&["--drain-grace", "x"])).unwrap_err().to_string();
        assert!(refusal.starts_with("setting drain_grace is \"x\" (from --drain-grace), but"), "{refusal}");
    }

    #[test]
    fn a_file_that_cant_be_used_says_why() {
        for (text, expected) in [
            (
                "connection_max = 1",
                "has \"connection_max\", which is no setting; there are: data_dir, listen,",
            ),
            ("connections_max", "isn't TOML"),
            ("connections_max = 1.5", "setting connections_max is \"1.5\" (in "),
            ("[connections_max]", "setting connections_max is"),
        ] {
            let (_dir, file) = file(text);
            let refusal = Config::load(Some(&file), none, &Flags::default()).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{text:?} was answered: {refusal}");
        }
        let refusal = Config::load(Some(Path::new("/no/such.toml")), none, &Flags::default()).unwrap_err();
        assert!(refusal.to_string().starts_with("can't read the configuration file /no/such.toml: "));
    }

    #[test]
    fn every_default_is_itself_allowed() {
        let limits = format!("{:?}", Limits::default());
        for setting in LIMITS {
            let (_, rest) =
                limits.split_once(&format!("{}: ", setting.name)).expect("Debug shows every field");
            let default = rest.split([',', ' ']).next().expect("split yields at least one part");
            (setting.set)(&mut Config::default(), default)
                .unwrap_or_else(|why| panic!("{}: {why}", setting.name));
        }
    }
}
