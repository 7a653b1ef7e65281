//! The world outlives the process, whenever that ends.

use std::io::Write as _;
use std::path::PathBuf;

use super::*;

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        // In memory where there is such a folder: some tests remake a world thousands of times.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("meshplan-sandbox-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(dir: &Path) -> Result<Sandbox, SandboxError> {
    Sandbox::open(dir, Options { speed: Speed::Unlimited, ..Options::default() })
}

#[tokio::test]
async fn objects_and_time_survive() {
    let folder = Folder::new("survive");
    let sandbox = open(&folder.0).unwrap();
    assert!(matches!(open(&folder.0), Err(SandboxError::InUse { .. })), "one process at a time");
    let (base, ended) = {
        let client = ec2(&sandbox, "us-west-2");
        sandbox
            .drive(async {
                let id = vpc(&client, "10.1.0.0/16").await;
                sandbox.clock().sleep(std::time::Duration::from_secs(1000)).await;
                client.describe_vpcs().vpc_ids(&id).send().await.unwrap();
                (id, sandbox.clock().now())
            })
            .await
    };
    let before = sandbox.status();
    drop(sandbox);
    let sandbox = open(&folder.0).unwrap();
    assert_eq!(sandbox.clock().now(), ended);
    assert_eq!(sandbox.status(), before);
    let client = ec2(&sandbox, "us-west-2");
    client.delete_vpc().vpc_id(&base).send().await.unwrap();
    drop((sandbox, client));
    assert_eq!(open(&folder.0).unwrap().status().total, 0);
    Sandbox::reset(&folder.0).unwrap();
    assert_eq!(open(&folder.0).unwrap().status().regions, []);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(folder.0.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}

/// The files as a killed process leaves them, with only so much of the log.
fn killed(to: &Path, snapshot: &[u8], log: &[u8]) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for (name, bytes) in [("world.snapshot", snapshot), ("world-0.log", log)] {
        std::fs::File::create(to.join(name)).unwrap().write_all(bytes).unwrap();
    }
}

#[tokio::test]
async fn a_log_cut_at_any_byte_is_a_world_between_two_calls() {
    let (folder, copy) = (Folder::new("torn"), Folder::new("torn-copy"));
    let options = || Options { persist: true, ..Options::unhindered() };
    let sandbox = Sandbox::open(&folder.0, options()).unwrap();
    let client = ec2(&sandbox, "us-west-2");
    let log = folder.0.join("world-0.log");
    let length = || usize::try_from(log.metadata().unwrap().len()).unwrap();
    // After each call: how long the log is, and how many objects there are.
    let mut marks = vec![(length(), 0)];
    let mark = |marks: &mut Vec<(usize, usize)>| marks.push((length(), sandbox.status().total));
    let id = vpc(&client, "10.1.0.0/16").await;
    mark(&mut marks);
    let made = subnet(&client, &id, "10.1.0.0/24").await;
    mark(&mut marks);
    client.delete_subnet().subnet_id(&made).send().await.unwrap();
    mark(&mut marks);
    let end = length();
    let (snapshot, bytes) = (std::fs::read(folder.0.join("world.snapshot")).unwrap(), std::fs::read(&log).unwrap());
    for cut in 0..=end {
        killed(&copy.0, &snapshot, &bytes[..cut]);
        let reopened = Sandbox::open(&copy.0, options()).unwrap();
        let expected = marks.iter().rev().find(|(length, _)| *length <= cut).unwrap().1;
        assert_eq!(reopened.status().total, expected, "cut at {cut} of {end}");
        if cut % 97 == 0 {
            // It goes on from there.
            let client = ec2(&reopened, "us-west-2");
            vpc(&client, "10.9.0.0/16").await;
            drop((reopened, client));
            assert_eq!(Sandbox::open(&copy.0, options()).unwrap().status().total, expected + 6);
        }
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_named_and_nothing_is_touched() {
    let folder = Folder::new("damage");
    let sandbox = open(&folder.0).unwrap();
    let client = ec2(&sandbox, "us-west-2");
    for second in 1..4 {
        vpc(&client, &format!("10.{second}.0.0/16")).await;
    }
    drop((sandbox, client));
    let log = folder.0.join("world-0.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[100] ^= 1;
    std::fs::File::create(&log).unwrap().write_all(&bytes).unwrap();
    let error = open(&folder.0).unwrap_err().to_string();
    assert!(error.contains("world-0.log:1 is damaged") && error.contains("sandbox reset"), "{error}");
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
    Sandbox::reset(&folder.0).unwrap();
    open(&folder.0).unwrap();
}

#[tokio::test]
async fn the_log_is_folded_and_ten_thousand_objects_are_quick() {
    let folder = Folder::new("many");
    let sandbox = Sandbox::open(&folder.0, Options::unhindered()).unwrap();
    let client = ec2(&sandbox, "us-west-2");
    for second in 0..10 {
        let id = vpc(&client, &format!("10.{second}.0.0/16")).await;
        for third in 0..100 {
            subnet(&client, &id, &format!("10.{second}.{third}.0/24")).await;
        }
    }
    let before = sandbox.status();
    drop((sandbox, client));
    let sandbox = Sandbox::open(&folder.0, Options::unhindered()).unwrap();
    assert_eq!(sandbox.status(), before);
    assert!(before.total > 1000);
}
