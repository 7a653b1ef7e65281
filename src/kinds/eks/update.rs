//! Updates that EKS works on for a while: asked about by their id, of clusters, add-ons and node groups alike.

use aws_sdk_eks::operation::describe_update::builders::DescribeUpdateFluentBuilder;
use aws_sdk_eks::types::{ErrorCode, ErrorDetail, Update, UpdateStatus, UpdateType};

use super::error::{Reclass, is_done_already};
use super::health::{Issue, sentences};
use crate::kinds::sdk::Answer;
use crate::resource::{Deletion, ErrorClass, ProviderError, Status, UpdateId, Updated};

/// What EKS answers about an update that it takes: some are done at once.
fn updated(update: Option<&Update>) -> Updated {
    match update.filter(|update| update.status() != Some(&UpdateStatus::Successful)).and_then(|update| update.id()) {
        Some(id) => Updated::Underway(UpdateId::new(id)),
        None => Updated::Done,
    }
}

/// What the answer to a request for an update means, errors included: one that changes nothing is done.
pub(super) fn accepted(answer: Result<Option<Update>, ProviderError>) -> Result<Updated, ProviderError> {
    match answer {
        Ok(update) => Ok(updated(update.as_ref())),
        Err(error) if is_done_already(&error) => Ok(Updated::Done),
        Err(error) => Err(error),
    }
}

/// What the answer to a request for a deletion means, with a gone object as `None`. One that was asked for before is under
/// way: EKS says that the object is busy with it.
pub(super) async fn deleted<T>(
    answer: Result<Option<T>, ProviderError>,
    is_going: impl Future<Output = bool>,
) -> Result<Deletion, ProviderError> {
    match answer {
        Ok(_) => Ok(Deletion::Accepted),
        Err(error) if error.class == ErrorClass::Busy && is_going.await => Ok(Deletion::Accepted),
        Err(error) => Err(error),
    }
}

/// How far an update is.
pub(super) async fn follow(request: DescribeUpdateFluentBuilder) -> Result<Status, ProviderError> {
    let answer = request.send().await.read("eks:DescribeUpdate").reclass()?;
    // Without an update in the answer there is nothing to wait for: the read that follows tells how it ended.
    Ok(answer.update().map_or(Status::Ready, status))
}

fn status(update: &Update) -> Status {
    let what = update.r#type().map_or("an update", UpdateType::as_str);
    match update.status().map(UpdateStatus::as_str) {
        None | Some("Successful") => Status::Ready,
        Some(ended @ ("Failed" | "Cancelled")) => {
            let said = sentences(update.errors().iter().map(issue));
            let why = if said.is_empty() { "EKS gives no reason".to_owned() } else { said.join("; ") };
            let ended = if ended == "Failed" { "failed" } else { "was cancelled" };
            Status::Failed(format!("{what} {ended}: {why}"))
        }
        Some(_) => Status::Pending(format!("{what} is in progress")),
    }
}

fn issue(error: &ErrorDetail) -> Issue<'_> {
    Issue {
        code: error.error_code().map(ErrorCode::as_str),
        message: error.error_message(),
        resources: error.resource_ids(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_under_way_until_eks_says_how_it_ended() {
        let update = |status| Update::builder().id("u-1").r#type(UpdateType::VersionUpdate).status(status);
        let of = |update: aws_sdk_eks::types::builders::UpdateBuilder| status(&update.build());
        assert_eq!(of(update(UpdateStatus::InProgress)), Status::Pending("VersionUpdate is in progress".to_owned()));
        assert_eq!(of(update(UpdateStatus::Successful)), Status::Ready);
        let error = ErrorDetail::builder()
            .error_code(ErrorCode::PodEvictionFailure)
            .error_message("Reached max retries while trying to evict pods from nodes in node group n.")
            .resource_ids("i-1");
        assert_eq!(
            of(update(UpdateStatus::Failed).errors(error.build())),
            Status::Failed(
                "VersionUpdate failed: PodEvictionFailure (i-1): Reached max retries while trying to evict pods from \
                 nodes in node group n: a PodDisruptionBudget keeps pods from being moved: relax it, then apply again"
                    .to_owned()
            )
        );
        assert_eq!(updated(Some(&update(UpdateStatus::InProgress).build())), Updated::Underway(UpdateId::new("u-1")));
        assert_eq!(updated(Some(&update(UpdateStatus::Successful).build())), Updated::Done);
        assert_eq!(updated(None), Updated::Done);
    }
}
