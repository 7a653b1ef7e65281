//! Clusters' API servers over TLS on loopback, for clients in other processes.
//!
//! Entry point: [`Acceptor`]. All clusters share one port: which one a client means stands in the name that it asks for
//! when the connection begins (`tls-server-name` of a kubeconfig), by which it also gets that cluster's certificate.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::endpoint::{self, Authority};
use super::route::{asked, warning_header};
use super::server::{Reply, Response};
use super::service::Home;
use super::watch::Watch;
use crate::model::Clock as _;
use crate::sandbox::service::{Outcome, Service};

/// etcd takes no larger objects than 1.5 MiB, and API servers no larger bodies than twice that.
const MAX_BODY: usize = 3 << 20;

/// How often a watch looks for what time alone changed.
const LOOK: Duration = Duration::from_millis(50);

/// How many looks there are between two bookmarks: a minute.
const LOOKS_TO_BOOKMARK: u32 = 1200;

/// For how long a watch goes on when the client does not say: a real server draws 30 to 60 minutes.
const WATCH: Duration = Duration::from_mins(30);

/// The first byte of a TLS connection: a record of its handshake.
pub(crate) const HANDSHAKE: u8 = 0x16;

/// Takes connections of TLS.
#[derive(Clone)]
pub(crate) struct Acceptor {
    service: Arc<Service>,
    tls: TlsAcceptor,
}

/// Chooses certificates by the name that is asked for.
struct Certificates(Arc<Service>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates(sandbox)")
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let home = home(&self.0, hello.server_name())?;
        let (unique, host) = {
            let mut state = self.0.state();
            let place = state.world.place(&home.region, self.0.clock.now());
            let cluster = place.region.clusters.get(&home.cluster)?;
            (cluster.unique.clone(), endpoint::host_of(cluster, &home.region))
        };
        Authority::of(&unique)?.server(&host)
    }
}

/// The cluster that a client means; who names none means the only one.
fn home(service: &Service, name: Option<&str>) -> Option<Home> {
    match name {
        Some(name) if name != "localhost" => service.home(name),
        Some(_) | None => {
            let state = service.state();
            endpoint::only(&state.world, service.clock.now()).map(|(region, cluster)| Home { region, cluster })
        }
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

impl Acceptor {
    /// For the clusters of a sandbox.
    pub(crate) fn of(service: &Arc<Service>) -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Certificates(Arc::clone(service))));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { service: Arc::clone(service), tls: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Answers one connection until it ends.
    pub(crate) async fn serve(self, stream: TcpStream) {
        // A handshake that fails concerns its client only; it was told why.
        let Ok(stream) = self.tls.accept(stream).await else { return };
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        let Some(home) = home(&self.service, name.as_deref()) else { return };
        let service = Arc::clone(&self.service);
        let answer = service_fn(move |request| answer(Arc::clone(&service), home.clone(), request));
        // The same holds for how it ends.
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }
}

async fn answer(
    service: Arc<Service>,
    home: Home,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        let text = format!("the body is longer than {MAX_BODY} bytes, or was cut\n");
        let response =
            Response { status: 413, content_type: "text/plain", body: text.into_bytes(), warnings: Vec::new() };
        return whole(response);
    };
    let asked = asked(http::Request::from_parts(head, body.to_bytes().to_vec()));
    match service.kubernetes(&home, &asked).await {
        Outcome::Answer(Reply::Whole(response)) => whole(response),
        Outcome::Answer(Reply::Watch(watch)) => Ok(watched(service, home, *watch)),
        Outcome::Refused | Outcome::Cut => Err(io::Error::other("the connection is cut (sandbox)")),
    }
}

fn whole(response: Response) -> Result<http::Response<Body>, io::Error> {
    let mut answer = http::Response::builder().status(response.status).header(CONTENT_TYPE, response.content_type);
    for warning in response.warnings.iter().filter_map(|text| HeaderValue::from_str(&warning_header(text)).ok()) {
        answer = answer.header("warning", warning);
    }
    let body = Full::new(Bytes::from(response.body)).map_err(|never| match never {}).boxed_unsync();
    answer.body(body).map_err(io::Error::other)
}

/// A watch that goes on.
struct Going {
    service: Arc<Service>,
    home: Home,
    watch: Watch,
    /// How many looks are left.
    left: u32,
    since_bookmark: u32,
    ends: bool,
}

fn watched(service: Arc<Service>, home: Home, watch: Watch) -> http::Response<Body> {
    let whole = watch.seconds.map_or(WATCH, Duration::from_secs);
    let left = u32::try_from(whole.as_millis() / LOOK.as_millis()).unwrap_or(u32::MAX).max(1);
    let going = Going { service, home, watch, left, since_bookmark: 0, ends: false };
    let events = stream::unfold(going, |going| async {
        let (lines, going) = going.next().await?;
        Some((Ok::<_, io::Error>(Frame::data(Bytes::from(lines))), going))
    });
    let mut answer = http::Response::new(StreamBody::new(events).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

impl Going {
    /// The next lines, when there are some; `None` when it is over.
    async fn next(mut self) -> Option<(String, Self)> {
        loop {
            if self.ends || self.left == 0 {
                return None;
            }
            let (mut events, goes_on) = self.service.events(&self.home, &mut self.watch);
            self.ends = !goes_on;
            self.left -= 1;
            self.since_bookmark += 1;
            if events.is_empty() && self.since_bookmark >= LOOKS_TO_BOOKMARK {
                events.extend(self.watch.periodic());
            }
            if !events.is_empty() {
                self.since_bookmark = 0;
                let lines: Vec<String> = events.iter().map(Value::to_string).collect();
                return Some((lines.join("\n") + "\n", self));
            }
            if !self.ends {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}
