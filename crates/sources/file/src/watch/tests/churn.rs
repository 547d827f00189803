//! Many changes: nothing is lost, and nothing piles up.

use std::thread;

use super::*;

/// A generator of numbers that look random; the same ones for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Changes something in the folder. Failures because of earlier changes are ignored.
fn change(folder: &Path, numbers: &mut Numbers) {
    let names = ["a.yaml", "b.yaml", "x", "x/c.yaml", "x/y", "x/y/d.yaml", "z", "z/e.yaml"];
    let mut any = || folder.join(names[numbers.below(names.len() as u64) as usize]);
    let (one, two) = (any(), any());
    let value = numbers.below(1000);
    let _ = match numbers.below(8) {
        0 => fs::remove_file(one),
        1 => fs::remove_dir_all(one),
        2 => fs::rename(one, two),
        3 => symlink(two, one),
        4 | 5 => fs::create_dir_all(one.with_extension("")),
        _ => fs::write(&one, format!("k{}: {value}\n", numbers.below(5))),
    };
}

#[tokio::test]
async fn after_any_changes_the_last_state_is_reported() {
    for seed in [1, 0x9e37_79b9, 0x85eb_ca6b] {
        let tree = Tree::new(&[("a.yaml", "a: 1\n"), ("x/y/d.yaml", "d: 1\n")]);
        let mut watch = tree.followed(&[".", "x/y/d.yaml", "z"]);
        let folder = tree.0.path().to_owned();
        let changes = thread::spawn(move || {
            let mut numbers = Numbers(seed);
            for _ in 0..2000 {
                change(&folder, &mut numbers);
                if numbers.below(20) == 0 {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "the pauses between changes are what is tested"
                    )]
                    thread::sleep(Duration::from_micros(numbers.below(9000)));
                }
            }
            // A final state that can be read.
            for name in ["a.yaml", "b.yaml", "x", "z"] {
                let path = folder.join(name);
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir_all(&path);
            }
            let real = folder.join("x/y");
            fs::create_dir_all(&real).unwrap();
            symlink("x/y", folder.join("z")).unwrap();
            fs::write(real.join("d.yaml"), "end: true\n").unwrap();
        });
        loop {
            if let Ok((pairs, _)) = next(&mut watch).await
                && pairs == "/end=true"
            {
                break;
            }
        }
        changes.join().unwrap();
        expect_nothing(&mut watch).await;
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_loses_nothing() {
    let tree = Tree::new(&[("a.yaml", "a: 0\n")]);
    let mut watch = tree.followed(&["a.yaml"]);
    let mut seen = Vec::new();
    for value in 1..=100 {
        tree.write("a.yaml", &format!("a: {value}\n"));
        let patience = Duration::from_micros(value * 150);
        if let Ok(update) = timeout(patience, watch.next()).await {
            seen.push(text(update.unwrap().answers[0].as_ref().unwrap()));
        }
    }
    assert!(seen.len() < 100, "nothing was dropped");
    while seen.last().is_none_or(|last| last != "/a=100") {
        seen.push(next(&mut watch).await.unwrap().0);
    }
}

#[tokio::test]
async fn dropped_events_cause_a_check() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "/a=1", &[]).await;
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    // Files that match nothing fill the queue, so that the last event does not fit into it.
    for number in 0..=limit.trim().parse::<u64>().unwrap() / 2 {
        let (one, two) = (tree.path("one"), tree.path("two"));
        fs::File::create(if number % 2 == 0 { &one } else { &two }).unwrap();
        fs::remove_file(if number % 2 == 0 { &one } else { &two }).unwrap();
    }
    tree.write("a.yaml", "a: 2\n");
    expect(&mut watch, "/a=2", &["/a"]).await;
}

#[tokio::test]
async fn a_large_tree_is_followed() {
    let tree = Tree::new(&[]);
    for number in 0..2000 {
        tree.write(&format!("{}/{number}.yaml", number % 200), &format!("k{number}: 1\n"));
    }
    let mut watch = tree.followed(&["."]);
    assert_eq!(next(&mut watch).await.unwrap().0.split(' ').count(), 2000);
    tree.write("7/7.yaml", "k7: 2\n");
    assert_eq!(next(&mut watch).await.unwrap().1, ["/k7"]);
}
