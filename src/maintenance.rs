//! `MAINTENANCE=on`: everything but probes is told to come back later. nginx does the same without asking anyone
//! (`nginx/conf.d/site.conf`), so that the app may be stopped meanwhile.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::RETRY_AFTER,
    middleware::Next,
};

use crate::refusal::Page;

/// Seconds after which it is worth asking again.
pub const RETRY: &str = "60";

/// Refuses every request: the service is not there, whatever they ask.
pub async fn refuse<B: MessageBody>(
    request: ServiceRequest,
    _: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut answer = HttpResponse::ServiceUnavailable();
    answer.insert_header((RETRY_AFTER, RETRY));
    answer.extensions_mut().insert(Page::Maintenance);
    Ok(request.into_response(answer.finish()))
}
