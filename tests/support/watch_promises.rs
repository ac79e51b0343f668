//! What a watch promises, each promise with a validator of its own, over what a client heard.
//!
//! | promise | what it says |
//! | --- | --- |
//! | ordered | versions never go back on a stream |
//! | unique | a version comes in one delta or snapshot at most |
//! | atomic | a version's change is whole: not split over two deltas, and a snapshot's chunks belong together |
//! | convergent | after each delta and snapshot the rows are what Get answers at its version |
//! | resumable | who comes back with a token learns that nothing changed, what did, or gets a marked snapshot |
//! | bookmarkable | up to a heartbeat's version nothing is missing, and nothing of it comes later |
//!
//! A break is blamed on one promise where that can be: rows that are wrong are blamed on the message after which they
//! first were, and taken as right from then on; where a version goes back, is told twice or is torn, its rows aren't
//! looked at. The rows are kept by a reading of the contract that knows nothing of `channel_kpi::client`.
//!
//! How to use it: [`Transcript::listen`] to as many streams as you like, then ask for [`broken`] or for a single
//! promise. What is right at a version an oracle says, such as [`Answers`] of GetLeaderboard.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use channel_kpi::client::Service;
use channel_kpi::client::watch::Board;
use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::{
    BoardVersion, GetLeaderboardResponse, LeaderboardRow, PinnedRows, ResetReason, WatchLeaderboardRequest,
    WatchLeaderboardResponse,
};
use tonic::Code;

/// What one client heard, stream after stream.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    pub streams: Vec<Heard>,
}

/// What was heard on one stream.
#[derive(Clone, Debug)]
pub struct Heard {
    /// With which the stream was asked for. Empty: from the beginning.
    pub resume_token: String,
    pub messages: Vec<WatchLeaderboardResponse>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client had heard enough.
    Left,
    /// The client's patience ended.
    Silent,
    /// The server ended the stream with OK.
    Ok,
    Failed(Code),
}

/// What Get answers for the rows of a watch at some version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedRows {
    /// In order, no more than the watch's limit.
    pub rows: Vec<LeaderboardRow>,
    pub pinned: Vec<PinnedRows>,
    pub ranked_count: i64,
}

/// A version as something to compare: the revision, then the day.
pub type Version = (i64, (i32, i32, i32));

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    Ordered,
    Unique,
    Atomic,
    Convergent,
    Resumable,
    Bookmarkable,
}

/// A promise that wasn't kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub promise: Promise,
    /// The place of the stream, from 0.
    pub stream: usize,
    /// The place of the message on it, from 0; of its end the number of messages.
    pub message: usize,
    pub what: String,
}

// === The validators ===

/// Versions never go back on a stream, and every message has one.
pub fn ordered(transcript: &Transcript) -> Vec<Breach> {
    let steps = walk(transcript, &|_| None);
    let versioned = |step: &&Step| !matches!(step.kind, Kind::GoingAway | Kind::Nothing);
    let back = steps.iter().filter(versioned).filter(|step| step.version.is_none() || step.went_back());
    back.map(|step| step.breach(Promise::Ordered, format!("its version is {:?}", step.version))).collect()
}

/// A version comes in one delta or snapshot at most. One that comes in two parts is [`atomic`]'s to blame.
pub fn unique(transcript: &Transcript) -> Vec<Breach> {
    let steps = walk(transcript, &|_| None);
    let again = steps.iter().filter(|step| step.is_whole_change() && step.told_before && !step.is_split());
    again.map(|step| step.breach(Promise::Unique, format!("{:?} was told before", step.version))).collect()
}

/// A version's change isn't split over two deltas; chunks share their version, and nothing comes between them.
pub fn atomic(transcript: &Transcript) -> Vec<Breach> {
    let steps = walk(transcript, &|_| None);
    let mut breaches = Vec::new();
    for step in &steps {
        if step.is_whole_change() && step.is_split() {
            breaches.push(step.breach(Promise::Atomic, format!("more of {:?}", step.version)));
        }
        if let Some(what) = step.torn_chunks {
            breaches.push(step.breach(Promise::Atomic, what.into()));
        }
    }
    breaches
}

