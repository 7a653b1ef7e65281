//! Serves the sandbox on a loopback address, for clients in other processes: AWS over HTTP/1.1, and on the same port the API
//! servers of its clusters over TLS.
//!
//! Entry point: [`serve`]. Signatures of calls to AWS are accepted and not checked. Virtual time runs at the sandbox's speed times
//! real time while it serves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::kubernetes::tls::{Acceptor, HANDSHAKE};
use super::protocol::{Answer, Request};
use super::service::{Outcome, Service};

/// EC2 itself takes no larger bodies than this.
const MAX_BODY: usize = 1 << 20;

/// Why the sandbox cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address can be reached from elsewhere.
    #[error(
        "the sandbox checks no signatures, so it is only served on loopback: listen on 127.0.0.1 or [::1] instead of {0}"
    )]
    NotLoopback(SocketAddr),
    /// The operating system refused.
    #[error("cannot accept connections")]
    Accept(#[source] io::Error),
    /// The API servers of clusters cannot be served.
    #[error("cannot speak TLS")]
    Tls(#[source] io::Error),
}

/// The connection is cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut (sandbox fault)")]
struct Cut;

/// Answers clients until dropped.
pub(crate) async fn serve(service: &Arc<Service>, listener: TcpListener) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Accept)?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let _flowing = service.clock.flow();
    let clusters = Acceptor::of(service).map_err(ServeError::Tls)?;
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    // The client was gone before it was accepted; that concerns nobody else.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    Err(error) => return Err(ServeError::Accept(error)),
                };
                connections.push(connection(Arc::clone(service), clusters.clone(), stream));
            }
            // How a connection ended concerns its client only.
            Some(()) = connections.next() => {}
        }
    }
}

/// Answers one connection until it ends.
async fn connection(service: Arc<Service>, clusters: Acceptor, stream: TcpStream) {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [HANDSHAKE] => return clusters.serve(stream).await,
        // It ended before it began, or speaks plainly.
        Ok(_) | Err(_) => {}
    }
    let answer = service_fn(move |request| answer(Arc::clone(&service), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(service: Arc<Service>, request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Cut> {
    let header =
        |name: HeaderName| request.headers().get(&name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut asked = Request {
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        host: header(HOST).unwrap_or_default(),
        authorization: header(AUTHORIZATION),
        target: header(HeaderName::from_static("x-amz-target")),
        query: request.uri().query().map(str::to_owned),
        body: Vec::new(),
    };
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        let mut response = http::Response::new(Full::new(Bytes::from(format!(
            "the body is longer than {MAX_BODY} bytes, or was cut\n"
        ))));
        *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        return Ok(response);
    };
    asked.body = body.to_bytes().to_vec();
    match service.handle(asked).await {
        Outcome::Answer(answer) => Ok(response(answer)),
        Outcome::Refused | Outcome::Cut => Err(Cut),
    }
}

fn response(answer: Answer) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let named = [("x-amzn-requestid", Some(answer.request_id)), ("x-amzn-errortype", answer.error_type)];
    for (name, value) in named {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}
