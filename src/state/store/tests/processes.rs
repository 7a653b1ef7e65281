//! What the store promises when there is another process: one that holds the lock, one that is killed while it writes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

/// Stands in the directory that a child is started in.
const MARKER: &str = "child";

/// Runs one of the ignored tests below as a process of its own, in a directory.
fn child(shell: &str, test: &str, directory: &Path) -> (Child, BufReader<ChildStdout>) {
    put(&directory.join(MARKER), b"");
    let mut child = Command::new("sh")
        .args([
            "-c",
            &format!("{shell} exec \"$0\" --ignored --exact --nocapture state::store::tests::processes::{test}"),
        ])
        .arg(std::env::current_exe().unwrap())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

#[test]
fn a_second_writer_is_told_who_the_first_is_and_a_dead_one_is_taken_over() {
    let temporary = temporary();
    let directory = temporary.path().join("state");
    let (mut child, output) = child("", "child_holds_the_lock", temporary.path());
    assert!(output.lines().map_while(Result::ok).any(|line| line.contains("the lock is held")));
    let error = open(&directory).unwrap_err();
    let StoreError::Locked { owner: Some(owner), .. } = &error else { panic!("{}", message(&error)) };
    assert_eq!((owner.pid, owner.command.as_str()), (child.id(), "meshplan apply"));
    let text = message(&error);
    assert!(text.contains("locked by `meshplan apply` (process ") && text.contains("1970-01-01"), "{text}");
    assert!(Store::read(&directory, "demo").unwrap().is_some(), "looking needs no lock");
    let owner = owner.clone();
    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(&directory).unwrap();
    assert_eq!(store.notes(), [Note::TakenOver(owner)]);
    assert_eq!(store.state().records.len(), 1, "what the dead owner appended is there");
    assert!(matches!(open(&directory), Err(StoreError::Locked { .. })), "also within one process");
    drop(store);
    assert_eq!(open(&directory).unwrap().notes(), []);
}

#[test]
#[ignore = "the child of another test"]
fn child_holds_the_lock() {
    if !Path::new(MARKER).exists() {
        return; // somebody runs all the ignored tests
    }
    let mut store = open(Path::new("state")).unwrap();
    store.append(&create("aws.vpc/a", "vpc-1")).unwrap();
    println!("the lock is held");
    // Until it is killed, or whoever started it is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_process_killed_anywhere_loses_nothing_that_was_acknowledged() {
    let temporary = temporary();
    let mut acknowledged = 0;
    for kill in 0..8 {
        // The pipe stays open: a child that cannot print would end well, and give its lock back.
        let (mut child, mut output) = child("", "child_writes_until_it_is_killed", temporary.path());
        let lines =
            (&mut output).lines().map_while(Result::ok).filter_map(|line| line.strip_prefix("done ")?.parse().ok());
        let last: Option<usize> = lines.take(kill * 3 + 1).last();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = acknowledged.max(last.unwrap());
        let store = open(&temporary.path().join("state")).unwrap();
        assert!(matches!(store.notes(), [Note::TakenOver(_), ..]), "{:?}", store.notes());
        let found = store.state().records.len();
        assert!(found >= acknowledged, "{acknowledged} were acknowledged and {found} are there");
        acknowledged = found;
    }
}

#[test]
#[ignore = "the child of another test"]
fn child_writes_until_it_is_killed() {
    if !Path::new(MARKER).exists() {
        return; // somebody runs all the ignored tests
    }
    let mut store = open(Path::new("state")).unwrap();
    // If whoever started it is gone, printing fails and ends it.
    for n in store.state().records.len()..100_000 {
        store.append(&create(&format!("aws.vpc/{n:06}"), "vpc-1")).unwrap();
        println!("done {}", store.state().records.len());
        if n % 3 == 0 {
            store.save().unwrap();
        }
    }
}

#[test]
fn a_write_that_the_system_cuts_short_loses_nothing_that_was_acknowledged() {
    let temporary = temporary();
    let (mut child, output) = child("trap '' XFSZ; ulimit -f 8;", "child_writes_until_it_may_not", temporary.path());
    let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let acknowledged = lines.iter().find_map(|line| line.split_once("acknowledged ")).unwrap().1;
    let store = open(&temporary.path().join("state")).unwrap();
    assert!(matches!(store.notes(), [Note::Torn { .. }]), "{:?}", store.notes());
    assert_eq!(store.state().records.len().to_string(), acknowledged);
}

#[test]
#[ignore = "the child of another test"]
fn child_writes_until_it_may_not() {
    if !Path::new(MARKER).exists() {
        return; // somebody runs all the ignored tests
    }
    let mut store = open(Path::new("state")).unwrap();
    let error = (0..).find_map(|n| store.append(&create(&format!("aws.vpc/{n}"), "vpc-1")).err()).unwrap();
    assert!(matches!(error, StoreError::Io { doing: "append to", .. }), "{}", message(&error));
    assert!(matches!(store.append(&[promise("aws.vpc/x")]), Err(StoreError::Poisoned { .. })));
    println!("acknowledged {}", store.state().records.len());
}
