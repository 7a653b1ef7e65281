//! What the next operation on a release is: an upgrade, or first the repair of one that did not end well. Pure.
//!
//! A repair never uninstalls: a chart's definitions of kinds would take all objects of these kinds along.
//!
//! | the last operation | and before it | first | why |
//! | --- | --- | --- | --- |
//! | was cut off in the first install | - | roll back to that very revision | helm refuses an upgrade; a rollback applies the revision's own objects and deletes nothing. Hooks of an install that had not run are not run; those of the upgrade that follows are |
//! | was cut off in an upgrade or a rollback | a revision was deployed | roll back to it | the same |
//! | was cut off in an upgrade or a rollback | none ever was | roll back to the revision that was cut off | the same |
//! | failed, and wanted what is wanted now | - | nothing: upgrade | its objects are those of the next |
//! | failed, and wanted something else | a revision was deployed | roll back to it | helm compares an upgrade with the last deployed revision: objects of the failed one would stay behind, and with helm 3 also its fields |
//! | failed | none ever was | nothing: upgrade | helm compares with the failed one then |

use crate::resource::{ReleaseState, ReleaseStatus};

/// The next operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// `helm upgrade --install`.
    Apply,
    /// `helm rollback` to this revision; what is wanted comes after it.
    Rollback(u32),
    /// Nothing: somebody is at it.
    Wait,
    /// Nothing: it is being taken away.
    Going,
}

/// What comes next for a release. `is_wanted` is whether its last revision has the version and the values that are wanted.
pub(super) fn next(state: &ReleaseState, is_wanted: bool) -> Next {
    match (state.status, state.deployed) {
        (ReleaseStatus::UnderWay, _) => Next::Wait,
        (ReleaseStatus::Uninstalling, _) => Next::Going,
        (ReleaseStatus::PendingInstall | ReleaseStatus::PendingUpgrade | ReleaseStatus::PendingRollback, deployed) => {
            Next::Rollback(deployed.unwrap_or(state.revision))
        }
        (ReleaseStatus::Failed, Some(deployed)) if !is_wanted && deployed != state.revision => Next::Rollback(deployed),
        (ReleaseStatus::Failed | ReleaseStatus::Deployed | ReleaseStatus::Uninstalled | ReleaseStatus::Other, _) => {
            Next::Apply
        }
    }
}

/// What the last operation's end is called where `deployed` is expected.
pub(super) fn word(status: ReleaseStatus) -> &'static str {
    match status {
        // What is under way is judged when it has ended.
        ReleaseStatus::Deployed | ReleaseStatus::UnderWay => "deployed",
        ReleaseStatus::Failed => "failed",
        ReleaseStatus::PendingInstall => "cut off in its first install",
        ReleaseStatus::PendingUpgrade => "cut off in an upgrade",
        ReleaseStatus::PendingRollback => "cut off in a rollback",
        ReleaseStatus::Uninstalling => "being uninstalled",
        ReleaseStatus::Uninstalled => "uninstalled",
        ReleaseStatus::Other => "unknown to helm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: ReleaseStatus, revision: u32, deployed: Option<u32>) -> ReleaseState {
        ReleaseState {
            status,
            revision,
            deployed,
            chart: "istiod".to_owned(),
            version: "1.30.3".to_owned(),
            values: serde_json::json!({}),
            manifest: String::new(),
            description: String::new(),
        }
    }

    #[test]
    fn what_was_cut_off_is_rolled_back_and_never_uninstalled() {
        use ReleaseStatus as S;
        for is_wanted in [true, false] {
            assert_eq!(next(&state(S::PendingInstall, 1, None), is_wanted), Next::Rollback(1));
            assert_eq!(next(&state(S::PendingUpgrade, 2, Some(1)), is_wanted), Next::Rollback(1));
            assert_eq!(
                next(&state(S::PendingUpgrade, 2, None), is_wanted),
                Next::Rollback(2),
                "after a failed install"
            );
            assert_eq!(next(&state(S::PendingRollback, 5, Some(3)), is_wanted), Next::Rollback(3));
            assert_eq!(next(&state(S::UnderWay, 2, Some(1)), is_wanted), Next::Wait);
            assert_eq!(next(&state(S::Uninstalling, 2, Some(2)), is_wanted), Next::Going);
            assert_eq!(next(&state(S::Deployed, 2, Some(2)), is_wanted), Next::Apply);
            assert_eq!(next(&state(S::Other, 2, Some(1)), is_wanted), Next::Apply);
        }
    }

    #[test]
    fn what_failed_is_upgraded_in_place_unless_it_left_something_else_behind() {
        let failed = |deployed| state(ReleaseStatus::Failed, 2, deployed);
        assert_eq!(next(&failed(Some(1)), true), Next::Apply, "the same once more");
        assert_eq!(next(&failed(Some(1)), false), Next::Rollback(1));
        assert_eq!(next(&failed(None), false), Next::Apply, "a first install that failed");
        assert_eq!(next(&failed(None), true), Next::Apply);
    }
}
