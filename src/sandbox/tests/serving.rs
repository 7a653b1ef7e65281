//! The sandbox over HTTP, as a client in another process sees it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Sends one request and reads the whole answer; `None` when the connection was cut.
async fn send(listening: std::net::SocketAddr, body: &str) -> Option<String> {
    ask(listening, "POST /", "ec2", "", body).await
}

/// The same for any service, with more headers.
async fn ask(listening: std::net::SocketAddr, line: &str, service: &str, headers: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(listening).await.unwrap();
    let signature =
        format!("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/{service}/aws4_request, Signature=unchecked");
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {listening}\r\nConnection: close\r\nAuthorization: {signature}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    (!answer.is_empty()).then_some(answer)
}

#[tokio::test]
async fn other_processes_are_served_on_loopback() {
    let lost = "[[rules]]\noperation = 'CreateVpc'\nafter = 1\nfault = 'lost-answer'";
    let faults = Faults::from_toml(lost, Path::new("f")).unwrap();
    let options = Options { persist: false, faults, speed: Speed::Times(6000.0), ..Options::default() };
    let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
    let start = sandbox.clock().now();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listening = listener.local_addr().unwrap();
    let client = async {
        let made = send(listening, "Action=CreateVpc&CidrBlock=10.1.0.0%2F16").await.unwrap();
        assert!(made.starts_with("HTTP/1.1 200 OK") && made.contains("<cidrBlock>10.1.0.0/16</cidrBlock>"), "{made}");
        assert_eq!(send(listening, "Action=CreateVpc&CidrBlock=10.2.0.0%2F16").await, None);
        let refused = send(listening, "Action=Nothing").await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("<Code>InvalidAction</Code>"), "{refused}");
        let zones = send(listening, "Action=DescribeAvailabilityZones").await.unwrap();
        assert!(zones.contains("<zoneId>euw1-az1</zoneId>"), "the region comes from the signature: {zones}");
        let long = "x".repeat(1_100_000);
        assert!(send(listening, &long).await.is_none_or(|answer| answer.starts_with("HTTP/1.1 413")));
    };
    tokio::select! {
        served = sandbox.serve(listener) => served.unwrap(),
        () = client => {}
    }
    assert!(sandbox.clock().now() > start, "time flowed");
    let vpcs = sandbox.status().regions[0].counts.iter().find(|count| count.resource_type == "vpc").unwrap().count;
    assert_eq!(vpcs, 2, "the lost answer's effect is done");
}

#[tokio::test]
async fn every_protocol_is_served() {
    let sandbox = instant();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listening = listener.local_addr().unwrap();
    let client = async {
        let listed = ask(listening, "GET /clusters?maxResults=5", "eks", "", "").await.unwrap();
        assert!(listed.starts_with("HTTP/1.1 200 OK") && listed.contains("content-type: application/json"), "{listed}");
        assert!(listed.contains(r#"{"clusters":[],"nextToken":null}"#), "{listed}");
        let absent = ask(listening, "GET /clusters/a%2Fb", "eks", "", "").await.unwrap();
        assert!(absent.starts_with("HTTP/1.1 404") && absent.contains("x-amzn-errortype: ResourceNotFoundException"));
        assert!(absent.contains(r#"{"clusterName":"a/b","message":"No cluster found for name: a/b."}"#), "{absent}");
        let unknown = ask(listening, "PUT /clusters", "eks", "", "").await.unwrap();
        assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("UnknownOperationException"), "{unknown}");
        let malformed = ask(listening, "POST /clusters", "eks", "", "{").await.unwrap();
        assert!(malformed.starts_with("HTTP/1.1 400") && malformed.contains("SerializationException"), "{malformed}");
        let caller = ask(listening, "POST /", "sts", "", "Action=GetCallerIdentity").await.unwrap();
        assert!(caller.contains("<GetCallerIdentityResult><Arn>"), "{caller}");
        let target = "x-amz-target: DynamoDB_20120810.ListTables\r\n";
        let unserved = ask(listening, "POST /", "dynamodb", target, "{}").await.unwrap();
        assert!(unserved.contains("The sandbox does not simulate dynamodb; it has ec2, eks,"), "{unserved}");
        assert!(unserved.contains("application/x-amz-json-1.1"), "{unserved}");
    };
    tokio::select! {
        served = sandbox.serve(listener) => served.unwrap(),
        () = client => {}
    }
}

#[tokio::test]
async fn nobody_else_is_served() {
    let sandbox = instant();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = sandbox.serve(listener).await.unwrap_err().to_string();
    assert!(error.contains("listen on 127.0.0.1"), "{error}");
}
