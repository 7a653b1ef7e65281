//! Commands in pods and requests of their ports, over WebSockets to a small server that speaks the two protocols and
//! makes the mistakes that networks make.
//!
//! Real API servers end such connections at a kubelet, which the stand-ins have none of: see `pods` for what they say.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use meshplan::kinds::kubernetes::Kube;
use meshplan::kinds::kubernetes::exec::Ran;
use meshplan::kinds::kubernetes::forward::PodAnswer;
use meshplan::resource::{ErrorClass, ProviderError};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::{access, no_aws, run};

/// What a server was asked for, and the connection to whoever asks.
struct Asked {
    path: String,
    authorization: String,
    stream: WebSocketStream<TcpStream>,
}

/// Accepts one connection, and speaks one of the protocols that are offered.
#[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
async fn accept(listener: &TcpListener, protocol: &'static str) -> Asked {
    let (connection, _) = listener.accept().await.unwrap();
    let (mut path, mut authorization) = (String::new(), String::new());
    let answer = |request: &Request, mut response: Response| {
        path = request.uri().to_string();
        let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
        authorization = header("authorization");
        assert!(header("sec-websocket-protocol").split(", ").any(|offered| offered == protocol));
        response.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        Ok(response)
    };
    let stream = tokio_tungstenite::accept_hdr_async(connection, answer).await.unwrap();
    Asked { path, authorization, stream }
}

async fn listen() -> (TcpListener, Kube, tempfile::TempDir) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (kube, folder) = client(listener.local_addr().unwrap());
    (listener, kube, folder)
}

