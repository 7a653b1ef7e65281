//! Events: what controllers have to say about objects.
//!
//! Entry point: [`Control::say`]. The same thing about the same object is said once; how often it was meant is not counted.

use serde_json::{Value, json};

use super::control::Control;
use super::parts::{name, namespace, uid};
use crate::sandbox::kubernetes::objects::{Key, time};
use crate::sandbox::world::ids::number_of;

impl Control<'_, '_> {
    /// Says something normal about an object.
    pub(super) fn say(&mut self, about: &Value, component: &str, reason: &str, message: &str) {
        self.record(about, component, "Normal", (reason, message));
    }

    /// Warns of something about an object.
    pub(super) fn warn(&mut self, about: &Value, component: &str, reason: &str, message: &str) {
        self.record(about, component, "Warning", (reason, message));
    }

    fn record(&mut self, about: &Value, component: &str, kind: &str, (reason, message): (&str, &str)) {
        let namespace = match namespace(about) {
            "" => "default",
            namespace => namespace,
        };
        let number = number_of(&[uid(about).as_bytes(), reason.as_bytes(), message.as_bytes()]);
        let key = Key::new("", "events", Some(namespace), &format!("{}.{number:016x}", name(about)));
        // Nothing new comes into a namespace that goes.
        let is_going =
            self.get(&Key::new("", "namespaces", None, namespace)).is_none_or(|it| super::parts::is_going(&it));
        if is_going {
            return;
        }
        let at = time(self.now);
        self.ensure(&key, || {
            json!({
                "apiVersion": "v1",
                "kind": "Event",
                "involvedObject": {
                    "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name(about),
                    "namespace": about["metadata"]["namespace"], "uid": uid(about),
                },
                "type": kind,
                "reason": reason,
                "message": message,
                "source": { "component": component },
                "reportingComponent": component,
                "reportingInstance": "",
                "firstTimestamp": at,
                "lastTimestamp": at,
                "eventTime": null,
                "count": 1,
            })
        });
    }
}
