//! Cards: what the scorecards of one question are told from: its windows, its rates, and the peers that its
//! rows share.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tonic::Status;

use super::parse::{CardQuestion, View};
use super::reads::Reads;
use super::render::scorecard::{
    self, Card, CloseRateGround, Evidence, More, SeasonGround, Stand, ValueGround, Whose,
};
use super::{as_of_or_today, failure, weight};
use crate::book::{
    Behind, BoardQuestion, Book, FigureKind, FirstEvidence, Fold, KeptBoard, MarketingQuestion, Scope, Stood,
};
use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::ids::Term;
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{Comparison, Window};
use crate::kpi::Kpi;
use crate::kpi::close_rate::close_rate;
use crate::kpi::figure::Absent;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::pipeline::Worth;
use crate::kpi::season::Season;
use crate::kpi::standing::StandingParts;
use crate::proto::channelkpi::v1 as pb;
use crate::service::asking::ROWS_AT_ONCE_MAX;

/// The most records that are listed behind a figure.
const EVIDENCE_MAX: usize = 1_000;

/// The comparison windows before, of which the value score's own past is the mean.
const PAST_WINDOWS: i32 = 4;

/// One question, ready to be asked of any subject or group.
pub struct Cards<'a> {
    book: &'a Book,
    settings: &'a Settings,
    asked: &'a CardQuestion,
    now: Window,
    before: Option<Window>,
    /// Of the question's window, and so of all that it is compared with.
    rates: RatesOn,
    place: Place,
    boards: Option<Boards>,
    /// By region, and of the tenant, as far as they were told.
    seasons: Mutex<BTreeMap<Option<Term>, Result<Season, Absent>>>,
}

/// Where the window stands.
#[derive(Clone, Copy)]
enum Place {
    Alone,
    /// A bucket of a series: with the number of deals open before it, where the bucket before told it.
    Series {
        open_before_count: Option<i64>,
    },
}

/// The peers of a kind of subject.
struct Boards {
    /// That by which peers are compared.
    peer_filter: Filter,
    now: Arc<KeptBoard>,
    /// Who were peers in the window before and what they won, where the value score is asked for.
    before: Option<Arc<KeptBoard>>,
    /// All of that window, where many cards are asked for: of one it is told from its own rows in less time.
    all_before: Option<Arc<KeptBoard>>,
    /// Of windows before, of which the value score's own past is told: where many cards are.
    past: Vec<(Window, Arc<KeptBoard>)>,
    /// What the whole tenant did, where the value score is asked for.
    tenant: Option<Fold>,
}

/// What a card is told of.
struct CardOf<'a> {
    subject: &'a Subject,
    filter: &'a Filter,
    /// That of subject and filter.
    scope: &'a Scope,
    /// That of the subject under the filter by which peers are compared.
    peer_scope: &'a Scope,
    /// The boards that have the subject's standings under this very filter.
    kept: Option<&'a Boards>,
}

// === impl Cards ===

impl<'a> Cards<'a> {
    pub fn resolve(
        book: &'a Book,
        settings: &'a Settings,
        asked: &'a CardQuestion,
        as_of: Option<Date>,
        now: Instant,
    ) -> Result<Self, Status> {
        let now = Self::window(settings, asked, as_of, now)?;
        Ok(Self {
            book,
            settings,
            asked,
            now,
            before: now.compared(asked.comparison),
            rates: asked.premises.exchange.rates_in(&now),
            place: Place::Alone,
            boards: None,
            seasons: Mutex::default(),
        })
    }

    /// For one bucket of a series, at the rates of the whole question. Nothing is compared.
    pub fn of_bucket(
        book: &'a Book,
        settings: &'a Settings,
        asked: &'a CardQuestion,
        bucket: Window,
        rates: RatesOn,
        open_before_count: Option<i64>,
    ) -> Self {
        Self {
            book,
            settings,
            asked,
            now: bucket,
            before: None,
            rates,
            place: Place::Series { open_before_count },
            boards: None,
            seasons: Mutex::default(),
        }
    }

    /// Beside no other window.
    pub fn compared_with_nothing(self) -> Self {
        Self { before: None, ..self }
    }

    /// The question's window as dates.
    pub fn window(
        settings: &Settings,
        asked: &CardQuestion,
        as_of: Option<Date>,
        now: Instant,
    ) -> Result<Window, Status> {
        let as_of = as_of_or_today(as_of, settings, now);
        super::window(asked.window, as_of, settings)
    }

    /// For cards of one subject.
    pub fn of_subject(self, subject: &Subject) -> Self {
        match subject.kind() {
            None => self,
            Some((kind, include_sub_partners)) => self.of_kind(kind, include_sub_partners),
        }
    }

