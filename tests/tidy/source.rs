//! Reads Rust well enough for tidy: tells code from comments and text, test code from the rest, and finds every path
//! that the code names.
//!
//! A scanner of a few hundred lines and not a parser crate, because the checks only ask where a word stands. It does
//! not expand macros, and of a macro's body it sees the paths that are written there.

use std::collections::BTreeSet;
use std::path::Path;

/// One file of the tree, by its path from the root (with `/`) and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }
}

/// A word or a sign of the code, with its line (the first is 1). `::` is one token, every other sign is one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as the code names it: in a `use` tree (one per leaf), or in the middle of an expression or a type.
///
/// `crate`, `self` and `super` are resolved: such a path starts with `crate`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

/// A Rust file taken apart.
#[derive(Debug)]
pub(crate) struct Rust {
    /// The text of the comments at their places; all else is blank.
    pub(crate) comments: String,
    /// All the code, test code included.
    pub(crate) tokens: Vec<Token>,
    /// The lines of items under `#[cfg(test)]`.
    pub(crate) test_lines: BTreeSet<usize>,
}

impl Rust {
    pub(crate) fn read(text: &str) -> Self {
        let (code, comments) = separate(text);
        let tokens = tokenize(&code);
        let test_lines = test_lines(&tokens);
        Self { comments, tokens, test_lines }
    }

    /// The paths named outside test code, seen from the module `module`.
    pub(crate) fn named(&self, module: &[String]) -> Vec<Named> {
        let tokens: Vec<&Token> = self.tokens.iter().filter(|token| !self.test_lines.contains(&token.line)).collect();
        let mut named = Vec::new();
        let mut here = module.to_vec();
        let mut inline_modules = Vec::new();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < tokens.len() {
            match tokens[at].text.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if inline_modules.last() == Some(&depth) {
                        inline_modules.pop();
                        here.pop();
                    }
                }
                "mod" if word(&tokens, at + 2) == "{" => {
                    here.push(word(&tokens, at + 1).to_owned());
                    inline_modules.push(depth);
                    at += 1;
                }
                // `use<'a>` is a capture list.
                "use" if word(&tokens, at + 1) != "<" => {
                    let mut leaves = Vec::new();
                    at = use_tree(&tokens, at + 1, &[], &mut leaves);
                    named.extend(leaves.into_iter().map(|leaf| resolve(leaf, &here)));
                    continue;
                }
                _ if starts_path(&tokens, at) => {
                    let mut segments = vec![word(&tokens, at).to_owned()];
                    let line = tokens[at].line;
                    while word(&tokens, at + 1) == "::" && is_word(word(&tokens, at + 2)) {
                        segments.push(word(&tokens, at + 2).to_owned());
                        at += 2;
                    }
                    named.push(resolve(Named { line, segments }, &here));
                }
                _ => {}
            }
            at += 1;
        }
        named
    }
}

fn word<'a>(tokens: &[&'a Token], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Whether a path of at least two segments starts here. A leading `::` is skipped by starting after it.
fn starts_path(tokens: &[&Token], at: usize) -> bool {
    let goes_on =
        at >= 2 && word(tokens, at - 1) == "::" && (is_word(word(tokens, at - 2)) || word(tokens, at - 2) == ">");
    is_word(word(tokens, at)) && word(tokens, at + 1) == "::" && is_word(word(tokens, at + 2)) && !goes_on
}

/// Reads a use tree from `at` and returns where it ends.
fn use_tree(tokens: &[&Token], mut at: usize, prefix: &[String], leaves: &mut Vec<Named>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    while at < tokens.len() {
        match word(tokens, at) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && word(tokens, at) != "}" {
                    at = use_tree(tokens, at, &segments, leaves);
                    if word(tokens, at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "," | "}" | ";" => break,
            text => {
                segments.push(text.to_owned());
                at += 1;
            }
        }
    }
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    leaves.push(Named { line, segments });
    at
}

fn resolve(named: Named, here: &[String]) -> Named {
    let Named { line, segments } = named;
    if !matches!(segments[0].as_str(), "self" | "super") {
        return Named { line, segments };
    }
    let mut base = here.to_vec();
    let mut rest = segments.as_slice();
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = after;
    }
    let segments = std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect();
    Named { line, segments }
}

