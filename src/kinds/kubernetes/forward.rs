//! Makes one HTTP request of a pod from the pod's own loopback, as `kubectl port-forward` and curl would, without either.
//!
//! Entry point: [`Kube::get_in_pod`]. A WebSocket carries the port's bytes on one channel and its errors on another; over
//! the bytes goes plain HTTP/1.1. Nothing is spawned: dropping the future closes the connection.

use futures_util::{SinkExt, StreamExt};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::resource::{ErrorClass, GetInPod, ProviderError};

use super::call::{Call, escape};
use super::client::{Kube, Wire};
use super::error::cut;
use super::exec::refused_by_api;

/// How large an answer may be. What an istiod says of a proxy grows with the mesh.
const MAX_ANSWER: usize = 64 << 20;

/// How much is under way between the two sides.
const BUFFER: usize = 64 << 10;

/// The channels of the only port.
const DATA: u8 = 0;
const ERRORS: u8 = 1;

/// What a pod answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Kube {
    /// Asks a port of a pod for a path, as from the pod itself. It has no time limit: the caller drops the future.
    ///
    /// Whatever the pod answers is an answer; that nobody listens there is an error.
    pub async fn get_in_pod(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        path: &str,
    ) -> Result<PodAnswer, ProviderError> {
        let call = call(namespace, pod, port);
        match self.wire() {
            Wire::Network(client) => {
                let request = self.request(&call).await?;
                let connection = client.connect(request).await.map_err(|error| self.refused(&call, &error))?;
                ask(connection.into_stream(), port, path).await.map_err(|why| failed(&call, pod, port, &why))
            }
            Wire::Route(route) => {
                let get = GetInPod {
                    authorization: self.authorization().await?,
                    namespace: namespace.to_owned(),
                    pod: pod.to_owned(),
                    port,
                    path: path.to_owned(),
                };
                let answer = route.get_in_pod(self.endpoint(), get).await;
                let answer = answer.map_err(|error| cut(&call, &error, self.endpoint()))?;
                let (status, body) = (answer.status().as_u16(), answer.into_body());
                refused_by_api(&call, &body).map_or(Ok(PodAnswer { status, body }), Err)
            }
        }
    }
}

fn call(namespace: &str, pod: &str, port: u16) -> Call {
    let path = format!("/api/v1/namespaces/{}/pods/{}/portforward?ports={port}", escape(namespace), escape(pod));
    Call { operation: "kubernetes:PortForward", method: Method::GET, path, body: None }
}

fn failed(call: &Call, pod: &str, port: u16, why: &str) -> ProviderError {
    ProviderError::new(
        ErrorClass::Transient,
        call.operation,
        format!("pod {pod} does not answer on port {port}: {why}"),
    )
}

/// Makes the request over the forwarded port.
async fn ask<S>(stream: WebSocketStream<S>, port: u16, path: &str) -> Result<PodAnswer, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (near, far) = tokio::io::duplex(BUFFER);
    let carry = carry(stream, far, port);
    let exchange = exchange(near, path);
    tokio::select! {
        biased;
        // The pod's side says more about a failure than the half of an answer does.
        why = carry => Err(why),
        answer = exchange => answer,
    }
}

/// One request and its answer.
async fn exchange(io: DuplexStream, path: &str) -> Result<PodAnswer, String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(text)?;
    let request = Request::get(path).header(http::header::HOST, "localhost").header(http::header::CONNECTION, "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(text)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok(PodAnswer { status, body: body.to_bytes().to_vec() })
    };
    tokio::pin!(answer, connection);
    let mut ended = false;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            // What it ended with is what the answer ends with.
            _ = &mut connection, if !ended => ended = true,
        }
    }
}

/// Carries bytes between the WebSocket and the request, and answers why it no longer can. While there is nothing wrong it
/// goes on for as long as it is polled.
async fn carry<S>(mut stream: WebSocketStream<S>, io: DuplexStream, port: u16) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_request, mut to_request) = tokio::io::split(io);
    let mut buffer = vec![0; BUFFER];
    // Each channel begins with the port's number.
    let mut begun = [false; 2];
    let mut asking = true;
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let Some((channel, bytes)) = bytes.split_first() else { continue };
                    let Some(begun) = begun.get_mut(usize::from(*channel)) else {
                        return format!("there is no channel {channel}");
                    };
                    if !std::mem::replace(begun, true) {
                        if bytes != port.to_le_bytes().as_slice() {
                            return "it forwards another port than was asked for".to_owned();
                        }
                        continue;
                    }
                    match *channel {
                        ERRORS => return String::from_utf8_lossy(bytes).trim().to_owned(),
                        // The request takes no more: it has its answer.
                        _ if to_request.write_all(bytes).await.is_err() => return std::future::pending().await,
                        _ => {}
                    }
                }
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => {
                    // What was carried is all there is; whether it is an answer is for the request to say.
                    let _ = to_request.shutdown().await;
                    return std::future::pending().await;
                }
                Some(Err(error)) => return error.to_string(),
            },
            read = from_request.read(&mut buffer), if asking => match read {
                Ok(0) | Err(_) => asking = false,
                Ok(n) => {
                    let mut message = Vec::with_capacity(n + 1);
                    message.push(DATA);
                    message.extend_from_slice(buffer.get(..n).unwrap_or_default());
                    if let Err(error) = stream.send(Message::binary(message)).await {
                        return error.to_string();
                    }
                }
            },
        }
    }
}
