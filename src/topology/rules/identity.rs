//! IAM: R4, what every role of the mesh has in common. The names of the roles are derived, and cut to fit.

use super::codes::INVALID_ROLE_SETTING;
use super::{Checked, value};
use crate::model::{AttrPath, Diagnostic};

/// The longest path that IAM takes.
const LONGEST_PATH: usize = 512;

/// The beginning of paths that belong to roles made by AWS itself.
const RESERVED_PATH: &str = "/aws-service-role/";

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(mesh) = &checked.written.mesh else { return };
    let at = AttrPath::keys(&["mesh"]);
    if let Some(path) = &mesh.role_path
        && let Some(reason) = path_error(path)
    {
        diagnostics.push(
            Diagnostic::error(INVALID_ROLE_SETTING, format!("`{path}` cannot be the path of a role: {reason}"))
                .at_location(value(at.key("role_path")))
                .help("begin and end it with `/`, for example `/platform/`, or leave it out"),
        );
    }
    if let Some(boundary) = &mesh.permissions_boundary
        && !is_policy(boundary)
    {
        diagnostics.push(
            Diagnostic::error(INVALID_ROLE_SETTING, format!("`{boundary}` is not the ARN of an IAM policy"))
                .at_location(value(at.key("permissions_boundary")))
                .note("a permissions boundary is a managed policy, which bounds what a role may do at most")
                .help("write `arn:aws:iam::111122223333:policy/NAME`, or leave it out"),
        );
    }
}

fn path_error(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') || !path.ends_with('/') {
        Some("it does not begin and end with `/`")
    } else if path.len() > LONGEST_PATH {
        Some("it has more than 512 characters")
    } else if path.contains("//") {
        Some("a part of it is empty")
    } else if !path.bytes().all(|b| b.is_ascii_graphic()) {
        Some("it has a blank or a character beyond ASCII")
    } else if path.starts_with(RESERVED_PATH) {
        Some("AWS reserves it for its own services")
    } else {
        None
    }
}

/// `arn:aws:iam::111122223333:policy/path/name`, or one of AWS's own with `aws` for the account.
fn is_policy(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return false };
    let account_ok = *account == "aws" || (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()));
    partition.starts_with("aws") && account_ok && resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_boundaries_as_iam_takes_them() {
        for path in ["/", "/platform/", "/a/b/c/"] {
            assert_eq!(path_error(path), None, "{path}");
        }
        for path in ["", "platform", "/platform", "//", "/a b/", "/é/", "/aws-service-role/eks/"] {
            assert!(path_error(path).is_some(), "{path}");
        }
        assert!(is_policy("arn:aws:iam::111122223333:policy/team/bound"));
        assert!(is_policy("arn:aws-cn:iam::aws:policy/PowerUserAccess"));
        for arn in ["arn:aws:iam::111122223333:role/x", "arn:aws:iam::1:policy/x", "bound", "arn:aws:iam::aws:policy/"]
        {
            assert!(!is_policy(arn), "{arn}");
        }
    }
}