/// After each delta and snapshot the rows are those of its version.
pub fn convergent(transcript: &Transcript, oracle: &Oracle) -> Vec<Breach> {
    let steps = walk(transcript, oracle);
    let changes = steps.iter().filter(|step| step.is_whole_change() && !step.is_resumption());
    changes.filter_map(|step| Some(step.breach(Promise::Convergent, step.wrong.clone()?))).collect()
}

/// Who comes back with a token goes on from it, or is told why not. A stream ends with OK after GoingAway only, and
/// every message but the first chunks has a token.
pub fn resumable(transcript: &Transcript, oracle: &Oracle) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for step in walk(transcript, oracle) {
        let mut blame = |what: &str| breaches.push(step.breach(Promise::Resumable, what.into()));
        if step.lacks_token {
            blame("it has no resume token");
        }
        if step.after_going_away {
            blame("it comes after GoingAway");
        }
        match step.kind {
            Kind::Snapshot(ResetReason::Unspecified) if step.first && step.with_token => {
                blame("all rows anew, and no reason");
            }
            Kind::Snapshot(reason) if reason != ResetReason::Unspecified && !step.with_token => {
                blame("rows are reset where none were held");
            }
            _ => {}
        }
        if step.is_resumption()
            && let Some(wrong) = &step.wrong
        {
            blame(wrong);
        }
        if step.behind_token {
            blame("it is older than the token");
        }
    }
    for (stream, heard) in transcript.streams.iter().enumerate() {
        let message = heard.messages.len();
        let mut blame = |what: &str| {
            let what = what.to_owned();
            breaches.push(Breach { promise: Promise::Resumable, stream, message, what });
        };
        let went_away = matches!(
            heard.messages.last().and_then(|last| last.message.as_ref()),
            Some(Message::GoingAway(_))
        );
        match heard.end {
            End::Silent if heard.messages.is_empty() => blame("not a word"),
            End::Ok if !went_away => blame("it ends with OK, but without GoingAway"),
            _ => {}
        }
    }
    breaches
}

/// At a heartbeat the rows are those of its version, and no change up to it comes later.
pub fn bookmarkable(transcript: &Transcript, oracle: &Oracle) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for step in walk(transcript, oracle) {
        let mut blame = |what: String| breaches.push(step.breach(Promise::Bookmarkable, what));
        if step.kind == Kind::Heartbeat
            && !step.is_resumption()
            && let Some(wrong) = &step.wrong
        {
            blame(wrong.clone());
        }
        if step.is_whole_change() && step.overtaken {
            blame(format!("a heartbeat had said that nothing up to {:?} was missing", step.version));
        }
    }
    breaches
}

/// All breaches of all promises.
pub fn breaches(transcript: &Transcript, oracle: &Oracle) -> Vec<Breach> {
    [
        ordered(transcript),
        unique(transcript),
        atomic(transcript),
        convergent(transcript, oracle),
        resumable(transcript, oracle),
        bookmarkable(transcript, oracle),
    ]
    .concat()
}

/// Which promises are broken.
pub fn broken(transcript: &Transcript, oracle: &Oracle) -> BTreeSet<Promise> {
    breaches(transcript, oracle).into_iter().map(|breach| breach.promise).collect()
}

/// Fails with every breach.
pub fn assert_kept(transcript: &Transcript, oracle: &Oracle) {
    let breaches = breaches(transcript, oracle);
    let told: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "promises are broken:\n{}\n{transcript:#?}", told.join("\n"));
}

/// What is right at a version. None: there is no such version, or not yet.
pub type Oracle<'o> = dyn Fn(&BoardVersion) -> Option<ExpectedRows> + 'o;

// === Hearing ===

impl Transcript {
    /// Opens a stream with the token of the last message, and listens until `enough`, its end, or `patience` without
    /// a message. The request's own token is not looked at.
    pub async fn listen(
        &mut self,
        client: &mut LeaderboardServiceClient<impl Service>,
        request: &WatchLeaderboardRequest,
        patience: Duration,
        enough: impl FnMut(&[WatchLeaderboardResponse]) -> bool,
    ) {
        let resume_token = self.last_token().unwrap_or_default().to_owned();
        self.listen_from(client, request, resume_token, patience, enough).await;
    }

