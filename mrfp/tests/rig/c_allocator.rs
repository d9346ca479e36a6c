//! What this thread asks the C library's allocator for, where a process is watched for it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Names the file with the counts, as `allocator/count.c` has them.
const FILE: &str = "ALLOCATIONS";
const THREADS: u64 = 4096;

/// How often it was asked so far; `None` where nobody counts. Asks for nothing after the first
/// time.
pub fn asked() -> Option<u64> {
    static COUNTS: OnceLock<Option<File>> = OnceLock::new();
    thread_local! {
        static PLACE: u64 = place();
    }
    let file = COUNTS.get_or_init(|| std::env::var_os(FILE).and_then(|name| File::open(name).ok()));
    let mut count = [0; 8];
    let place = PLACE.with(|place| *place);
    file.as_ref()?.read_exact_at(&mut count, place).ok()?;
    Some(u64::from_ne_bytes(count))
}

/// Where the count of this thread is.
fn place() -> u64 {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux says which thread this is");
    let id = link
        .file_name()
        .and_then(|name| name.to_str()?.parse::<u64>().ok());
    id.expect("it is a number") % THREADS * 8
}

/// Runs tests of this program once more, in a process whose allocations in C are counted.
pub fn run_counted(tests: &[&str]) {
    let folder = std::env::temp_dir().join(format!("allocations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("there is room");
    let (library, counts) = (folder.join("count.so"), folder.join("counts"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/allocator/count.c");
    let built = Command::new("cc")
        .args(["-O1", "-fno-builtin", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "there is a compiler"
    );
    std::fs::write(&counts, vec![0; (THREADS * 8) as usize]).expect("there is room");
    let run = Command::new(std::env::current_exe().expect("a test has a name"))
        .arg("--exact")
        .args(tests)
        .env("LD_PRELOAD", &library)
        .env(FILE, &counts)
        .output()
        .expect("it runs");
    let _ = std::fs::remove_dir_all(&folder);
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}");
    assert!(told.contains(&format!("{} passed", tests.len())), "{told}");
}
