//! A Docker engine in namespaces of its own. Its containers, images, networks and mounts are
//! invisible to the machine and end with it.

#[cfg(test)]
mod tests;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use rustix::process::Signal;
use serde_json::Value;

use crate::control_groups::ControlGroups;
use crate::http::{Answer, escape, exchange_at};
use crate::namespaces::end;
use crate::{Namespaces, Process, eventually, folder, present};

/// The programs that [`busybox`] puts into an image.
const APPLETS: [&str; 25] = [
    "cat", "chmod", "cp", "echo", "false", "grep", "hostname", "httpd", "ip", "kill", "ln", "ls",
    "mkdir", "mv", "nc", "nslookup", "pidof", "ps", "rm", "sh", "sleep", "test", "touch", "true",
    "wget",
];

/// An engine. It ends when this is dropped, and everything that it made ends with it.
#[derive(Debug)]
pub struct Engine {
    /// Dropped first: an engine notices the end of its containers.
    process: Option<Process>,
    namespaces: Namespaces,
    /// Dropped after the processes in the groups.
    _groups: ControlGroups,
    /// Dropped last: the socket and the logs are in it.
    folder: tempfile::TempDir,
}

impl Engine {
    /// Starts an engine whose host has this address, in addition to 127.0.0.1.
    #[track_caller]
    pub fn start(address: &str) -> Self {
        present(PathBuf::from("/usr/sbin/dockerd"));
        let folder = folder();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        // Only the engine sees this file system, so nothing has to be removed from it.
        let namespaces = Namespaces::start(
            folder.path(),
            &format!(
                "ip address add {address}/32 dev lo; mount -t tmpfs none '{}'",
                data.display()
            ),
        );
        let groups = ControlGroups { parent: folder.path().file_name().unwrap().into() };
        let settings = serde_json::json!({
            "cgroup-parent": Path::new("/").join(&groups.parent),
            // By default the engine keeps a key in the machine's /etc/docker.
            "deprecated-key-path": data.join("key.json"),
        });
        let mut engine = Engine { process: None, namespaces, _groups: groups, folder };
        fs::write(engine.settings(), settings.to_string()).unwrap();
        engine.spawn();
        engine.wait();
        engine
    }

    fn spawn(&mut self) {
        let data = self.folder.path().join("data");
        let arguments = [
            ("--data-root", data.join("root").display().to_string()),
            ("--exec-root", data.join("exec").display().to_string()),
            ("--pidfile", data.join("pid").display().to_string()),
            ("--host", format!("unix://{}", self.socket().display())),
            ("--config-file", self.settings().display().to_string()),
        ];
        let arguments: Vec<_> =
            arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        let log = self.folder.path().join("dockerd.log");
        self.process = Some(self.namespaces.spawn("/usr/sbin/dockerd", &arguments, &log));
    }

    /// Waits until the engine answers.
    #[track_caller]
    pub fn wait(&mut self) {
        let socket = self.socket();
        let is_ready = || {
            let answer = exchange_at(&socket, "GET /_ping", &[], b"");
            answer.is_ok_and(|answer| answer.status == 200)
        };
        let is_ready = Process::becomes_ready(&mut self.process, "dockerd", is_ready);
        assert!(is_ready, "dockerd does not start: see the output above");
    }

    /// Ends the engine as a service manager does, and waits until it has ended. It stops its
    /// containers first.
    #[track_caller]
    pub fn stop(&mut self) {
        end(self.process.as_mut().expect("the engine runs"), Signal::TERM);
        self.process = None;
    }

    /// Kills the engine at once. Its containers run on until it is started again.
    #[track_caller]
    pub fn kill(&mut self) {
        end(self.process.as_mut().expect("the engine runs"), Signal::KILL);
        self.process = None;
    }

    /// Starts the engine after [`stop`](Self::stop) or [`kill`](Self::kill), with the same
    /// containers and images. Does not wait until it answers.
    pub fn restart(&mut self) {
        self.spawn();
    }

