//! Judged: how those of whom rules speak stood in the windows that rules look at.

use std::sync::Arc;

use tonic::Status;

use super::Advisor;
use crate::book::{BoardQuestion, KeptBoard};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::Window;
use crate::kpi::measures::Measures;
use crate::kpi::recommendation::Rule;
use crate::kpi::standing::{Cohort, Standing, StandingParts};

/// One subject's.
pub struct Judged {
    pub subject: Subject,
    pub now: Standing,
    /// In the comparison window: what ended.
    pub before: Option<Standing>,
    /// The prospects of the same window a year before. None for whom none came in the first quarter of its days:
    /// who began later has younger prospects, which can't be compared.
    pub year_before: Option<Cohort>,
    /// What ended in the months of a trend.
    pub months: Vec<(Window, Measures)>,
}

/// All of a kind, in the order of lists.
pub struct JudgedKind {
    pub all: Vec<Judged>,
    /// That of the window.
    pub now: Arc<KeptBoard>,
    /// That of the comparison window.
    pub before: Option<Arc<KeptBoard>>,
}

/// The whole company.
pub fn tenant(advisor: &Advisor<'_>) -> Result<Judged, Status> {
    let &Advisor { book, ref windows, .. } = advisor;
    let scope = advisor.scope(&Subject::Tenant, &advisor.premises.filter)?;
    let standing = |window: &Window, with_cohort| {
        advisor.caller.still_waits()?;
        let stood = book.standing(&scope, window, windows.rates, with_cohort);
        advisor.rests_on(stood.oldest_rate_on);
        Ok::<_, Status>(stood.standing)
    };
    let months = months(advisor).iter().map(|month| {
        advisor.caller.still_waits()?;
        let fold = book.fold(&scope, month.counted(), windows.rates);
        advisor.rests_on(fold.oldest_rate_on);
        Ok((*month, fold.measures))
    });
    Ok(Judged {
        subject: Subject::Tenant,
        now: standing(&windows.now, true)?,
        before: windows.before.as_ref().map(|before| standing(before, false)).transpose()?,
        year_before: windows.year_before.as_ref().zip(windows.year_before_begin.as_ref()).and_then(
            |(window, begin)| {
                let cohort = |window: &Window| book.cohort(&scope, window.counted(), window.as_of);
                (cohort(begin).prospect_count > 0).then(|| cohort(window))
            },
        ),
        months: months.collect::<Result<_, Status>>()?,
    })
}

/// All subjects of a kind that lists hold, and `also` where they don't hold it.
pub fn all(
    advisor: &Advisor<'_>,
    kind: SubjectKind,
    include_sub_partners: bool,
    also: Option<&Subject>,
) -> Result<JudgedKind, Status> {
    let &Advisor { book, ref windows, premises, .. } = advisor;
    let board = |window: &Window, parts: StandingParts| {
        advisor.caller.still_waits()?;
        let asked = BoardQuestion::new(kind, include_sub_partners, premises, window, windows.rates);
        let board = book.board(&asked.of_peers().of_parts(parts));
        advisor.rests_on(board.oldest_rate_on());
        Ok::<_, Status>(board)
    };
    let now = board(&windows.now, StandingParts::ALL)?;
    // Whether one is a peer hangs on what was in work.
    let before = windows.before.as_ref().map(|before| board(before, StandingParts::WORK)).transpose()?;
    let asks_for_year = advisor.asks_for(&[Rule::CloseFalling, Rule::CloseRising]);
    let of_year = |window: &Option<Window>| {
        let window = window.as_ref().filter(|_| asks_for_year);
        window.map(|window| board(window, StandingParts::COHORT)).transpose()
    };
    let year_before = of_year(&windows.year_before)?.zip(of_year(&windows.year_before_begin)?);
    let months = months(advisor).iter().map(|month| Ok((*month, board(month, StandingParts::ENDS)?)));
    let months = months.collect::<Result<Vec<_>, Status>>()?;

    let mut subjects = book.subjects(kind, include_sub_partners, None, usize::MAX);
    subjects.extend(also.filter(|also| !subjects.contains(also)).cloned());
    let judged = subjects.into_iter().map(|subject| {
        let standing = |board: &Arc<KeptBoard>| book.standing_on(board, &subject);
        Judged {
            now: standing(&now),
            before: before.as_ref().map(standing),
            year_before: year_before.as_ref().and_then(|(whole, begin)| {
                (standing(begin).cohort.prospect_count > 0).then(|| standing(whole).cohort)
            }),
            months: months.iter().map(|(month, board)| (*month, standing(board).measures)).collect(),
            subject,
        }
    });
    Ok(JudgedKind { all: judged.collect(), now, before })
}

/// The months of a trend, where one is asked for.
fn months<'w>(advisor: &'w Advisor<'_>) -> &'w [Window] {
    if advisor.asks_for(&[Rule::SizeGrow, Rule::SizeFalling]) { &advisor.windows.months } else { &[] }
}