    /// For cards of subjects of a kind: their peers are told once, where they are asked for.
    pub fn of_kind(mut self, kind: SubjectKind, include_sub_partners: bool) -> Self {
        if !self.asked.asks_for_peers() {
            return self;
        }
        let scored = self.asks_for(Kpi::ValueScore);
        let premises = &self.asked.premises;
        let peer_filter = premises.filter.without_kind(kind);
        let full = self.asked.view >= View::Full;
        let of_now = self.question(kind, include_sub_partners, &self.now);
        let with_open = full && self.asks_for(Kpi::OpportunityPipeline);
        let of_now = if with_open { of_now.with_open(premises) } else { of_now };
        let before = self.before.as_ref().filter(|_| scored);
        let before = before.map(|window| self.question(kind, include_sub_partners, window));
        let tenant = scored.then(|| {
            let tenant = self.book.scope(&Subject::Tenant, &peer_filter, premises.roles);
            self.book.fold(&tenant.expect("the tenant is known"), self.now.counted(), self.rates)
        });
        let boards = Boards {
            now: self.book.board(&of_now),
            before: before.map(|asked| self.book.board(&asked.of_parts(StandingParts::WORK))),
            all_before: None,
            past: Vec::new(),
            tenant,
            peer_filter,
        };
        self.boards = Some(boards);
        self
    }

    /// For many cards of a kind: all that lies before is told of all of them at once, too.
    pub fn of_many(self, kind: SubjectKind, include_sub_partners: bool) -> Self {
        let board = |window: &Window, parts: StandingParts| {
            self.book.board(&self.question(kind, include_sub_partners, window).of_parts(parts))
        };
        let asks_for_peers = self.asked.asks_for_peers();
        // First: it answers all that is asked of its window otherwise.
        let all_before =
            self.before.as_ref().filter(|_| asks_for_peers).map(|window| board(window, StandingParts::ALL));
        let windows = past_windows(&self.now, self.asked.comparison).flatten();
        let past = windows
            .filter(|_| asks_for_peers && self.asks_for(Kpi::ValueScore))
            .map(|window| (window, board(&window, StandingParts::ENDS)))
            .collect();
        let mut cards = self.of_kind(kind, include_sub_partners);
        if let Some(boards) = &mut cards.boards {
            (boards.all_before, boards.past) = (all_before, past);
        }
        cards
    }

    /// All peers in a window.
    fn question(&self, kind: SubjectKind, include_sub_partners: bool, window: &Window) -> BoardQuestion {
        BoardQuestion::new(kind, include_sub_partners, &self.asked.premises, window, self.rates).of_peers()
    }

    /// How many rows a card of a subject reads at most, told before anything is folded. What may scan more than
    /// its own rows counts as more than any card may read at once.
    pub fn weight(&self, subject: &Subject) -> u64 {
        if self.scans_more(subject) {
            return u64::MAX;
        }
        weight(self.book, subject, &self.asked.premises, |scope| self.weight_of_scope(scope))
    }

    /// Whether a subject's card, or forming its scope, may read rows and records of others.
    pub fn scans_more(&self, subject: &Subject) -> bool {
        let has_peers = subject.kind().is_some() && self.asked.asks_for_peers();
        has_peers || self.asked.view >= View::Full || self.asked.premises.filter != Filter::default()
    }

    /// The same of a scope alone.
    pub fn weight_of_scope(&self, scope: &Scope) -> u64 {
        let windows = [Some(&self.now), self.before.as_ref()].into_iter().flatten();
        if let Some(rows) = self.book.rows_in_all(scope) {
            let at_most = Reads::weight_at_most(rows, self.book.spend_count());
            let at_most = at_most.saturating_mul(windows.clone().count() as u64);
            if at_most <= ROWS_AT_ONCE_MAX {
                return at_most;
            }
        }
        windows.map(|window| self.reads(scope, window).weight(&self.asked.kpis)).sum()
    }

    fn reads(&self, scope: &Scope, window: &Window) -> Reads {
        let (dates, book) = (window.counted(), self.book);
        let into_month = DateRange { from: dates.from.month().first_day(), to: dates.from };
        let if_asked = |kpi, count: &dyn Fn() -> u64| if self.asks_for(kpi) { count() } else { 0 };
        Reads {
            folded: book.rows_folded(scope, dates, self.rates)
                + book.rows_folded(scope, into_month, RatesOn::OwnDay),
            prospects: if_asked(Kpi::CloseRate, &|| book.rows_of_prospects(scope, dates)),
            open: if_asked(Kpi::OpportunityPipeline, &|| book.rows_of_worth(scope, self.open_on(window))),
            spends: if_asked(Kpi::MarketingChannel, &|| book.spend_count()),
        }
    }