    /// The folder of the engine's socket and logs. Tests can put files into it. They are gone when
    /// the engine is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The socket of the engine's API.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("daemon.json")
    }

    /// Runs `work` in the engine's network, as [`Namespaces::within`] does.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespaces.within(work)
    }

    /// Sends a request to the API (`POST /containers/a/start`) with a JSON body, or none if it is
    /// null.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub fn try_ask(&self, request: &str, body: &Value) -> io::Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("Content-Type", "application/json")];
        exchange_at(&self.socket(), request, &headers, body.as_bytes())
    }

    /// Like [`try_ask`](Self::try_ask); panics if the request fails. Returns the JSON of the answer,
    /// or null if the answer has none.
    #[track_caller]
    pub fn ask(&self, request: &str, body: &Value) -> Value {
        let answer = self.try_ask(request, body).unwrap_or_else(|why| panic!("{request}: {why}"));
        assert!(answer.status < 400, "{request}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Makes an image of the files in `root` and gives it this name. `changes` are instructions of a
    /// Dockerfile such as `EXPOSE 80/tcp`. Returns the image's id.
    #[track_caller]
    pub fn import(&self, name: &str, root: &Path, changes: &[String]) -> String {
        let mut request = format!("POST /images/create?fromSrc=-&{}", reference(name));
        for change in changes {
            request += &format!("&changes={}", escape(change).replace('/', "%2F"));
        }
        let headers = [("Content-Type", "application/x-tar")];
        let answer = exchange_at(&self.socket(), &request, &headers, &archive(root)).unwrap();
        let text = answer.text();
        assert!(answer.status == 200 && !text.contains("\"error\""), "{name}: {text}");
        self.ask(&format!("GET /images/{}/json", escape(name)), &Value::Null)["Id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Builds an image with this name of the files in `folder`, of which one is the Dockerfile, with
    /// these arguments.
    #[track_caller]
    pub fn build(&self, name: &str, folder: &Path, arguments: &Value) {
        let parameter = |text: &str| escape(text).replace('/', "%2F");
        let arguments = parameter(&arguments.to_string());
        let request = format!("POST /build?t={}&buildargs={arguments}", parameter(name));
        let headers = [("Content-Type", "application/x-tar")];
        let answer = exchange_at(&self.socket(), &request, &headers, &archive(folder)).unwrap();
        let text = answer.text();
        assert!(answer.status == 200 && !text.contains("\"error\""), "{name}: {text}");
    }

    /// Kills the first process of a container from outside, as a crash would end it: the restart
    /// policy of the container counts, which it does not after a request to kill it.
    #[track_caller]
    pub fn crash(&self, container: &str) {
        let container = self.ask(&format!("GET /containers/{container}/json"), &Value::Null);
        let number = container["State"]["Pid"].to_string();
        let log = self.folder.path().join("crash.log");
        let arguments = ["-c".to_owned(), format!("kill -KILL {number}")];
        let mut kill = self.namespaces.spawn("sh", &arguments, &log);
        eventually("the signal is sent", || kill.has_ended());
        assert!(kill.ended().is_some_and(|status| status.success()), "{}", kill.output());
    }

    /// Gives an image, named by its id, a further name.
    #[track_caller]
    pub fn tag(&self, id: &str, name: &str) {
        self.ask(&format!("POST /images/{id}/tag?{}", reference(name)), &Value::Null);
    }
}

/// The files in a folder, as the engine's API takes them.
#[track_caller]
fn archive(folder: &Path) -> Vec<u8> {
    // The engine reads to the mark of the end, and resets the connection if more follows: tar would fill
    // up a record of twenty blocks.
    let arguments = ["--blocking-factor=1", "-cf", "-", "."];
    let tar = Command::new("tar").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}

/// The parameters that name an image: `NAME` or `NAME:TAG`. A colon before a slash belongs to the
/// port of a registry.
fn reference(name: &str) -> String {
    let tagged = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (repository, tag) = tagged.unwrap_or((name, "latest"));
    format!("repo={}&tag={tag}", escape(repository).replace('/', "%2F"))
}

/// Creates the files of a small system in a folder: busybox and links to it in `bin`, and an empty
/// folder `tmp`.
#[track_caller]
pub fn busybox(root: &Path) {
    let program = present(PathBuf::from("/bin/busybox"));
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
    fs::copy(program, root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
}
