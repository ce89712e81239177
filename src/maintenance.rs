//! `MAINTENANCE=on`: everything but probes is told to come back later. nginx does the same without asking anyone
//! (`nginx/conf.d/site.conf`), so that the app may be stopped meanwhile.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::RETRY_AFTER,
    middleware::Next,
};

use crate::{config::Config, refusal::Page};

/// Seconds after which it is worth asking again.
pub const RETRY: &str = "60";

/// Refuses a request during maintenance, else hands it on.
pub async fn refuse<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    if !Config::of(&request).maintenance.0 {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let mut answer = HttpResponse::ServiceUnavailable();
    answer.insert_header((RETRY_AFTER, RETRY));
    answer.extensions_mut().insert(Page::Maintenance);
    Ok(request.into_response(answer.finish()).map_into_right_body())
}
