//! What helm's errors mean. Helm has no codes: its texts are what there is. Those below were seen of 3.19 and 4.1.

use crate::resource::ErrorClass;

/// A class, and what is said.
pub(super) type Meaning = (ErrorClass, String);

/// What an error means. `source` is where the chart comes from, for messages.
pub(super) fn meaning(said: &str, source: &str) -> Meaning {
    let line = error_of(said);
    let lower = line.to_lowercase();
    let has = |text: &str| lower.contains(text);
    let any = |texts: &[&str]| texts.iter().any(|text| has(text));
    if has("another operation (install/upgrade/rollback) is in progress") {
        return (ErrorClass::Busy, line);
    }
    if has("invalid ownership metadata") {
        return (ErrorClass::Conflict, foreign_object(&line));
    }
    if any(&["conflict occurred while applying", "apply failed with"])
        && any(&["conflict with \"", "conflicts with \""])
    {
        return (ErrorClass::Conflict, field_conflict(&line));
    }
    if any(&["context canceled", "has been cancelled"]) {
        return (ErrorClass::Ambiguous, format!("helm was interrupted: {line}"));
    }
    // Said of anything that waits: a hook, or a server that does not answer.
    if any(&["timed out waiting for the condition", "context deadline exceeded"])
        && any(&["hook", "pre-", "post-", "job"])
    {
        let way = "look at the hook's Job and its pods, or raise what they wait for";
        return (ErrorClass::Invalid, format!("{line}: a hook of the chart did not end in time; {way}"));
    }
    if let Some(meaning) = of_the_chart(&line, &lower, source) {
        return meaning;
    }
    if any(&["credentials", "unauthorized", "getting credentials: exec"]) {
        return (ErrorClass::Denied, format!("{line}: the cluster does not know who is calling"));
    }
    if has("is forbidden") || has("forbidden: user") {
        return (ErrorClass::Denied, format!("{line}: the caller has no permission for this in the cluster"));
    }
    if has("namespaces \"") && has("not found") {
        return (ErrorClass::NotYet, format!("{line}: the release's namespace is not there"));
    }
    if any(&["failed calling webhook", "no endpoints available for service"]) {
        return (ErrorClass::NotYet, line);
    }
    if any(&["no matches for kind", "ensure crds are installed first"]) {
        return (ErrorClass::NotYet, format!("{line}: a CustomResourceDefinition is not there"));
    }
    let unreachable = [
        "kubernetes cluster unreachable",
        "connection refused",
        "connection reset",
        "no such host",
        "i/o timeout",
        "tls handshake timeout",
        "unexpected eof",
        "etcdserver: request timed out",
        "the object has been modified",
        "too many requests",
        "http2: client connection lost",
        "service unavailable",
    ];
    if any(&unreachable) {
        return (ErrorClass::Transient, line);
    }
    (ErrorClass::Invalid, line)
}

/// What is wrong with the chart or where it comes from.
fn of_the_chart(line: &str, lower: &str, source: &str) -> Option<Meaning> {
    let any = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let is_about_it = any(&[
        "not a valid chart repository or cannot be reached",
        "failed to download",
        "failed to fetch",
        "failed to perform",
        "not found in url index",
        "not found in repository",
        "no chart version found",
        "no chart name found",
        "could not find protocol handler",
        "could not locate a version matching",
        "repo not found",
        "chart.yaml file is missing",
        "non-absolute urls should be in form of",
        "unable to locate any tags",
        "failed to authorize",
    ]) || (any(&["chart \""]) && any(&["not found in"]))
        || (any(&["path \"", "stat "]) && any(&["not found", "no such file"]));
    if !is_about_it {
        return None;
    }
    let passes =
        ["timeout", "connection reset", "unexpected eof", "500 internal", "502 bad", "503 service", "504 gateway"];
    let class = if any(&passes) { ErrorClass::Transient } else { ErrorClass::Invalid };
    let way =
        "is the address right and reachable from here? `[charts]` names another repository, a registry or a directory";
    Some((class, format!("the chart {source} cannot be had: {line}; {way}")))
}

