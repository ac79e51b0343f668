//! The slow truth about a question: whose deals and leads it is about, and what they add up to.

use super::tell::{Claim, End, Home, Resolution, What, Worth};
use super::{Nodes, Oracle, text};
use crate::domain::amount::Money;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::filter::{CreditFilter, Filter};
use crate::domain::ids::{Id, Term};
use crate::domain::record::{Labels, Partner, Role};
use crate::domain::subject::Subject;
use crate::kpi::measures::{Measures, Tally};
use crate::kpi::standing::Cohort;

/// Whose figures are asked for, of which deals and leads, and at which rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub subject: Subject,
    pub filter: Filter,
    pub roles: Vec<Role>,
    /// The day whose rates convert all amounts. None: each at those of its own.
    pub rates_on: Option<Date>,
}

/// What happened in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Without what only `work_days` is told from; without counts of leads where they are absent.
    pub measures: Measures,
    pub work_days: i64,
    pub cohort: Cohort,
    /// Among the amounts of ends.
    pub oldest_rate_on: Option<Date>,
}
/// What a question is about, before it is cut to a window.
pub struct Answer {
    dated: Vec<Dated>,
    /// First and last day of each deal, if it has one.
    days: Vec<(Date, Option<Date>)>,
    /// When each prospect came, and what became of it when.
    prospects: Vec<(Date, Option<(Date, Resolution)>)>,
}

struct Dated {
    on: Date,
    measures: Measures,
    oldest_rate_on: Option<Date>,
}

// === impl Question ===

impl Question {
    /// Everything of a subject, as it is asked for by default.
    pub fn of(subject: Subject) -> Self {
        Self { subject, filter: Filter::default(), roles: vec![Role::Sourced], rates_on: None }
    }

    /// Whether only certain partners' parts count.
    fn is_about_parts(&self) -> bool {
        let Filter { partner_types, tiers, partner_labels, partners, .. } = &self.filter;
        matches!(self.subject, Subject::Partner { .. })
            || !partner_types.is_empty()
            || !tiers.is_empty()
            || !partner_labels.is_empty()
            || !partners.is_empty()
    }

    /// Whether it asks for what leads don't have.
    fn is_about_sales(&self) -> bool {
        !self.filter.products.is_empty() || !self.filter.deal_labels.is_empty()
    }
}

// === impl Answer ===

