//! Texts: what was found and what to do, as sentences in a language, with numbers and dates in its form.
//!
//! A language is a file of `src/text/`, named by its tag: the build lists them. Which messages a file must have
//! is tested.

use std::str::FromStr;
use std::sync::LazyLock;

use fixed_decimal::Decimal;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::YMD;
use icu_decimal::DecimalFormatter;
use icu_locale_core::Locale;
use unic_langid::LanguageIdentifier;

use crate::domain::amount::Currency;
use crate::domain::calendar::Date;
use crate::domain::record::Media;
use crate::domain::subject::SubjectKind;
use crate::kpi::Kpi;
use crate::kpi::recommendation::{About, EvidenceKind, Finding, Form, Named};

include!(concat!(env!("OUT_DIR"), "/languages.rs"));

/// What stands for a variable that is absent.
const NONE: &str = "none";

/// A language that texts are written in.
#[derive(Clone, Copy)]
pub struct Language(&'static Catalogue);

struct Catalogue {
    tag: &'static str,
    messages: FluentBundle<FluentResource>,
}

/// What says things in a language, with amounts in a currency.
pub struct Speaker {
    catalogue: &'static Catalogue,
    currency: Currency,
    numbers: DecimalFormatter,
    dates: DateTimeFormatter<YMD>,
}

/// What was found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentences {
    pub finding: String,
    pub advice: String,
}

static CATALOGUES: LazyLock<Vec<Catalogue>> =
    LazyLock::new(|| SOURCES.iter().map(|(tag, source)| Catalogue::new(tag, source)).collect());

// === impl Language ===

impl Language {
    /// What is spoken where nothing else is asked for.
    pub const DEFAULT_TAG: &'static str = "en";

    /// The language of a BCP 47 tag, whatever region it names. None where there are no texts in it.
    pub fn find(tag: &str) -> Option<Self> {
        let language = tag.split('-').next().unwrap_or(tag);
        CATALOGUES.iter().find(|catalogue| catalogue.tag.eq_ignore_ascii_case(language)).map(Self)
    }

    /// Of all of them.
    pub fn tags() -> impl Iterator<Item = &'static str> {
        SOURCES.iter().map(|(tag, _)| *tag)
    }

    pub fn speaker(self, currency: Currency) -> Speaker {
        let locale: Locale = self.0.tag.parse().expect("files are named by tags: tested");
        let numbers = DecimalFormatter::try_new((&locale).into(), Default::default());
        let dates = DateTimeFormatter::try_new((&locale).into(), YMD::medium());
        Speaker {
            catalogue: self.0,
            currency,
            numbers: numbers.expect("the data of all languages are compiled in"),
            dates: dates.expect("the data of all languages are compiled in"),
        }
    }
}

impl std::fmt::Debug for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.tag)
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.0.tag == other.0.tag
    }
}

impl Eq for Language {}

// === impl Catalogue ===

impl Catalogue {
    fn new(tag: &'static str, source: &str) -> Self {
        let language: LanguageIdentifier = tag.parse().expect("files are named by tags: tested");
        let resource = FluentResource::try_new(source.to_owned());
        let mut messages = FluentBundle::new_concurrent(vec![language]);
        // All of these languages run from left to right: marks around what is filled in would only disturb whoever
        // searches the text.
        messages.set_use_isolating(false);
        messages
            .add_resource(resource.expect("files are Fluent: tested"))
            .expect("no id comes twice: tested");
        Self { tag, messages }
    }

    /// A message's value, or that of its attribute.
    fn say(&self, id: &str, attribute: Option<&str>, args: &FluentArgs<'_>) -> String {
        let message = self.messages.get_message(id).expect("all messages are there: tested");
        let pattern = match attribute {
            None => message.value(),
            Some(attribute) => message.get_attribute(attribute).map(|attribute| attribute.value()),
        };
        let mut errors = Vec::new();
        let said = self.messages.format_pattern(pattern.expect("tested"), Some(args), &mut errors);
        debug_assert!(errors.is_empty(), "{}: {id}: {errors:?}", self.tag);
        said.into_owned()
    }
}