    /// The same with any token.
    pub async fn listen_from(
        &mut self,
        client: &mut LeaderboardServiceClient<impl Service>,
        request: &WatchLeaderboardRequest,
        resume_token: String,
        patience: Duration,
        mut enough: impl FnMut(&[WatchLeaderboardResponse]) -> bool,
    ) {
        let request = WatchLeaderboardRequest { resume_token: resume_token.clone(), ..request.clone() };
        let mut messages = Vec::new();
        let hearing = async {
            let mut stream = match client.watch_leaderboard(request).await {
                Ok(response) => response.into_inner(),
                Err(status) => return End::Failed(status.code()),
            };
            loop {
                match tokio::time::timeout(patience, stream.message()).await {
                    Ok(Ok(Some(message))) => messages.push(message),
                    Ok(Ok(None)) => return End::Ok,
                    Ok(Err(status)) => return End::Failed(status.code()),
                    Err(_) => return End::Silent,
                }
                if enough(&messages) {
                    return End::Left;
                }
            }
        };
        let end = hearing.await;
        self.streams.push(Heard { resume_token, messages, end });
    }

    /// The token of the last message that has one.
    pub fn last_token(&self) -> Option<&str> {
        let messages = self.streams.iter().flat_map(|heard| &heard.messages);
        messages.filter_map(token_of).rfind(|token| !token.is_empty())
    }
}

/// What GetLeaderboard answered, by version: an oracle for those versions.
#[derive(Default)]
pub struct Answers(BTreeMap<Version, ExpectedRows>);

impl Answers {
    pub fn note(&mut self, answer: GetLeaderboardResponse) {
        let version = answer.version.as_ref().map(comparable).expect("every answer has a version");
        self.0.insert(version, answer.into());
    }

    pub fn at(&self, version: &BoardVersion) -> Option<ExpectedRows> {
        self.0.get(&comparable(version)).cloned()
    }
}

impl From<GetLeaderboardResponse> for ExpectedRows {
    /// Of a first page that is as long as the watch's limit.
    fn from(answer: GetLeaderboardResponse) -> Self {
        Self { rows: answer.rows, pinned: answer.pinned, ranked_count: answer.ranked_count }
    }
}

impl From<&Board> for ExpectedRows {
    fn from(board: &Board) -> Self {
        Self { rows: board.rows.clone(), pinned: board.pinned.clone(), ranked_count: board.ranked_count }
    }
}

pub fn comparable(version: &BoardVersion) -> Version {
    let day = version.as_of.unwrap_or_default();
    (version.revision, (day.year, day.month, day.day))
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, stream, message, what } = self;
        write!(f, "{promise:?}: message {message} of stream {stream}: {what}")
    }
}

// === Reading ===

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chunk,
    /// With its last chunk.
    Snapshot(ResetReason),
    Delta,
    Heartbeat,
    GoingAway,
    Nothing,
}

/// One message, in the light of those before it.
#[derive(Debug)]
struct Step {
    stream: usize,
    message: usize,
    kind: Kind,
    version: Option<Version>,
    /// The latest version that the stream had told before.
    latest: Option<Version>,
    /// Whether the stream was asked for with a token.
    with_token: bool,
    /// Whether no whole message came before it on the stream.
    first: bool,
    /// Whether its version is below that of the token, though the store is the same.
    behind_token: bool,
    /// Whether a change of this version came before it on the stream.
    told_before: bool,
    /// Whether a heartbeat had told this version, or a later one, before any change of it came.
    overtaken: bool,
    /// Whether the rows were others before it.
    changed: bool,
    torn_chunks: Option<&'static str>,
    lacks_token: bool,
    after_going_away: bool,
    /// How the rows after it differ from those of its version, where that is its own fault.
    wrong: Option<String>,
}

impl Step {
    fn is_whole_change(&self) -> bool {
        matches!(self.kind, Kind::Snapshot(_) | Kind::Delta)
    }

    fn went_back(&self) -> bool {
        self.version.is_some() && self.version < self.latest
    }

    /// Another part of the version told last.
    fn is_split(&self) -> bool {
        self.told_before && self.version == self.latest && self.changed
    }

    /// Goes on from the token's rows.
    fn is_resumption(&self) -> bool {
        self.with_token && self.first && matches!(self.kind, Kind::Delta | Kind::Heartbeat)
    }

    fn breach(&self, promise: Promise, what: String) -> Breach {
        Breach { promise, stream: self.stream, message: self.message, what }
    }
}

