//! The `meshplan` command.

fn main() {}