/// The sentence of an error: the last that begins with `Error:`, up to the end, on one line.
fn error_of(said: &str) -> String {
    let from = said.rfind("Error: ").map_or(0, |at| at + "Error: ".len());
    let lines: Vec<&str> = said[from..].lines().map(str::trim).filter(|line| is_news(line)).collect();
    let text = lines.join("; ");
    let text = text.trim().trim_end_matches('.').to_owned();
    if text.is_empty() { "helm said nothing".to_owned() } else { text }
}

/// Whether a line says anything of this run: remarks about the caller's files and about progress do not.
fn is_news(line: &str) -> bool {
    let remarks = ["WARNING: Kubernetes configuration file is", "level=WARN", "level=INFO", "level=DEBUG"];
    !line.is_empty() && !remarks.iter().any(|remark| line.contains(remark))
}

/// An object that is there and that no release, or another one, has made.
fn foreign_object(line: &str) -> String {
    // `Unable to continue with install: ConfigMap "demo" in namespace "own" exists and cannot be imported into ...`
    let object = line.split(" exists and cannot be imported").next().unwrap_or(line);
    let object = object.rsplit(": ").next().unwrap_or(object);
    // `key "meta.helm.sh/release-name" must equal "first": current value is "demo"`
    let whose = line.split("current value is \"").nth(1).and_then(|rest| rest.split('"').next());
    let whose = whose.map_or_else(|| "is not helm's".to_owned(), |value| format!("belongs to `{value}`"));
    format!(
        "{object} is there already and {whose}: delete it, or let the release take it over by hand (`helm upgrade \
         --install … --take-ownership`)"
    )
}

