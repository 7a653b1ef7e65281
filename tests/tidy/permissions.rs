//! The policy that users are told to give: it allows what the source calls, and nothing that nobody calls.

use std::collections::BTreeSet;

use super::Tree;
use super::source::File;

/// Where the policy is.
const POLICY: &str = "docs/permissions.md";

/// What no request of ours names: EKS does it in the caller's name.
const IN_OUR_NAME: [&str; 2] = ["iam:PassRole", "iam:CreateServiceLinkedRole"];

/// What is allowed to everybody, whatever their policies say.
const ALWAYS: [&str; 1] = ["sts:GetCallerIdentity"];

/// What is wrong with the policy, a sentence each.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(policy) = tree.files.iter().find(|file| file.path == POLICY) else {
        return vec![format!("{POLICY} is missing")];
    };
    let allowed = allowed(&policy.text);
    let called: BTreeSet<String> = tree.files.iter().flat_map(calls).collect();
    let covers = |pattern: &String, call: &str| match pattern.strip_suffix('*') {
        Some(start) => call.starts_with(start),
        None => pattern == call,
    };
    let mut wrong = Vec::new();
    for call in called.iter().filter(|call| !ALWAYS.contains(&call.as_str())) {
        if !allowed.iter().any(|pattern| covers(pattern, call)) {
            wrong.push(format!("{POLICY} does not allow {call}, which is called"));
        }
    }
    for pattern in allowed.iter().filter(|pattern| !IN_OUR_NAME.contains(&pattern.as_str())) {
        if !called.iter().any(|call| covers(pattern, call)) {
            wrong.push(format!("{POLICY} allows {pattern}, which nobody calls"));
        }
    }
    wrong
}

/// The actions of the policy.
fn allowed(text: &str) -> Vec<String> {
    let json = text.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```")).map_or("", |(json, _)| json);
    let policy: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let actions = statements.flat_map(|statement| {
        let said = &statement["Action"];
        said.as_array().cloned().unwrap_or_else(|| vec![said.clone()])
    });
    actions.filter_map(|action| action.as_str().map(str::to_owned)).collect()
}

/// The calls that a file makes: kinds and checks name each request where they make it, as `SERVICE:Operation`. What roles
/// of others are allowed has such names too, and is in files of its own.
fn calls(file: &File) -> Vec<String> {
    let calls = ["src/kinds/", "src/preflight/", "src/cli/"].iter().any(|folder| file.path.starts_with(folder));
    let is_about_roles = file.path.starts_with("src/kinds/iam/policies/") || file.path.ends_with("/tests.rs");
    if !calls || is_about_roles {
        return Vec::new();
    }
    // Two files judge what roles may do and look at the cloud for it: there only what is looked at counts.
    let judges = ["diagnose.rs", "grants.rs"].iter().any(|name| file.path.ends_with(&format!("nodegroup/{name}")));
    let source = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut parts = source.split('"');
    let mut before = parts.next().unwrap_or_default();
    while let (Some(text), Some(after)) = (parts.next(), parts.next()) {
        let (opening, is_call) = (before.trim_end(), is_operation(text));
        // A defect has the name of what it is about, which need not be a call.
        if is_call && !opening.ends_with("::bug(") && (!judges || opening.ends_with(".read(")) {
            found.push(text.to_owned());
        }
        before = after;
    }
    found
}

fn is_operation(text: &str) -> bool {
    const SERVICES: [&str; 6] = ["ec2", "eks", "elasticloadbalancing", "iam", "logs", "sts"];
    text.split_once(':').is_some_and(|(service, operation)| {
        SERVICES.contains(&service)
            && operation.starts_with(|first: char| first.is_ascii_uppercase())
            && operation.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[test]
fn a_policy_that_lacks_a_call_or_has_one_too_many_is_found() {
    let policy = "```json\n{\"Statement\": [{\"Action\": [\"ec2:Describe*\", \"ec2:CreateVpc\", \"eks:List*\"]}, \
                  {\"Action\": \"iam:PassRole\"}]}\n```\n";
    let source = "let a = x.read(\"ec2:DescribeVpcs\"); y.written(\"ec2:DeleteVpc\");\n#[cfg(test)]\n\"ec2:CreateVpc\"";
    let judge = "const NODE: &str = \"ec2:RunInstances\"; z.read(\"eks:ListAddons\")";
    let tree = Tree::of(&[
        (POLICY, policy),
        ("src/kinds/aws/vpc.rs", source),
        ("src/kinds/eks/nodegroup/diagnose.rs", judge),
        ("src/kinds/iam/policies/mod.rs", "\"iam:CreateUser\""),
    ]);
    assert_eq!(
        check(&tree),
        [
            format!("{POLICY} does not allow ec2:DeleteVpc, which is called"),
            format!("{POLICY} allows ec2:CreateVpc, which nobody calls"),
        ]
    );
}
