//! Requests between the clusters: curl in a pod with a proxy, run through the API server.

use std::time::Duration;

use super::{Looker, unseen};
use crate::kinds::kubernetes::Kube;
use crate::resource::{ErrorClass, ProviderError};
use crate::verify::facts::{ClusterFacts, Reply, Seen, Unseen};

/// Where the sample applications are.
pub(super) const NAMESPACE: &str = "sample";
/// The app that answers.
pub(super) const SERVER: &str = "helloworld";
/// The app that asks, and its container.
pub(super) const CLIENT: &str = "curl";

/// How long one request may take: a proxy gives up connecting after ten seconds, and nobody waits for that.
const MAX_TIME: u32 = 5;

/// What each answer ends with, so that answers can be told apart.
const MARK: &str = "meshplan";

/// How much of a body that is no greeting is kept.
const EXCERPT: usize = 300;

/// How many requests are enough for each of so many servers to be heard: the chance that one is not, with servers chosen
/// at random, is below one in a thousand in a mesh of any size, and about one in half a million with two servers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of pods is small, and the result is above zero"
)]
pub(super) fn enough(least: u32, servers: usize) -> u32 {
    let n = servers.max(1) as f64;
    least.max((n * (n.ln() + 9.0)).ceil() as u32)
}

impl Looker<'_> {
    /// Sends the requests of a cluster, and notes what its proxy is told of them.
    pub(super) async fn ask(self, kube: &Kube, facts: &mut ClusterFacts, port: u16, requests: u32) {
        let Some(sample) = &mut facts.sample else { return };
        let Some(client) = sample.client.clone().filter(|client| client.ready) else { return };
        if client.has_proxy {
            sample.endpoints = self.endpoints(kube, &facts.istiods, &client, port).await;
        }
        sample.replies = Some(self.requests(kube, &client.name, port, requests).await);
    }

    async fn requests(self, kube: &Kube, pod: &str, port: u16, requests: u32) -> Seen<Vec<Reply>> {
        let (time, url) =
            (MAX_TIME.to_string(), format!("http://{SERVER}.{NAMESPACE}:{port}/hello?request=[1-{requests}]"));
        let each = format!("\\n{MARK} %{{http_code}} %{{exitcode}} %{{errormsg}}\\n");
        let command = ["curl", "-sS", "--max-time", &time, "-w", &each, &url];
        let limit = Duration::from_secs(u64::from(requests) * u64::from(MAX_TIME) + 30);
        let ran = self.within(limit, kube.exec(NAMESPACE, pod, CLIENT, &command)).await?;
        let replies = parse(&ran.stdout);
        if replies.is_empty() {
            let said = ran.stderr.lines().next().unwrap_or_default();
            let message = format!("curl ended with {} and answered nothing: {said}", ran.exit_code);
            return Err::<_, Unseen>(unseen(&ProviderError::new(ErrorClass::Invalid, "kubernetes:Exec", message)));
        }
        Ok(replies)
    }
}

/// What came of each request: a body, and a line that says how it ended.
fn parse(output: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut body = String::new();
    for line in output.lines() {
        let ended = line.strip_prefix(MARK).and_then(|rest| rest.strip_prefix(' ')).and_then(|rest| {
            let mut words = rest.splitn(3, ' ');
            Some((
                words.next()?.parse::<u16>().ok()?,
                words.next()?.parse::<u8>().ok()?,
                words.next().unwrap_or_default(),
            ))
        });
        if let Some((status, code, said)) = ended {
            replies.push(reply(std::mem::take(&mut body).trim(), status, code, said));
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    replies
}

fn reply(body: &str, status: u16, code: u8, said: &str) -> Reply {
    if code != 0 {
        return Reply::Failed { code, said: said.trim().to_owned() };
    }
    // `Hello version: v1, instance: helloworld-v1-5b75657f75-x7b2d`
    let greeting = body.strip_prefix("Hello version: ").and_then(|rest| rest.split_once(", instance: "));
    match greeting {
        Some((version, instance)) if status == 200 => {
            Reply::Hello { version: version.to_owned(), instance: instance.trim().to_owned() }
        }
        _ => Reply::Other {
            status,
            said: body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(EXCERPT).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_the_line_that_ends_each() {
        let output = "Hello version: v1, instance: helloworld-v1-a\n\nmeshplan 200 0 \n\
                      no healthy upstream\nmeshplan 503 0 \n\nmeshplan 000 28 Connection timed out after 5001 milliseconds\n";
        assert_eq!(
            parse(output),
            [
                Reply::Hello { version: "v1".to_owned(), instance: "helloworld-v1-a".to_owned() },
                Reply::Other { status: 503, said: "no healthy upstream".to_owned() },
                Reply::Failed { code: 28, said: "Connection timed out after 5001 milliseconds".to_owned() },
            ]
        );
        assert_eq!(parse("OCI runtime exec failed"), []);
    }

    #[test]
    fn more_servers_take_more_requests() {
        assert_eq!(enough(20, 2), 20);
        assert_eq!(enough(50, 2), 50);
        assert_eq!(enough(20, 6), 65);
        assert_eq!(enough(20, 0), 20);
    }
}