fn client(server: SocketAddr) -> (Kube, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         clusters: [{{name: a, cluster: {{server: \"http://{server}\"}}}}]\nusers: [{{name: a, user: {{token: secret}}}}]\n"
    );
    std::fs::File::create(&file).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())).unwrap();
    (Kube::open(&access(&file), &no_aws()).unwrap(), folder)
}

fn on(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

/// What comes of a command whose container is played by messages.
async fn exec(protocol: &'static str, messages: Vec<Message>) -> (Result<Ran, ProviderError>, String) {
    let (listener, kube, _folder) = listen().await;
    let server = async {
        let mut asked = accept(&listener, protocol).await;
        assert_eq!(asked.authorization, "Bearer secret");
        for message in messages {
            asked.stream.send(message).await.unwrap();
        }
        let _ = asked.stream.close(None).await;
        asked.path
    };
    tokio::join!(kube.exec("sample", "curl-1", "curl", &["curl", "-w", "a b\n"]), server)
}

#[test]
fn a_command_writes_on_two_channels_and_ends_on_a_third() {
    run(async {
        for protocol in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
            let status = br#"{"metadata":{},"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
            let messages = vec![
                on(1, b""),
                on(1, b"one "),
                on(2, b"curl: (7)"),
                Message::Ping(vec![1].into()),
                on(1, b"two"),
                on(255, &[1]),
                on(3, status),
            ];
            let (ran, path) = exec(protocol, messages).await;
            let ran = ran.unwrap();
            assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.exit_code), ("one two", "curl: (7)", 7));
            assert_eq!(
                path,
                "/api/v1/namespaces/sample/pods/curl-1/exec?container=curl&stdout=true&stderr=true&command=curl&command=-w&command=a%20b%0A"
            );
        }
        let (ran, _) = exec("v5.channel.k8s.io", vec![on(3, br#"{"metadata":{},"status":"Success"}"#)]).await;
        assert_eq!(ran.unwrap().exit_code, 0);
    });
}

#[test]
fn a_command_whose_end_is_not_seen_may_have_ended_either_way() {
    run(async {
        let (cut, _) = exec("v5.channel.k8s.io", vec![on(1, b"half")]).await;
        let cut = cut.unwrap_err();
        assert_eq!(cut.class, ErrorClass::Ambiguous);
        assert!(cut.message.contains("the connection ended before the command did"), "{cut}");
        let (noise, _) = exec("v4.channel.k8s.io", vec![on(3, b"<html>")]).await;
        assert_eq!(noise.unwrap_err().class, ErrorClass::Ambiguous);
        let flood = vec![on(1, &vec![b'x'; 3 << 20]), on(2, &vec![b'x'; 3 << 20])];
        let (flood, _) = exec("v5.channel.k8s.io", flood).await;
        assert!(flood.unwrap_err().message.contains("wrote more than 4 MiB"));
    });
}

/// What comes of a request of a pod's port, whose side is played by a function of the request's bytes.
async fn get(play: impl AsyncFnOnce(&mut WebSocketStream<TcpStream>, Vec<u8>)) -> Result<PodAnswer, ProviderError> {
    let (listener, kube, _folder) = listen().await;
    let server = async {
        let Asked { path, mut stream, .. } = accept(&listener, "v4.channel.k8s.io").await;
        assert_eq!(path, "/api/v1/namespaces/istio-system/pods/istiod-1/portforward?ports=8080");
        for channel in [0, 1] {
            stream.send(on(channel, &8080_u16.to_le_bytes())).await.unwrap();
        }
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Some(Ok(Message::Binary(bytes))) = stream.next().await else { panic!("the request is not whole") };
            assert_eq!(bytes[0], 0);
            request.extend_from_slice(&bytes[1..]);
        }
        play(&mut stream, request).await;
        let _ = stream.close(None).await;
    };
    tokio::join!(kube.get_in_pod("istio-system", "istiod-1", 8080, "/debug/clusterz?a=b"), server).0
}

#[test]
fn a_request_of_a_pod_is_plain_http_over_a_channel() {
    run(async {
        let answer = get(async |stream, request| {
            let request = String::from_utf8(request).unwrap();
            assert!(request.starts_with("GET /debug/clusterz?a=b HTTP/1.1\r\nhost: localhost\r\n"), "{request}");
            // In pieces, as networks have it.
            for piece in ["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 6\r\n\r\n[1,", "2]\n"] {
                stream.send(on(0, piece.as_bytes())).await.unwrap();
            }
        });
        assert_eq!(answer.await.unwrap(), PodAnswer { status: 200, body: b"[1,2]\n".to_vec() });

        // As long as the connection is, and larger than what is under way at once.
        let large = vec![b'x'; 1 << 20];
        let answer = get(async |stream, _| {
            stream.send(on(0, b"HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n")).await.unwrap();
            for piece in large.chunks(100_000) {
                stream.send(on(0, piece)).await.unwrap();
            }
        });
        let answer = answer.await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (404, 1 << 20));
    });
}

#[test]
fn a_port_that_nobody_listens_on_says_so() {
    run(async {
        let refused = get(async |stream, _| {
            let why = "error forwarding port 8080 to pod istiod-1, uid : connect: connection refused";
            stream.send(on(1, why.as_bytes())).await.unwrap();
        });
        let refused = refused.await.unwrap_err();
        assert_eq!(refused.class, ErrorClass::Transient);
        assert!(
            refused.message.starts_with("pod istiod-1 does not answer on port 8080: error forwarding port"),
            "{refused}"
        );

        let cut = get(async |stream, _| {
            stream.send(on(0, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")).await.unwrap();
        });
        assert_eq!(cut.await.unwrap_err().class, ErrorClass::Transient);
    });
}

#[test]
fn a_server_that_opens_no_websocket_is_told_apart() {
    run(async {
        let (listener, kube, _folder) = listen().await;
        let server = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            let _ = connection.read(&mut bytes).await.unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        };
        let (ran, ()) = tokio::join!(kube.exec("sample", "curl-1", "curl", &["curl"]), server);
        let error = ran.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains("does not open a WebSocket"), "{error}");
    });
    run(async {
        let (kube, _folder) = client("127.0.0.1:1".parse().unwrap());
        let error = kube.get_in_pod("istio-system", "istiod-1", 8080, "/").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(error.message.contains("is the endpoint reachable from here"), "{error}");
    });
}
