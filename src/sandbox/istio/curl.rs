//! curl, as far as requests to Services go: its options for how much it says, how long it waits and what it writes out,
//! ranges in URLs, its messages and its exit codes.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::reach::Failure;
use super::request::{Client, Outcome};
use super::view::{Cluster, list, text};
use crate::sandbox::world::World;
use crate::sandbox::world::ids::number_of;

/// How many URLs a range may stand for.
const MAX_URLS: usize = 10_000;

/// What a run of curl comes to.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) code: u8,
    pub(super) took: Duration,
}

/// What the command line says.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on curl's command line")]
#[derive(Debug, Default)]
struct Options {
    silent: bool,
    show_error: bool,
    fail: bool,
    discard: bool,
    max_time: Option<Duration>,
    connect_timeout: Option<Duration>,
    write_out: Option<String>,
    urls: Vec<String>,
}

/// A usage error: message and exit code.
type Usage = (u8, String);

/// Runs curl in a pod.
pub(super) fn run(world: &World, cluster: Cluster<'_>, pod: &Value, arguments: &[String]) -> Run {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err((code, said)) => {
            let said = format!("curl: {said}\ncurl: try 'curl --help' or 'curl --manual' for more information\n");
            return Run { stderr: said.into_bytes(), code, ..Run::default() };
        }
    };
    let mut run = Run::default();
    let mut urls = Vec::new();
    for url in &options.urls {
        let Some(expanded) = expand(url) else {
            let said = format!("curl: (3) bad range in URL position {}:\n{url}\n", url.find('[').unwrap_or(0) + 2);
            return Run { stderr: said.into_bytes(), code: 3, ..Run::default() };
        };
        urls.extend(expanded);
    }
    // Where a proxy begins to count is anybody's guess; that it goes on from there is not.
    let begin = number_of(&[text(pod, "/metadata/uid").as_bytes(), cluster.now.to_string().as_bytes()]);
    let begin = usize::try_from(begin % 1024).unwrap_or_default();
    let mut clients: Vec<((String, u16), Option<Client<'_>>)> = Vec::new();
    for (turn, url) in urls.iter().enumerate() {
        let (host, port, path) = parts(url);
        let known = clients.iter().position(|(to, _)| to.0 == host && to.1 == port);
        let at = known.unwrap_or_else(|| {
            clients.push(((host.to_owned(), port), client(world, cluster, pod, host, port)));
            clients.len() - 1
        });
        let resolved = cluster.service(host, text(pod, "/metadata/namespace")).is_some();
        let client = clients.get(at).and_then(|(_, client)| client.as_ref());
        let transfer = transfer(client, resolved, (host, port, path), begin + turn, &options);
        run.took += transfer.took;
        if !options.discard {
            run.stdout.extend_from_slice(transfer.body.as_bytes());
        }
        if let Some(format) = &options.write_out {
            run.stdout.extend_from_slice(write_out(format, &transfer).as_bytes());
        }
        if transfer.code != 0 && (!options.silent || options.show_error) {
            let said = format!("curl: ({}) {}\n", transfer.code, transfer.message);
            run.stderr.extend_from_slice(said.as_bytes());
        }
        run.code = transfer.code;
    }
    run
}

fn client<'w>(world: &'w World, cluster: Cluster<'w>, pod: &Value, host: &str, port: u16) -> Option<Client<'w>> {
    let service = cluster.service(host, text(pod, "/metadata/namespace"))?;
    let has_port =
        list(service, "/spec/ports").iter().any(|one| one.get("port").and_then(Value::as_u64) == Some(u64::from(port)));
    let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
    // The pod as the world has it, which lives as long as the client.
    let pod = cluster.get("", "pods", Some(text(pod, "/metadata/namespace")), text(pod, "/metadata/name"))?;
    has_port.then(|| Client::new(world, cluster, pod, (namespace, name, port)))
}

/// How one transfer ended.
struct Transfer {
    status: u16,
    body: String,
    code: u8,
    message: String,
    took: Duration,
}

