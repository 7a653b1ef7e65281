//! Making requests: reads of one kind and target go together, everything else alone.

use futures_util::future::LocalBoxFuture;

use crate::model::Document;
use crate::resource::{ErrorClass, ProviderError, RemoteId};

use super::budget::{Key, Verb};
use super::engine::{Engine, Wake};
use super::task::{Answer, Request, Task};

impl<'a> Engine<'a> {
    /// One read for several tasks of one kind and target.
    pub(super) fn read(&mut self, key: &Key, readers: Vec<usize>) {
        let Some(kind) = self.registry.kind(key.2) else { return };
        let mut steps = Vec::with_capacity(readers.len());
        let mut ids: Vec<RemoteId> = Vec::with_capacity(readers.len());
        for step in readers {
            self.due.remove(&step);
            match self.tasks.get(&step).and_then(|task| task.id.clone()) {
                Some(id) => {
                    steps.push(step);
                    ids.push(id);
                }
                None => {
                    self.answered(step, Answer::Read(Err(ProviderError::bug(kind.name(), "there is no id to read"))));
                }
            }
        }
        if ids.is_empty() {
            return;
        }
        let (cloud, target) = (self.cloud, key.1.clone());
        self.waits.push(Box::pin(async move {
            match kind.read_many(cloud, &target, &ids).await {
                Ok(found) => {
                    Wake::Answers(steps.into_iter().zip(found.into_iter().map(|live| Answer::Read(Ok(live)))).collect())
                }
                Err(error) => {
                    Wake::Answers(steps.into_iter().map(|step| (step, Answer::Read(Err(error.clone())))).collect())
                }
            }
        }));
    }

    /// One request that is not a read.
    pub(super) fn call(&mut self, step: usize) {
        let (Some(task), Some(request)) = (self.tasks.get(&step), self.due.remove(&step)) else { return };
        let (kind, cloud, target, owner) = (task.kind, self.cloud, task.at.clone(), task.owner.clone());
        let (id, desired) = (task.id.clone(), task.desired.clone().unwrap_or_else(Document::empty));
        let missing = move || ProviderError::bug(kind.name(), "there is no id to work on");
        let looks = matches!(request, Request::Find | Request::Follow(_) | Request::Diagnose);
        let future: LocalBoxFuture<'a, Wake> = Box::pin(async move {
            let answer = match request {
                Request::Create => Answer::Created(kind.create(cloud, &target, &desired, &owner).await),
                Request::Find => Answer::Found(kind.find(cloud, &target, &desired, &owner).await),
                Request::Update { from, to } => Answer::Updated(match &id {
                    Some(id) => kind.update(cloud, &target, id, &from, &to).await,
                    None => Err(missing()),
                }),
                Request::Follow(update) => {
                    let answer = match &id {
                        Some(id) => kind.follow(cloud, &target, id, &update).await,
                        None => Err(missing()),
                    };
                    Answer::Followed(update, answer)
                }
                Request::Diagnose => Answer::Diagnosed(match &id {
                    Some(id) => kind.diagnose(cloud, &target, id).await,
                    None => Err(missing()),
                }),
                Request::Delete => Answer::Deleted(match &id {
                    Some(id) => kind.delete(cloud, &target, id).await,
                    None => Err(missing()),
                }),
                Request::Read => Answer::Read(Err(ProviderError::bug(kind.name(), "reads are made together"))),
            };
            Wake::Answers(vec![(step, answer)])
        });
        if looks { self.waits.push(future) } else { self.calls.push(future) }
    }
}

/// Which bucket a task's request draws from.
pub(super) fn key(task: &Task<'_>, verb: Verb) -> Key {
    (task.kind.api(), task.at.clone(), task.kind.name(), verb)
}

/// Which verb a request is.
pub(super) fn verb(request: &Request) -> Verb {
    match request {
        Request::Read => Verb::Read,
        // A find is a describe, by tag; it shares no request with others.
        Request::Find | Request::Follow(_) | Request::Diagnose => Verb::Find,
        Request::Create => Verb::Create,
        Request::Update { .. } => Verb::Update,
        Request::Delete => Verb::Delete,
    }
}

/// The complaint in an answer, if it is one, and about which verb.
pub(super) fn throttled(answer: &Answer) -> Option<(Verb, &ProviderError)> {
    let (verb, error) = match answer {
        Answer::Read(result) => (Verb::Read, result.as_ref().err()),
        Answer::Created(result) => (Verb::Create, result.as_ref().err()),
        Answer::Found(result) => (Verb::Find, result.as_ref().err()),
        Answer::Updated(result) => (Verb::Update, result.as_ref().err()),
        Answer::Followed(_, result) => (Verb::Find, result.as_ref().err()),
        Answer::Diagnosed(result) => (Verb::Find, result.as_ref().err()),
        Answer::Deleted(result) => (Verb::Delete, result.as_ref().err()),
    };
    error.filter(|error| error.class == ErrorClass::Throttled).map(|error| (verb, error))
}
