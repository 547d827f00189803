//! The whole process, from its start to its exit: `confd -onetime` with one variable for one
//! resource and for many, and with 10,000 servers from a YAML file.
//!
//! `cargo bench --bench onetime`. In each scenario the contenders alternate, so that a change of the
//! machine's speed concerns all of them. Each round has them in another order, because the file
//! system can be slower after one contender than after the other. It prints medians, and their ratios
//! to our own. The floor is the least that any program could need: a shell that writes a variable,
//! or copies the YAML, to a file; and a bare loop that writes, syncs and renames as many files, 16
//! at a time. `CONFD_GO=/path/to/confd` adds a Go confd.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the environment, and pauses between what it measures"
)]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use wait4::Wait4 as _;

/// One measured run.
#[derive(Clone, Copy)]
struct Sample {
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
}

/// A contender: a name, and one run of it.
struct Contender<'a> {
    name: &'a str,
    run: Box<dyn Fn() -> Sample + 'a>,
}

fn main() {
    scenario("one resource", &Tree::variable(1), 100);
    scenario("1,000 resources, all new", &Tree::variable(1000), 15);
    let plain = Tree::servers("server {{.Value}};", |nth| format!("10.0.0.{}:8080", nth % 250));
    scenario("10,000 servers in YAML, plain", &plain, 30);
    let json = "{{$s := json .Value}}server {{$s.host}}:{{$s.port}} weight={{$s.weight}};";
    let json = Tree::servers(json, |nth| {
        format!(r#"'{{"host":"10.0.0.{}","port":8080,"weight":{}}}'"#, nth % 250, nth % 9 + 1)
    });
    scenario("10,000 items in YAML, all new", &Tree::items(10_000), 5);
    scenario("10,000 servers in YAML, with JSON values", &json, 30);
}

#[expect(clippy::print_stdout, reason = "printing figures is what a benchmark is for")]
fn scenario(title: &str, tree: &Tree, rounds: usize) {
    let go = std::env::var("CONFD_GO").ok();
    let ours = env!("CARGO_BIN_EXE_confd");
    let mut contenders = vec![Contender { name: "confd", run: Box::new(|| tree.process(ours)) }];
    if let Some(go) = &go {
        contenders.push(Contender { name: "Go confd", run: Box::new(|| tree.process(go)) });
    }
    contenders.push(match tree.files {
        1 => Contender { name: "floor (a shell)", run: Box::new(|| tree.shell()) },
        _ => Contender { name: "floor (bare loop)", run: Box::new(|| tree.bare_loop(tree.files)) },
    });
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        fastrand::shuffle(&mut order);
        for nth in order {
            tree.set_aside();
            let sample = (contenders[nth].run)();
            if round > 0 {
                samples[nth].push(sample); // the first round only warms up
            }
        }
    }
    println!("{title}: medians of {rounds} runs");
    println!(
        "  {:<18} {:>9} {:>9} {:>9} {:>12}",
        "", "wall ms", "CPU ms", "peak MiB", "wall ratio"
    );
    let own = median(&samples[0], |sample| sample.wall.as_secs_f64());
    for (contender, samples) in contenders.iter().zip(&samples) {
        let wall = median(samples, |sample| sample.wall.as_secs_f64());
        println!(
            "  {:<18} {:>9.2} {:>9.2} {:>9.1} {:>12.2}",
            contender.name,
            wall * 1e3,
            median(samples, |sample| sample.cpu.as_secs_f64()) * 1e3,
            median(samples, |sample| sample.peak_kib as f64) / 1024.0,
            wall / own,
        );
    }
}

fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A confd tree.
struct Tree {
    folder: tempfile::TempDir,
    /// The number of files.
    files: usize,
    /// The arguments that choose the backend.
    backend: Vec<String>,
    /// A shell script that does the job of confd; `$0` is the destination.
    script: String,
}

impl Tree {
    /// A tree with resources that all print one variable.
    fn variable(resources: usize) -> Self {
        let template = "value: {{getv \"/key\"}}\n";
        let mut tree = Self::new(resources, "/key", template);
        tree.backend = vec!["-backend".to_owned(), "env".to_owned()];
        tree.script = "echo \"value: $KEY\" >\"$0\"".to_owned();
        tree
    }

