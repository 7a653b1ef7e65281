//! Writes the XML of answers: elements, groups, lists of `<item>` or `<member>`, escaped.
//!
//! Deliberately no more than the answers need: no attributes, no namespaces but the root's.

use std::fmt::{Display, Write as _};

/// The inside of an answer, written from left to right.
#[derive(Debug, Default, Clone)]
pub(crate) struct Xml {
    out: String,
}

impl Xml {
    /// `<name>value</name>`.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.out.extend(["<", name, ">"]);
        self.value(value);
        self.out.extend(["</", name, ">"]);
        self
    }

    /// The text of the element that is being written.
    pub(crate) fn value(&mut self, value: impl Display) {
        let from = self.out.len();
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
        escape_from(&mut self.out, from);
    }

    /// The element when there is a value, nothing otherwise.
    pub(crate) fn optional(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// `<name>…</name>` around what `inside` writes.
    pub(crate) fn group(&mut self, name: &str, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.out.extend(["<", name, ">"]);
        inside(self);
        self.out.extend(["</", name, ">"]);
        self
    }

    /// `<name><item>…</item><item>…</item></name>`.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.group(name, |xml| {
            for element in items {
                xml.group("item", |xml| item(xml, element));
            }
        })
    }

    /// `<name><member>…</member><member>…</member></name>`: the lists of awsQuery.
    pub(crate) fn members<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.group(name, |xml| {
            for element in items {
                xml.group("member", |xml| item(xml, element));
            }
        })
    }

    /// `<return>true</return>`, EC2's answer to calls that return nothing else.
    pub(crate) fn returned(mut self) -> Self {
        self.text("return", true);
        self
    }

    /// What was written.
    pub(crate) fn into_string(self) -> String {
        self.out
    }
}

/// Escapes what was appended since `from`; characters that XML 1.0 cannot hold become U+FFFD.
fn escape_from(out: &mut String, from: usize) {
    let plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && (c >= ' ' || matches!(c, '\t' | '\n'));
    if out[from..].chars().all(plain) {
        return;
    }
    let raw = out.split_off(from);
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            control if control < ' ' => out.push(char::REPLACEMENT_CHARACTER),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_lists_are_items() {
        let mut xml = Xml::default();
        xml.text("key", "a<&>\"'\u{1}\r").optional("none", None::<&str>).list("set", [1, 2], |xml, n| {
            xml.text("n", n);
        });
        assert_eq!(
            xml.into_string(),
            "<key>a&lt;&amp;&gt;&quot;&apos;\u{fffd}&#13;</key><set><item><n>1</n></item><item><n>2</n></item></set>"
        );
    }
}
