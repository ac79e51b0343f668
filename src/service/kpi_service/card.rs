//! Cards: what the scorecards of one question are told from: its windows, its rates, and the peers that its
//! rows share.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tonic::Status;

use super::parse::{CardQuestion, View};
use super::render::scorecard::{self, Card, Evidence, More, Stand, ValueGround, Whose};
use super::{as_of_or_today, failure};
use crate::book::{
    Behind, BoardQuestion, Book, FigureKind, FirstEvidence, KeptBoard, MarketingQuestion, Scope, Stood,
};
use crate::domain::calendar::{Date, Instant};
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::ids::Term;
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{Comparison, Window};
use crate::kpi::Kpi;
use crate::kpi::close_rate::close_rate;
use crate::kpi::figure::Figure;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::measures::Measures;
use crate::kpi::pipeline::Worth;
use crate::proto::channelkpi::v1 as pb;

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
    /// Rates of regions that were told already.
    regions: RefCell<HashMap<Term, Figure>>,
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
    /// Left out of the filter where peers are compared.
    peer_filter: Filter,
    now: Arc<KeptBoard>,
    /// Where the value score is asked for.
    before: Option<Arc<KeptBoard>>,
    tenant: Stood,
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
            regions: RefCell::default(),
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
            regions: RefCell::default(),
        }
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
        match subject {
            Subject::Tenant => self,
            Subject::Partner { include_sub_partners, .. } => {
                self.of_kind(SubjectKind::Partner, *include_sub_partners)
            }
            Subject::Employee(_) => self.of_kind(SubjectKind::Employee, false),
            Subject::Unit(_) => self.of_kind(SubjectKind::Unit, false),
        }
    }

    /// For cards of subjects of a kind: their peers are told once, where they are asked for.
    pub fn of_kind(mut self, kind: SubjectKind, include_sub_partners: bool) -> Self {
        let scored = self.asks_for(Kpi::ValueScore);
        if !scored && self.asked.view < View::Full {
            return self;
        }
        let premises = &self.asked.premises;
        let peer_filter = premises.filter.without_kind(kind);
        let full = self.asked.view >= View::Full;
        let board = |window: &Window, with_open: bool| {
            let asked =
                BoardQuestion::new(kind, include_sub_partners, premises, window, self.rates).of_peers();
            self.book.board(&if with_open { asked.with_open(premises) } else { asked })
        };
        let tenant = self.book.scope(&Subject::Tenant, &peer_filter, premises.roles);
        let tenant = tenant.expect("the tenant is known");
        let boards = Boards {
            now: board(&self.now, full && self.asks_for(Kpi::OpportunityPipeline)),
            before: self.before.as_ref().filter(|_| scored).map(|before| board(before, false)),
            tenant: self.book.standing(&tenant, &self.now, self.rates, false),
            peer_filter,
        };
        self.boards = Some(boards);
        self
    }

    pub fn as_of(&self) -> Date {
        self.now.as_of
    }

    pub fn subject(&self, subject: &Subject) -> Result<Card<'_>, Status> {
        let scope = self.scope(subject, &self.asked.premises.filter)?;
        let (survivor, name) = self.book.identify(subject);
        let filter = &self.asked.premises.filter;
        let peer_scope = match &self.boards {
            Some(boards) => Cow::Owned(self.scope(subject, &boards.peer_filter)?),
            None => Cow::Borrowed(&scope),
        };
        let whose = Whose::Subject(survivor.clone());
        let mut card = self.card(&scope, &peer_scope, subject, filter, whose, name);
        if let Some(boards) = &self.boards {
            card.now.peer = self.book.peer(&boards.now, subject);
            let peers_before = boards.before.as_ref();
            if let Some(before) = &mut card.before {
                before.peer = peers_before.and_then(|board| self.book.peer(board, subject));
            }
            let mut rates_on =
                vec![boards.now.oldest_rate_on(), peers_before.and_then(|board| board.oldest_rate_on())];
            if self.asks_for(Kpi::ValueScore) {
                let (ground, oldest_rate_on) = self.value_ground(&peer_scope, boards);
                card.value = Some(ground);
                rates_on.push(oldest_rate_on);
            }
            card.oldest_rate_on = card.oldest_rate_on.into_iter().chain(rates_on.into_iter().flatten()).min();
        }
        if let Some(more) = &mut card.more {
            more.region = self.region_of(&survivor);
        }
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
        Ok(Some(self.card(&scope, &scope, subject, &filter, whose, name)))
    }

    pub fn render(&self, card: &Card<'_>) -> pb::Scorecard {
        scorecard::scorecard(card, &self.asked.kpis, self.settings.reporting_currency)
    }

    pub fn definition(&self, premises: &Option<pb::Premises>, cards: &[Card<'_>]) -> pb::Definition {
        let oldest = cards.iter().filter_map(|card| card.oldest_rate_on).min();
        scorecard::definition(&self.now, self.before.as_ref(), self.rates, premises, self.settings, oldest)
    }

    fn card<'c>(
        &'c self,
        scope: &Scope,
        peer_scope: &Scope,
        subject: &Subject,
        filter: &Filter,
        whose: Whose,
        name: Option<&'c str>,
    ) -> Card<'c> {
        let stand = |window: &Window| {
            let (mut stand, mut oldest_rate_on) = self.stand(scope, window);
            if self.asks_for(Kpi::MarketingChannel) {
                let rates = self.rates;
                let asked = MarketingQuestion { subject, filter, scope, basis: Basis::Period, rates };
                let found = self.book.marketing(&asked, window);
                stand.marketing = Some(found.found.attributed());
                oldest_rate_on = oldest_rate_on.into_iter().chain(found.oldest_rate_on).min();
            }
            (stand, oldest_rate_on)
        };
        let (now, now_rate_on) = stand(&self.now);
        let (before, before_rate_on) = self.before.as_ref().map(stand).unzip();
        let more = (self.asked.view >= View::Full).then(|| More {
            won: self.book.won_deals(scope, self.now.counted(), self.rates),
            close_rate_year_before: self
                .now
                .compared(Comparison::YearBefore)
                .map(|window| close_rate(&self.book.cohort(scope, window.counted(), window.as_of))),
            region: None,
        });
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

    fn stand(&self, scope: &Scope, window: &Window) -> (Stand<'_>, Option<Date>) {
        let with_cohort = self.asks_for(Kpi::CloseRate);
        let Stood { standing, oldest_rate_on } = match self.place {
            Place::Series { open_before_count: Some(open_before_count) } => {
                self.book.standing_after(open_before_count, scope, window, self.rates, with_cohort)
            }
            _ => self.book.standing(scope, window, self.rates, with_cohort),
        };
        let (open, open_rate_on) = if self.asks_for(Kpi::OpportunityPipeline) {
            let open_on = match self.place {
                Place::Alone => window.as_of,
                // A line of open amounts has the stock at the end of each bucket, not at its age.
                Place::Series { .. } => window.counted().to.plus_days(-1),
            };
            let stock_day = self.asked.premises.exchange.rates_of_stock(open_on);
            let rates_on = self.rates.day().unwrap_or(stock_day);
            let found = self.book.open_worth(scope, open_on, rates_on);
            (found.found, found.oldest_rate_on)
        } else {
            (Worth::default(), None)
        };
        let oldest = [oldest_rate_on, open_rate_on].into_iter().flatten().min();
        (Stand { standing, open, marketing: None, peer: None }, oldest)
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

    /// With the oldest exchange rate that it rests on.
    fn value_ground(&self, scope: &Scope, boards: &Boards) -> (ValueGround, Option<Date>) {
        let mut rates_on = vec![boards.tenant.oldest_rate_on];
        let mut measures = |window: &Window| -> Measures {
            let fold = self.book.fold(scope, window.counted(), self.rates);
            rates_on.push(fold.oldest_rate_on);
            fold.measures
        };
        let own = measures(&self.now);
        let past = (1..=PAST_WINDOWS).map(|steps| {
            let window = self.now.earlier(self.asked.comparison, steps)?;
            Some(measures(&window).won.amount_e4)
        });
        let past_won_amounts_e4 = past.collect();
        let ground = ValueGround { tenant: boards.tenant.standing.measures, past_won_amounts_e4, own };
        (ground, rates_on.into_iter().flatten().min())
    }

    /// A partner's region and the rate of all prospects of that region in the window.
    fn region_of(&self, survivor: &Subject) -> Option<(String, Figure)> {
        let Subject::Partner { partner, .. } = survivor else { return None };
        let region = self.book.region_of(partner)?;
        let mut told = self.regions.borrow_mut();
        let figure = *told.entry(region.clone()).or_insert_with(|| {
            let filter = Filter { regions: vec![Some(region.clone())], ..Filter::default() };
            let scope = self.book.scope(&Subject::Tenant, &filter, self.asked.premises.roles);
            let scope = scope.expect("the tenant is known");
            close_rate(&self.book.cohort(&scope, self.now.counted(), self.now.as_of))
        });
        Some((region.as_str().to_owned(), figure))
    }

    fn scope(&self, subject: &Subject, filter: &Filter) -> Result<Scope, Status> {
        let scope = self.book.scope(subject, filter, self.asked.premises.roles);
        scope.ok_or_else(|| failure::no_subject(subject))
    }

    fn asks_for(&self, kpi: Kpi) -> bool {
        self.asked.kpis.contains(&kpi)
    }
}
