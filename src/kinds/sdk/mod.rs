//! What the kinds of every AWS service share: errors and their classes, whole answers, answers in order, tags.
//!
//! Entry points: [`Answer`] on the result of every request, [`WholeAnswers`] in every client's configuration.

mod error;
pub(super) mod listing;
mod order;
mod services;
pub(super) mod tags;
mod whole;

pub(super) use error::{Absence, Answer, is_not_found, no_id};
pub(super) use order::{in_order, texts};
pub(super) use services::Services;
pub(super) use whole::WholeAnswers;
