//! GetDataQuality.

use tonic::{Request, Response};

use super::render::quality;
use super::{Rpc, RpcResult, as_of_or_today, failure, parse, scope, window};
use crate::book::QualityQuestion;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetDataQualityRequest>,
) -> RpcResult<pb::GetDataQualityResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::get_data_quality(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let knowledge = asked.premises.knowledge;
    let now = rpc.now();
    let answer = rpc.ask(&tenant, knowledge, move |book, settings, caller| {
        let as_of = as_of_or_today(asked.as_of, settings, now);
        let window = window(asked.window, as_of, settings)?;
        let scope = scope(book, &asked.subject, &asked.premises)?;
        let stale_days = settings.thresholds.stale_days.unwrap_or(QualityQuestion::STALE_DAYS_DEFAULT);
        let question = QualityQuestion {
            dates: window.counted(),
            as_of,
            rates: asked.premises.exchange.rates_in(&window),
            rates_of_stock: asked.premises.exchange.rates_of_stock(as_of),
            stale_days: stale_days.try_into().expect("settings bound it"),
            ids_max: asked.ids_max(),
        };
        let (subject, name) = book.identify(&asked.subject);
        let quality = book.quality(&scope, &question, &|| !caller.has_gone());
        caller.still_waits()?;
        let told = quality::Told { subject, name, window, stale_days, quality };
        let data_quality = quality::data_quality(&told, &asked.premises);
        let definition = quality::definition(&told, &asked.premises, &request.premises, settings);
        Ok((data_quality, definition, book.revision()))
    });
    let (data_quality, definition, revision) = answer.await?;
    Ok(Response::new(pb::GetDataQualityResponse {
        data_quality: Some(data_quality),
        definition: Some(definition),
        revision_token: rpc.revision_token(&tenant, revision),
    }))
}