    /// A tree with one resource that prints 10,000 servers from a YAML file, each by `line`.
    fn servers(line: &str, value: impl Fn(usize) -> String) -> Self {
        let template = format!("{{{{range gets \"/up/*\"}}}}{line}\n{{{{end}}}}");
        let mut tree = Self::new(1, "/up", &template);
        let servers = (0..10_000).map(|nth| format!("  s{nth:05}: {}\n", value(nth)));
        let file = tree.path("servers.yaml");
        fs::write(&file, format!("up:\n{}", servers.collect::<String>())).expect("a file");
        let file = file.display().to_string();
        tree.script = format!("cat '{file}' >\"$0\"");
        tree.backend = ["-backend", "file", "-file", &file].map(str::to_owned).to_vec();
        tree
    }

    /// A tree with one resource that has a file for each of many items in a YAML file.
    fn items(items: usize) -> Self {
        let mut tree = Self::new(0, "", "");
        let keys: String = (0..items).map(|nth| format!("  n{nth}: value\n")).collect();
        let file = tree.path("items.yaml");
        fs::write(&file, format!("items:\n{keys}")).expect("a file");
        let dest = tree.path("out/{{slice .name 1}}.conf");
        let resource = format!(
            "[template]\nsrc = 'items.tmpl'\nfor_each = '/items/*'\ndest = '{}'\n",
            dest.display()
        );
        fs::write(tree.path("conf.d/items.toml"), resource).expect("a resource");
        fs::write(tree.path("templates/items.tmpl"), "value: {{getv \"/\"}}\n")
            .expect("a template");
        let file = file.display().to_string();
        tree.backend = ["-backend", "file", "-file", &file].map(str::to_owned).to_vec();
        tree.files = items;
        tree
    }

    fn new(resources: usize, key: &str, template: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        for name in ["conf.d", "templates", "out"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let (backend, script) = (Vec::new(), String::new());
        let tree = Self { folder, files: resources, backend, script };
        for nth in 0..resources {
            let resource = format!(
                "[template]\nsrc = '{nth}.tmpl'\ndest = '{}'\nkeys = ['{key}']\n",
                tree.dest(nth).display()
            );
            fs::write(tree.path("conf.d").join(format!("{nth}.toml")), resource)
                .expect("a resource");
            fs::write(tree.path("templates").join(format!("{nth}.tmpl")), template)
                .expect("a template");
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dest(&self, nth: usize) -> PathBuf {
        self.path("out").join(format!("{nth}.conf"))
    }

    /// Moves the files aside for the next run. They are deleted only at the end: some file systems
    /// search long for an inode that was not freed just before, which would slow down every run but
    /// the first.
    fn set_aside(&self) {
        let old = self.path("old");
        fs::create_dir_all(&old)
            .and_then(|()| Ok(fs::read_dir(&old)?.count()))
            .and_then(|nth| fs::rename(self.path("out"), old.join(nth.to_string())))
            .and_then(|()| fs::create_dir(self.path("out")))
            .expect("an empty folder");
    }

    /// One run of a confd, ours or the one that it is compared with.
    fn process(&self, program: &str) -> Sample {
        let mut command = Command::new(program);
        command
            .arg("-onetime")
            .args(&self.backend)
            .args(["-log-level", "error", "-confdir"])
            .arg(self.folder.path());
        let sample = measured(command.env_clear().env("KEY", "value"));
        assert!(self.dest(0).exists(), "{program} wrote nothing");
        sample
    }

    /// One run of the floor for one file: a shell that writes it.
    fn shell(&self) -> Sample {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.script).arg(self.dest(0));
        measured(command.env_clear().env("KEY", "value"))
    }

    /// One run of the floor for many files: safe replacements without templates, comparison or a
    /// new process.
    fn bare_loop(&self, files: usize) -> Sample {
        let start = Instant::now();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= files {
                            return;
                        }
                        write_and_rename(&self.dest(nth)).expect("a file");
                    }
                });
            }
        });
        Sample { wall: start.elapsed(), cpu: Duration::ZERO, peak_kib: 0 }
    }
}

fn write_and_rename(dest: &Path) -> std::io::Result<()> {
    let stage = dest.with_extension("stage");
    let mut file = File::create(&stage)?;
    file.write_all(b"value: value\n")?;
    file.sync_all()?;
    fs::rename(stage, dest)
}

fn measured(command: &mut Command) -> Sample {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let start = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let ended = child.wait4().expect("the program ends");
    let wall = start.elapsed();
    assert!(ended.status.success(), "{command:?} ended with {}", ended.status);
    Sample {
        wall,
        cpu: ended.rusage.utime + ended.rusage.stime,
        peak_kib: ended.rusage.maxrss / 1024,
    }
}