// === impl Speaker ===

impl Speaker {
    /// What a recommendation for a subject says. `name` is the subject's; None: the whole company.
    pub fn sentences(&self, finding: &Finding<'_>, name: Option<&str>) -> Sentences {
        let mut args = FluentArgs::new();
        for &kind in EvidenceKind::ALL {
            args.set(kind.name(), NONE);
        }
        for evidence in &finding.evidence {
            args.set(evidence.kind.name(), self.figure(evidence.kind.form(), evidence.value.quotient()));
        }
        let end = finding.evidence.first().map(|evidence| evidence.window.dates.to.plus_days(-1));
        args.set("window_end", end.map_or_else(|| NONE.to_owned(), |end| self.date(end)));
        let roi = finding.quotient(EvidenceKind::ReturnOnInvestment);
        args.set("pays", if roi.is_some_and(|roi| roi < 0.0) { "no" } else { "yes" });
        args.set("subject", name.map_or_else(|| self.word("company"), str::to_owned));
        let called = |named: Named<'_>| named.name.unwrap_or(named.id).to_owned();
        let (topic, better, kpi) = match finding.about {
            About::Nothing => (None, None, None),
            About::Stage(stage) => {
                (Some(stage.map_or_else(|| self.word("no-stage"), str::to_owned)), None, None)
            }
            About::Channel(channel) => (Some(called(channel)), None, None),
            About::StoppedChannel { channel, better } => (Some(called(channel)), better.map(called), None),
            About::Media(medium) => (Some(self.word(media_id(medium))), None, None),
            About::Target(id) => (Some(id.to_owned()), None, None),
            About::Strategy { strategy, kpi, .. } => {
                (Some(called(strategy)), None, Some(self.word(kpi_id(kpi))))
            }
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        args.set("topic", or_none(topic));
        args.set("best_channel", or_none(better));
        args.set("kpi", or_none(kpi));
        args.set(
            "those",
            match finding.about {
                About::Strategy { kind, .. } => self.word(those_id(kind)),
                _ => NONE.to_owned(),
            },
        );
        let id = finding.rule.id().replace('.', "-");
        Sentences {
            finding: self.catalogue.say(&id, None, &args),
            advice: self.catalogue.say(&id, Some("advice"), &args),
        }
    }

    fn word(&self, id: &str) -> String {
        self.catalogue.say(id, None, &FluentArgs::new())
    }

    fn figure(&self, form: Form, quotient: f64) -> String {
        let patterned = |id: &str, number: String| {
            let mut args = FluentArgs::new();
            args.set("currency", self.currency.code().to_owned());
            args.set("number", number);
            self.catalogue.say(id, None, &args)
        };
        match form {
            Form::Money => patterned("money", self.number(quotient, 2)),
            Form::Step => patterned("money", self.number(quotient.abs(), 2)),
            Form::Points => patterned("points", self.number(100.0 * quotient, 1)),
            Form::Percent => patterned("percent", self.number(100.0 * quotient, 1)),
            Form::Count => self.number(quotient, 0),
            Form::Number => self.number(quotient, 1),
        }
    }

    /// Rounded to so many places.
    fn number(&self, number: f64, places: usize) -> String {
        let text = format!("{number:.places$}");
        // Rounded to nothing, it has no sign.
        let is_zero = !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        let text = if is_zero { text.trim_start_matches('-') } else { &text };
        Decimal::from_str(text)
            .map_or_else(|_| text.to_owned(), |number| self.numbers.format(&number).to_string())
    }

    fn date(&self, date: Date) -> String {
        let (year, month, day) = date.ymd();
        let date = icu_calendar::Date::try_new_iso(year, month as u8, day as u8);
        date.map_or_else(
            |_| format!("{year}-{month:02}-{day:02}"),
            |date| self.dates.format(&date).to_string(),
        )
    }
}

fn media_id(medium: Media) -> &'static str {
    match medium {
        Media::Paid => "media-paid",
        Media::Earned => "media-earned",
        Media::Owned => "media-owned",
    }
}

fn those_id(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Partner => "those-partners",
        SubjectKind::Employee => "those-employees",
        SubjectKind::Unit => "those-units",
    }
}