    /// The window asked for, and that with which it is compared.
    pub fn windows(&self) -> (&Window, Option<&Window>) {
        (&self.now, self.before.as_ref())
    }

    pub fn as_of(&self) -> Date {
        self.now.as_of
    }

    pub fn rates(&self) -> RatesOn {
        self.rates
    }

    pub fn subject(&self, subject: &Subject) -> Result<Card<'_>, Status> {
        self.of_scope(subject, &self.scope_of(subject)?, self.book.identify(subject))
    }

    /// What the question's filter and roles pick of a subject's rows.
    pub fn scope_of(&self, subject: &Subject) -> Result<Scope, Status> {
        self.scope(subject, &self.asked.premises.filter)
    }

    /// A card where its scope is there, and who counts in its place.
    pub fn of_scope<'c>(
        &'c self,
        subject: &Subject,
        scope: &Scope,
        (survivor, name): (Subject, Option<&'c str>),
    ) -> Result<Card<'c>, Status> {
        let filter = &self.asked.premises.filter;
        let whose = Whose::Subject(survivor);
        let Some(boards) = &self.boards else {
            let of = CardOf { subject, filter, scope, peer_scope: scope, kept: None };
            return Ok(self.card(&of, whose, name));
        };
        // Peers' standings are the subject's own where its filter is theirs.
        let are_its_peers = boards.peer_filter == *filter;
        let peer_scope = match are_its_peers {
            true => Cow::Borrowed(scope),
            false => Cow::Owned(self.scope(subject, &boards.peer_filter)?),
        };
        let kept = are_its_peers.then_some(boards);
        let of = CardOf { subject, filter, scope, peer_scope: &peer_scope, kept };
        let mut card = self.card(&of, whose, name);
        card.now.peer = self.book.peer(&boards.now, subject);
        let peers_before = boards.before.as_ref();
        if let Some(before) = &mut card.before {
            before.peer = peers_before.and_then(|board| self.book.peer(board, subject));
        }
        let past = boards.past.iter().map(|(_, board)| board);
        let mut rates_on: Vec<Option<Date>> = [&boards.now]
            .into_iter()
            .chain(peers_before)
            .chain(past)
            .map(|board| board.oldest_rate_on())
            .collect();
        if let Some(tenant) = &boards.tenant {
            let (ground, oldest_rate_on) = self.value_ground(subject, &peer_scope, boards, tenant);
            card.value = Some(ground);
            rates_on.push(oldest_rate_on);
        }
        card.oldest_rate_on = card.oldest_rate_on.into_iter().chain(rates_on.into_iter().flatten()).min();
        Ok(card)
    }

    /// The values of a dimension within a subject, in order: also those of the comparison window alone,
    /// which have come to nothing.
    pub fn group_values(
        &self,
        subject: &Subject,
        dimension: &Dimension,
    ) -> Result<BTreeSet<GroupValue>, Status> {
        let filter = &self.asked.premises.filter;
        let scope = self.scope(subject, filter)?;
        let asked =
            MarketingQuestion { subject, filter, scope: &scope, basis: Basis::Period, rates: self.rates };
        let mut values = self.book.group_values(&asked, dimension, &self.now);
        if let Some(before) = &self.before {
            values.append(&mut self.book.group_values(&asked, dimension, before));
        }
        Ok(values)
    }

    /// The card of one value. None for a value that the dimension can't have.
    pub fn group(
        &self,
        subject: &Subject,
        dimension: &Dimension,
        value: &GroupValue,
    ) -> Result<Option<Card<'_>>, Status> {
        let Some(filter) = self.asked.premises.filter.narrowed(dimension, value) else { return Ok(None) };
        let scope = self.scope(subject, &filter)?;
        let name = self.book.name_of(dimension, value);
        let whose = Whose::Group(dimension.clone(), value.clone());
        let of = CardOf { subject, filter: &filter, scope: &scope, peer_scope: &scope, kept: None };
        Ok(Some(self.card(&of, whose, name)))
    }

    pub fn render(&self, card: &Card<'_>) -> pb::Scorecard {
        scorecard::scorecard(card, &self.asked.kpis, self.settings.reporting_currency)
    }

    /// `oldest_rate_on` is that of the oldest exchange rate on which one of the cards rests.
    pub fn definition(
        &self,
        premises: &Option<pb::Premises>,
        oldest_rate_on: Option<Date>,
    ) -> pb::Definition {
        scorecard::definition(
            &self.now,
            self.before.as_ref(),
            self.rates,
            premises,
            self.settings,
            oldest_rate_on,
        )
    }

    fn card<'c>(&'c self, of: &CardOf<'_>, whose: Whose, name: Option<&'c str>) -> Card<'c> {
        let &CardOf { scope, peer_scope, filter, kept, .. } = of;
        let before = self.before.as_ref().map(|window| {
            let kept = kept.and_then(|boards| boards.all_before.as_deref());
            (window, self.stand(of, window, kept, None))
        });
        let open_before_count = match (self.place, &before) {
            (Place::Series { open_before_count }, _) => open_before_count,
            // What was open after the window before was open before this one.
            (Place::Alone, Some((window, (stand, _)))) if window.counted().to == self.now.counted().from => {
                Some(stand.standing.open_after_count())
            }
            _ => None,
        };
        let kept = kept.map(|boards| &*boards.now);
        let (now, now_rate_on) = self.stand(of, &self.now, kept, open_before_count);
        let (before, before_rate_on) = before.map(|(_, stand)| stand).unzip();
        let more = (self.asked.view >= View::Full).then(|| self.more(&whose, scope));
        let oldest_rate_on = [now_rate_on, before_rate_on.flatten()].into_iter().flatten().min();
        Card {
            whose,
            name,
            now,
            before,
            more,
            value: None,
            leads_are_counted: !filter.asks_for_deals_only(),
            evidence: self.evidence(scope, peer_scope),
            oldest_rate_on,
        }
    }

    /// How one stands in a window: as `kept` has it, else told from the rows, with the deals open before the
    /// window where they are known.
    fn stand(
        &self,
        of: &CardOf<'_>,
        window: &Window,
        kept: Option<&KeptBoard>,
        open_before_count: Option<i64>,
    ) -> (Stand<'_>, Option<Date>) {
        let with_cohort = self.asks_for(Kpi::CloseRate);
        let &CardOf { subject, filter, scope, .. } = of;
        let Stood { standing, oldest_rate_on } = match (kept, open_before_count) {
            // The rates of a board are older than those of each subject, and every card names them.
            (Some(kept), _) => Stood {
                standing: self.book.standing_on(kept, subject),
                oldest_rate_on: kept.oldest_rate_on(),
            },
            (None, Some(open_before_count)) => {
                self.book.standing_after(open_before_count, scope, window, self.rates, with_cohort)
            }
            (None, None) => self.book.standing(scope, window, self.rates, with_cohort),
        };
        let (open, open_rate_on) = if self.asks_for(Kpi::OpportunityPipeline) {
            let open_on = self.open_on(window);
            let stock_day = self.asked.premises.exchange.rates_of_stock(open_on);
            let rates_on = self.rates.day().unwrap_or(stock_day);
            let found = self.book.open_worth(scope, open_on, rates_on);
            (found.found, found.oldest_rate_on)
        } else {
            (Worth::default(), None)
        };
        let marketing = self.asks_for(Kpi::MarketingChannel).then(|| {
            let rates = self.rates;
            let asked = MarketingQuestion { subject, filter, scope, basis: Basis::Period, rates };
            self.book.by_all_channels(&asked, &standing.measures, window)
        });
        let spent_rate_on = marketing.as_ref().and_then(|found| found.oldest_rate_on);
        let oldest = [oldest_rate_on, open_rate_on, spent_rate_on].into_iter().flatten().min();
        (Stand { standing, open, marketing: marketing.map(|found| found.found), peer: None }, oldest)
    }

    /// The date on which deals are open that a window's card tells of.
    fn open_on(&self, window: &Window) -> Date {
        match self.place {
            Place::Alone => window.as_of,
            // A line of open amounts has the stock at the end of each bucket, not at its age.
            Place::Series { .. } => window.counted().to.plus_days(-1),
        }
    }

    /// The first records behind each KPI, in the view with evidence. `peer_scope` is that of the value score.
    fn evidence(&self, scope: &Scope, peer_scope: &Scope) -> Vec<Evidence> {
        if self.asked.view < View::WithEvidence {
            return Vec::new();
        }
        let evidence = |&kpi: &Kpi| {
            let figures: &[FigureKind] = match kpi {
                Kpi::AverageDealSize | Kpi::DealCount | Kpi::ValueScore => &[FigureKind::Won],
                Kpi::OpportunityPipeline => &[FigureKind::Open],
                Kpi::MarketingChannel if self.asked.premises.filter.asks_for_deals_only() => {
                    &[FigureKind::Won]
                }
                Kpi::MarketingChannel => &[FigureKind::LeadsCreated, FigureKind::Won],
                Kpi::CloseRate => &[FigureKind::Prospects],
                Kpi::DealVelocity => &[FigureKind::InWork],
                Kpi::DealSuccess => &[FigureKind::Won, FigureKind::Missed],
            };
            let scope = match kpi {
                Kpi::ValueScore => Cow::Borrowed(peer_scope),
                Kpi::MarketingChannel => Cow::Owned(self.book.attributed(scope.clone())),
                _ => Cow::Borrowed(scope),
            };
            let (dates, as_of) = (self.now.counted(), self.now.as_of);
            let asked: Vec<Behind> =
                figures.iter().map(|&figure| Behind { figure, dates, as_of, rates: self.rates }).collect();
            let FirstEvidence { deal_ids, lead_ids, record_count } =
                self.book.first_evidence(&scope, &asked, EVIDENCE_MAX);
            let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
            Evidence { kpi, deal_ids: owned(deal_ids), lead_ids: owned(lead_ids), record_count }
        };
        self.asked.kpis.iter().map(evidence).collect()
    }

    /// With the oldest exchange rate that it rests on, beside those of the boards.
    fn value_ground(
        &self,
        subject: &Subject,
        scope: &Scope,
        boards: &Boards,
        tenant: &Fold,
    ) -> (ValueGround, Option<Date>) {
        let mut oldest_rate_on = tenant.oldest_rate_on;
        let mut won_amount_e4 = |window: Window| {
            let before = self.before.as_ref().zip(boards.before.as_ref());
            let mut told = boards.past.iter().map(|(past, board)| (past, board)).chain(before);
            if let Some((_, board)) = told.find(|(past, _)| **past == window) {
                return self.book.standing_on(board, subject).measures.won.amount_e4;
            }
            let fold = self.book.fold(scope, window.counted(), self.rates);
            oldest_rate_on = oldest_rate_on.into_iter().chain(fold.oldest_rate_on).min();
            fold.measures.won.amount_e4
        };
        let past = past_windows(&self.now, self.asked.comparison);
        let past_won_amounts_e4 = past.map(|window| window.map(&mut won_amount_e4)).collect();
        let own = self.book.standing_on(&boards.now, subject).measures;
        (ValueGround { tenant: tenant.measures, past_won_amounts_e4, own }, oldest_rate_on)
    }

    /// What the full view tells beside the standings.
    fn more(&self, whose: &Whose, scope: &Scope) -> More<'_> {
        let is_told_by_deals = self.asks_for(Kpi::AverageDealSize) || self.asks_for(Kpi::DealVelocity);
        let won = is_told_by_deals.then(|| self.book.won_deals(scope, self.now.counted(), self.rates));
        let close_rate = self.asks_for(Kpi::CloseRate).then(|| self.close_rate_ground(whose, scope));
        More { won: won.unwrap_or_default(), close_rate }
    }

    fn close_rate_ground(&self, whose: &Whose, scope: &Scope) -> CloseRateGround {
        let region = match whose {
            Whose::Subject(Subject::Partner { partner, .. }) => self.book.region_of(partner),
            Whose::Subject(_) | Whose::Group(..) => None,
        };
        CloseRateGround {
            year_before: self
                .now
                .compared(Comparison::YearBefore)
                .map(|window| close_rate(&self.book.cohort(scope, window.counted(), window.as_of))),
            season: SeasonGround {
                season: self.season(region.as_ref()),
                prospect_counts: self.book.prospects_by_month(scope, &self.now),
            },
            region: region.map(|region| {
                let cohort = self.book.region_cohort(&region, self.now.counted(), self.now.as_of);
                (region.as_str().to_owned(), close_rate(&cohort))
            }),
        }
    }

    /// That of a region or the tenant, told once for all cards that rest on it.
    fn season(&self, region: Option<&Term>) -> Result<Season, Absent> {
        let mut seasons = self.seasons.lock();
        *seasons.entry(region.cloned()).or_insert_with(|| self.book.season(region, &self.now))
    }

    fn scope(&self, subject: &Subject, filter: &Filter) -> Result<Scope, Status> {
        let scope = self.book.scope(subject, filter, self.asked.premises.roles);
        scope.ok_or_else(|| failure::no_subject(subject))
    }

    fn asks_for(&self, kpi: Kpi) -> bool {
        self.asked.kpis.contains(&kpi)
    }
}

/// The windows of which the value score's own past is the mean. None where one would begin before 1970.
fn past_windows(now: &Window, comparison: Comparison) -> impl Iterator<Item = Option<Window>> {
    (1..=PAST_WINDOWS).map(move |steps| now.earlier(comparison, steps))
}
