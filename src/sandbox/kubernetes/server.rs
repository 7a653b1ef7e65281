//! The API server of a cluster: one request, answered from the objects that are there.
//!
//! Entry point: [`handle`]. Pure over the world: time and faults are its caller's part.

use jiff::Timestamp;
use serde_json::Value;

use super::auth::{self, Clock, rules};
use super::discovery::{self, Said};
use super::objects::Objects;
use super::request::{Asked, Place, Route, Verb};
use super::status::Refusal;
use super::table;
use super::verbs::write::Written;
use super::verbs::{body, delete, read, review, scale, write};
use super::watch::Watch;
use crate::sandbox::world;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// What is told besides, each as the text of a `Warning` header.
    pub(crate) warnings: Vec<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A whole one.
    Whole(Response),
    /// One that goes on.
    Watch(Box<Watch>),
}

impl Response {
    fn document(status: u16, document: &Value) -> Self {
        let body = document.to_string().into_bytes();
        Self { status, content_type: "application/json", body, warnings: Vec::new() }
    }

    /// A refusal in the form that a real server gives it.
    pub(crate) fn refusal(refusal: &Refusal) -> Self {
        if refusal.is_plain() {
            let body = refusal.message().as_bytes().to_vec();
            return Self { status: 404, content_type: "text/plain; charset=utf-8", body, warnings: Vec::new() };
        }
        Self::document(refusal.code, &refusal.status())
    }
}

/// Answers a request to a cluster of a region.
pub(crate) fn handle(
    place: &mut world::Place<'_>,
    cluster: &str,
    asked: &Asked,
    now: Timestamp,
    clock: Clock,
) -> Reply {
    match answer(place, cluster, asked, now, clock) {
        Ok(reply) => reply,
        Err(refusal) => Reply::Whole(Response::refusal(&refusal)),
    }
}

fn answer(
    place: &mut world::Place<'_>,
    cluster: &str,
    asked: &Asked,
    now: Timestamp,
    clock: Clock,
) -> Result<Reply, Refusal> {
    let mut objects = Objects::of(place.region, cluster, now);
    let user = auth::authenticate(&objects, place.mint, asked.authorization.as_deref(), clock)?;
    let whole = |status, document: Value| Ok(Reply::Whole(Response::document(status, &document)));
    let (target, verb) = match Route::of(asked, &objects)? {
        Route::Objects(target, verb) => (*target, verb),
        Route::Itself => {
            let verb = asked.method.to_ascii_lowercase();
            rules::check_path(&objects, &user, &verb, &asked.path)?;
            return match discovery::answer(&objects, &asked.path)? {
                Said::Document(document) => whole(200, document),
                Said::Text(text) => Ok(Reply::Whole(Response {
                    status: 200,
                    content_type: "text/plain; charset=utf-8",
                    body: text.as_bytes().to_vec(),
                    warnings: Vec::new(),
                })),
            };
        }
    };
    let is_apply = verb == Verb::Patch && body::media_type(&asked.content_type) == "application/apply-patch+yaml";
    rules::check(&objects, &user, &target, verb, is_apply && target.subresource.is_empty())?;
    if review::is_question(&target.kind) {
        if verb != Verb::Create {
            return Err(Refusal::not_allowed(&target.kind));
        }
        return whole(201, review::answer(&objects, &target, asked, &user, clock)?);
    }
    if target.subresource.is_empty() && !target.kind.verbs.iter().any(|known| known == verb.name()) {
        return Err(Refusal::not_allowed(&target.kind));
    }
    match (verb, target.subresource.as_str()) {
        (Verb::Get, "" | "status") => whole(200, printed(asked, &target, read::get(&objects, &target)?, now)),
        (Verb::Get, "scale") => whole(200, scale::get(&objects, &target)?),
        (Verb::List, _) => whole(200, printed(asked, &target, read::list(&objects, &target, asked)?, now)),
        (Verb::Watch, _) => Ok(Reply::Watch(Box::new(Watch::of(asked, &target, &objects)?))),
        (Verb::Create, "") if target.name.is_empty() => written(write::create(&mut objects, &target, asked)),
        (Verb::Create, "token") if target.kind.is("", "serviceaccounts") => {
            whole(201, review::token(&objects, &target, asked)?)
        }
        (Verb::Create, "eviction") if target.kind.is("", "pods") => {
            let pod = Place { subresource: String::new(), ..target };
            let gone = Asked { body: Vec::new(), ..asked.clone() };
            delete::one(&mut objects, &pod, &gone)?;
            whole(
                201,
                serde_json::json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }),
            )
        }
        // What ends a namespace has no other door.
        (Verb::Update, "" | "status" | "finalize") => written(write::update(&mut objects, &target, asked)),
        (Verb::Patch, "" | "status") => written(write::patch(&mut objects, &target, asked)),
        (Verb::Update | Verb::Patch, "scale") => written(scale::put(&mut objects, &target, asked)),
        (Verb::Delete, "") => whole(200, delete::one(&mut objects, &target, asked)?),
        (Verb::DeleteCollection, "") => whole(200, delete::many(&mut objects, &target, asked)?),
        (Verb::Get | Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection, _) => {
            Err(Refusal::not_allowed(&target.kind))
        }
    }
}

/// A document as the client would have it: some would rather print it.
fn printed(asked: &Asked, place: &Place, document: Value, now: Timestamp) -> Value {
    if table::is_asked(&asked.accept) { table::of(&place.kind, &document, now) } else { document }
}

fn written(written: Result<Written, Refusal>) -> Result<Reply, Refusal> {
    let Written { object, is_new, warnings } = written?;
    let mut response = Response::document(if is_new { 201 } else { 200 }, &object);
    response.warnings = warnings;
    Ok(Reply::Whole(response))
}
