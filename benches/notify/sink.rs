//! A webhook's other end that costs nothing: answers every request with 200 and counts them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix_web::{App, HttpResponse, HttpServer, web};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    let count = Arc::new(AtomicU64::new(0));
    HttpServer::new(move || {
        let (counted, shown) = (count.clone(), count.clone());
        let show = move || std::future::ready(HttpResponse::Ok().body(shown.load(Ordering::Relaxed).to_string()));
        let take = move |_: web::Bytes| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(HttpResponse::Ok().finish())
        };
        App::new().route("/count", web::get().to(show)).default_service(web::post().to(take))
    })
    .workers(1)
    .keep_alive(std::time::Duration::from_secs(75))
    .bind(address)?
    .run()
    .await
}