fn transfer(
    client: Option<&Client<'_>>,
    resolved: bool,
    (host, port, path): (&str, u16, &str),
    turn: usize,
    options: &Options,
) -> Transfer {
    let failed = |code, message, took| Transfer { status: 0, body: String::new(), code, message, took };
    if !resolved {
        return failed(6, format!("Could not resolve host: {host}"), Duration::from_millis(2));
    }
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let (outcome, took) = match client {
        Some(client) => client.send(turn, path),
        // The Service has no such port: its address drops what comes.
        None => (Outcome::Failed(Failure::Timeout), Duration::from_secs(130)),
    };
    let is_connecting = matches!(outcome, Outcome::Failed(_));
    let limits = [options.max_time, options.connect_timeout.filter(|_| is_connecting)];
    if let Some(limit) = limits.into_iter().flatten().min().filter(|limit| took > *limit) {
        let message = if is_connecting {
            format!("Connection timed out after {} milliseconds", limit.as_millis() + 1)
        } else {
            format!("Operation timed out after {} milliseconds with 0 bytes received", limit.as_millis() + 1)
        };
        return failed(28, message, limit);
    }
    match outcome {
        Outcome::Answer(status, body) if options.fail && status >= 400 => {
            drop(body);
            Transfer { status, ..failed(22, format!("The requested URL returned error: {status}"), took) }
        }
        Outcome::Answer(status, body) => Transfer { status, body, code: 0, message: String::new(), took },
        Outcome::Reset => failed(56, "Recv failure: Connection reset by peer".to_owned(), took),
        Outcome::Failed(_) => {
            let message = format!(
                "Failed to connect to {host} port {port} after {} ms: Could not connect to server",
                took.as_millis()
            );
            failed(if took > Duration::from_mins(1) { 28 } else { 7 }, message, took)
        }
    }
}

/// Host, port, and path with query.
fn parts(url: &str) -> (&str, u16, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(80)),
        None => (authority, 80),
    };
    (host, port, if path.is_empty() { "/" } else { path })
}

/// The URLs that one with a range (`[1-20]`) stands for.
fn expand(url: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = url.split_once('[') else { return Some(vec![url.to_owned()]) };
    let (range, after) = rest.split_once(']')?;
    let (low, high) = range.split_once('-')?;
    let (low, high) = (low.parse::<usize>().ok()?, high.parse::<usize>().ok()?);
    (low <= high && high - low < MAX_URLS).then(|| (low..=high).map(|n| format!("{before}{n}{after}")).collect())
}

/// What `--write-out` writes: `%{variable}`, `\n` and the like.
fn write_out(format: &str, transfer: &Transfer) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some(next) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix("%{").and_then(|inside| inside.split_once('}')) {
            let _ = match name {
                "http_code" | "response_code" => write!(out, "{:03}", transfer.status),
                "exitcode" => write!(out, "{}", transfer.code),
                "errormsg" => write!(out, "{}", transfer.message),
                "size_download" => write!(out, "{}", transfer.body.len()),
                "time_total" => write!(out, "{:.6}", transfer.took.as_secs_f64()),
                _ => Ok(()),
            };
            rest = after;
            continue;
        }
        let escaped = [("\\n", '\n'), ("\\t", '\t'), ("\\r", '\r'), ("%%", '%')];
        if let Some((written, after)) =
            escaped.iter().find_map(|(escape, written)| Some((*written, rest.strip_prefix(escape)?)))
        {
            out.push(written);
            rest = after;
            continue;
        }
        out.push(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    out
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, Usage> {
        let mut options = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if let Some(name) = word.strip_prefix("--") {
                match name {
                    "silent" => options.silent = true,
                    "show-error" => options.show_error = true,
                    "fail" => options.fail = true,
                    "max-time" | "connect-timeout" | "write-out" | "output" | "url" | "header" | "request" => {
                        let value = words.next();
                        options.set(name, value.ok_or_else(|| missing(word))?)?;
                    }
                    _ => return Err((2, format!("option {word}: is unknown"))),
                }
            } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                for (index, letter) in letters.char_indices() {
                    let name = match letter {
                        's' => {
                            options.silent = true;
                            continue;
                        }
                        'S' => {
                            options.show_error = true;
                            continue;
                        }
                        'f' => {
                            options.fail = true;
                            continue;
                        }
                        'm' => "max-time",
                        'w' => "write-out",
                        'o' => "output",
                        'H' => "header",
                        'X' => "request",
                        _ => return Err((2, format!("option {word}: is unknown"))),
                    };
                    // The rest of the word, or the next one.
                    let inline = letters.get(index + letter.len_utf8()..).filter(|rest| !rest.is_empty());
                    let value = inline.or_else(|| words.next().map(String::as_str)).ok_or_else(|| missing(word))?;
                    options.set(name, value)?;
                    break;
                }
            } else {
                options.urls.push(word.clone());
            }
        }
        if options.urls.is_empty() {
            return Err((2, "(2) no URL specified".to_owned()));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Usage> {
        let seconds = || {
            let seconds = value.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            let seconds =
                seconds.ok_or_else(|| (2, format!("option --{name}: expected a proper numerical parameter")))?;
            Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds)))
        };
        match name {
            "max-time" => self.max_time = seconds()?,
            "connect-timeout" => self.connect_timeout = seconds()?,
            "write-out" => self.write_out = Some(value.to_owned()),
            "output" => self.discard = value != "-",
            "url" => self.urls.push(value.to_owned()),
            // Neither changes what the sample answers.
            _ => {}
        }
        Ok(())
    }
}

fn missing(option: &str) -> Usage {
    (2, format!("option {option}: requires parameter"))
}
