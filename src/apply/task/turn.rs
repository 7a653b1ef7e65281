//! What passes between a task and the loop: requests and answers, and what a task says after one.

use std::time::Duration;

use crate::apply::report::Failure;
use crate::model::Document;
use crate::model::event::Event;
use crate::resource::erased::CreatedDocument;
use crate::resource::{Deletion, LiveDocument, ProviderError, RemoteId, Status, UpdateId, Updated};
use crate::state::Entry;

/// A request to a provider.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::apply) enum Request {
    /// Read the object with the task's id.
    Read,
    /// Make it.
    Create,
    /// Look for what an interrupted create made.
    Find,
    /// Take one step from what is there towards what is declared, with everything in it that is not ours.
    Update { from: Document, to: Document },
    /// Ask how far an update is.
    Follow(UpdateId),
    /// Ask why it takes so long.
    Diagnose,
    /// Remove the object with the task's id.
    Delete,
}

/// A provider's answer.
#[derive(Debug)]
pub(in crate::apply) enum Answer {
    /// To [`Request::Read`].
    Read(Result<Option<LiveDocument>, ProviderError>),
    /// To [`Request::Create`].
    Created(Result<CreatedDocument, ProviderError>),
    /// To [`Request::Find`].
    Found(Result<Option<RemoteId>, ProviderError>),
    /// To [`Request::Update`].
    Updated(Result<Updated, ProviderError>),
    /// To [`Request::Follow`].
    Followed(UpdateId, Result<Status, ProviderError>),
    /// To [`Request::Diagnose`].
    Diagnosed(Result<Vec<String>, ProviderError>),
    /// To [`Request::Delete`].
    Deleted(Result<Deletion, ProviderError>),
}

/// What a task says after an answer. The entries are made durable first, then the events go out, then it goes on.
#[derive(Debug)]
pub(in crate::apply) struct Turn {
    pub(in crate::apply) entries: Vec<Entry>,
    pub(in crate::apply) events: Vec<Event>,
    pub(in crate::apply) next: Next,
}

/// How a task goes on.
#[derive(Debug, PartialEq)]
pub(in crate::apply) enum Next {
    /// With this request, after this long.
    Request(Request, Duration),
    /// It is done. All outputs, also those that are not stored.
    Finished(Option<Document>),
    /// It failed.
    Failed(Failure),
}

impl Turn {
    pub(super) fn request(request: Request) -> Self {
        Self { entries: Vec::new(), events: Vec::new(), next: Next::Request(request, Duration::ZERO) }
    }

    /// The end of a step that could not even begin.
    pub(in crate::apply) fn failed(failure: Failure) -> Self {
        Self { entries: Vec::new(), events: Vec::new(), next: Next::Failed(failure) }
    }

    pub(super) fn delayed(mut self, by: Duration) -> Self {
        if let Next::Request(_, delay) = &mut self.next {
            *delay = by;
        }
        self
    }

    /// Puts entries before this turn's own.
    pub(super) fn after(mut self, mut entries: Vec<Entry>) -> Self {
        entries.append(&mut self.entries);
        Self { entries, ..self }
    }

    /// Puts better advice before that of the error's class.
    pub(super) fn advise(&mut self, help: &str) {
        if let Next::Failed(failure) = &mut self.next {
            failure.help.insert(0, help.to_owned());
            failure.help.truncate(1);
        }
    }
}
