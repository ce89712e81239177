//! The least that actix-web can do: one worker, one route, a constant of the length that the sample service answers.

use actix_web::{App, HttpServer, web};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    HttpServer::new(|| App::new().route("/", web::get().to(async || "Sun Nov 22 05:29:04 2026")))
        .workers(1)
        .bind(("0.0.0.0", 8080))?
        .run()
        .await
}