/// Splits a text into two of the same lines: one with the code alone (comments blank, string and character literals
/// empty), one with the comments alone.
fn separate(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut comments = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        let end = match at(index) {
            '/' if at(index + 1) == '/' => {
                let end = (index..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len());
                comments.extend(&chars[index..end]);
                end
            }
            '/' if at(index + 1) == '*' => {
                let end = block_comment_end(&chars, index);
                comments.extend(&chars[index..end]);
                code.extend(chars[index..end].iter().filter(|&&c| c == '\n'));
                end
            }
            '\'' if at(index + 1) != '\\' && at(index + 2) != '\'' => {
                // A lifetime or a label: a sign and then a word, so no path and no text.
                code.push(' ');
                index + 1
            }
            '\'' => blank(&chars, index, char_end(&chars, index), &mut code, &mut comments),
            '"' => blank(&chars, index, string_end(&chars, index), &mut code, &mut comments),
            'r' if !after_word(&chars, index) && raw_string_end(&chars, index).is_some() => {
                let end = raw_string_end(&chars, index).unwrap_or(index + 1);
                blank(&chars, index, end, &mut code, &mut comments)
            }
            c => {
                code.push(c);
                if c == '\n' {
                    comments.push('\n');
                }
                index + 1
            }
        };
        index = end.max(index + 1);
    }
    (code, comments)
}

/// Leaves `""` for a literal, and its line ends, so that what follows keeps its line.
fn blank(chars: &[char], from: usize, to: usize, code: &mut String, comments: &mut String) -> usize {
    let to = to.min(chars.len());
    let lines: String = chars[from..to].iter().filter(|&&c| c == '\n').collect();
    code.push_str("\"\"");
    code.push_str(&lines);
    comments.push_str(&lines);
    to
}

/// Whether the character before belongs to a word, other than the prefixes of byte and C strings.
fn after_word(chars: &[char], index: usize) -> bool {
    let is_part = |i: usize| chars[i].is_alphanumeric() || chars[i] == '_';
    match index.checked_sub(1) {
        None => false,
        Some(before) if matches!(chars[before], 'b' | 'c') => before.checked_sub(1).is_some_and(is_part),
        Some(before) => is_part(before),
    }
}

fn block_comment_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut index = from;
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                index += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    chars.len()
}

fn char_end(chars: &[char], from: usize) -> usize {
    let escaped = chars.get(from + 1) == Some(&'\\');
    let start = if escaped { from + 3 } else { from + 2 };
    (start..chars.len()).find(|&i| chars[i] == '\'').map_or(chars.len(), |i| i + 1)
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut index = from + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// The end of `r"…"`, `r#"…"#` and so on; none where it is no raw string (`r#type` is a word).
fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from + 1..].iter().take_while(|&&c| c == '#').count();
    let open = from + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes =
        |i: usize| chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    Some((open + 1..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes))
}

fn tokenize(code: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let chars: Vec<char> = text.chars().collect();
        let mut index = 0;
        while index < chars.len() {
            let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
            let length = match chars[index] {
                c if c.is_whitespace() => {
                    index += 1;
                    continue;
                }
                c if is_part(&c) => chars[index..].iter().take_while(|c| is_part(c)).count(),
                ':' if chars.get(index + 1) == Some(&':') => 2,
                _ => 1,
            };
            tokens.push(Token { text: chars[index..index + length].iter().collect(), line });
            index += length;
        }
    }
    tokens
}

