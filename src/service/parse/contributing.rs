//! ListContributingRecords: which records are asked for.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{
    Consistency, PageRequest, asked_consistency, asked_page_size, sent_token, window_spec,
};
use super::value::{self, known, optional, required};
use crate::book::FigureKind;
use crate::domain::calendar::Date;
use crate::domain::premises::Premises;
use crate::domain::subject::Subject;
use crate::domain::window::WindowSpec;
use crate::proto::channelkpi::v1 as pb;
use crate::service::token;

/// ListContributingRecords'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContributingQuestion {
    pub subject: Subject,
    pub figure: FigureKind,
    /// Absent of what is open, and only there.
    pub window: Option<WindowSpec>,
    /// Absent: today in the tenant's zone, or the day of the walk's first page.
    pub as_of: Option<Date>,
    pub page: PageRequest,
    pub premises: Premises,
    pub consistency: Consistency,
}

pub fn list_contributing_records(
    request: &pb::ListContributingRecordsRequest,
) -> Result<ContributingQuestion, Violations> {
    let pb::ListContributingRecordsRequest {
        subject,
        figure_kind: kind,
        window: asked_window,
        as_of,
        page_size,
        page_token,
        consistency,
        premises: asked,
    } = request;
    let arguments_hash = token::arguments_hash(
        "ListContributingRecords",
        &pb::ListContributingRecordsRequest {
            page_size: 0,
            page_token: String::new(),
            consistency: None,
            ..request.clone()
        },
    );
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let figure = figure_kind(at.field("figure_kind"), *kind);
        let window = match figure {
            Some(FigureKind::Open) if asked_window.is_some() => {
                at.field("window").refuse("is set, but what is open is a figure of as_of alone")
            }
            Some(FigureKind::Open) => Some(None),
            Some(_) => required(at.field("window"), asked_window, window_spec).map(Some),
            // Whether it must be there isn't known.
            None => Some(optional(at.field("window"), asked_window, window_spec)),
        };
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let page_size = asked_page_size(at.field("page_size"), *page_size);
        let premises = premises(at.field("premises"), asked);
        let of_deals_only = premises.as_ref().is_some_and(|premises| premises.filter.asks_for_deals_only());
        if of_deals_only && figure.is_some_and(FigureKind::is_of_leads) {
            at.field("figure_kind").refuse::<()>(
                "is of leads, which have neither products nor labels: ask for prospects, or drop these filters",
            );
        }
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(ContributingQuestion {
            subject: subject?,
            figure: figure?,
            window: window?,
            as_of,
            page: PageRequest { size: page_size?, token: sent_token(page_token), arguments_hash },
            premises: premises?,
            consistency: consistency?,
        })
    })
}

fn figure_kind(at: Path<'_>, number: i32) -> Option<FigureKind> {
    use pb::FigureKind as Wire;
    match known(at, number)? {
        Wire::Unspecified => at.refuse("is unspecified: name a figure"),
        Wire::Won => Some(FigureKind::Won),
        Wire::Lost => Some(FigureKind::Lost),
        Wire::Expired => Some(FigureKind::Expired),
        Wire::Missed => Some(FigureKind::Missed),
        Wire::Opened => Some(FigureKind::Opened),
        Wire::Open => Some(FigureKind::Open),
        Wire::InWork => Some(FigureKind::InWork),
        Wire::LeadsCreated => Some(FigureKind::LeadsCreated),
        Wire::LeadsConverted => Some(FigureKind::LeadsConverted),
        Wire::LeadsDisqualified => Some(FigureKind::LeadsDisqualified),
        Wire::Prospects => Some(FigureKind::Prospects),
        Wire::Purchased => Some(FigureKind::Purchased),
        Wire::LostProspects => Some(FigureKind::LostProspects),
    }
}