/// Fields that somebody else has set: helm 4 applies by the server, which knows whose they are.
fn field_conflict(line: &str) -> String {
    let object = line.split("applying object ").nth(1).and_then(|rest| rest.split(": Apply failed").next());
    let object = object.unwrap_or("an object of the release");
    let mut parts: Vec<(String, Vec<&str>)> = Vec::new();
    for conflict in line.split("conflict with \"").skip(1).chain(line.split("conflicts with \"").skip(1)) {
        let Some((manager, rest)) = conflict.split_once('"') else { continue };
        let fields = rest.split([':', ';', ' ', ',']).filter(|word| word.starts_with('.'));
        parts.push((manager.to_owned(), fields.map(|field| field.trim_end_matches(['.', ','])).collect()));
    }
    let managed: Vec<String> =
        parts.iter().map(|(manager, fields)| format!("{} (managed by `{manager}`)", fields.join(", "))).collect();
    format!(
        "{object}: fields are managed by someone else: {}; put them back, or take them over with `--force-conflicts`",
        managed.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(said: &str) -> ErrorClass {
        meaning(said, "istiod of https://charts.test").0
    }

    fn text(said: &str) -> String {
        meaning(said, "istiod of https://charts.test").1
    }

    #[test]
    fn each_of_helms_texts_has_its_class() {
        for (said, expected) in [
            ("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n", ErrorClass::Busy),
            (
                "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": dial tcp 127.0.0.1:1: connect: connection refused",
                ErrorClass::Transient,
            ),
            (
                "Error: kubernetes cluster unreachable: the server has asked for the client to provide credentials",
                ErrorClass::Denied,
            ),
            (
                "Error: query: failed to query with labels: secrets is forbidden: User \"x\" cannot list resource \"secrets\"",
                ErrorClass::Denied,
            ),
            (
                "Error: looks like \"http://127.0.0.1:1\" is not a valid chart repository or cannot be reached: Get \"http://127.0.0.1:1/index.yaml\": dial tcp 127.0.0.1:1: connect: connection refused",
                ErrorClass::Invalid,
            ),
            (
                "Error: looks like \"https://x\" is not a valid chart repository or cannot be reached: Get: i/o timeout",
                ErrorClass::Transient,
            ),
            (
                "Error: chart \"istiod\" version \"9.9.9\" not found in https://charts.test repository",
                ErrorClass::Invalid,
            ),
            ("Error: path \"./nope\" not found", ErrorClass::Invalid),
            ("Error: INSTALLATION FAILED: create: failed to create: namespaces \"nope\" not found", ErrorClass::NotYet),
            (
                "Error: UPGRADE FAILED: failed to create resource: Internal error occurred: failed calling webhook \"validation.istio.io\": no endpoints available for service \"istiod\"",
                ErrorClass::NotYet,
            ),
            (
                "Error: unable to build kubernetes objects from release manifest: resource mapping not found for name: \"a\" namespace: \"\" from \"\": no matches for kind \"Gateway\" in version \"networking.istio.io/v1\"\nensure CRDs are installed first",
                ErrorClass::NotYet,
            ),
            ("Release demo has been cancelled.\nError: UPGRADE FAILED: context canceled", ErrorClass::Ambiguous),
            (
                "Error: UPGRADE FAILED: pre-upgrade hooks failed: timed out waiting for the condition",
                ErrorClass::Invalid,
            ),
            ("Error: execution error at (demo/templates/a.yaml:1:4): a value is needed", ErrorClass::Invalid),
            ("", ErrorClass::Invalid),
        ] {
            assert_eq!(class(said), expected, "{said}");
        }
        assert_eq!(text(""), "helm said nothing");
        assert_eq!(text("WARNING: Kubernetes configuration file is group-readable\nError: one\ntwo\n"), "one; two");
    }

    #[test]
    fn a_chart_that_cannot_be_had_names_where_it_was_looked_for() {
        let said = text("Error: chart \"istiod\" version \"9.9.9\" not found in https://charts.test repository");
        assert!(said.starts_with("the chart istiod of https://charts.test cannot be had: "), "{said}");
        assert!(said.contains("`[charts]` names another"), "{said}");
    }

    #[test]
    fn an_object_of_somebody_else_is_named_with_its_owner() {
        let nobody = "Error: Unable to continue with install: ConfigMap \"demo\" in namespace \"own\" exists and cannot be \
            imported into the current release: invalid ownership metadata; label validation error: missing key \
            \"app.kubernetes.io/managed-by\": must be set to \"Helm\"";
        assert_eq!(class(nobody), ErrorClass::Conflict);
        assert!(
            text(nobody).starts_with("ConfigMap \"demo\" in namespace \"own\" is there already and is not helm's: ")
        );
        let other = "Error: unable to continue with install: ConfigMap \"demo\" in namespace \"n4\" exists and cannot be \
            imported into the current release: invalid ownership metadata; annotation validation error: key \
            \"meta.helm.sh/release-name\" must equal \"first\": current value is \"demo\"";
        assert!(text(other).contains("belongs to `demo`"), "{}", text(other));
    }

    #[test]
    fn a_conflict_of_managers_names_them_and_the_fields() {
        let one = "Error: UPGRADE FAILED: conflict occurred while applying object n4/demo /v1, Kind=ConfigMap: Apply failed \
            with 1 conflict: conflict with \"kubectl-patch\" using v1: .data.color";
        assert_eq!(class(one), ErrorClass::Conflict);
        assert_eq!(
            text(one),
            "n4/demo /v1, Kind=ConfigMap: fields are managed by someone else: .data.color (managed by `kubectl-patch`); \
             put them back, or take them over with `--force-conflicts`"
        );
        let two = "Error: UPGRADE FAILED: conflict occurred while applying object n4/demo /v1, Kind=ConfigMap: Apply failed \
            with 2 conflicts: conflicts with \"kubectl-patch\" using v1:\n- .data.a\n- .data.b";
        assert_eq!(class(two), ErrorClass::Conflict);
        assert!(text(two).contains(".data.a, .data.b (managed by `kubectl-patch`)"), "{}", text(two));
    }
}