impl Answer {
    /// What happened in a window, with what has become of its prospects by the end of `as_of`.
    pub fn figures(&self, dates: DateRange, as_of: Date) -> Figures {
        let mut figures = Figures::default();
        let last_asked = dates.to.plus_days(-1);
        for dated in self.dated.iter().filter(|dated| dates.from <= dated.on && dated.on < dates.to) {
            figures.measures += dated.measures;
            figures.oldest_rate_on = match (figures.oldest_rate_on, dated.oldest_rate_on) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        for (first, last) in &self.days {
            let (first, last) = ((*first).max(dates.from), last.unwrap_or(last_asked).min(last_asked));
            figures.work_days += i64::from((last.day_number() - first.day_number() + 1).max(0));
        }
        let is_asked = |on: Date| dates.from <= on && on < dates.to;
        for (_, resolved) in self.prospects.iter().filter(|(came_on, _)| is_asked(*came_on)) {
            figures.cohort.prospect_count += 1;
            match resolved {
                Some((on, Resolution::Purchased)) if *on <= as_of => figures.cohort.purchased_count += 1,
                Some((on, Resolution::Lost)) if *on <= as_of => figures.cohort.lost_count += 1,
                _ => {}
            }
        }
        figures
    }

    /// `worth` tells what counts of an amount, given what it is worth on its own day.
    fn add(
        &mut self,
        what: &What,
        worth: impl Fn(Option<Money>, &Option<Worth>) -> Option<(i128, Option<Date>)>,
    ) {
        let tally = |worth: Option<(i128, Option<Date>)>| Tally {
            count: 1,
            priced_count: i64::from(worth.is_some()),
            amount_e4: worth.map_or(0, |(amount_e4, _)| amount_e4),
        };
        match what {
            What::Deal { opened_on, end, money, worth_when_opened, worth_at_end, is_prospect } => {
                let opened = tally(worth(*money, worth_when_opened));
                self.push(*opened_on, Measures { opened, ..Measures::default() }, None);
                let last_day = end.map(|(on, _)| on.plus_days(-1).max(*opened_on));
                self.days.push((*opened_on, last_day));
                if *is_prospect {
                    let resolution = |end| match end {
                        End::Won => Resolution::Purchased,
                        End::Lost { .. } | End::Expired => Resolution::Lost,
                    };
                    self.add_prospect(*opened_on, end.map(|(on, end)| (on, resolution(end))));
                }
                let Some((on, end)) = *end else { return };
                let worth = worth(*money, worth_at_end);
                let oldest_rate_on = worth.and_then(|(_, oldest)| oldest);
                let ended = match end {
                    End::Won => {
                        let cycle_days = i64::from(on.day_number() - opened_on.day_number());
                        let same_day_won_count = i64::from(cycle_days == 0);
                        Measures { won: tally(worth), cycle_days, same_day_won_count, ..Measures::default() }
                    }
                    End::Lost { competitor_known } => {
                        let lost_to_competitor_count = i64::from(competitor_known);
                        Measures { lost: tally(worth), lost_to_competitor_count, ..Measures::default() }
                    }
                    End::Expired => Measures { expired: tally(worth), ..Measures::default() },
                };
                self.push(on, ended, oldest_rate_on);
            }
            What::Lead { created_on, converted_on, disqualified_on, resolved } => {
                self.push(*created_on, Measures { lead_count: 1, ..Measures::default() }, None);
                self.add_prospect(*created_on, *resolved);
                if let Some(on) = *converted_on {
                    self.push(on, Measures { converted_lead_count: 1, ..Measures::default() }, None);
                }
                if let Some(on) = *disqualified_on {
                    self.push(on, Measures { disqualified_lead_count: 1, ..Measures::default() }, None);
                }
            }
        }
    }

    fn add_prospect(&mut self, came_on: Date, resolved: Option<(Date, Resolution)>) {
        self.prospects.push((came_on, resolved));
        self.push(came_on, Measures { prospect_count: 1, ..Measures::default() }, None);
        match resolved {
            Some((on, Resolution::Purchased)) => {
                self.push(on, Measures { purchased_count: 1, ..Measures::default() }, None);
            }
            Some((on, Resolution::Lost)) => {
                self.push(on, Measures { lost_prospect_count: 1, ..Measures::default() }, None);
            }
            None => {}
        }
    }

    fn push(&mut self, on: Date, measures: Measures, oldest_rate_on: Option<Date>) {
        self.dated.push(Dated { on, measures, oldest_rate_on });
    }
}

// === impl Oracle ===

impl Oracle {
    /// None for a subject that nothing names.
    pub fn answer(&self, question: &Question) -> Option<Answer> {
        let survivor = match &question.subject {
            Subject::Tenant => String::new(),
            Subject::Partner { partner, .. } => self.partners.named(partner.as_str())?,
            Subject::Employee(employee) => self.employees.named(employee.as_str())?,
            Subject::Unit(unit) => self.units.named(unit.as_str())?,
        };
        let mut answer = Answer { dated: Vec::new(), days: Vec::new(), prospects: Vec::new() };
        for told in &self.told {
            let home = &told.home;
            let is_its = match &question.subject {
                Subject::Tenant | Subject::Partner { .. } => true,
                Subject::Employee(_) => home.owner.as_ref() == Some(&survivor),
                Subject::Unit(_) => home.units.contains(&survivor),
            };
            let is_asked = |claim: &Claim| self.asks_for(question, &survivor, claim);
            let has_part = !question.is_about_parts() || home.claims.iter().any(is_asked);
            if !is_its || !has_part || !self.keeps(question, home) {
                continue;
            }
            answer.add(&told.what, |money, on_own_day| {
                let on_that_day = question.rates_on.map(|day| self.worth(money, day, &home.claims));
                let worth = on_that_day.as_ref().unwrap_or(on_own_day).as_ref()?;
                let amount_e4 = match question.is_about_parts() {
                    true => part(worth, &home.claims, is_asked),
                    false => worth.whole_e4,
                };
                Some((amount_e4, worth.oldest_rate_on))
            });
        }
        if question.is_about_sales() {
            for Dated { measures, .. } in &mut answer.dated {
                *measures = without_lead_counts(*measures);
            }
        }
        Some(answer)
    }

