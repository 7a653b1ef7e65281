//! Updates that EKS works on for a while: asked about by their id, of clusters, add-ons and node groups alike.

use aws_sdk_eks::operation::describe_update::builders::DescribeUpdateFluentBuilder;
use aws_sdk_eks::types::{ErrorCode, ErrorDetail, Update, UpdateStatus, UpdateType};

use super::error::Reclass;
use super::health::{Issue, sentences};
use crate::kinds::sdk::Answer;
use crate::resource::{ProviderError, Status, UpdateId, Updated};

/// What the answer to a request for an update means: some are done at once.
pub(super) fn updated(update: Option<&Update>) -> Updated {
    match update.filter(|update| update.status() != Some(&UpdateStatus::Successful)).and_then(|update| update.id()) {
        Some(id) => Updated::Underway(UpdateId::new(id)),
        None => Updated::Done,
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