/// What a client knows that does as leaderboard_service.proto says, and checks nothing.
#[derive(Clone, Default)]
struct Client {
    rows: BTreeMap<String, LeaderboardRow>,
    pinned: Vec<PinnedRows>,
    ranked_count: i64,
    version: Option<Version>,
    chunks: Vec<(Option<Version>, Vec<LeaderboardRow>)>,
}

impl Client {
    fn hear(&mut self, message: &WatchLeaderboardResponse) {
        let by_subject = |row: &LeaderboardRow| (row.subject_id.clone(), row.clone());
        match &message.message {
            Some(Message::Snapshot(snapshot)) => {
                self.chunks.push((snapshot.version.as_ref().map(comparable), snapshot.rows.clone()));
                if snapshot.last {
                    let chunks = std::mem::take(&mut self.chunks);
                    self.rows = chunks.iter().flat_map(|(_, rows)| rows).map(by_subject).collect();
                    self.pinned.clone_from(&snapshot.pinned);
                    self.ranked_count = snapshot.ranked_count;
                }
            }
            Some(Message::Delta(delta)) => {
                self.rows.retain(|id, _| !delta.removed_subject_ids.contains(id));
                self.rows.extend(delta.put_rows.iter().map(by_subject));
                for pinned in &delta.pinned {
                    self.pinned.retain(|known| known.subject_id != pinned.subject_id);
                    self.pinned.push(pinned.clone());
                }
                self.ranked_count = delta.ranked_count;
            }
            Some(Message::Heartbeat(_) | Message::GoingAway(_)) | None => {}
        }
    }

    /// The pinned in the order of `like`, where that has them.
    fn told(&self, like: &[PinnedRows]) -> ExpectedRows {
        let mut rows: Vec<LeaderboardRow> = self.rows.values().cloned().collect();
        rows.sort_by_key(|row| row.place);
        let mut pinned = self.pinned.clone();
        pinned.sort_by_key(|pinned| like.iter().position(|known| known.subject_id == pinned.subject_id));
        ExpectedRows { rows, pinned, ranked_count: self.ranked_count }
    }

    fn set(&mut self, right: ExpectedRows) {
        self.rows = right.rows.into_iter().map(|row| (row.subject_id.clone(), row)).collect();
        self.pinned = right.pinned;
        self.ranked_count = right.ranked_count;
    }
}

/// Reads all streams. Rows that the oracle finds wrong are told once and then taken as right.
fn walk(transcript: &Transcript, oracle: &Oracle) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut clients: HashMap<String, Client> = HashMap::new();
    for (stream, heard) in transcript.streams.iter().enumerate() {
        let with_token = !heard.resume_token.is_empty();
        let mut client = clients.get(&heard.resume_token).cloned().unwrap_or_default();
        client.chunks.clear();
        let token_version = client.version;
        let mut latest: Option<Version> = None;
        let mut changes: BTreeSet<Version> = BTreeSet::new();
        let mut noticed: Option<Version> = None;
        let (mut first, mut gone) = (true, false);
        for (at, message) in heard.messages.iter().enumerate() {
            let kind = kind_of(message);
            let sent_version = version_of(message);
            let version = sent_version.as_ref().map(comparable);
            let before = client.told(&[]);
            let amid_chunks = !client.chunks.is_empty();
            let mixed = client.chunks.iter().any(|(begun, _)| *begun != version);
            let torn_chunks = match kind {
                Kind::Chunk | Kind::Snapshot(_) if mixed => Some("the chunks have different versions"),
                Kind::Chunk | Kind::Snapshot(_) => None,
                _ if amid_chunks => Some("it comes between the chunks of a snapshot"),
                _ => None,
            };
            client.hear(message);
            if !matches!(kind, Kind::Chunk | Kind::Snapshot(_)) {
                client.chunks.clear();
            }
            let is_change = matches!(kind, Kind::Snapshot(_) | Kind::Delta);
            let store_changed = kind == Kind::Snapshot(ResetReason::StoreChanged);
            let mut step = Step {
                stream,
                message: at,
                kind,
                version,
                latest,
                with_token,
                first,
                behind_token: first && version.is_some() && version < token_version && !store_changed,
                told_before: version.is_some_and(|version| changes.contains(&version)),
                overtaken: version.is_some() && version <= noticed,
                changed: before != client.told(&[]),
                torn_chunks,
                lacks_token: kind != Kind::Chunk && token_of(message).is_none_or(str::is_empty),
                after_going_away: gone,
                wrong: None,
            };
            // More of the same version comes: whether that is right is not for its rows to say.
            let more_comes = heard.messages.get(at + 1).is_some_and(|next| {
                let next_version = version_of(next).as_ref().map(comparable);
                matches!(kind_of(next), Kind::Snapshot(_) | Kind::Delta) && next_version == version
            });
            let looked_at = is_change && !more_comes || kind == Kind::Heartbeat;
            if looked_at && let Some(sent_version) = &sent_version {
                let right = if step.went_back() { latest_of(heard, at) } else { *sent_version };
                let right = oracle(&right);
                step.wrong = difference(&client, right.as_ref());
                if let Some(right) = right {
                    client.set(right);
                }
                if step.went_back() || torn_chunks.is_some() {
                    step.wrong = None;
                }
            }
            if kind == Kind::Heartbeat && version.is_some_and(|version| !changes.contains(&version)) {
                // Of an unchanged board the token's or snapshot's version moves on with it.
                noticed = noticed.max(version);
            }
            if let Some(version) = version
                && is_change
            {
                changes.insert(version);
            }
            if kind != Kind::Chunk {
                first = false;
                latest = latest.max(version);
            }
            client.version = latest.or(token_version);
            gone |= kind == Kind::GoingAway;
            if let Some(token) = token_of(message) {
                clients.insert(token.to_owned(), client.clone());
            }
            steps.push(step);
        }
    }
    steps
}

