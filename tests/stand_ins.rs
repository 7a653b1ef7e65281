//! The helpers that start third-party servers keep their promises: the servers answer, end with their values, and do
//! not outlive a killed test process. Also the shortest example of each.

#[path = "support/stand_ins.rs"]
mod stand_ins;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use stand_ins::{Clients, Microburst, Missing, Moto, Trouble, can_tie_to_parent, environment, locate, stand_in};

/// Set for the process that [`a_killed_test_process_leaves_no_server_behind`] starts and kills.
const HOLD: &str = "MESHPLAN_TEST_HOLDS_A_SERVER";

fn is_running(process_id: u32) -> bool {
    // A zombie has ended; it only waits for its parent's attention.
    std::fs::read_to_string(format!("/proc/{process_id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn ends(process_id: u32) -> bool {
    (0..500).any(|_| {
        let is_gone = !is_running(process_id);
        if !is_gone {
            thread::sleep(Duration::from_millis(10));
        }
        is_gone
    })
}

#[test]
fn boto3_and_the_aws_command_talk_to_moto_and_a_reset_empties_it() {
    let moto = stand_in!(Moto::start());
    let clients = stand_in!(Clients::find());
    let script = "import boto3, sys; print(boto3.client('ec2').create_vpc(CidrBlock=sys.argv[1])['Vpc']['VpcId'])";
    let id = clients.python(&moto.endpoint(), script, &["10.1.0.0/16"]).unwrap().stdout().unwrap();
    let list = ["ec2", "describe-vpcs", "--query", "Vpcs[?!IsDefault].VpcId", "--output", "text"];
    assert_eq!(clients.aws(&moto.endpoint(), &list).unwrap().stdout().unwrap(), id);
    moto.reset().unwrap();
    assert_eq!(clients.aws(&moto.endpoint(), &list).unwrap().stdout().unwrap().trim(), "");
}

#[test]
fn a_seed_makes_the_ids_of_a_run_the_same() {
    let moto = stand_in!(Moto::start());
    let clients = stand_in!(Clients::find());
    let make = || {
        moto.reset().unwrap();
        moto.seed(42).unwrap();
        let create = ["ec2", "create-vpc", "--cidr-block", "10.1.0.0/16", "--query", "Vpc.VpcId"];
        clients.aws(&moto.endpoint(), &create).unwrap().stdout().unwrap()
    };
    assert_eq!(make(), make());
}

#[test]
fn microburst_loses_an_answer_after_the_effect() {
    let moto = stand_in!(Moto::start());
    let proxy = stand_in!(Microburst::start(&moto.endpoint()));
    let clients = stand_in!(Clients::find());
    let lost = r#"[{"service":"ec2","operation":"CreateVpc","times":1,"response":{"abort_frac":0.0}}]"#;
    proxy.set_rules(lost).unwrap();
    let create = ["ec2", "create-vpc", "--cidr-block", "10.1.0.0/16"];
    let answer = clients.aws(&proxy.endpoint(), &create).unwrap();
    assert!(!answer.status.success(), "the answer was to be lost, and is: {}", answer.stdout);
    assert!(proxy.fired().unwrap().contains("CreateVpc"));
    let count = ["ec2", "describe-vpcs", "--query", "length(Vpcs[?!IsDefault])"];
    assert_eq!(clients.aws(&moto.endpoint(), &count).unwrap().stdout().unwrap().trim(), "1");
    proxy.set_rules("[]").unwrap();
    proxy.forget_fired().unwrap();
    assert_eq!(proxy.fired().unwrap().trim(), "[]");
    assert!(clients.aws(&proxy.endpoint(), &create).unwrap().status.success());
}

#[test]
fn a_dropped_server_ends() {
    let moto = stand_in!(Moto::start());
    let process_id = moto.process_id();
    assert!(is_running(process_id));
    drop(moto);
    assert!(ends(process_id));
}

#[test]
fn a_server_outlives_the_thread_that_asked_for_it() {
    let started = thread::spawn(Moto::start).join().unwrap();
    let moto = stand_in!(started);
    moto.reset().unwrap();
}

#[test]
fn a_killed_test_process_leaves_no_server_behind() {
    stand_in!(locate("moto").map_err(Trouble::Missing));
    if !can_tie_to_parent() {
        Trouble::Missing(Missing { which: "setpriv", why: "it comes with util-linux".to_owned() }).skip_or_fail();
        return;
    }
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", "holds_a_server_until_it_is_killed", "--nocapture"]).env(HOLD, "1");
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let process_id = lines.find_map(|line| line.split_once("server ")?.1.parse().ok());
    let process_id: u32 = process_id.expect("the holder names its server's process");
    assert!(is_running(process_id));
    holder.kill().unwrap(); // SIGKILL: nothing is dropped
    holder.wait().unwrap();
    assert!(ends(process_id), "process {process_id} outlived the test that started it");
}

/// Nothing to test here: the other process of [`a_killed_test_process_leaves_no_server_behind`].
#[test]
fn holds_a_server_until_it_is_killed() {
    if environment(HOLD).is_none() {
        return;
    }
    let moto = stand_in!(Moto::start());
    println!("\nserver {}", moto.process_id());
    // Ends when the other process does, should that fail to kill this one.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn a_missing_stand_in_is_named_with_the_way_to_get_it() {
    let missing = locate("nonesuch").unwrap_err();
    assert_eq!(missing.which, "nonesuch");
    assert!(missing.why.starts_with("no stand-in is named `nonesuch`; there are: moto "), "{}", missing.why);
}