/// The end of the bracketed group that opens at `open` (the index after its closing sign).
pub(crate) fn group_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn test_lines(tokens: &[Token]) -> BTreeSet<usize> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut lines = BTreeSet::new();
    for start in 0..tokens.len() {
        if text(start) != "#" || text(start + 1) != "[" || text(start + 2) != "cfg" {
            continue;
        }
        let mut at = group_end(tokens, start + 1);
        let condition = &tokens[start..at];
        if !condition.iter().any(|token| token.text == "test") || condition.iter().any(|token| token.text == "not") {
            continue;
        }
        while text(at) == "#" && text(at + 1) == "[" {
            at = group_end(tokens, at + 1);
        }
        // The item ends with its body or its semicolon, whichever is first outside brackets.
        while at < tokens.len() && text(at) != ";" {
            match text(at) {
                "{" => {
                    at = group_end(tokens, at) - 1;
                    break;
                }
                "(" | "[" => at = group_end(tokens, at),
                _ => at += 1,
            }
        }
        let last = tokens.get(at).or(tokens.last()).map_or(0, |token| token.line);
        lines.extend(tokens[start].line..=last);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str, module: &str) -> Vec<String> {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        Rust::read(text)
            .named(&module)
            .into_iter()
            .map(|path| format!("{} {}", path.line, path.segments.join("::")))
            .collect()
    }

    #[test]
    fn use_trees_are_expanded_and_relative_paths_resolved() {
        let text = "use crate::{model::{Address, digest::{self, Digest}}, plan as p};\n\
                    use super::super::ui;\nuse self::x::*;\npub(crate) use std::{fs, io::Read};\n\
                    fn f() -> impl Sized + use<'a> { super::g::<crate::state::S>(::tokio::spawn) }\n";
        assert_eq!(
            named(text, "apply::engine"),
            [
                "1 crate::model::Address",
                "1 crate::model::digest",
                "1 crate::model::digest::Digest",
                "1 crate::plan",
                "2 crate::ui",
                "3 crate::apply::engine::x::*",
                "4 std::fs",
                "4 std::io::Read",
                "5 crate::apply::g",
                "5 crate::state::S",
                "5 tokio::spawn"
            ]
        );
    }

    #[test]
    fn modules_written_inline_are_a_level_of_their_own() {
        let text = "mod a { mod b { use super::super::x; } use super::y; }\nuse super::z;";
        assert_eq!(
            named(text, "plan::decide"),
            ["1 crate::plan::decide::x", "1 crate::plan::decide::y", "2 crate::plan::z"]
        );
    }

    #[test]
    fn comments_and_text_name_nothing() {
        let text = "// crate::a::b\n/* crate::a::b /* nested */ crate::c::d */\nlet s = \"crate::a::b \\\" crate::e::f\";\n\
                    let r = r#\"crate::a::b \" \"#;\nlet b = br\"crate::x::y\"; let c = '\"'; let d = '\\''; fn f<'a>(x: &'a crate::g::h) {}\n\
                    let r#type = 1; crate::i::j();";
        assert_eq!(named(text, "plan"), ["5 crate::g::h", "6 crate::i::j"]);
    }

    #[test]
    fn test_items_are_left_out() {
        let text = "use crate::a::b;\n#[cfg(test)]\nuse crate::c::d;\n#[cfg(all(test, unix))]\n#[allow(x)]\nmod tests {\n  \
                    use crate::e::f;\n}\n#[cfg(not(test))]\nuse crate::g::h;\n#[cfg(test)]\nfn t(a: [u8; 2]) {\n crate::i::j();\n}\n";
        let rust = Rust::read(text);
        assert_eq!(named(text, "plan"), ["1 crate::a::b", "10 crate::g::h"]);
        assert_eq!(rust.test_lines.into_iter().collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14]);
    }

    #[test]
    fn comments_keep_their_lines() {
        let rust = Rust::read("let a = \"// no\n\"; // one\n/* two\nthree */ f();\n");
        assert_eq!(rust.comments.lines().collect::<Vec<_>>(), ["", "// one", "/* two", "three */"]);
        assert_eq!(rust.tokens.last().map(|token| token.line), Some(4));
    }
}