    /// Whether the question is about this partner's credit, or about what is left uncredited.
    fn asks_for(&self, question: &Question, survivor: &String, claim: &Claim) -> bool {
        let Filter { partner_types, tiers, partner_labels, partners, .. } = &question.filter;
        if !question.roles.contains(&claim.role) {
            return false;
        }
        let Some(line) = &claim.by else {
            return !matches!(question.subject, Subject::Partner { .. })
                && partners.contains(&None)
                && partner_types.is_empty()
                && tiers.is_empty()
                && partner_labels.is_empty();
        };
        let is_inside = match &question.subject {
            Subject::Partner { include_sub_partners: true, .. } => line.with_ancestors.contains(survivor),
            Subject::Partner { include_sub_partners: false, .. } => line.partner == *survivor,
            _ => true,
        };
        let fields = self.partner_fields.get(&line.partner);
        let is_value = |values: &[Option<Term>], of: &dyn Fn(&Partner) -> Option<&Term>| {
            values.is_empty() || values.iter().any(|value| value.as_ref() == fields.and_then(of))
        };
        is_inside
            && is_among(partners, Some(&line.partner), &self.partners)
            && is_value(partner_types, &|partner| partner.partner_type.as_ref())
            && is_value(tiers, &|partner| partner.tier.as_ref())
            && partner_labels.iter().all(|(key, values)| is_value(values, &|partner| partner.labels.get(key)))
    }

    /// Whether the filter keeps what is at home there, whoever has a part in it.
    fn keeps(&self, question: &Question, home: &Home) -> bool {
        let filter = &question.filter;
        let is_text = |values: &[Option<Term>], text: Option<&String>| {
            values.is_empty()
                || values.iter().any(|value| value.as_ref().map(Term::as_str) == text.map(String::as_str))
        };
        let in_unit = |unit: &Option<Id<_>>| match unit {
            None => home.units.is_empty(),
            Some(unit) => home.units.contains(&text(unit)),
        };
        let in_channel = |channel: &Option<Id<_>>| channel.as_ref().map(text) == home.channel;
        let is_sold = |(product, labels): &(Option<String>, Labels)| {
            let has_label = |(key, values): (&Term, &Vec<Option<Term>>)| {
                is_text(values, labels.get(key).map(ToString::to_string).as_ref())
            };
            is_text(&filter.products, product.as_ref()) && filter.deal_labels.iter().all(has_label)
        };
        let has_credit = home.claims.iter().any(|c| c.by.is_some() && question.roles.contains(&c.role));
        is_text(&filter.regions, home.region.as_ref())
            && (filter.channels.is_empty() || filter.channels.iter().any(in_channel))
            && (filter.media.is_empty() || filter.media.contains(&home.media))
            && is_among(&filter.employees, home.owner.as_ref(), &self.employees)
            && (filter.units.is_empty() || filter.units.iter().any(in_unit))
            && (!question.is_about_sales() || home.sold.iter().any(is_sold))
            && match filter.credit {
                None => true,
                Some(CreditFilter::Credited) => has_credit,
                Some(CreditFilter::Direct) => !has_credit,
            }
    }
}

/// What a measure of leads says where it is absent: nothing, whatever the book holds.
pub fn without_lead_counts(measures: Measures) -> Measures {
    Measures { lead_count: 0, converted_lead_count: 0, disqualified_lead_count: 0, ..measures }
}

/// The greatest, over the roles, of what the claims asked for have of an amount.
fn part(worth: &Worth, claims: &[Claim], is_asked: impl Fn(&Claim) -> bool) -> i128 {
    let of_role = |role| {
        let asked =
            claims.iter().zip(&worth.parts_e4).filter(|(claim, _)| claim.role == role && is_asked(claim));
        asked.map(|(_, part_e4)| part_e4).sum()
    };
    [Role::Sourced, Role::Influenced, Role::Fulfilled].map(of_role).into_iter().max().unwrap_or(0)
}

/// Whether `counted` is one of those asked for or of those that were merged into it; everything is where
/// nothing is asked for.
fn is_among<K>(asked: &[Option<Id<K>>], counted: Option<&String>, nodes: &Nodes) -> bool {
    let survivor = |id: &Option<Id<K>>| id.as_ref().map(|id| nodes.survivor(id.as_str()));
    asked.is_empty() || asked.iter().any(|id| survivor(id).as_ref() == counted)
}
