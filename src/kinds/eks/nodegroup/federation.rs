//! Whether the pods of the VPC CNI get their role by the cluster's OIDC provider (IRSA): the provider is in IAM, and the
//! role trusts it for their service account.
//!
//! Entry point: [`problems`]. It accuses of what it reads and of nothing else: a condition that it does not know may be
//! met.

use serde_json::Value;

use super::grants::{decode, one_or_many};
use crate::kinds::eks::client::Eks;
use crate::kinds::sdk::{Absence, Answer};
use crate::resource::ProviderError;

/// Who the pods of the VPC CNI are to the cluster's issuer.
const SUBJECT: &str = "system:serviceaccount:kube-system:aws-node";

/// What keeps the pods from acting as a role by the tokens of an issuer (a URL), a sentence each.
pub(super) async fn problems(client: &Eks, role: &str, issuer: &str) -> Result<Vec<String>, ProviderError> {
    let answer = client.iam().get_role().role_name(role).send().await.read("iam:GetRole").unless_absent()?;
    let Some(role_there) = answer.and_then(|answer| answer.role) else { return Ok(Vec::new()) };
    let trust = role_there.assume_role_policy_document().and_then(decode).unwrap_or_default();
    let issuer = issuer.trim_start_matches("https://");
    let Some(provider) = trusted(&trust, issuer) else {
        return Ok(vec![format!(
            "the vpc-cni add-on's role {role} does not trust the tokens of the cluster's OIDC provider for {SUBJECT}: \
             aws-node does not start, and no node gets ready"
        )]);
    };
    let answer = client.iam().get_open_id_connect_provider().open_id_connect_provider_arn(provider).send().await;
    let there = answer.read("iam:GetOpenIDConnectProvider").unless_absent()?;
    Ok(match there {
        Some(_) => Vec::new(),
        None => vec![format!(
            "{provider}, the OIDC provider that the vpc-cni add-on's role {role} trusts, does not exist (any more): \
             apply again to make it"
        )],
    })
}

/// The ARN of the provider of an issuer, if a statement trusts it for the pods.
fn trusted<'a>(trust: &'a Value, issuer: &str) -> Option<&'a str> {
    let end = format!(":oidc-provider/{issuer}");
    one_or_many(&trust["Statement"]).filter(|statement| statement["Effect"] == "Allow" && is_ours(statement)).find_map(
        |statement| {
            one_or_many(&statement["Principal"]["Federated"])
                .filter_map(Value::as_str)
                .find(|provider| provider.ends_with(&end))
        },
    )
}

/// Whether what a statement asks of the subject can be true of the pods.
fn is_ours(statement: &Value) -> bool {
    let Some(exact) = statement["Condition"]["StringEquals"].as_object() else { return true };
    exact
        .iter()
        .filter(|(key, _)| key.ends_with(":sub"))
        .all(|(_, wanted)| one_or_many(wanted).any(|wanted| wanted == SUBJECT))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "oidc.eks.us-west-2.amazonaws.com/id/A";

    fn trust(provider: &str, subject: &str) -> Value {
        json!({ "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": [provider] },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": { "StringEquals": { (format!("{ISSUER}:sub")): subject, (format!("{ISSUER}:aud")): "sts.amazonaws.com" } },
        }] })
    }

    #[test]
    fn pods_are_trusted_by_the_issuer_and_the_service_account() {
        let arn = format!("arn:aws:iam::1:oidc-provider/{ISSUER}");
        assert_eq!(trusted(&trust(&arn, SUBJECT), ISSUER), Some(arn.as_str()));
        assert_eq!(trusted(&trust(&arn, "system:serviceaccount:kube-system:other"), ISSUER), None);
        assert_eq!(trusted(&trust("arn:aws:iam::1:oidc-provider/other", SUBJECT), ISSUER), None);
        assert_eq!(trusted(&Value::Null, ISSUER), None);
    }
}