/// The latest version up to a message.
fn latest_of(heard: &Heard, at: usize) -> BoardVersion {
    let told = heard.messages[..=at].iter().filter_map(version_of);
    told.max_by_key(comparable).unwrap_or_default()
}

fn difference(client: &Client, right: Option<&ExpectedRows>) -> Option<String> {
    let Some(right) = right else { return Some("there is no such version".into()) };
    let told = client.told(&right.pinned);
    (told != *right).then(|| format!("the rows are {}, not {}", in_short(&told), in_short(right)))
}

fn in_short(rows: &ExpectedRows) -> String {
    let short = |row: &LeaderboardRow| {
        let value = row.value.as_ref().map_or(f64::NAN, |value| value.quotient);
        format!("{}:{}={value}", row.place, row.subject_id)
    };
    let list = |rows: &[LeaderboardRow]| rows.iter().map(short).collect::<Vec<_>>().join(" ");
    let pinned = rows.pinned.iter().map(|pinned| format!("{}: {}", pinned.subject_id, list(&pinned.rows)));
    format!("[{}] of {} [{}]", list(&rows.rows), rows.ranked_count, pinned.collect::<Vec<_>>().join(", "))
}

fn kind_of(message: &WatchLeaderboardResponse) -> Kind {
    match &message.message {
        Some(Message::Snapshot(snapshot)) if snapshot.last => Kind::Snapshot(snapshot.reset_reason()),
        Some(Message::Snapshot(_)) => Kind::Chunk,
        Some(Message::Delta(_)) => Kind::Delta,
        Some(Message::Heartbeat(_)) => Kind::Heartbeat,
        Some(Message::GoingAway(_)) => Kind::GoingAway,
        None => Kind::Nothing,
    }
}

fn version_of(message: &WatchLeaderboardResponse) -> Option<BoardVersion> {
    match message.message.as_ref()? {
        Message::Snapshot(snapshot) => snapshot.version,
        Message::Delta(delta) => delta.version,
        Message::Heartbeat(heartbeat) => heartbeat.version,
        Message::GoingAway(_) => None,
    }
}

fn token_of(message: &WatchLeaderboardResponse) -> Option<&str> {
    match message.message.as_ref()? {
        Message::Snapshot(snapshot) => snapshot.last.then_some(snapshot.resume_token.as_str()),
        Message::Delta(delta) => Some(&delta.resume_token),
        Message::Heartbeat(heartbeat) => Some(&heartbeat.resume_token),
        Message::GoingAway(going_away) => Some(&going_away.resume_token),
    }
}