/// Of the KPIs that a strategy can be judged by.
fn kpi_id(kpi: Kpi) -> &'static str {
    match kpi {
        Kpi::AverageDealSize => "kpi-average_deal_size",
        Kpi::DealCount => "kpi-deal_count",
        Kpi::OpportunityPipeline => "kpi-opportunity_pipeline",
        Kpi::MarketingChannel => "kpi-marketing_channel",
        Kpi::CloseRate => "kpi-close_rate",
        Kpi::DealVelocity => "kpi-deal_velocity",
        Kpi::ValueScore => "kpi-value_score",
        Kpi::DealSuccess => "kpi-deal_success",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::{DateRange, date};
    use crate::domain::window::{PeriodStarts, Window, WindowSpec};
    use crate::kpi::figure::{Quantity, Ratio};
    use crate::kpi::recommendation::{Evidence, Rule, Value};

    const NAMED: Named<'_> = Named { id: "C-1", name: Some("Web search") };

    fn window() -> Window {
        let dates = DateRange { from: date("2026-01-01"), to: date("2026-04-01") };
        let starts = PeriodStarts { week_start: chrono::Weekday::Mon, fiscal_year_start_month: 1 };
        WindowSpec::Dates(dates).resolve(date("2026-03-31"), &starts).expect("these days are in range")
    }

    fn speaker(tag: &str) -> Speaker {
        let dollars = Currency::try_new("USD").expect("a currency");
        Language::find(tag).expect("it is there").speaker(dollars)
    }

    fn about(rule: Rule) -> About<'static> {
        match rule {
            Rule::ChannelStop => About::StoppedChannel { channel: NAMED, better: Some(NAMED) },
            Rule::ChannelInvest => About::Channel(NAMED),
            Rule::ChannelEarnedWeak => About::Media(Media::Earned),
            Rule::ChannelOwnedWeak => About::Media(Media::Owned),
            Rule::PipelineThin | Rule::PipelineBehind => About::Target("T-1"),
            Rule::VelocitySlowStage => About::Stage(Some("quote")),
            Rule::StrategyWorks | Rule::StrategyFails => About::Strategy {
                strategy: NAMED,
                kpi: Kpi::CloseRate,
                kind: SubjectKind::Partner,
                include_sub_partners: false,
            },
            _ => About::Nothing,
        }
    }

    /// With all evidence there is, and with none.
    #[test]
    fn every_language_says_every_rule() {
        for tag in Language::tags() {
            let speaker = speaker(tag);
            for rule in Rule::ALL {
                let full = EvidenceKind::ALL.iter().map(|&kind| Evidence {
                    kind,
                    value: Value::Estimate(1_234_567.891),
                    window: window(),
                });
                let full: Vec<Evidence> = full.collect();
                for evidence in [full, Vec::new()] {
                    let has_evidence = !evidence.is_empty();
                    let finding = Finding { rule, about: about(rule), evidence, effect_e4: None };
                    let said = speaker.sentences(&finding, Some("Padma"));
                    let is_said = !said.finding.contains(NONE) && !said.advice.contains(NONE);
                    assert!(is_said || !has_evidence, "{tag} {rule:?}: {said:?}");
                    assert!(!said.finding.is_empty() && !said.advice.is_empty(), "{tag} {rule:?}");
                }
            }
            for kpi in Kpi::ALL {
                assert!(!speaker.word(kpi_id(kpi)).is_empty());
            }
            for word in ["company", "no-stage", "media-paid"] {
                assert!(!speaker.word(word).is_empty());
            }
        }
    }

    /// What a rule may lack is said otherwise, never as "none".
    #[test]
    fn what_is_absent_is_left_out() {
        use EvidenceKind as Kind;
        let value = Value::Estimate(1_234.5);
        for (rule, lacking) in [
            (Rule::PipelineThin, &[Kind::DealsToOpen, Kind::WinRate, Kind::AverageDealSize][..]),
            (Rule::PipelineThin, &[Kind::TargetAmount, Kind::RemainingAmount]),
            (Rule::PipelineBehind, &[Kind::MovedLost, Kind::MovedExpired, Kind::MovedDecreased]),
            (
                Rule::PipelineBehind,
                &[Kind::TargetAmount, Kind::LandingAmount, Kind::LandingUpperAmount, Kind::ShortAmount],
            ),
            (Rule::ChannelStop, &[Kind::Spend, Kind::ReturnOnInvestment]),
            (Rule::VelocitySlowStage, &[Kind::VelocityToWin, Kind::DealVelocity]),
            (Rule::CloseFalling, &[Kind::AverageDealSize]),
            (Rule::SuccessWeak, &[Kind::AverageDealSize]),
        ] {
            let evidence = EvidenceKind::ALL.iter().filter(|kind| !lacking.contains(kind));
            let evidence = evidence.map(|&kind| Evidence { kind, value, window: window() }).collect();
            let about = match about(rule) {
                About::StoppedChannel { channel, .. } => About::StoppedChannel { channel, better: None },
                other => other,
            };
            let finding = Finding { rule, about, evidence, effect_e4: None };
            for tag in Language::tags() {
                let Sentences { finding, advice } = speaker(tag).sentences(&finding, None);
                assert!(!finding.contains(NONE) && !advice.contains(NONE), "{rule:?}: {finding} {advice}");
            }
        }
    }

    #[test]
    fn numbers_and_dates_have_the_languages_form() {
        let (english, bengali) = (speaker("en"), speaker("bn"));
        for (form, quotient, in_english, in_bengali) in [
            (Form::Money, 1_234_567.891, "USD 1,234,567.89", "১২,৩৪,৫৬৭.৮৯ USD"),
            (Form::Step, -12.0, "USD 12.00", "১২.০০ USD"),
            (Form::Percent, 0.41864, "41.9 %", "৪১.৯%"),
            (Form::Points, -0.0312, "-3.1 pp", "-৩.১ শতাংশ-বিন্দু"),
            (Form::Count, 10_005_534.0, "10,005,534", "১,০০,০৫,৫৩৪"),
            (Form::Number, -0.04, "0.0", "০.০"),
            (Form::Number, -2.55, "-2.5", "-২.৫"),
        ] {
            assert_eq!(english.figure(form, quotient), in_english);
            assert_eq!(bengali.figure(form, quotient), in_bengali);
        }
        assert_eq!(english.date(date("2026-11-30")), "Nov 30, 2026");
        assert_eq!(bengali.date(date("2026-11-30")), "৩০ নভে, ২০২৬");
    }

    #[test]
    fn sentences_by_hand() {
        let whole = |quantity| Ok(Ratio::whole(quantity));
        let (window, now) = (window(), Quantity::Count);
        let finding = Finding::new(Rule::CountHollow, About::Nothing)
            .with(EvidenceKind::WonCount, whole(now(6)), &window)
            .with(EvidenceKind::WonCountBefore, whole(now(5)), &window)
            .with(EvidenceKind::WonAmount, whole(Quantity::AmountE4(900_0000)), &window)
            .with(EvidenceKind::WonAmountBefore, whole(Quantity::AmountE4(10_000_000)), &window);
        assert_eq!(
            speaker("en").sentences(&finding, Some("Padma")).finding,
            "Padma won 6 deals after 5, but they are worth less: USD 900.00 after USD 1,000.00."
        );
        assert_eq!(
            speaker("bn").sentences(&finding, None).finding,
            "কোম্পানি ৫টির পর ৬টি ডিল জিতেছে, কিন্তু মোট মূল্য কমেছে: আগে ১,০০০.০০ USD, এখন ৯০০.০০ USD।"
        );
    }

    #[test]
    fn languages_are_found_by_their_tags() {
        for tag in ["en", "en-GB", "EN", "bn", "bn-BD"] {
            let found = Language::find(tag).map(|language| format!("{language:?}"));
            assert_eq!(found, Some(tag[..2].to_ascii_lowercase()));
        }
        for tag in ["", "de", "b", "-", "bengali"] {
            assert_eq!(Language::find(tag), None, "{tag}");
        }
    }
}
